package canary

import (
	"image"
	"image/draw"

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
// the mean of the pixels it stands for, the picture's edge repeated outside it.
func newSource(img image.Image, d *jpeg.Dialect) *source {
	rgb := toRGBA(img)
	w, h := rgb.Rect.Dx(), rgb.Rect.Dy()
	f := jpeg.NewFrame(w, h, d)
	cols, rows := f.MCUs()
	mw, mh := f.MCU()
	pw, ph := mw*cols, mh*rows
	s := &source{frame: f, luma: make([]float32, 0, w*h)}
	y, cb, cr := make([]float32, pw*ph), make([]float32, pw*ph), make([]float32, pw*ph)
	for py := range h {
		row := rgb.Pix[py*rgb.Stride:]
		for px := range w {
			// BT.601 with 16 bits after the point, as jccolor.c has it.
			r, g, b := int32(row[4*px]), int32(row[4*px+1]), int32(row[4*px+2])
			l := 19595*r + 38470*g + 7471*b
			s.luma = append(s.luma, float32(l)/65536)
			i := py*pw + px
			y[i] = float32((l+32768)>>16 - 128)
			cb[i] = float32((-11059*r - 21709*g + 32768*b + 128<<16 + 32767) >> 16)
			cr[i] = float32((32768*r - 27439*g - 5329*b + 128<<16 + 32767) >> 16)
		}
	}
	for _, p := range [3][]float32{y, cb, cr} {
		extend(p, w, h, pw, ph)
	}
	s.base = transform(y, pw, &f.Quant[0], f.Luma.Blocks)
	ch := (h + d.Down - 1) / d.Down
	for i, g := range [2]*jpeg.Grid{&f.Cb, &f.Cr} {
		c := downsample([2][]float32{cb, cr}[i], pw, d.Across, d.Down)
		extend(c, pw/d.Across, ch, pw/d.Across, ph/d.Down)
		transform(c, pw/d.Across, &f.Quant[1], g.Blocks)
	}
	f.FillDummies()
	return s
}

// downsample is the mean of every across x down samples of a plane, less 128.
// Halves are rounded down and up by turns along a row, as libjpeg does.
func downsample(p []float32, stride, across, down int) []float32 {
	n := float32(across * down)
	out := make([]float32, 0, len(p)/(across*down))
	for y := 0; y < len(p)/stride; y += down {
		for x := 0; x < stride; x += across {
			sum := float32(0)
			for dy := range down {
				for _, f := range p[(y+dy)*stride+x:][:across] {
					sum += f
				}
			}
			bias := float32(0)
			switch {
			case across == 2:
				bias = float32(down - 1 + x/2&1)
			case down == 2:
				bias = 1
			}
			out = append(out, floor((sum+bias)/n)-128)
		}
	}
	return out
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

// transform fills blocks with the rounded coefficients of a plane of whole
// numbers and returns the unrounded ones.
func transform(p []float32, stride int, q *[64]uint16, blocks []jpeg.Block) [][64]float32 {
	out := make([][64]float32, len(blocks))
	perRow := stride / 8
	for i := range blocks {
		var px [64]int32
		for y := range 8 {
			for x, f := range p[i/perRow*8*stride+i%perRow*8+y*stride:][:8] {
				px[8*y+x] = int32(f)
			}
		}
		jpeg.IntFDCT(&px)
		for z := range 64 {
			v, step := px[jpeg.Zigzag(z)], 8*int32(q[z])
			out[i][z] = float32(v) / float32(step)
			if v < 0 {
				v = -((-v + step/2) / step)
			} else {
				v = (v + step/2) / step
			}
			blocks[i][z] = int16(max(-1023, min(1023, v)))
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
	mw, mh := f.MCU()
	pw, ph := mw*cols, mh*rows
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
