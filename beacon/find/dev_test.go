package find_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"birdring/beacon/find"
	"birdring/canary/mark"
	"birdring/internal/testkit"
)

func TestDevAlign(t *testing.T) {
	only := strings.Split(os.Getenv("ONLY"), ",")
	photos := testkit.Photos(t)
	for ci, c := range changes("") {
		if os.Getenv("ONLY") != "" && !slices.Contains(only, c.name) {
			continue
		}
		var errs, nccs []float64
		var dt time.Duration
		note := ""
		for i, p := range photos {
			if i%2 == 1 {
				continue
			}
			ref := load(t, p)
			suspect, truth := attack(t, p, changes(photos[(i+7)%len(photos)])[ci])
			rough := truth
			rough.C += 3
			rough.F -= 3
			rough.A *= 1.004
			rough.E *= 0.996
			t0 := time.Now()
			got, ncc, err := find.Align(context.Background(), ref, suspect, []mark.Affine{rough})
			dt += time.Since(t0)
			if err != nil {
				note += " err " + filepath.Base(p)[:3]
				continue
			}
			e := cornerError(got, truth, ref, suspect)
			errs = append(errs, e)
			nccs = append(nccs, ncc)
		}
		slices.Sort(errs)
		slices.Sort(nccs)
		t.Logf("%-18s error median %.3f p90 %.3f max %.3f  ncc min %.2f  %v %s", c.name, errs[len(errs)/2], errs[len(errs)*9/10], errs[len(errs)-1], nccs[0], dt/time.Duration(len(errs)), note)
	}
}

func TestDevFind(t *testing.T) {
	only := strings.Split(os.Getenv("ONLY"), ",")
	photos := testkit.Photos(t)
	x := find.NewIndex()
	prints := map[string]*find.Print{}
	for _, p := range photos {
		prints[p] = find.NewPrint(load(t, p))
		x.Add(filepath.Base(p), prints[p])
	}
	distractors(x, 200)
	n, tq, ts := 0, time.Duration(0), time.Duration(0)
	var all, allLoc int
	for ci, c := range changes("") {
		if os.Getenv("ONLY") != "" && !slices.Contains(only, c.name) {
			continue
		}
		found, located, wrong := 0, 0, 0
		note := ""
		for i, p := range photos {
			suspect, _ := attack(t, p, changes(photos[(i+7)%len(photos)])[ci])
			t0 := time.Now()
			q := find.NewQuery(suspect)
			tq += time.Since(t0)
			t0 = time.Now()
			ms := x.Search(q, 5)
			ts += time.Since(t0)
			n++
			ok := false
			for _, m := range ms {
				if m.ID == filepath.Base(p) {
					ok = true
				} else if c.name != "collage" {
					wrong++
				}
			}
			m, loc := find.Locate(q, prints[p])
			if ok {
				found++
			}
			if loc {
				located++
			} else {
				note += " " + filepath.Base(p)[:3]
			}
			_ = m
		}
		all += found
		allLoc += located
		t.Logf("%-18s found %d located %d wrong %d %s", c.name, found, located, wrong, note)
	}
	t.Logf("total %d %d of %d query %v search %v", all, allLoc, n, tq/time.Duration(n), ts/time.Duration(n))
}
