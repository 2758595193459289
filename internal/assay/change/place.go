package change

import (
	"image"
	"image/color"
	"math"

	"golang.org/x/image/draw"

	"birdring/canary/mark"
)

// lanczos is the kernel that most shrinking software uses.
var lanczos = &draw.Kernel{Support: 3, At: func(t float64) float64 {
	if t == 0 {
		return 1
	}
	if t = math.Abs(t); t >= 3 {
		return 0
	}
	x := math.Pi * t
	return 3 * math.Sin(x) * math.Sin(x/3) / (x * x)
}}

// sized resamples to w x h with a kernel.
func (k *work) sized(w, h int, by *draw.Kernel) {
	w, h = max(1, w), max(1, h)
	b := k.img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	by.Scale(out, out.Bounds(), k.img, b, draw.Src, nil)
	k.img = out
	k.move(scaling(w, b.Dx(), h, b.Dy()), w, h)
}

// scaling maps a picture of w1 x h1 onto one of w2 x h2.
func scaling(w2, w1, h2, h1 int) mark.Affine {
	return mark.Affine{A: float64(w2) / float64(w1), E: float64(h2) / float64(h1)}
}

// resized scales both sides by a factor each.
func resized(fx, fy float64, by *draw.Kernel) step {
	return func(k *work) error {
		b := k.img.Bounds()
		k.sized(int(math.Round(fx*float64(b.Dx()))), int(math.Round(fy*float64(b.Dy()))), by)
		return nil
	}
}

// fitted makes the longer side n pixels.
func fitted(n int, by *draw.Kernel) step {
	return func(k *work) error {
		b := k.img.Bounds()
		f := float64(n) / float64(max(b.Dx(), b.Dy()))
		k.sized(int(math.Round(f*float64(b.Dx()))), int(math.Round(f*float64(b.Dy()))), by)
		return nil
	}
}

// filled cuts the middle out in the shape w:h and makes it w x h pixels, as feeds do.
func filled(w, h int) step {
	return func(k *work) error {
		b := k.img.Bounds()
		cw, ch := b.Dx(), b.Dy()
		if cw*h > ch*w {
			cw = ch * w / h
		} else {
			ch = cw * h / w
		}
		k.cut(image.Rect(0, 0, cw, ch).Add(image.Pt((b.Dx()-cw)/2, (b.Dy()-ch)/2)))
		k.sized(w, h, lanczos)
		return nil
	}
}

// cropped keeps a share of the area; at says where its room is, 0..1 from left and top.
func cropped(area, atX, atY float64) step {
	return func(k *work) error {
		b, side := k.img.Bounds(), math.Sqrt(area)
		w, h := int(side*float64(b.Dx())), int(side*float64(b.Dy()))
		x, y := int(atX*float64(b.Dx()-w)), int(atY*float64(b.Dy()-h))
		k.cut(image.Rect(x, y, x+w, y+h))
		return nil
	}
}

// shifted cuts a few pixels off left and top, so that blocks no longer fall on blocks.
func shifted(x, y int) step {
	return func(k *work) error {
		b := k.img.Bounds()
		k.cut(image.Rect(x, y, b.Dx(), b.Dy()))
		return nil
	}
}

func (k *work) cut(r image.Rectangle) {
	k.img = canvas(k.img.SubImage(r))
	k.move(mark.Affine{A: 1, E: 1, C: float64(-r.Min.X), F: float64(-r.Min.Y)}, r.Dx(), r.Dy())
}

// mirrored swaps left and right.
func mirrored(k *work) error {
	b := k.img.Bounds()
	for y := range b.Dy() {
		row := k.img.Pix[y*k.img.Stride : y*k.img.Stride+4*b.Dx()]
		for i, j := 0, len(row)-4; i < j; i, j = i+4, j-4 {
			for c := range 4 {
				row[i+c], row[j+c] = row[j+c], row[i+c]
			}
		}
	}
	k.move(mark.Affine{A: -1, E: 1, C: float64(b.Dx())}, b.Dx(), b.Dy())
	return nil
}

// turned rotates clockwise about the middle; the corners become black.
func turned(degrees float64) step {
	return func(k *work) error {
		b := k.img.Bounds()
		s, c := math.Sincos(degrees * math.Pi / 180)
		x, y := float64(b.Dx())/2, float64(b.Dy())/2
		t := mark.Affine{A: c, B: -s, C: x - c*x + s*y, D: s, E: c, F: y - s*x - c*y}
		inverse := invert(t)
		k.remap(func(x, y float64) (float64, float64) { return apply(inverse, x, y) })
		k.move(t, b.Dx(), b.Dy())
		return nil
	}
}

// framed puts the picture on a larger ground; the shares are of its own width and height.
func framed(left, top, right, bottom float64, ground color.Color) step {
	return func(k *work) error {
		b := k.img.Bounds()
		w, h := float64(b.Dx()), float64(b.Dy())
		at := image.Pt(int(left*w), int(top*h))
		out := plain(b.Dx()+at.X+int(right*w), b.Dy()+at.Y+int(bottom*h), ground)
		draw.Draw(out, b.Add(at), k.img, image.Point{}, draw.Src)
		k.img = out
		k.move(mark.Affine{A: 1, E: 1, C: float64(at.X), F: float64(at.Y)}, out.Bounds().Dx(), out.Bounds().Dy())
		return nil
	}
}

func plain(w, h int, ground color.Color) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(out, out.Bounds(), image.NewUniform(ground), image.Point{}, draw.Src)
	return out
}

// remap fills the picture from where back says every new pixel was before, by
// cubic interpolation; what comes from outside is black.
func (k *work) remap(back func(x, y float64) (float64, float64)) {
	src, b := k.img, k.img.Bounds()
	w, h := b.Dx(), b.Dy()
	out := plain(w, h, color.Black)
	for y := range h {
		for x := range w {
			sx, sy := back(float64(x)+.5, float64(y)+.5)
			if sx < 0 || sy < 0 || sx > float64(w) || sy > float64(h) {
				continue
			}
			cubic(out.Pix[y*out.Stride+4*x:], src, sx-.5, sy-.5)
		}
	}
	k.img = out
}

// cubic interpolates the picture at a place between pixels (Catmull-Rom; edges repeat).
func cubic(dst []byte, src *image.RGBA, x, y float64) {
	x0, y0 := math.Floor(x), math.Floor(y)
	wx, wy := catmullRom(x-x0), catmullRom(y-y0)
	w, h := src.Bounds().Dx(), src.Bounds().Dy()
	var sum [3]float64
	for j := range 4 {
		row := src.Pix[min(max(int(y0)+j-1, 0), h-1)*src.Stride:]
		for i := range 4 {
			p := row[4*min(max(int(x0)+i-1, 0), w-1):]
			f := wx[i] * wy[j]
			for c := range sum {
				sum[c] += f * float64(p[c])
			}
		}
	}
	for c, f := range sum {
		dst[c] = eight(f)
	}
}

func catmullRom(t float64) [4]float64 {
	return [4]float64{
		t * (-.5 + t*(1-.5*t)),
		1 + t*t*(-2.5+1.5*t),
		t * (.5 + t*(2-1.5*t)),
		t * t * (-.5 + .5*t),
	}
}

// eight rounds to 8 bits.
func eight(f float64) byte { return byte(max(0, min(255, f+.5))) }
