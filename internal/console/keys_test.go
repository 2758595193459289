package console_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"birdring/internal/console"
)

func TestKeysAreStoredHashedAndTheLastAdminStays(t *testing.T) {
	dir := t.TempDir()
	keys, secret, err := console.OpenKeys(dir)
	if err != nil || secret == "" {
		t.Fatalf("first start: secret %q, error %v", secret, err)
	}
	file := filepath.Join(dir, "api-keys.json")
	data, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(data), strings.TrimPrefix(secret, "brk_")) {
		t.Fatalf("the secret is in the file (error %v)", err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, error %v", st.Mode(), err)
	}
	admin, ok := keys.Check(secret)
	if !ok || admin.Role != console.Admin {
		t.Fatal("the admin key does not open")
	}
	if _, ok := keys.Check("brk_WRONG"); ok {
		t.Fatal("a wrong secret opens")
	}
	if err := keys.Remove(admin.ID); err == nil {
		t.Fatal("the last admin key was removed")
	}
	reader, readerSecret, err := keys.Add(console.Reader, "dashboard")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := keys.Add("king", ""); err == nil {
		t.Fatal("a role that does not exist was given")
	}
	again, secret2, err := console.OpenKeys(dir)
	if err != nil || secret2 != "" {
		t.Fatalf("second start: secret %q, error %v", secret2, err)
	}
	if k, ok := again.Check(readerSecret); !ok || k.Role != console.Reader {
		t.Fatal("the reader's key was lost")
	}
	if err := again.Remove(reader.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := again.Check(readerSecret); ok {
		t.Fatal("a removed key opens")
	}
}

func TestDamagedKeyFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "api-keys.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := console.OpenKeys(dir); err == nil {
		t.Fatal("no error")
	}
}

func TestRolesMayWhatTheyMay(t *testing.T) {
	all := []console.Role{console.Platform, console.Reader, console.Analyst, console.Admin}
	want := map[console.Role]string{
		console.Platform: "platform", console.Reader: "reader", console.Analyst: "reader analyst", console.Admin: "platform reader analyst admin",
	}
	for _, r := range all {
		var may []string
		for _, need := range all {
			if r.May(need) {
				may = append(may, string(need))
			}
		}
		if got := strings.Join(may, " "); got != want[r] {
			t.Errorf("%s may %s, want %s", r, got, want[r])
		}
	}
}

// Keys that several processes make at once are all there, and one of them made
// the first admin's.
func TestKeysMadeAtOnce(t *testing.T) {
	dir := t.TempDir()
	const processes, each = 6, 5
	var wg sync.WaitGroup
	var mu sync.Mutex
	var secrets []string
	first := 0
	for range processes {
		wg.Go(func() {
			keys, secret, err := console.OpenKeys(dir) // each has its own, as a process has
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				_, q, err := keys.Add(console.Reader, "")
				mu.Lock()
				secrets = append(secrets, q)
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if secret != "" {
				first++
			}
		})
	}
	wg.Wait()
	keys, err := console.ReadKeys(dir)
	if err != nil || first != 1 || len(keys.List()) != processes*each+1 {
		t.Fatalf("%d keys, %d first admins, %v", len(keys.List()), first, err)
	}
	for _, q := range secrets {
		if _, ok := keys.Check(q); !ok {
			t.Error("a key was lost")
		}
	}
}
