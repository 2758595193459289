package registry_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/image/draw"

	"birdring/internal/testkit"
	"birdring/registry"
)

// TestTracePageDecoy: where a page names a decoy, its pictures are tried on every image
// there; a square out of a copy under heavy noise is recognised, a picture that is not the
// decoy's is not.
func TestTracePageDecoy(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	r, _ := fresh(t)
	from := photos(t, 3)
	d := planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 2, Photos: from[:2]})[0]
	photo := pictures(t, r, d.ID)[1]
	copyOf := served(t, r, "mole", "", d.ID, photo, time.Time{})
	data := square(t, copyOf)

	res := trace(t, r, registry.TraceRequest{Data: data, PageDecoys: []string{d.ID}})
	if res.Photo == nil || *res.Photo != photo || len(res.Accounts) != 0 {
		t.Errorf("with the decoy named: %+v", res)
	}
	file, err := from[2].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var other bytes.Buffer
	if _, err := other.ReadFrom(file); err != nil {
		t.Fatal(err)
	}
	if res := trace(t, r, registry.TraceRequest{Data: square(t, other.Bytes()), PageDecoys: []string{d.ID}}); res.Verdict != registry.VerdictUnknown {
		t.Errorf("a foreign picture on a page that names a decoy: %+v", res)
	}
}

// square is the middle of a picture under heavy noise, 400 pixels wide.
func square(t testing.TB, data []byte) []byte {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	side := min(b.Dx(), b.Dy())
	at := image.Pt(b.Min.X+(b.Dx()-side)/2, b.Min.Y+(b.Dy()-side)/2)
	out := image.NewRGBA(image.Rect(0, 0, 400, 400))
	draw.CatmullRom.Scale(out, out.Rect, img, image.Rectangle{at, at.Add(image.Pt(side, side))}, draw.Src, nil)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range out.Pix {
		if i%4 != 3 {
			out.Pix[i] = uint8(min(max(float64(out.Pix[i])+90*rng.NormFloat64(), 0), 255))
		}
	}
	return encoded(t, out, 80)
}
