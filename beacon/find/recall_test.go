package find_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"birdring/beacon/decode"
	"birdring/beacon/find"
	"birdring/canary/mark"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

// distractors fills an index with pictures that are nobody's: painted scenes.
func distractors(x *find.Index, n int) {
	for i := range n {
		x.Add(fmt.Sprint("painted-", i), find.NewPrint(decode.Luma(paint.Scene(uint64(1000+i), 640, 427))))
	}
}

func TestRecallTable(t *testing.T) {
	photos := testkit.Photos(t)
	if testing.Short() {
		t.Skip("short")
	}
	x := find.NewIndex()
	planes := map[string]mark.Plane{}
	for _, p := range photos {
		planes[p] = load(t, p)
		x.Add(filepath.Base(p), find.NewPrint(planes[p]))
	}
	distractors(x, 200)
	var printTime, searchTime, alignTime time.Duration
	n := 0
	for ci, c := range changes("") {
		found, wrong := 0, 0
		var errs []float64
		var nccs []float64
		var note string
		for i, p := range photos {
			other := photos[(i+7)%len(photos)]
			suspect, truth := attack(t, p, changes(other)[ci])
			t0 := time.Now()
			q := find.NewQuery(suspect)
			t1 := time.Now()
			ms := x.Search(q, 5)
			t2 := time.Now()
			printTime += t1.Sub(t0)
			searchTime += t2.Sub(t1)
			n++
			var starts []mark.Affine
			hit := false
			for _, m := range ms {
				switch {
				case m.ID == filepath.Base(p):
					hit = true
					starts = append(starts, m.Rough)
				case c.name == "collage" && m.ID == filepath.Base(other):
				default:
					wrong++
					note += fmt.Sprintf(" wrong:%s->%s(%d,%d)", filepath.Base(p)[:3], m.ID[:5], m.Inliers, m.Distance)
				}
			}
			if hit {
				found++
			} else {
				note += " miss:" + filepath.Base(p)[:3]
			}
			t3 := time.Now()
			got, ncc, err := find.Align(context.Background(), planes[p], suspect, starts)
			alignTime += time.Since(t3)
			if err != nil {
				note += fmt.Sprint(" ", filepath.Base(p)[:3], err)
				continue
			}
			e := cornerError(got, truth, planes[p], suspect)
			if hit {
				errs = append(errs, e)
				nccs = append(nccs, ncc)
			}
			if e > 0.3 {
				note += fmt.Sprintf(" %s:%.2f(%.2f)", filepath.Base(p)[:3], e, ncc)
			}
		}
		slices.Sort(errs)
		slices.Sort(nccs)
		if len(errs) == 0 {
			errs, nccs = []float64{-1}, []float64{-1}
		}
		t.Logf("%-18s found %2d/%d wrong %d  error median %.3f p90 %.3f max %.3f  ncc min %.2f %s", c.name, found, len(photos), wrong,
			errs[len(errs)/2], errs[len(errs)*9/10], errs[len(errs)-1], nccs[0], note)
	}
	d := time.Duration(n)
	t.Logf("query %v  search %v (index of %d)  align %v", printTime/d, searchTime/d, x.Len(), alignTime/d)
}
