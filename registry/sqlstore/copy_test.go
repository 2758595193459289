package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"birdring/internal/testkit"
	"birdring/registry/sqlstore"
)

func ignore(string, int64, int64) {}

// fill puts rows of most kinds into a registry: n exposures, a decoy that points
// to a later one, bytes, text that PostgreSQL cannot hold.
func fill(t testing.TB, d *sqlstore.DB, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		do := func(query string, args ...any) {
			t.Helper()
			if _, err := tx.Exec(query, args...); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
		do(`INSERT INTO meta (key, value) VALUES ('commitment', 'c')`)
		for i := range 4 {
			do(`INSERT INTO decoys (num, id, kind, handle, fold, handle_millibits, share, persona, planted_at) VALUES (?, ?, 'shared', ?, ?, 1, 0.25, '{}', 1)`,
				i+1, fmt.Sprint("d", i), fmt.Sprint("h", i), fmt.Sprint("f", i))
		}
		do(`UPDATE decoys SET successor = 3 WHERE num = 1`)
		do(`INSERT INTO webhooks (id, url, secret, added_at) VALUES ('w', 'http://example/', 's', 1)`)
		do(`INSERT INTO sites (id, site, first_at) VALUES (7, 'clone.example', 1)`)
		do(`INSERT INTO captures (sha256, media_type, size, data, first_at) VALUES (?, 'image/jpeg', 3, ?, 1)`, make([]byte, 32), []byte{0, 255, 1})
		do(`INSERT INTO hits (id, at, kind, token_kind, object, viewer, name, qtype, subnet, method, host, path, status, bytes, address, user_agent, referer, origin, sha256, self)
			VALUES ('x', 1, 'link', 1, 1, 65536, '', '', '', 'GET', '', '/', 200, 0, '', ?, '', '', '', ?)`, "agent \xff\x00 of a scanner", true)
		for i := range 50 {
			do(`INSERT INTO accounts (id, name, first_seen) VALUES (?, ?, 1)`, i+1, fmt.Sprintf("account-%d-ü", i))
			do(`INSERT INTO viewers (number, account, session, given_at) VALUES (?, ?, '', 1)`, 65536+i, i+1)
		}
		do(`UPDATE counters SET n = 65585 WHERE name = 'viewers'`)
		do(`INSERT INTO surfaces (num, surface) VALUES (1, 'profile')`)
		for i := range n {
			do(`INSERT INTO exposures (decoy, viewer, at, surface) VALUES (?, ?, ?, 1)`, 1+rng.IntN(4), 65536+rng.IntN(50), i)
		}
		do(`UPDATE counters SET n = ? WHERE name = 'exposures'`, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// show more exposures.
func show(t testing.TB, d *sqlstore.DB, from, n int) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		for i := range n {
			if _, err := tx.Exec(`INSERT INTO exposures (decoy, viewer, at, surface) VALUES (1, 65536, ?, 1)`, 1_000_000+from+i); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`UPDATE counters SET n = n + ? WHERE name = 'exposures'`, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func number(t testing.TB, d *sqlstore.DB, query string) (n int64) {
	t.Helper()
	if err := d.Read().QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// There and back again: what comes back is the same, row for row, and numbers
// that the engine gives follow those that were copied.
func TestCopyBothWays(t *testing.T) {
	d, path := create(t)
	fill(t, d, 3000)
	url := testkit.Postgres(t)
	there, err := sqlstore.Copy(t.Context(), path, url, ignore)
	if err != nil {
		t.Fatal(err)
	}
	if there.Rows < 3100 || there.Written < there.Rows-6 { // new registries have their counters
		t.Errorf("%+v", there)
	}
	pg, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	if got := number(t, pg, `SELECT successor FROM decoys WHERE num = 1`); got != 3 {
		t.Errorf("successor is %d", got)
	}
	back := filepath.Join(t.TempDir(), "back.db")
	if _, err := sqlstore.Copy(t.Context(), url, back, ignore); err != nil {
		t.Fatal(err)
	}
	// Compared with each other they do not differ: nothing is written.
	if again, err := sqlstore.Copy(t.Context(), path, back, ignore); err != nil || again.Written != 0 || again.Rows != there.Rows {
		t.Errorf("%+v, %v", again, err)
	}
	var id int64
	if err := pg.Write(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`INSERT INTO sites (site, first_at) VALUES ('other.example', 1) RETURNING id`).Scan(&id)
	}); err != nil || id != 8 {
		t.Errorf("the next site is %d, %v", id, err)
	}
}

// A copy of a registry in use is brought up to date; one that was used is not touched.
func TestCopyAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, to *sqlstore.DB, target string) {
		d, path := create(t)
		fill(t, d, 1000)
		if _, err := sqlstore.Copy(t.Context(), path, target, ignore); err != nil {
			t.Fatal(err)
		}
		show(t, d, 0, 10)
		if err := d.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`DELETE FROM webhooks`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		more, err := sqlstore.Copy(t.Context(), path, target, ignore)
		if err != nil || more.Written != 12 { // ten exposures, their counter, a webhook gone
			t.Errorf("%+v, %v", more, err)
		}
		show(t, to, 100, 1)
		if _, err := sqlstore.Copy(t.Context(), path, target, ignore); err == nil || !strings.Contains(err.Error(), "used after it was made") {
			t.Errorf("a copy in use was overwritten: %v", err)
		}
		if _, err := sqlstore.Copy(t.Context(), path, otherPath(t), ignore); err == nil || !strings.Contains(err.Error(), "other keys") {
			t.Errorf("another registry was overwritten: %v", err)
		}
	})
}

// otherPath is that of a registry of other keys.
func otherPath(t *testing.T) string {
	d, path := create(t)
	if err := d.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO meta (key, value) VALUES ('commitment', 'another')`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return path
}

// Interrupted, a copy cannot be mistaken for a registry; run again it goes on
// where it was.
func TestCopyInterrupted(t *testing.T) {
	d, path := create(t)
	fill(t, d, 45000)
	url := testkit.Postgres(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := sqlstore.Copy(ctx, path, url, func(table string, rows, written int64) {
		if table == "exposures" && written > 0 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := sqlstore.Open(t.Context(), url, sqlstore.Options{}); err == nil || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("half a copy was opened: %v", err)
	}
	done, err := sqlstore.Copy(t.Context(), path, url, ignore)
	if err != nil || done.Written == 0 || done.Written > 30000 {
		t.Errorf("%+v, %v", done, err)
	}
	pg, err := sqlstore.Open(t.Context(), url, sqlstore.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	if n := number(t, pg, `SELECT count(*) FROM exposures`); n != 45000 {
		t.Errorf("%d exposures", n)
	}
}

func TestBackupAndCheck(t *testing.T) {
	onBoth(t, func(t *testing.T, d *sqlstore.DB, target string) {
		fill(t, d, 2000)
		file := filepath.Join(t.TempDir(), "backup.db")
		if err := sqlstore.Backup(t.Context(), target, file, ignore); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", st.Mode(), err)
		}
		if err := sqlstore.Backup(t.Context(), target, file, ignore); err == nil {
			t.Error("a backup was overwritten")
		}
		for _, of := range []string{target, file} {
			for _, f := range check(t, of) {
				if !f.OK {
					t.Errorf("%+v", f)
				}
			}
		}
		b, err := sqlstore.Open(t.Context(), file, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if n := number(t, b, `SELECT count(*) FROM exposures`); n != 2000 {
			t.Errorf("%d exposures in the backup", n)
		}
		// What is wrong is found.
		if err := b.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE counters SET n = 65540 WHERE name = 'viewers'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		bad := 0
		for _, f := range check(t, file) {
			if !f.OK && f.Check == "numbers" {
				bad++
			}
		}
		if bad != 1 {
			t.Errorf("%d findings about a counter that is behind", bad)
		}
	})
}

func check(t *testing.T, target string) (out []sqlstore.Finding) {
	t.Helper()
	if err := sqlstore.Check(t.Context(), target, func(f sqlstore.Finding) { out = append(out, f) }); err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Errorf("%d findings only", len(out))
	}
	return out
}
