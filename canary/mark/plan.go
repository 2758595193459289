package mark

import (
	"crypto/aes"
	"crypto/cipher"
	"math"
)

// Plan is the mark of a picture before its gain is chosen: what variant 1 adds
// to and variant 0 takes from every luma pixel, for gain 1.
type Plan struct {
	Grid Grid
	Bump Plane
}

// NewPlan draws the bumps of a picture on the grid of its segments: one each, as smooth as half a sine
// in both directions and zero at the segment's border, so that no neighbour
// makes an edge, whatever variant it comes in; with the sign of the 16-byte key, and
// weaker where the eye is sharp (even areas, shadows) than where it is not.
func NewPlan(luma Plane, g Grid, key []byte) (*Plan, error) {
	signs, err := drawSigns(key, g.Segments())
	if err != nil {
		return nil, err
	}
	mask := visibility(luma)
	p := &Plan{Grid: g, Bump: Plane{W: luma.W, H: luma.H, Pix: mask}}
	for k := range g.Segments() {
		x0, y0, x1, y1 := g.Rect(k)
		for y := y0; y < y1; y++ {
			fy := signs[k] * sine(y-y0, y1-y0, g.rowHeight())
			row := mask[y*luma.W : (y+1)*luma.W]
			for x := x0; x < x1; x++ {
				row[x] *= fy * sine(x-x0, x1-x0, g.MCU)
			}
		}
	}
	return p, nil
}

// sine is half a sine over n pixels; a segment cut off by the picture's edge
// keeps at least the rising part of a whole cell.
func sine(i, n, cell int) float32 {
	if n < cell {
		n = cell
	}
	return float32(math.Sin(math.Pi * (float64(i) + 0.5) / float64(n)))
}

// drawSigns draws +1 or -1 for every segment from a key.
func drawSigns(key []byte, n int) ([]float32, error) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	stream := make([]byte, (n+7)/8)
	cipher.NewCTR(c, make([]byte, aes.BlockSize)).XORKeyStream(stream, stream)
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(1 - 2*int(stream[i/8]>>(i%8)&1))
	}
	return out, nil
}

// Segments is the number of segments of the grid.
func (g Grid) Segments() int {
	cols, rows := (g.W+g.MCU-1)/g.MCU, (g.H+g.rowHeight()-1)/g.rowHeight()
	return (cols + g.Run - 1) / g.Run * rows
}

// Rect is the rectangle of segment k in luma pixels, cut to the picture.
func (g Grid) Rect(k int) (x0, y0, x1, y1 int) {
	cols := (g.W + g.MCU - 1) / g.MCU
	perRow := (cols + g.Run - 1) / g.Run
	x0, y0 = k%perRow*g.Run*g.MCU, k/perRow*g.rowHeight()
	return x0, y0, min(x0+g.Run*g.MCU, g.W), min(y0+g.rowHeight(), g.H)
}

func (g Grid) rowHeight() int {
	if g.Row > 0 {
		return g.Row
	}
	return g.MCU
}

// visibility is how much change every pixel hides: 0.55 in even areas, up to
// 3.75 in texture, less in deep shadow and near white. Texture is measured as
// the least standard deviation of five 7x7 windows around the pixel, so that an
// even area beside an edge stays protected.
func visibility(luma Plane) []float32 {
	w, h := luma.W, luma.H
	sd := deviation(luma)
	out := make([]float32, w*h)
	const shift = 4
	for y := range h {
		up, down := max(0, y-shift)*w, min(h-1, y+shift)*w
		for x := range w {
			i := y*w + x
			left, right := max(0, x-shift), min(w-1, x+shift)
			least := min(sd[i], sd[up+left], sd[up+right], sd[down+left], sd[down+right])
			a := 0.55 + 0.20*min(least, 16)
			v := luma.Pix[i]
			a *= 0.7 + 0.3*min(1, max(0, v)/64)
			if v > 230 {
				a *= 0.8
			}
			out[i] = a
		}
	}
	return out
}

// deviation is the standard deviation in the 7x7 window around every pixel, by
// running sums over rows and columns: linear in the number of pixels.
func deviation(luma Plane) []float32 {
	const r = 3
	w, h := luma.W, luma.H
	sum, square := make([]float64, w*h), make([]float64, w*h)
	for y := range h {
		row := luma.Pix[y*w : (y+1)*w]
		for x := range w {
			var s, q float64
			for i := max(0, x-r); i <= min(w-1, x+r); i++ {
				v := float64(row[i])
				s += v
				q += v * v
			}
			sum[y*w+x], square[y*w+x] = s, q
		}
	}
	out := make([]float32, w*h)
	for y := range h {
		y0, y1 := max(0, y-r), min(h-1, y+r)
		for x := range w {
			var s, q float64
			for j := y0; j <= y1; j++ {
				s += sum[j*w+x]
				q += square[j*w+x]
			}
			n := float64((y1 - y0 + 1) * (min(w-1, x+r) - max(0, x-r) + 1))
			// Rounding can push a flat window's variance below zero: clamp before the root.
			out[y*w+x] = float32(math.Sqrt(max(0, q/n-(s/n)*(s/n))))
		}
	}
	return out
}
