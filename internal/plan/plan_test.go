package plan_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"birdring/internal/demo/paint"
	"birdring/internal/plan"
	"birdring/registry"
)

func painted(t *testing.T, n int) *registry.Registry {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := registry.Init(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(t.Context(), dir, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	var photos []registry.Photo
	for i := range n {
		var buf bytes.Buffer
		if err := png.Encode(&buf, paint.Scene(uint64(i+1), 640, 480)); err != nil {
			t.Fatal(err)
		}
		photos = append(photos, registry.Photo{Name: "p", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }})
	}
	if n > 0 {
		if _, err := r.Plant(t.Context(), registry.PlantRequest{Decoys: n, PerDecoy: 1, Photos: photos}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// A bigger farm needs at least as many pictures, a harsher change as well, and
// the plan follows from its own columns.
func TestPlanGrowsWithTheFarm(t *testing.T) {
	r := painted(t, 2)
	median := map[string]float64{}
	for _, change := range []string{"q75", "thumb150"} {
		rows, err := plan.Make(t.Context(), r, plan.Request{Accounts: 1000, Coalition: 6, Change: change, Days: 10, Runs: 40})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 4 || rows[3].Coalition != 6 || rows[2].Coalition != 4 {
			t.Fatalf("rows %+v", rows)
		}
		median[change] = rows[0].Bits
		last := 0
		for _, row := range rows {
			if row.Most == nil || row.Half == nil || *row.Half > *row.Most || *row.Most < last {
				t.Errorf("%s: %+v after %d pictures for a smaller farm", change, row, last)
				continue
			}
			last = *row.Most
			if *row.DecoysShown < *row.DecoysFound || *row.ExposuresDay < *row.DecoysShown*25 {
				t.Errorf("%s: %d decoys found of %d shown, %d exposures a day", change, *row.DecoysFound, *row.DecoysShown, *row.ExposuresDay)
			}
		}
		var svg bytes.Buffer
		if err := plan.Plot(&svg, rows); err != nil {
			t.Fatal(err)
		}
		dec := xml.NewDecoder(&svg)
		for {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("plot: %v", err)
			}
		}
	}
	if median["q75"] <= median["thumb150"] {
		t.Errorf("bits a picture: %v", median)
	}
}

func TestPlanSaysWhatIsMissing(t *testing.T) {
	r := painted(t, 0)
	if _, err := plan.Make(t.Context(), r, plan.Request{Accounts: 1, Coalition: 1, Change: "q75"}); err == nil || !strings.Contains(err.Error(), "seed") {
		t.Errorf("without decoys: %v", err)
	}
	if _, err := plan.Make(t.Context(), r, plan.Request{Accounts: 1, Coalition: 1, Change: "fire"}); err == nil || !strings.Contains(err.Error(), "thumb320") {
		t.Errorf("an unknown change: %v", err)
	}
}

// Planted as planned, a farm is found out in 99 % of drawn cases, and with one
// decoy less in fewer.
func TestPlantedDecoysSuffice(t *testing.T) {
	used := []int{3, 3, 4, 4, 4, 5, 5, 6, 7, 9}
	for range 90 {
		used = append(used, 3, 4, 5, 5, 6, 4, 3, 5, 7, 4)
	}
	slices.Sort(used)
	for _, met := range []float64{.1, .25, .9, 1} {
		n := plan.Plant(used, 2, met)
		rng := rand.New(rand.NewPCG(1, 2))
		share := func(n int) float64 {
			ok := 0
			const runs = 200_000
			for range runs {
				pictures := 0
				for range n {
					if rng.Float64() < met {
						pictures += 2
					}
				}
				if used[rng.IntN(len(used))] <= pictures {
					ok++
				}
			}
			return float64(ok) / runs
		}
		if with, without := share(n), share(n-1); with < .989 || without >= .9911 {
			t.Errorf("met with %.2f: %d decoys suffice in %.4f, one less in %.4f", met, n, with, without)
		}
	}
}
