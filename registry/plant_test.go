package registry_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/canary"
	"birdring/internal/testkit"
	"birdring/registry"
)

var opaque = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

func TestPlant(t *testing.T) {
	t.Parallel()
	r, dir := fresh(t)
	files := smalls(t, 7)
	var steps []int
	before := time.Now().UTC().Add(-time.Millisecond)
	all, err := r.Plant(t.Context(), registry.PlantRequest{
		Decoys: 1, Personal: 1, Dark: 1, PerDecoy: 2, Stories: 1, Photos: files,
		Progress: func(done, total int, _ string) { steps = append(steps, done*100+total) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 || !slices.Equal(steps, []int{106, 206, 306, 406, 506, 606}) {
		t.Fatalf("%d decoys, progress %v", len(all), steps)
	}
	handles := map[string]bool{}
	for i, p := range all {
		d := p.Decoy
		if d.Kind != []canary.Kind{canary.Shared, canary.Personal, canary.Dark}[i] || d.Num != uint32(i+1) || !opaque.MatchString(d.ID) {
			t.Errorf("decoy %+v", d)
		}
		if len(p.Photos) != 2 || p.Photos[0].File != files[2*i].Name || p.Photos[1].File != files[2*i+1].Name {
			t.Errorf("photos %+v", p.Photos)
		}
		if d.Avatar != p.Photos[0].Photo || len(d.Posts) != 1 || d.Posts[0].Photo != p.Photos[1].Photo || !d.Posts[0].Story {
			t.Errorf("posts %+v", d.Posts)
		}
		if s := d.Posts[0]; s.Expires.Sub(s.At) != 24*time.Hour || s.Expires.Before(before) {
			t.Errorf("story from %v to %v", s.At, s.Expires)
		}
		if d.DisplayName == "" || d.Handle == "" || handles[d.Handle] || d.HandleBits < 20 {
			t.Errorf("persona %+v", d)
		}
		handles[d.Handle] = true
		for _, q := range p.Photos {
			if st, err := os.Stat(filepath.Join(dir, "pictures", q.Photo+".brp")); err != nil || st.Size() == 0 || !opaque.MatchString(q.Photo) {
				t.Errorf("prepared picture %s: %v", q.Photo, err)
			}
		}
		stored, err := open(t, dir, registry.Options{ReadOnly: true}).DecoyByHandle(t.Context(), d.Handle)
		if err != nil || stored.ID != d.ID || stored.Num != d.Num || len(stored.Posts) != 1 || stored.Posts[0].ID != d.Posts[0].ID || !stored.Planted.Equal(d.Planted) {
			t.Errorf("stored %+v, planted %+v, %v", stored, d, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "pictures")); err != nil || len(left) != 6 {
		t.Errorf("files %v, %v", left, err)
	}
	got := rows[registry.DecoyRow](t, r, "decoys", time.Time{}, 0)
	if len(got) != 3 || got[2].Decoy != all[2].Decoy.ID || len(got[0].Photos) != 2 || got[0].Account != nil || len(got[0].Posts) != 1 {
		t.Errorf("listed %+v", got)
	}
}

func TestPlantRefusesByName(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	r, dir := fresh(t)
	first := small(t, 1)
	again := recompressed(t, first, false)
	mirrored := recompressed(t, first, true)
	again.Name, mirrored.Name = "again.jpg", "mirrored.jpg"
	// A grey wall takes a ring easily, but a copy of it is like any other grey wall.
	var flat, grey, tiny bytes.Buffer
	wall := image.NewGray(image.Rect(0, 0, 640, 640))
	for i := range wall.Pix {
		wall.Pix[i] = uint8(110 + i/640/20)
	}
	if err := errors.Join(png.Encode(&flat, image.NewGray(image.Rect(0, 0, 600, 600))), png.Encode(&grey, wall), png.Encode(&tiny, image.NewGray(image.Rect(0, 0, 40, 40)))); err != nil {
		t.Fatal(err)
	}
	gone := registry.Photo{Name: "gone.jpg", Open: func() (io.ReadCloser, error) { return os.Open("/nowhere/gone.jpg") }}
	all, err := r.Plant(t.Context(), registry.PlantRequest{Decoys: 1, PerDecoy: 2, Photos: []registry.Photo{
		photoBytes("notes.txt", []byte("no picture")), photoBytes("empty.jpg", nil), photoBytes("flat.png", flat.Bytes()), photoBytes("wall.png", grey.Bytes()),
		photoBytes("tiny.png", tiny.Bytes()), gone, first, first, again, mirrored, small(t, 2),
	}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range all[0].Refused {
		names = append(names, f.File)
		if f.Reason == "" || strings.Contains(f.Reason, "\n") {
			t.Errorf("reason %q", f.Reason)
		}
	}
	want := []string{"notes.txt", "empty.jpg", "flat.png", "wall.png", "tiny.png", "gone.jpg", first.Name, "again.jpg", "mirrored.jpg"}
	if !slices.Equal(names, want) {
		t.Errorf("refused %+v, want %v", all[0].Refused, want)
	}
	// Planted before, refused later, with the decoy left unplanted.
	later, err := r.Plant(t.Context(), registry.PlantRequest{Decoys: 1, PerDecoy: 2, Photos: []registry.Photo{first, mirrored}})
	if len(later) != 0 || !errors.Is(err, registry.ErrTooFew) || !strings.Contains(err.Error(), "2 are missing") || !strings.Contains(err.Error(), "mirrored.jpg: already planted") {
		t.Errorf("%d planted, %v", len(later), err)
	}
	if got := rows[registry.DecoyRow](t, r, "decoys", time.Time{}, 0); len(got) != 1 {
		t.Errorf("decoys %+v", got)
	}
	// What a killed planting leaves is swept away by the next.
	orphan := filepath.Join(dir, "pictures", "p-orphan.brp")
	if err := os.WriteFile(orphan, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: []registry.Photo{small(t, 3)}})
	if left, err := os.ReadDir(filepath.Join(dir, "pictures")); err != nil || len(left) != 3 {
		t.Errorf("files %v, %v", left, err)
	}
}

// recompressed is a photo as somebody would save it again.
func recompressed(t *testing.T, p registry.Photo, mirror bool) registry.Photo {
	t.Helper()
	f, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	out := image.NewRGBA(b)
	for y := range b.Dy() {
		for x := range b.Dx() {
			from := x
			if mirror {
				from = b.Dx() - 1 - x
			}
			out.Set(x, y, color.RGBAModel.Convert(img.At(from, y)))
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, out, &jpeg.Options{Quality: 70}); err != nil {
		t.Fatal(err)
	}
	return photoBytes(p.Name, buf.Bytes())
}

func TestPlantTooFew(t *testing.T) {
	testkit.Long(t)
	r, dir := fresh(t)
	_, err := r.Plant(t.Context(), registry.PlantRequest{Decoys: 2, PerDecoy: 6, Photos: smalls(t, 3)})
	if !errors.Is(err, registry.ErrTooFew) || !strings.Contains(err.Error(), "9 are missing") {
		t.Error(err)
	}
	// Enough files, but not all can be used: the decoy is planted with what there is.
	all, err := r.Plant(t.Context(), registry.PlantRequest{Decoys: 2, PerDecoy: 2, Photos: []registry.Photo{
		small(t, 1), photoBytes("bad.jpg", []byte("x")), photoBytes("worse.jpg", []byte("x")), photoBytes("worst.jpg", []byte("x")),
	}})
	if !errors.Is(err, registry.ErrTooFew) || !strings.Contains(err.Error(), "3 are missing, 1 of 2 decoys had none left") {
		t.Error(err)
	}
	if len(all) != 1 || len(all[0].Photos) != 1 || len(all[0].Refused) != 3 || len(all[0].Decoy.Posts) != 0 {
		t.Errorf("planted %+v", all)
	}
	for name, q := range map[string]registry.PlantRequest{
		"nothing":       {Photos: smalls(t, 1)},
		"stories":       {Decoys: 1, PerDecoy: 1, Stories: 1, Photos: smalls(t, 1)},
		"share":         {Decoys: 1, PerDecoy: 1, Share: 2, Photos: smalls(t, 1)},
		"negative":      {Decoys: -1, Dark: 2, PerDecoy: 1, Photos: smalls(t, 1)},
		"rare handles":  {Decoys: 1, PerDecoy: 1, MinHandleBits: 1e6, Photos: smalls(t, 1)},
		"many pictures": {Decoys: 1, PerDecoy: 101, Photos: smalls(t, 1)},
	} {
		if _, err := r.Plant(t.Context(), q); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "pictures")); err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
}

// Two plantings at once, of the same photos: each photo is planted once.
func TestPlantAtOnce(t *testing.T) {
	r, dir := fresh(t)
	other := open(t, dir, registry.Options{})
	files := smalls(t, 3)
	var wg sync.WaitGroup
	counts := make([]int, 2)
	for i, reg := range []*registry.Registry{r, other} {
		wg.Go(func() {
			all, err := reg.Plant(t.Context(), registry.PlantRequest{Decoys: 3, PerDecoy: 1, Photos: files})
			if err != nil && !errors.Is(err, registry.ErrTooFew) {
				t.Error(err)
			}
			counts[i] = len(all)
		})
	}
	wg.Wait()
	slices.Sort(counts)
	if !slices.Equal(counts, []int{0, 3}) {
		t.Errorf("planted %v", counts)
	}
}

func TestStoryLife(t *testing.T) {
	r, _ := fresh(t)
	d := planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 2, Stories: 1, StoryLife: 20 * time.Second})[0]
	s := d.Posts[0]
	if !s.Story || s.Expires.Sub(s.At) != 20*time.Second || !s.At.Equal(d.Planted) {
		t.Errorf("story %+v of a decoy planted %v", s, d.Planted)
	}
}

func TestPlantCancelled(t *testing.T) {
	testkit.Long(t)
	r, dir := fresh(t)
	ctx, cancel := testContext(t)
	_, err := r.Plant(ctx, registry.PlantRequest{Decoys: 1, PerDecoy: 3, Photos: smalls(t, 3), Progress: func(int, int, string) { cancel() }})
	if err == nil {
		t.Fatal("a cancelled planting went through")
	}
	if got := rows[registry.DecoyRow](t, r, "decoys", time.Time{}, 0); len(got) != 0 {
		t.Errorf("decoys %+v", got)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "pictures")); err != nil || len(left) != 0 {
		t.Errorf("files %v, %v", left, err)
	}
}
