package registry_test

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"birdring/canary/ring"
	"birdring/internal/testkit"
	"birdring/registry"
)

var (
	ladders template
	rungs   []registry.Planted // of every ladder
)

// ladder is one photo in three sizes, shown to a crowd.
func ladder(t *testing.T) (r *registry.Registry, decoy string, sizes []registry.PlantedPhoto) {
	t.Helper()
	testkit.Long(t)
	dir := ladders.copy(t, func(r *registry.Registry) {
		var err error
		rungs, err = r.Plant(t.Context(), registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: smalls(t, 1), Sizes: []int{150, 480, 320}})
		if err != nil {
			t.Fatal(err)
		}
		crowd(t, r, 20, rungs[0].Decoy)
	})
	return open(t, dir, registry.Options{}), rungs[0].Decoy.ID, rungs[0].Photos
}

// Each size is a picture of one group with its own ring; a decoy has as many
// photos as it had, and the largest sizes stand in its posts.
func TestSizesAreOneGroup(t *testing.T) {
	t.Parallel()
	r, id, sizes := ladder(t)
	if len(sizes) != 3 || sizes[0].Width != 480 || sizes[1].Width != 320 || sizes[2].Width != 150 {
		t.Fatalf("%+v", sizes)
	}
	for _, s := range sizes {
		if s.Group != sizes[0].Photo || s.Segments < 24 {
			t.Errorf("%+v", s)
		}
	}
	d, err := r.Decoy(t.Context(), id)
	if err != nil || d.Avatar != sizes[0].Photo || len(d.Posts) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	c, err := r.Expose(t.Context(), []registry.Exposure{{Account: "alice", Decoy: id}})
	if err != nil {
		t.Fatal(err)
	}
	if len(c[0].Photos) != 3 {
		t.Fatalf("%+v", c[0].Photos)
	}
	urls := map[string]bool{}
	for i, p := range c[0].Photos {
		urls[p.URL] = true
		if p.Photo != sizes[i].Photo || p.Width != sizes[i].Width || p.Group != sizes[0].Photo {
			t.Errorf("%+v", p)
		}
		if bytes.Equal(rendition(t, r, p.Photo, c[0].Viewer), rendition(t, r, p.Photo, c[0].Viewer+1)) {
			t.Errorf("size %d: two viewers have the same copy", p.Width)
		}
	}
	if len(urls) != 3 {
		t.Error("sizes share a URL")
	}
}

// A file that could be any size of a photo is averaged over the sizes: it says
// as much as the size it is, less the logarithm of how many there are - not the
// most of them, nor all together.
func TestOneFileIsAveragedOverItsGroup(t *testing.T) {
	t.Parallel()
	r, id, sizes := ladder(t)
	at := time.Now().Add(-time.Hour)
	for i, s := range sizes[:2] {
		file := served(t, r, "alice", "", id, s.Photo, at)
		each, err := r.GroupBits(t.Context(), file, "alice")
		if err != nil {
			t.Fatal(err)
		}
		if len(each) != 3 {
			t.Fatalf("size %d is compared with %d pictures, want the whole group", s.Width, len(each))
		}
		most := slices.Max(each)
		res, err := r.Trace(t.Context(), registry.TraceRequest{Name: "f", Data: file})
		if err != nil || len(res) != 1 || res[0].Verdict != registry.VerdictAttributed || len(res[0].Accounts) != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
		got := res[0].Accounts[0].Bits
		t.Logf("size %d: by itself %.3f, told %.3f bits", s.Width, each, got)
		if each[i] < ring.AttributedMillibits/1000 {
			t.Errorf("the right size gives %.1f bits", each[i])
		}
		if want := most - math.Log2(3); math.Abs(got-want) > 0.5 {
			t.Errorf("told %.3f bits, the average is %.3f", got, want)
		}
	}
	// Several sizes found on one site are one photo: averaged too.
	var most float64
	for _, s := range sizes[:2] {
		res, err := r.Trace(t.Context(), registry.TraceRequest{Name: "f", Site: "clone.example", Data: served(t, r, "alice", "", id, s.Photo, at)})
		if err != nil || len(res) != 1 || len(res[0].Accounts) != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
		most = max(most, res[0].Accounts[0].Bits)
	}
	rows := rows[registry.AttributionRow](t, r, "attributions", time.Time{}, 0)
	// The coin of the decoy may add what heads are worth at its share, less than 2 bits.
	if len(rows) != 1 || rows[0].Pictures != 1 || rows[0].Bits > most+2 {
		t.Errorf("%+v, one file gave at most %.3f", rows, most)
	}
}

// A size that carries nothing is left out with its reason, the photo is planted.
func TestSizesThatCarryNothing(t *testing.T) {
	testkit.Long(t)
	r, _ := fresh(t)
	all, err := r.Plant(t.Context(), registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: smalls(t, 1), Sizes: []int{64, 480}})
	if err != nil {
		t.Fatal(err)
	}
	if len(all[0].Photos) != 1 || len(all[0].Refused) != 1 || all[0].Refused[0].File != "small-1.png at 64 px" {
		t.Errorf("%+v, refused %+v", all[0].Photos, all[0].Refused)
	}
	if _, err := r.Plant(t.Context(), registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: smalls(t, 2)[1:], Sizes: []int{20}}); err == nil {
		t.Error("20 px were taken")
	}
}
