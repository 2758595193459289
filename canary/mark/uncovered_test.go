package mark

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestUncovered: a dark bar over a tenth of a picture is left out of the fits, and next
// to nothing else is, though the picture's tones were bent, it was sharpened and is noisy.
func TestUncovered(t *testing.T) {
	const w, h, top, bottom = 320, 240, 200, 224
	rng := rand.New(rand.NewPCG(3, 3))
	plain, target, use := make([]float32, w*h), make([]float32, w*h), make([]bool, w*h)
	for i := range plain {
		x, y := float64(i%w), float64(i/w)
		plain[i] = float32(120 + 70*math.Sin(x/31)*math.Cos(y/23) + 25*math.Sin(x/3)*math.Sin(y/4))
		use[i] = true
	}
	soft := smooth(plain, w, h, gauss(1, 3))
	for i, v := range plain {
		v += v - soft[i]
		target[i] = 14 + .93*v - 9*float32(math.Sin(2*math.Pi*float64(v)/255)) + 4*float32(rng.NormFloat64())
		if y := i / w; y >= top && y < bottom {
			target[i] = 21
		}
	}
	g := &stage{w: w, h: h, plain: plain, use: use}
	open := g.uncovered(target)
	var kept, lost int
	for i, ok := range open {
		if y := i / w; y >= top && y < bottom {
			kept += b2i(ok)
		} else {
			lost += b2i(!ok)
		}
	}
	if bar := w * (bottom - top); kept > bar/20 || lost > (w*h-bar)/50 {
		t.Errorf("%d of %d pixels of the bar count, %d of %d others do not", kept, bar, lost, w*h-bar)
	}
}

func b2i(ok bool) int {
	if ok {
		return 1
	}
	return 0
}
