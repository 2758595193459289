package console

import (
	"image"
	"image/color"
	"math"
	"slices"

	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"

	"birdring/canary/mark"
)

// align draws the found picture onto the pixel grid of the served one. t maps
// served pixels to found pixels. Where the found picture shows nothing the
// result is transparent.
func align(found image.Image, t mark.Affine, w, h int) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	det := t.A*t.E - t.B*t.D
	if math.Abs(det) < 1e-9 {
		return out
	}
	b := found.Bounds()
	t.C += float64(b.Min.X)
	t.F += float64(b.Min.Y)
	inverse := f64.Aff3{
		t.E / det, -t.B / det, (t.B*t.F - t.E*t.C) / det,
		-t.D / det, t.A / det, (t.D*t.C - t.A*t.F) / det,
	}
	draw.CatmullRom.Transform(out, inverse, found, b, draw.Src, nil)
	return out
}

// difference shows what found (aligned) has that served has not, amplified
// around grey so that the largest 1 % of the differences saturate; gain says how
// much. A common shift of brightness is taken out first.
func difference(served image.Image, found *image.RGBA) (out *image.RGBA, gain float64) {
	w, h := found.Rect.Dx(), found.Rect.Dy()
	ref := rgba(served)
	var delta []float64 // 3 a pixel
	var mean [3]float64
	n := 0
	delta = make([]float64, 3*w*h)
	for i := range w * h {
		if found.Pix[4*i+3] < 255 {
			continue
		}
		n++
		for c := range 3 {
			d := float64(found.Pix[4*i+c]) - float64(ref.Pix[4*i+c])
			delta[3*i+c] = d
			mean[c] += d
		}
	}
	for c := range mean {
		mean[c] /= float64(max(n, 1))
	}
	sizes := make([]float64, 0, n)
	for i := range w * h {
		if found.Pix[4*i+3] == 255 {
			for c := range 3 {
				delta[3*i+c] -= mean[c]
			}
			sizes = append(sizes, math.Abs(delta[3*i+1]))
		}
	}
	gain = 8
	if len(sizes) > 0 {
		slices.Sort(sizes)
		gain = min(32, max(1, 120/max(sizes[len(sizes)*99/100], 1)))
	}
	out = image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		o := out.Pix[4*i : 4*i+4]
		if found.Pix[4*i+3] < 255 {
			shade := uint8(236)
			if (i%w+i/w)/6%2 == 0 {
				shade = 246
			}
			o[0], o[1], o[2], o[3] = shade, shade, shade, 255
			continue
		}
		for c := range 3 {
			o[c] = uint8(min(255, max(0, 128+gain*delta[3*i+c])))
		}
		o[3] = 255
	}
	return out, gain
}

// onPaper fills the transparent parts of an aligned picture with stripes.
func onPaper(img *image.RGBA) *image.RGBA {
	w := img.Rect.Dx()
	for i := range len(img.Pix) / 4 {
		p := img.Pix[4*i : 4*i+4]
		if p[3] == 255 {
			continue
		}
		shade := 246.0
		if (i%w+i/w)/6%2 == 0 {
			shade = 236
		}
		rest := shade * (1 - float64(p[3])/255)
		for c := range 3 {
			p[c] = uint8(min(255, float64(p[c])+rest))
		}
		p[3] = 255
	}
	return img
}

func rgba(img image.Image) *image.RGBA {
	if p, ok := img.(*image.RGBA); ok && p.Rect.Min == (image.Point{}) {
		return p
	}
	b := img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(out, out.Rect, img, b.Min, draw.Src)
	return out
}

// heatmap paints each segment's evidence over a faint picture: amber speaks for
// the account, blue against it, colourless where nothing could be read.
// nats[k] is the log-likelihood ratio of segment k.
func heatmap(picture image.Image, grid mark.Grid, nats []float64) *image.RGBA {
	base := rgba(picture)
	out := image.NewRGBA(image.Rect(0, 0, grid.W, grid.H))
	for i := range grid.W * grid.H {
		p := base.Pix[4*i : 4*i+3]
		y := 232 + uint8((299*int(p[0])+587*int(p[1])+114*int(p[2]))/1000*23/255)
		o := out.Pix[4*i : 4*i+4]
		o[0], o[1], o[2], o[3] = y, y, y, 255
	}
	top := largest(nats)
	for k, v := range nats {
		if v == 0 {
			continue
		}
		tint(out, segment(grid, k), heat(v/top))
	}
	return out
}

// largest is the size that saturates: the 98th percentile.
func largest(nats []float64) float64 {
	sizes := make([]float64, 0, len(nats))
	for _, v := range nats {
		if v != 0 {
			sizes = append(sizes, math.Abs(v))
		}
	}
	if len(sizes) == 0 {
		return 1
	}
	slices.Sort(sizes)
	return max(sizes[len(sizes)*98/100], 1e-9)
}

// heat is the colour of evidence v, -1..1, with its opacity.
func heat(v float64) color.NRGBA {
	v = max(-1, min(1, v))
	alpha := uint8(30 + 215*math.Sqrt(math.Abs(v)))
	if v > 0 {
		return color.NRGBA{214, 118, 20, alpha}
	}
	return color.NRGBA{38, 98, 168, alpha}
}

// segment is the rectangle of luma pixels that segment k covers.
func segment(g mark.Grid, k int) image.Rectangle { return image.Rect(g.Rect(k)) }

func tint(img *image.RGBA, r image.Rectangle, c color.NRGBA) {
	r = r.Intersect(img.Rect)
	a := int(c.A)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p := img.Pix[img.PixOffset(x, y):]
			p[0] = uint8((int(p[0])*(255-a) + int(c.R)*a) / 255)
			p[1] = uint8((int(p[1])*(255-a) + int(c.G)*a) / 255)
			p[2] = uint8((int(p[2])*(255-a) + int(c.B)*a) / 255)
		}
	}
}
