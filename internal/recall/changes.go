package recall

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"

	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"

	"birdring/canary/mark"
)

// scene is a canvas onto which a picture is drawn: what a site shows.
type scene struct {
	w, h    int
	t       mark.Affine // picture to canvas pixels
	ground  color.Gray
	around  []placed      // other pictures on it
	text    []image.Point // where lines of something like text begin
	quality int
}

// placed is another picture in a cell of the canvas.
type placed struct {
	img  image.Image
	cell image.Rectangle
}

// change makes the scene of a w x h picture; other is another picture.
type change struct {
	name string
	plan func(w, h int, other image.Image) scene
}

// cropped shows the part of the given area at fx, fy of the room, long pixels long (0: as it is).
func cropped(area, fx, fy, long float64) func(w, h int, _ image.Image) scene {
	return func(w, h int, _ image.Image) scene {
		part := math.Sqrt(area)
		cw, ch := part*float64(w), part*float64(h)
		f := 1.0
		if long > 0 {
			f = long / max(cw, ch)
		}
		return scene{
			w: int(f*cw + 0.5), h: int(f*ch + 0.5), quality: 80,
			t: mark.Affine{A: f, E: f, C: -f * fx * (float64(w) - cw), F: -f * fy * (float64(h) - ch)},
		}
	}
}

var changes = []change{
	{"crop to 25 % of the area, middle", cropped(.25, .5, .5, 0)},
	{"crop to 25 % of the area, corner", cropped(.25, .1, .9, 0)},
	{"crop to 25 % of the area, 320 px", cropped(.25, .6, .4, 320)},
	{"resize to 320 px", cropped(1, 0, 0, 320)},
	{"resize to 150 px", cropped(1, 0, 0, 150)},
	{"mirror", func(w, h int, _ image.Image) scene {
		return scene{w: w, h: h, t: mark.Affine{A: -1, C: float64(w), E: 1}, quality: 80}
	}},
	{"mirror, crop to 60 %, 640 px", func(w, h int, o image.Image) scene {
		s := cropped(.6, .3, .5, 640)(w, h, o)
		s.t.A, s.t.C = -s.t.A, float64(s.w)-s.t.C
		return s
	}},
	{"5 degrees", func(w, h int, _ image.Image) scene {
		sin, cos := math.Sincos(5 * math.Pi / 180)
		cx, cy := float64(w)/2, float64(h)/2
		return scene{w: w, h: h, quality: 80, t: mark.Affine{
			A: cos, B: -sin, C: cx - cos*cx + sin*cy, D: sin, E: cos, F: cy - sin*cx - cos*cy,
		}}
	}},
	{"border of a tenth", func(w, h int, _ image.Image) scene {
		n := w / 10
		return scene{w: w + 2*n, h: h + 2*n, t: mark.Affine{A: 1, E: 1, C: float64(n), F: float64(n)}, ground: color.Gray{250}, quality: 80}
	}},
	{"letterbox, 720 px", func(w, h int, _ image.Image) scene {
		f := 720 / float64(max(w, h))
		return scene{w: 720, h: 720, quality: 80, t: mark.Affine{A: f, E: f, C: (720 - f*float64(w)) / 2, F: (720 - f*float64(h)) / 2}}
	}},
	{"caption above", func(w, h int, _ image.Image) scene {
		n := h / 6
		return scene{
			w: w, h: h + n, t: mark.Affine{A: 1, E: 1, F: float64(n)}, ground: color.Gray{255}, quality: 80,
			text: []image.Point{{20, n / 4}, {20, n / 2}},
		}
	}},
	{"caption across", func(w, h int, _ image.Image) scene {
		return scene{w: w, h: h, t: mark.Affine{A: 1, E: 1}, quality: 80, text: []image.Point{{40, h * 3 / 4}, {40, h*3/4 + 30}, {40, h*3/4 + 60}}}
	}},
	{"cell of a collage", func(w, h int, o image.Image) scene {
		const n = 540
		f := n / float64(min(w, h))
		s := scene{w: 2 * n, h: 2 * n, quality: 80, t: mark.Affine{A: f, E: f, C: n + (n-f*float64(w))/2, F: (n - f*float64(h)) / 2}}
		for _, at := range []image.Point{{0, 0}, {0, n}, {n, n}} {
			s.around = append(s.around, placed{o, image.Rect(at.X, at.Y, at.X+n, at.Y+n)})
		}
		return s
	}},
	{"screenshot of a page", func(w, h int, o image.Image) scene {
		f := 600 / float64(max(w, h))
		return scene{
			w: 1280, h: 900, t: mark.Affine{A: f, E: f, C: 340, F: 120}, ground: color.Gray{245}, quality: 85,
			around: []placed{{o, image.Rect(40, 120, 300, 315)}, {o, image.Rect(980, 500, 1240, 695)}},
			text:   []image.Point{{340, 60}, {340, 80}, {340, 800}, {340, 830}, {40, 340}, {980, 720}},
		}
	}},
}

// draw draws a picture as the scene shows it, and saves it as a JPEG file.
func (s scene) draw(img image.Image) ([]byte, error) {
	out := image.NewRGBA(image.Rect(0, 0, s.w, s.h))
	draw.Draw(out, out.Rect, image.NewUniform(s.ground), image.Point{}, draw.Src)
	draw.CatmullRom.Transform(out, f64.Aff3{s.t.A, s.t.B, s.t.C, s.t.D, s.t.E, s.t.F}, img, img.Bounds(), draw.Over, nil)
	for _, o := range s.around {
		draw.CatmullRom.Scale(out, o.cell, o.img, o.img.Bounds(), draw.Src, nil)
	}
	for n, at := range s.text {
		scribble(out, at, uint32(n))
	}
	var file bytes.Buffer
	err := jpeg.Encode(&file, out, &jpeg.Options{Quality: s.quality})
	return file.Bytes(), err
}

// scribble draws a line of strokes as dense as text.
func scribble(out *image.RGBA, at image.Point, n uint32) {
	state := n*2654435761 + 12345
	for x := at.X; x < min(at.X+420, out.Rect.Dx()-12); x += 11 {
		for range 3 {
			state = state*1664525 + 1013904223
			dx, dy, down := int(state>>8%6), int(state>>12%12), state>>20&1 == 1
			for k := range 8 {
				px, py := x+dx, at.Y+dy
				if down {
					py += k
				} else {
					px += k
				}
				draw.Draw(out, image.Rect(px, py, px+2, py+2), image.NewUniform(color.Gray{20}), image.Point{}, draw.Src)
			}
		}
	}
}
