package console_test

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"birdring/canary/mark"
	"birdring/canary/ring"
	"birdring/internal/console"
)

// gradient is a smooth picture: x in red, y in green.
func gradient(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(x * 255 / w), uint8(y * 255 / h), 90, 255})
		}
	}
	return img
}

// TestAlignUndoesMirrorCropAndScale looks at a suspect made by plain sampling.
func TestAlignUndoesMirrorCropAndScale(t *testing.T) {
	const w, h = 200, 160
	ref := gradient(w, h)
	tr := mark.Affine{A: -1.5, C: 1.5*w - 30, E: 1.5, F: -24} // mirrored, 1.5 times, 20 and 16 px cut off
	suspect := image.NewRGBA(image.Rect(0, 0, 240, 180))
	for y := range 180 {
		for x := range 240 {
			sx := (float64(x) + 0.5 - tr.C) / tr.A
			sy := (float64(y) + 0.5 - tr.F) / tr.E
			suspect.SetRGBA(x, y, ref.RGBAAt(int(sx), int(sy)))
		}
	}
	got := console.Align(suspect, tr, w, h)
	for y := 40; y < 120; y += 7 {
		for x := 50; x < 160; x += 9 {
			a, b := got.RGBAAt(x, y), ref.RGBAAt(x, y)
			if d := max(delta(a.R, b.R), delta(a.G, b.G)); d > 4 || a.A != 255 {
				t.Fatalf("at %d,%d: %v, want %v", x, y, a, b)
			}
		}
	}
	if got.RGBAAt(2, 2).A != 0 {
		t.Error("what the crop cut off is not transparent")
	}
	// A transform that squeezes everything into a line must not trap.
	console.Align(suspect, mark.Affine{}, 10, 10)
}

func delta(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }

func TestDifferenceShowsOnlyWhatDiffers(t *testing.T) {
	ref := gradient(100, 80)
	found := gradient(100, 80)
	found.SetRGBA(50, 40, color.RGBA{255, 255, 255, 255})
	found.SetRGBA(0, 0, color.RGBA{})
	out, gain := console.Difference(ref, found)
	if gain < 8 {
		t.Errorf("gain %.1f is not much", gain)
	}
	if c := out.RGBAAt(10, 10); delta(c.R, 128) > 1 || delta(c.G, 128) > 1 {
		t.Errorf("equal pixels show as %v", c)
	}
	if c := out.RGBAAt(50, 40); c.G != 255 {
		t.Errorf("a changed pixel shows as %v", c)
	}
}

// TestSegmentsSpeakForTheRightCopy draws soft values of one codeword and looks
// at them with it and with others.
func TestSegmentsSpeakForTheRightCopy(t *testing.T) {
	const m = 1600
	book, err := ring.NewBook(make([]byte, 32), ring.D, m)
	if err != nil {
		t.Fatal(err)
	}
	word := make([]uint64, book.Words())
	book.Codeword(word, 70_000)
	order := book.Order()
	rng := rand.New(rand.NewPCG(1, 2))
	y := make([]int16, m)
	for k := range y {
		if k%10 == 0 {
			continue
		}
		sign := float64(word[order[k]>>6]>>(order[k]&63)&1)*2 - 1
		y[k] = int16(1024 * (0.7*sign + rng.NormFloat64()))
	}
	total := func(v uint64) (sum float64) {
		book.Codeword(word, v)
		for k, n := range console.PerSegment(book, word, y) {
			if y[k] == 0 && n != 0 {
				t.Fatalf("segment %d speaks although nothing was read there", k)
			}
			sum += n
		}
		return sum
	}
	if got := total(70_000); got < 100 {
		t.Errorf("the right copy gets %.1f nats", got)
	}
	for v := uint64(70_001); v < 70_050; v++ {
		if got := total(v); got > 20 {
			t.Errorf("copy %d gets %.1f nats", v, got)
		}
	}
	grid := mark.Grid{W: 640, H: 640, MCU: 16, Run: 1}
	console.Heatmap(gradient(640, 640), grid, console.PerSegment(book, word, y))
}
