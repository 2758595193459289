package find_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"birdring/beacon/find"
	"birdring/canary/mark"
	"birdring/internal/testkit"
)

// TestManyPlanted measures recall and time among many planted pictures:
// BIRDRING_PLANTED says how many, BIRDRING_CHANGES (comma-separated) which changes. Half of the photos are planted and attacked;
// the rest of the index are crops and recolourings of the other half.
func TestManyPlanted(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("BIRDRING_PLANTED"))
	if n < 1 {
		t.Skip("set BIRDRING_PLANTED=N to measure among N pictures")
	}
	photos := testkit.Photos(t)
	x := find.NewIndex()
	var ours, theirs []mark.Plane
	var prints []*find.Print
	for i, p := range photos {
		if i%2 == 0 {
			ours = append(ours, load(t, p))
			prints = append(prints, find.NewPrint(ours[i/2]))
			x.Add(filepath.Base(p), prints[i/2])
		} else {
			theirs = append(theirs, load(t, p))
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range n {
		x.Add(fmt.Sprint("other-", i), find.NewPrint(recoloured(rng, theirs[i%len(theirs)])))
	}
	total, found, wrong := 0, 0, 0
	var spent time.Duration
	only := os.Getenv("BIRDRING_CHANGES")
	for ci, c := range changes("") {
		if only != "" && !slices.Contains(strings.Split(only, ","), c.name) {
			continue
		}
		for i, p := range photos {
			if i%2 != 0 {
				continue
			}
			suspect, _ := attack(t, p, changes(photos[(i+8)%len(photos)])[ci])
			q := find.NewQuery(suspect)
			t0 := time.Now()
			ms := x.Search(q, 8)
			spent += time.Since(t0)
			total++
			hit := false
			for _, m := range ms {
				if m.ID == filepath.Base(p) {
					hit = true
				} else if m.ID[:5] == "other" {
					wrong++
				}
			}
			if hit {
				found++
			} else {
				m, ok := find.Locate(q, prints[i/2])
				t.Logf("miss %s %s (alone: %v, %d)", c.name, filepath.Base(p), ok, m.Inliers)
			}
		}
	}
	foreign := 0
	for range 200 {
		q := find.NewQuery(recoloured(rng, ours[rng.IntN(len(ours))]))
		for _, m := range x.Search(q, 8) {
			if m.ID[:5] == "other" {
				foreign++
			}
		}
	}
	t.Logf("%d planted: found %d of %d, %d wrong, %d among 200 more foreign pairs; search %v", x.Len(), found, total, wrong, foreign, spent/time.Duration(total))
}

// recoloured is a random part of p, turned, mirrored, in other tones.
func recoloured(rng *rand.Rand, p mark.Plane) mark.Plane {
	s, c := math.Sincos((rng.Float64() - 0.5) * 0.4)
	f := (0.4 + 0.5*rng.Float64()) * float64(p.W) / 640
	cx, cy := (0.3+0.4*rng.Float64())*float64(p.W), (0.3+0.4*rng.Float64())*float64(p.H)
	back := mark.Affine{A: f * c, B: -f * s, D: f * s, E: f * c}
	if rng.IntN(2) == 0 {
		back.A, back.D = -back.A, -back.D
	}
	back.C = cx - back.A*320 - back.B*220
	back.F = cy - back.D*320 - back.E*220
	out := warp(p, 640, 440, back)
	gamma := math.Exp(rng.NormFloat64() * 0.3)
	for i, v := range out.Pix {
		out.Pix[i] = float32(255 * math.Pow(float64(v)/255, gamma))
	}
	return out
}
