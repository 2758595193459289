package registry_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"birdring/canary"
	"birdring/registry"
)

// ledgerWorld is a registry of its own with four shared decoys that a crowd was
// shown, and more shown to forty of it than is under a signed head.
func ledgerWorld(t testing.TB) (*registry.Registry, string, []canary.Decoy) {
	t.Helper()
	s := newStage(t, 4)
	decoys := decoysOf(t, s)
	showAll(t, s.Registry, decoys[:2], 40)
	return s.Registry, s.Dir(), decoys
}

// showAll shows the decoys to n accounts.
func showAll(t testing.TB, r *registry.Registry, decoys []canary.Decoy, n int) {
	t.Helper()
	var all []registry.Exposure
	for i := range n {
		for _, d := range decoys {
			all = append(all, registry.Exposure{Account: fmt.Sprintf("crowd-%03d", i), Decoy: d.ID, Surface: "profile"})
		}
	}
	copies, err := r.Expose(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range copies {
		if i%5 == 0 {
			err := r.Fetched(t.Context(), registry.Fetch{Viewer: c.Viewer, Photo: c.Photos[0].Photo, Address: "192.0.2.7", UserAgent: "agent", SHA256: strings.Repeat("ab", 32)})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func verified(t testing.TB, r *registry.Registry) *registry.LedgerReport {
	t.Helper()
	rep, err := r.VerifyLedger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func seal(t testing.TB, r *registry.Registry) {
	t.Helper()
	if _, err := r.SealLedger(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantSound(t testing.TB, r *registry.Registry) *registry.LedgerReport {
	t.Helper()
	rep := verified(t, r)
	if rep.Problems != 0 {
		t.Fatalf("%d problems, the first: %+v", rep.Problems, *rep.First)
	}
	return rep
}

// onSQLite skips what writes to the file behind the program's back.
func onSQLite(t testing.TB, dir string) {
	t.Helper()
	if databaseOf(dir) != "" {
		t.Skip("the registry is in PostgreSQL")
	}
}

// tamper writes to the database behind the program's back.
func tamper(t testing.TB, dir, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "registry.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	res, err := db.Exec(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows: %v", query, n, err)
	}
}

// What nobody touched verifies, sealed or waiting, before and after more is added.
func TestLedgerHoldsEveryRow(t *testing.T) {
	r, dir, decoys := ledgerWorld(t)
	rep := wantSound(t, r)
	const shown, fetched, crowd = 80 + 240, 16, 60 // by showAll and newStage
	if rep.Waiting != 80+fetched || rep.Entries["exposure"] != shown+fetched || rep.Entries["viewer"] != crowd || rep.Entries["commitment"] != 1 {
		t.Errorf("before the seal: %+v", rep)
	}
	heads := rep.Heads
	seal(t, r)
	if rep = wantSound(t, r); rep.Waiting != 0 || rep.Size != 1+shown+fetched+crowd || rep.Heads != heads+1 {
		t.Errorf("sealed: %+v", rep)
	}
	showAll(t, r, decoys[:2], 300)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, dir, registry.Options{ReadOnly: true})
	if rep = wantSound(t, r); rep.Waiting != 0 || rep.Heads != heads+2 {
		t.Errorf("after close: %+v", rep)
	}
}

// The same exposure again enters once; a job that fails beside others leaves
// nothing in the ledger.
func TestLedgerTakesRowsOnce(t *testing.T) {
	r, dir, decoys := ledgerWorld(t)
	onSQLite(t, dir)
	tamper(t, dir, `UPDATE decoys SET kind = 'personal' WHERE num = 3`)
	tamper(t, dir, `UPDATE counters SET n = n + 1 WHERE name = 'decoys'`)
	before := wantSound(t, r)
	at := time.Now().Add(-time.Hour)
	for range 3 {
		for _, e := range []registry.Exposure{{Account: "twice", Decoy: decoys[0].ID, At: at}} {
			if _, err := r.Expose(t.Context(), []registry.Exposure{e}); err != nil {
				t.Fatal(err)
			}
		}
	}
	done := make(chan error, 64)
	for i := range 64 {
		go func() { // all but the first account are refused, in transactions shared with others
			_, err := r.Expose(context.Background(), []registry.Exposure{
				{Account: fmt.Sprintf("new-%d", i), Decoy: decoys[0].ID}, {Account: fmt.Sprintf("new-%d", i), Decoy: decoys[2].ID},
			})
			done <- err
		}()
	}
	failed := 0
	for range 64 {
		if <-done != nil {
			failed++
		}
	}
	if failed != 63 {
		t.Fatalf("%d of 64 failed", failed)
	}
	if rep := wantSound(t, r); rep.Entries["viewer"] != before.Entries["viewer"]+2 || rep.Entries["exposure"] != before.Entries["exposure"]+1+2 {
		t.Errorf("entries %v, before %v", rep.Entries, before.Entries)
	}
}

// Every kind of tampering is found, and the row is named.
func TestVerifyNamesTheFirstRowTamperedWith(t *testing.T) {
	from := halfSealed(t)
	for _, c := range []struct{ name, query, kind, class, says string }{
		{"exposure back-dated", `UPDATE exposures SET at = at - 86400000000 WHERE viewer = 65540 AND decoy = 1 AND picture = 0`, "back-dated", "exposure", "at was set to an earlier time"},
		{"exposure post-dated", `UPDATE exposures SET at = at + 5 WHERE viewer = 65540 AND decoy = 1 AND picture = 0`, "changed", "exposure", "at was changed"},
		{"exposure to another viewer", `UPDATE exposures SET viewer = 65541, at = at - 7 WHERE viewer = 65540 AND decoy = 1 AND picture = 0`, "removed", "exposure", "not in the registry any more"},
		{"exposure moved to another viewer", `INSERT OR REPLACE INTO exposures (decoy, viewer, at, surface, picture, address, user_agent, sha256) SELECT decoy, 65599, at, surface, picture, address, user_agent, sha256 FROM exposures WHERE viewer = 65540 AND decoy = 2`, "added", "exposure", "never recorded"},
		{"surface", `INSERT INTO surfaces VALUES (99, 'other'); UPDATE exposures SET surface = 99 WHERE viewer = 65540 AND decoy = 1 AND picture = 0`, "changed", "exposure", "surface was changed"},
		{"name of a surface", `UPDATE surfaces SET surface = surface || 'x'`, "changed", "exposure", "surface was changed"},
		{"address of a fetch", `UPDATE exposures SET address = '198.51.100.9' WHERE picture > 0 AND viewer = 65536`, "changed", "exposure", "the digest stands for"},
		{"exposure removed", `DELETE FROM exposures WHERE viewer = 65540 AND decoy = 1`, "removed", "exposure", "not in the registry any more"},
		{"exposure added", `INSERT INTO exposures (decoy, viewer, at, surface) VALUES (1, 65550, 1700000000000000, 1)`, "added", "exposure", "never recorded"},
		{"number given to another account", `UPDATE viewers SET account = (SELECT id FROM accounts WHERE name = 'crowd-000'), session = 'x' WHERE number = 65540`, "changed", "viewer", "pseudonym was changed"},
		{"account renamed", `UPDATE accounts SET name = 'somebody' WHERE name = 'crowd-004'`, "changed", "viewer", "pseudonym was changed"},
		{"viewer back-dated", `UPDATE viewers SET given_at = given_at - 1000 WHERE number = 65540`, "back-dated", "viewer", "given_at was set"},
		{"viewer removed", `DELETE FROM viewers WHERE number = 65540`, "removed", "viewer", "not in the registry"},
		{"commitment", `UPDATE commitments SET commitment = 'ff'`, "changed", "commitment", "commitment was changed"},
		{"queue shortened", `DELETE FROM ledger_queue WHERE first_place = (SELECT max(first_place) FROM ledger_queue)`, "ledger", "", "entries were removed"},
		{"head kept", `UPDATE ledger_heads SET checkpoint = checkpoint || 'x'`, "ledger", "", "the head kept"},
		{"published set back", `UPDATE ledger SET size = 1`, "ledger", "", "set back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, dir := copyOf(t, from)
			tamper(t, dir, `PRAGMA foreign_keys = OFF; `+c.query)
			rep := verified(t, r)
			if rep.Problems == 0 {
				t.Fatal("nobody noticed")
			}
			if rep.First.Kind != c.kind || rep.First.Class != c.class || !strings.Contains(rep.First.Text, c.says) {
				t.Errorf("%+v, want %s of %s: %s", *rep.First, c.kind, c.class, c.says)
			}
			if c.kind != "ledger" && c.kind != "added" && (rep.First.Position == nil || rep.First.Was == nil) {
				t.Errorf("the entry is not told: %+v", *rep.First)
			}
		})
	}
}

// copyOf copies a registry that nobody has open.
func copyOf(t *testing.T, from string) (*registry.Registry, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, registry.Options{ReadOnly: true}), dir
}

// halfSealed is a closed registry whose newest entries wait in the queue, as after
// a kill.
func halfSealed(t *testing.T) string {
	t.Helper()
	r, dir, decoys := ledgerWorld(t)
	onSQLite(t, dir)
	seal(t, r)
	showAll(t, r, decoys[:2], 50)
	from := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(from, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return from
}
