package canary

import (
	"image"
	"image/draw"
	"math"

	"birdring/canary/jpeg"
	"birdring/canary/mark"
)

// source is a photo as an ordinary encoder sees it, and what that encoder rounds away.
type source struct {
	frame *jpeg.Frame   // the unringed picture
	luma  []float32     // BT.601 luma of the photo, 0..255, not rounded
	base  [][64]float32 // per luma block: the coefficients before rounding, in quantiser steps, zigzag order
}

// newSource converts and transforms a photo with libjpeg's roundings, so that
// coefficients are distributed as in any ordinary file: samples of 8 bits, chroma
// the mean of 2x2 pixels rounded down and up by turns, the picture's edge
// repeated outside it.
func newSource(img image.Image) *source {
	rgb := toRGBA(img)
	w, h := rgb.Rect.Dx(), rgb.Rect.Dy()
	f := jpeg.NewFrame(w, h, quality)
	cols, rows := f.MCUs()
	pw, ph := 16*cols, 16*rows
	s := &source{frame: f, luma: make([]float32, 0, w*h)}
	y, cb, cr := make([]float32, pw*ph), make([]float32, pw*ph/4), make([]float32, pw*ph/4)
	for py := range h {
		row := rgb.Pix[py*rgb.Stride:]
		half := py / 2 * (pw / 2)
		for px := range w {
			r, g, b := float32(row[4*px]), float32(row[4*px+1]), float32(row[4*px+2])
			l := 0.299*r + 0.587*g + 0.114*b
			s.luma = append(s.luma, l)
			y[py*pw+px] = floor(l+0.5) - 128
			c := half + px/2
			cb[c] += floor(-0.168735892*r - 0.331264108*g + 0.5*b + 128.49999)
			cr[c] += floor(0.5*r - 0.418687589*g - 0.081312411*b + 128.49999)
		}
	}
	for _, c := range [2][]float32{cb, cr} {
		completeEdge(c, w, h, pw/2)
		for i, sum := range c {
			c[i] = floor((sum+1+float32(i%(pw/2)&1))/4) - 128
		}
		extend(c, (w+1)/2, (h+1)/2, pw/2, ph/2)
	}
	extend(y, w, h, pw, ph)
	s.base = transform(y, pw, &f.Quant[0], f.Luma.Blocks)
	transform(cb, pw/2, &f.Quant[1], f.Cb.Blocks)
	transform(cr, pw/2, &f.Quant[1], f.Cr.Blocks)
	f.FillDummies()
	return s
}

// floor is for values that are not negative.
func floor(f float32) float32 { return float32(int32(f)) }

// toRGBA is the photo with its corner at the origin; transparent parts become black.
func toRGBA(img image.Image) *image.RGBA {
	if m, ok := img.(*image.RGBA); ok && m.Rect.Min == (image.Point{}) {
		return m
	}
	b := img.Bounds()
	m := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(m, m.Rect, img, b.Min, draw.Src)
	return m
}

// completeEdge completes the sums that only half a 2x2 cell fell into: an odd
// last column or row counts twice.
func completeEdge(c []float32, w, h, stride int) {
	if w%2 == 1 {
		for y := range (h + 1) / 2 {
			c[y*stride+w/2] *= 2
		}
	}
	if h%2 == 1 {
		for x := range (w + 1) / 2 {
			c[h/2*stride+x] *= 2
		}
	}
}

// extend repeats the last column and row of a w x h plane up to pw x ph.
func extend(p []float32, w, h, pw, ph int) {
	for y := range h {
		row := p[y*pw : (y+1)*pw]
		for x := w; x < pw; x++ {
			row[x] = row[w-1]
		}
	}
	for y := h; y < ph; y++ {
		copy(p[y*pw:(y+1)*pw], p[(h-1)*pw:h*pw])
	}
}

// transform fills blocks with the rounded coefficients of a plane and returns the unrounded ones.
func transform(p []float32, stride int, q *[64]uint16, blocks []jpeg.Block) [][64]float32 {
	out := make([][64]float32, len(blocks))
	perRow := stride / 8
	for i := range blocks {
		steps(p[i/perRow*8*stride+i%perRow*8:], stride, q, &out[i])
		for z, f := range out[i] {
			blocks[i][z] = int16(max(-1023, min(1023, math.Round(float64(f)))))
		}
	}
	return out
}

// steps is the DCT of the 8x8 samples at p, in quantiser steps and zigzag order.
func steps(p []float32, stride int, q *[64]uint16, out *[64]float32) {
	var px [64]float32
	for y := range 8 {
		copy(px[8*y:8*y+8], p[y*stride:y*stride+8])
	}
	jpeg.FDCT(&px)
	for z := range out {
		out[z] = px[jpeg.Zigzag(z)] / float32(q[z])
	}
}

// bumpSteps is the plan's bumps at gain 1 as coefficients, like source.base.
func bumpSteps(plan *mark.Plan, f *jpeg.Frame) [][64]float32 {
	cols, rows := f.MCUs()
	pw, ph := 16*cols, 16*rows
	padded := make([]float32, pw*ph)
	for y := range plan.Bump.H {
		copy(padded[y*pw:], plan.Bump.Pix[y*plan.Bump.W:(y+1)*plan.Bump.W])
	}
	extend(padded, plan.Bump.W, plan.Bump.H, pw, ph)
	out := make([][64]float32, len(f.Luma.Blocks))
	for i := range out {
		steps(padded[i/f.Luma.W*8*pw+i%f.Luma.W*8:], pw, &f.Quant[0], &out[i])
	}
	return out
}
