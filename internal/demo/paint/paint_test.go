package paint_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"

	"birdring/internal/demo/paint"
)

// A seed is a picture: the same one twice, another one for another seed.
func TestSceneFollowsItsSeed(t *testing.T) {
	a, b, c := paint.Scene(7, 320, 240), paint.Scene(7, 320, 240), paint.Scene(8, 320, 240)
	if !bytes.Equal(a.Pix, b.Pix) {
		t.Error("the same seed painted two pictures")
	}
	if bytes.Equal(a.Pix, c.Pix) {
		t.Error("two seeds painted the same picture")
	}
}

// A scene must compress like a photo: a picture far above or below what
// cameras give would hold a ring better or worse than real photos do.
func TestSceneCompressesLikeAPhoto(t *testing.T) {
	for seed := range uint64(10) {
		img := paint.Scene(seed, 1080, 720)
		var buf bytes.Buffer
		if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 90}); err != nil {
			t.Fatal(err)
		}
		if bits := float64(buf.Len()*8) / (1080 * 720); bits < 0.8 || bits > 4.5 {
			t.Errorf("seed %d: %.2f bits a pixel at q90, photos have 0.8 to 4.5", seed, bits)
		}
		if img.Bounds() != image.Rect(0, 0, 1080, 720) {
			t.Errorf("seed %d: wrong size %v", seed, img.Bounds())
		}
	}
}

func BenchmarkScene(b *testing.B) {
	for b.Loop() {
		paint.Scene(3, 1080, 810)
	}
}
