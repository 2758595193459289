package registry_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"birdring/registry"
	"birdring/registry/sqlstore"
)

func TestInitMakesKeysThatOnlyTheOwnerReads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	commitment, err := registry.Init(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(commitment) != 64 {
		t.Errorf("commitment %q", commitment)
	}
	for _, name := range []string{"keys.json", "registry.db"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, st.Mode())
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 4 { // keys, registry, numbers, and the ledger with the commitment under a signed head
		t.Errorf("left over: %v", entries)
	}
	if st, err := os.Stat(filepath.Join(dir, "ledger", "checkpoint")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("no signed head that only the owner reads: %v", err)
	}
}

func TestInitRefusesToOverwrite(t *testing.T) {
	_, dir := fresh(t)
	before, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Init(t.Context(), dir); err == nil {
		t.Fatal("a second init went through")
	}
	after, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the keys changed")
	}
}

func TestInitAfterAnInterruptedOne(t *testing.T) {
	onlySQLite(t)
	_, dir := fresh(t)
	keys := filepath.Join(dir, "keys.json")
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Init(t.Context(), dir); err != nil {
		t.Fatalf("what an interrupted init left is in the way: %v", err)
	}
	// Used, it is never touched.
	r := open(t, dir, registry.Options{})
	if _, err := r.Number(t.Context(), "a", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Init(t.Context(), dir); err == nil {
		t.Fatal("a registry in use was overwritten")
	}
	if _, err := registry.Open(t.Context(), dir, registry.Options{}); err == nil || !strings.Contains(err.Error(), "keys.json is missing") {
		t.Errorf("open without keys: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	onlySQLite(t)
	_, dir := fresh(t)
	other := filepath.Join(t.TempDir(), "other")
	makeRegistry(t, other) // with keys of its own

	t.Run("no registry", func(t *testing.T) {
		_, err := registry.Open(t.Context(), t.TempDir(), registry.Options{})
		if err == nil || !strings.Contains(err.Error(), "run birdring init") {
			t.Error(err)
		}
	})
	t.Run("wrong keys", func(t *testing.T) {
		wrong := t.TempDir()
		copyFile(t, filepath.Join(other, "keys.json"), filepath.Join(wrong, "keys.json"))
		copyFile(t, filepath.Join(dir, "registry.db"), filepath.Join(wrong, "registry.db"))
		_, err := registry.Open(t.Context(), wrong, registry.Options{})
		if err == nil || !strings.Contains(err.Error(), "are not the keys of this registry") {
			t.Error(err)
		}
	})
	t.Run("newer version", func(t *testing.T) {
		newer := t.TempDir()
		copyFile(t, filepath.Join(dir, "keys.json"), filepath.Join(newer, "keys.json"))
		copyFile(t, filepath.Join(dir, "registry.db"), filepath.Join(newer, "registry.db"))
		db, err := sql.Open("sqlite3", filepath.Join(newer, "registry.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := registry.Open(t.Context(), newer, registry.Options{}); !errors.Is(err, sqlstore.ErrNewer) {
			t.Error(err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		broken := t.TempDir()
		copyFile(t, filepath.Join(dir, "keys.json"), filepath.Join(broken, "keys.json"))
		if err := os.WriteFile(filepath.Join(broken, "registry.db"), []byte(strings.Repeat("no database ", 500)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := registry.Open(t.Context(), broken, registry.Options{}); !errors.Is(err, sqlstore.ErrDamaged) {
			t.Error(err)
		}
	})
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
