package find_test

import (
	"context"
	"fmt"
	"os"
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

// TestRecallTable prints, per change, how many photos are found among the others
// and how exactly they are aligned (error of the corners in suspect px). A part
// of it runs always; BIRDRING_RECALL=full runs all photos and changes among 200
// painted pictures.
func TestRecallTable(t *testing.T) {
	testkit.Long(t)
	full := os.Getenv("BIRDRING_RECALL") == "full"
	photos := testkit.Photos(t)
	attacked := photos
	quick := map[string]bool{
		"jpeg50": true, "resize150_q75": true, "mirror": true, "crop25_off": true, "aspect_crop80": true,
		"rotate5": true, "border10": true, "collage": true, "screenshot": true, "webp50_480": true,
	}
	x := find.NewIndex()
	planes := map[string]mark.Plane{}
	for _, p := range photos {
		planes[p] = load(t, p)
		x.Add(filepath.Base(p), find.NewPrint(planes[p]))
	}
	if full {
		distractors(x, 200)
	} else {
		attacked = photos[:min(len(photos), 3)]
	}
	var printTime, searchTime, alignTime time.Duration
	n := 0
	for ci, c := range changes("") {
		if !full && !quick[c.name] {
			continue
		}
		found, wrong := 0, 0
		var errs []float64
		var nccs []float64
		var note string
		for i, p := range attacked {
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
		report := t.Logf
		if found < len(attacked) || wrong > 0 || errs[len(errs)/2] > 0.1 {
			report = t.Errorf
		}
		report("%-18s found %2d/%d wrong %d  error median %.3f p90 %.3f max %.3f  ncc min %.2f %s", c.name, found, len(attacked), wrong,
			errs[len(errs)/2], errs[len(errs)*9/10], errs[len(errs)-1], nccs[0], note)
	}
	d := time.Duration(n)
	t.Logf("query %v  search %v (index of %d)  align %v", printTime/d, searchTime/d, x.Len(), alignTime/d)
}
