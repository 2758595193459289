package registry_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"birdring/internal/testkit"
	"birdring/registry"
)

// Pictures of a new epoch are shown after the commitment to it was published; one
// that was shown before, or whose commitment never was, is named.
func TestCommitmentBeforeFirstUse(t *testing.T) {
	s := newStage(t, 4)
	onSQLite(t, s.Dir())
	decoys := decoysOf(t, s)
	showAll(t, s.Registry, decoys[:1], 3)
	if _, err := s.RotateKeys(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	next := planted(t, s.Registry, registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: smalls(t, 5)[4:]})[0]
	if _, err := s.Expose(t.Context(), offer("crowd-000", next.ID)); err != nil {
		t.Fatal(err)
	}
	seal(t, s.Registry)
	wantSound(t, s.Registry)
	for _, c := range []struct{ name, query, undo string }{
		{"shown before", `UPDATE pictures SET epoch = 2 WHERE num = (SELECT min(num) FROM pictures)`, `UPDATE pictures SET epoch = 1 WHERE num = (SELECT min(num) FROM pictures)`},
		{"never", `UPDATE pictures SET epoch = 3 WHERE epoch = 2`, `UPDATE pictures SET epoch = 2 WHERE epoch = 3`},
		{"under no head", `DELETE FROM ledger_heads WHERE size < (SELECT max(size) FROM ledger_heads)`, ""},
	} {
		tamper(t, s.Dir(), c.query)
		rep := verified(t, s.Registry)
		if rep.Problems != 1 || rep.First.Kind != "uncommitted" || rep.First.Class != "exposure" || rep.First.Position == nil {
			t.Errorf("%s: %d problems, the first: %+v", c.name, rep.Problems, rep.First)
		}
		if c.undo != "" {
			tamper(t, s.Dir(), c.undo)
			wantSound(t, s.Registry)
		}
	}
}

// A server has its heads stamped by itself, once each; a stamp that is not of its
// head, by nobody known, or older than what stands under it, is named.
func TestStampsAreKeptAndChecked(t *testing.T) {
	tsa := testkit.StartAuthority(t, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	r, dir, decoys := ledgerWorld(t)
	onSQLite(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- r.KeepStamps(ctx, registry.Authority{URL: tsa.URL, Roots: tsa.Roots, Every: 20 * time.Millisecond})
	}()
	stamped := func(n int) {
		t.Helper()
		var rep *registry.LedgerReport
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // openssl is another process
			if rep = wantSound(t, r); rep.Stamps == n {
				return
			}
		}
		t.Fatalf("%d stamps, want %d", rep.Stamps, n)
	}
	stamped(1)
	time.Sleep(100 * time.Millisecond) // nothing is new: nothing is asked
	stamped(1)
	showAll(t, r, decoys[2:3], 2)
	stamped(2)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	rep, err := r.VerifyLedgerBy(t.Context(), tsa.Roots)
	if err != nil || rep.Problems != 0 || rep.Stamped == nil || time.Since(*rep.Stamped) > time.Hour {
		t.Errorf("%+v, %v", rep, err)
	}
	// The files are what openssl reads.
	files, err := filepath.Glob(filepath.Join(dir, "ledger", "stamps", "*.tsr"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if _, err := os.Stat(strings.TrimSuffix(f, ".tsr") + ".checkpoint"); errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	other := testkit.StartAuthority(t, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	if rep, err := r.VerifyLedgerBy(t.Context(), other.Roots); err != nil || rep.Problems != 2 || !strings.Contains(rep.First.Text, "vouches") {
		t.Errorf("another root: %+v, %v", rep, err)
	}
	tamper(t, dir, `UPDATE ledger_heads SET stamp = (SELECT max(stamp) FROM ledger_heads WHERE stamp IS NOT NULL) WHERE stamp IS NOT NULL`)
	if rep := verified(t, r); rep.Problems != 1 || rep.First.Kind != "ledger" || !strings.Contains(rep.First.Text, "time stamp") {
		t.Errorf("a stamp of another head: %d problems, %+v", rep.Problems, rep.First)
	}
}
