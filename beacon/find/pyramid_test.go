package find

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// noisy is a picture of steps and noise, some of it black and white.
func noisy(rng *rand.Rand, w, h int) []byte {
	out := make([]byte, w*h)
	for i := range out {
		v := 128 + 90*(i%w/7%2) - 90*(i/w/5%2) + rng.IntN(80) - 40
		out[i] = byte(min(max(v, 0), 255))
	}
	return out
}

// TestEightAtATime compares what is computed eight pixels at a time with the same
// pixel by pixel, in pictures of all widths to the remainder of 8.
func TestEightAtATime(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for w := 56; w < 73; w++ {
		h := 50 + w%3
		pix := noisy(rng, w, h)
		if !bytes.Equal(gaussian(pix, w, h), slowGaussian(pix, w, h)) {
			t.Errorf("%d x %d is blurred otherwise", w, h)
		}
		nw, nh := w*5/6, h*5/6
		if !bytes.Equal(between(pix, w, h, nw, nh), slowBetween(pix, w, h, nw, nh)) {
			t.Errorf("%d x %d is reduced otherwise", w, h)
		}
		var offset [16]int
		for i, c := range circle {
			offset[i] = c[1]*w + c[0]
		}
		passed := 0
		for at := 3*w + 3; at+11+3*w < len(pix); at++ {
			found := fast8(pix, at, w, &offset)
			for i := range 8 {
				want := slowFAST(pix, at+i, &offset)
				if got := found>>(8*i)&0xff == 0x80; got != want {
					t.Fatalf("%d x %d: pixel %d is a corner: %v, want %v", w, h, at+i, got, want)
				}
				if want {
					passed++
				}
			}
		}
		if passed < 100 {
			t.Errorf("%d x %d: only %d corners", w, h, passed)
		}
	}
}

func slowGaussian(pix []byte, w, h int) []byte {
	weights := [7]int{18, 34, 49, 54, 49, 34, 18}
	pass := func(out, in []byte, step, x0, x1, y0, y1 int) []byte {
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				sum := 128
				for k, v := range weights {
					sum += v * int(in[y*w+x+(k-3)*step])
				}
				out[y*w+x] = byte(sum >> 8)
			}
		}
		return out
	}
	across := pass(slices.Clone(pix), pix, 1, 3, w-3, 0, h)
	return pass(slices.Clone(pix), across, w, 0, w, 3, h-3)
}

func slowBetween(pix []byte, w, h, nw, nh int) []byte {
	var out []byte
	for y := range nh {
		iy, v := sampled(y, h, nh)
		for x := range nw {
			ix, u := sampled(x, w, nw)
			at := func(dx, dy int) uint32 { return uint32(pix[min(iy+dy, h-1)*w+min(ix+dx, w-1)]) }
			top, low := at(0, 0)*(256-u)+at(1, 0)*u, at(0, 1)*(256-u)+at(1, 1)*u
			out = append(out, byte((top*(256-v)+low*v+1<<15)>>16))
		}
	}
	return out
}

func slowFAST(pix []byte, at int, offset *[16]int) bool {
	c := int(pix[at])
	for _, sign := range [2]int{1, -1} {
		run := 0
		for i := range 24 {
			if sign*(int(pix[at+offset[i%16]])-c) <= fastThreshold {
				run = 0
			} else if run++; run == 9 {
				return true
			}
		}
	}
	return false
}
