package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"birdring/canary/mark"
)

// TestMostZ: the ideal reader of a simulated noisy copy reaches the bound, a reader
// that weighs all segments alike stays below it.
func TestMostZ(t *testing.T) {
	const w, h, deviation = 640, 480, 12.
	rng := rand.New(rand.NewPCG(7, 7))
	half := mark.Plane{W: w, H: h, Pix: make([]float32, w*h)}
	ref := &mark.Reference{Half: half, Grid: mark.Grid{W: w, H: h, MCU: 16, Run: 1}}
	luma := deviation * math.Sqrt(.299*.299+.587*.587+.114*.114)
	var best, plain, bestSquare, plainSquare float64
	for k := range ref.Grid.Segments() {
		x0, y0, x1, y1 := ref.Grid.Rect(k)
		peak := float32(.1 + 3*math.Pow(rng.Float64(), 3)) // unlike each other, as in photos
		var power, dot float64
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				half.Pix[y*w+x] = peak
				power += float64(peak * peak)
				dot += float64(peak) * (float64(peak) + luma*rng.NormFloat64()) // variant 1 was served
			}
		}
		y := math.Tanh(dot / (luma * luma))
		best, bestSquare = best+y, bestSquare+y*y
		even := math.Copysign(1, dot)
		plain, plainSquare = plain+even, plainSquare+even*even
	}
	z, even, most := best/math.Sqrt(bestSquare), plain/math.Sqrt(plainSquare), mostZ(ref, deviation)
	t.Logf("ideal %.2f, even %.2f, bound %.2f", z, even, most)
	if math.Abs(z-most) > .05*most || even > .98*most {
		t.Errorf("the ideal reader reaches z %.2f, an even one %.2f, the bound is %.2f", z, even, most)
	}
}
