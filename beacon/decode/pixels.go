package decode

import (
	"image"
	"image/color"

	"golang.org/x/image/draw"

	"birdring/canary/mark"
)

// Luma returns the BT.601 luma of a picture, as JPEG's Y; of a YCbCr picture
// the Y samples themselves. Transparent pixels count as laid on white.
func Luma(img image.Image) mark.Plane {
	img = opaque(img)
	b := img.Bounds()
	p := mark.Plane{W: b.Dx(), H: b.Dy(), Pix: make([]float32, b.Dx()*b.Dy())}
	for y := range p.H {
		lumaRow(p.Pix[y*p.W:(y+1)*p.W], img, b.Min.X, b.Min.Y+y)
	}
	return p
}

// halfLuma is Luma of a picture half as wide and high, an odd last row or column
// dropped: means of 2 x 2 pixels.
func halfLuma(img image.Image) mark.Plane {
	img = opaque(img)
	b := img.Bounds()
	p := mark.Plane{W: b.Dx() / 2, H: b.Dy() / 2, Pix: make([]float32, b.Dx()/2*(b.Dy()/2))}
	upper, lower := make([]float32, b.Dx()), make([]float32, b.Dx())
	for y := range p.H {
		lumaRow(upper, img, b.Min.X, b.Min.Y+2*y)
		lumaRow(lower, img, b.Min.X, b.Min.Y+2*y+1)
		dst := p.Pix[y*p.W : (y+1)*p.W]
		for x := range dst {
			dst[x] = (upper[2*x] + upper[2*x+1] + lower[2*x] + lower[2*x+1]) / 4
		}
	}
	return p
}

// lumaRow fills one row, starting at x0,y of the picture.
func lumaRow(dst []float32, img image.Image, x0, y int) {
	switch m := img.(type) {
	case *image.YCbCr:
		row := m.Y[m.YOffset(x0, y):]
		for x := range dst {
			dst[x] = float32(row[x])
		}
	case *image.Gray:
		row := m.Pix[m.PixOffset(x0, y):]
		for x := range dst {
			dst[x] = float32(row[x])
		}
	case *image.RGBA:
		rgbRow(dst, m.Pix[m.PixOffset(x0, y):])
	case *image.NRGBA:
		rgbRow(dst, m.Pix[m.PixOffset(x0, y):])
	case *image.Paletted:
		var of [256]float32
		for i, c := range m.Palette {
			of[i&255] = lumaOf(c)
		}
		row := m.Pix[m.PixOffset(x0, y):]
		for x := range dst {
			dst[x] = of[row[x]]
		}
	default:
		for x := range dst {
			dst[x] = lumaOf(img.At(x0+x, y))
		}
	}
}

// rgbRow reads opaque pixels of 4 bytes.
func rgbRow(dst []float32, pix []byte) {
	for x := range dst {
		p := pix[4*x : 4*x+3 : 4*x+3]
		dst[x] = 0.299*float32(p[0]) + 0.587*float32(p[1]) + 0.114*float32(p[2])
	}
}

func lumaOf(c color.Color) float32 {
	r, g, b, _ := c.RGBA()
	return (0.299*float32(r) + 0.587*float32(g) + 0.114*float32(b)) / 257
}

// opaque lays a picture on white and moves its bounds to 0,0.
func opaque(img image.Image) image.Image {
	b := img.Bounds()
	o, known := img.(interface{ Opaque() bool })
	if known && o.Opaque() && b.Min == (image.Point{}) {
		return img
	}
	if !known && b.Min == (image.Point{}) { // CMYK and other models without alpha
		return img
	}
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), img, b.Min, draw.Over)
	return out
}

// Shrink resamples a picture with a wide cubic kernel so that its longer side is
// at most longest pixels (at least 1); a smaller picture keeps its size. The
// result holds pixels only: opaque, bounds starting at 0,0.
func Shrink(img image.Image, longest int) image.Image {
	img = opaque(img)
	b := img.Bounds()
	long := max(b.Dx(), b.Dy())
	longest = max(longest, 1)
	if long <= longest {
		return img
	}
	w := max(1, (b.Dx()*longest+long/2)/long)
	h := max(1, (b.Dy()*longest+long/2)/long)
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(out, out.Bounds(), img, b, draw.Src, nil)
	return out
}
