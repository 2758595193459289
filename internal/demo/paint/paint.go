// Package paint paints photo-like scenes: depth, light, texture and grain, a
// different one for each seed. They stand in for an operator's own photos in
// the demo and the tests; a scraper who has read this file knows their style,
// so outside a demo a decoy wants real photos.
//
// A scene is painted from back to front on a float canvas in linear steps (sky
// or wall, far shapes, near shapes, light, lens), and finished as a camera
// would: vignette, soft focus, sensor grain, 8 bits.
package paint

import (
	"image"
	"math"
	"math/rand/v2"
)

// Scene paints one picture of w x h pixels; the same seed paints the same picture.
func Scene(seed uint64, w, h int) *image.RGBA {
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	c := &canvas{w: w, h: h, pix: make([]rgb, w*h), rng: rng}
	genres := []func(*canvas){hills, town, meadow, table, street}
	genres[rng.IntN(len(genres))](c)
	c.lens()
	return c.develop()
}

// rgb is a colour, 0..1 a channel.
type rgb struct{ r, g, b float32 }

func (a rgb) mix(b rgb, t float32) rgb {
	return rgb{a.r + (b.r-a.r)*t, a.g + (b.g-a.g)*t, a.b + (b.b-a.b)*t}
}

func (a rgb) times(t float32) rgb { return rgb{a.r * t, a.g * t, a.b * t} }

// canvas is a scene in the making.
type canvas struct {
	w, h int
	pix  []rgb
	rng  *rand.Rand
}

func (c *canvas) uniform(lo, hi float32) float32 { return lo + (hi-lo)*c.rng.Float32() }

// tint draws a colour around base, each channel by up to +-spread.
func (c *canvas) tint(base rgb, spread float32) rgb {
	return rgb{base.r + c.uniform(-spread, spread), base.g + c.uniform(-spread, spread), base.b + c.uniform(-spread, spread)}
}

// fill paints every pixel with what colour says of it.
func (c *canvas) fill(colour func(x, y int) rgb) {
	for y := range c.h {
		for x := range c.w {
			c.pix[y*c.w+x] = colour(x, y)
		}
	}
}

// blend lays col over the pixel with opacity a.
func (c *canvas) blend(x, y int, col rgb, a float32) {
	if x < 0 || y < 0 || x >= c.w || y >= c.h || a <= 0 {
		return
	}
	p := &c.pix[y*c.w+x]
	*p = p.mix(col, min(a, 1))
}

// noise is fractal noise over the canvas, about -1..1: octaves of smoothly
// interpolated lattices, the first with cells of size px, each finer one
// weighted by gain. stretch > 1 draws it out sideways, as grass under wind or water.
func (c *canvas) noise(size float32, octaves int, gain, stretch float32) []float32 {
	out := make([]float32, c.w*c.h)
	amp, norm := float32(1), float32(0)
	for range octaves {
		c.octave(out, max(size, 1.5), amp, stretch)
		norm += amp * amp
		amp, size = amp*gain, size/2
	}
	scale := 1 / float32(math.Sqrt(float64(norm)))
	for i := range out {
		out[i] *= scale
	}
	return out
}

// octave adds one interpolated lattice to out.
func (c *canvas) octave(out []float32, size, amp, stretch float32) {
	sx, sy := size*stretch, size
	gw, gh := int(float32(c.w)/sx)+3, int(float32(c.h)/sy)+3
	grid := make([]float32, gw*gh)
	for i := range grid {
		grid[i] = float32(c.rng.NormFloat64()) * 0.7
	}
	type cell struct {
		i int
		t float32
	}
	cols := make([]cell, c.w)
	for x := range cols {
		f := float32(x) / sx
		t := f - float32(int(f))
		cols[x] = cell{int(f), t * t * (3 - 2*t)}
	}
	for y := range c.h {
		f := float32(y) / sy
		v := f - float32(int(f))
		v = v * v * (3 - 2*v)
		top, bottom := grid[int(f)*gw:], grid[(int(f)+1)*gw:]
		row := out[y*c.w : (y+1)*c.w]
		for x, k := range cols {
			a := top[k.i] + (top[k.i+1]-top[k.i])*k.t
			b := bottom[k.i] + (bottom[k.i+1]-bottom[k.i])*k.t
			row[x] += amp * (a + (b-a)*v)
		}
	}
}

// ridge is a jagged line across the canvas: its height in pixels at every x.
func (c *canvas) ridge(mid, swing float32, roughness float32) []float32 {
	out := make([]float32, c.w)
	amp, size := swing, float32(c.w)/2.5
	for size > 3 {
		grid := make([]float32, int(float32(c.w)/size)+3)
		for i := range grid {
			grid[i] = c.uniform(-1, 1)
		}
		for x := range out {
			f := float32(x) / size
			t := f - float32(int(f))
			t = t * t * (3 - 2*t)
			out[x] += amp * (grid[int(f)] + (grid[int(f)+1]-grid[int(f)])*t)
		}
		amp, size = amp*roughness, size/2
	}
	for x := range out {
		out[x] += mid
	}
	return out
}

// box paints an upright rectangle with soft 1 px edges and a little texture.
func (c *canvas) box(x0, y0, x1, y1 float32, col rgb, texture []float32, depth float32) {
	for y := int(y0); y <= int(y1); y++ {
		for x := int(x0); x <= int(x1); x++ {
			if x < 0 || y < 0 || x >= c.w || y >= c.h {
				continue
			}
			a := min(cover(float32(x), x0, x1), cover(float32(y), y0, y1))
			c.blend(x, y, col.times(1+depth*texture[y*c.w+x]), a)
		}
	}
}

// cover is the share of pixel x that lies inside lo..hi.
func cover(x, lo, hi float32) float32 {
	return max(0, min(1, min(x+1-lo, hi-x)))
}

// ball paints a shaded ellipsoid lit from the upper left.
func (c *canvas) ball(cx, cy, rx, ry float32, col rgb, texture []float32, depth float32) {
	for y := int(cy - ry - 1); y <= int(cy+ry+1); y++ {
		for x := int(cx - rx - 1); x <= int(cx+rx+1); x++ {
			if x < 0 || y < 0 || x >= c.w || y >= c.h {
				continue
			}
			u, v := (float32(x)+0.5-cx)/rx, (float32(y)+0.5-cy)/ry
			d := u*u + v*v
			edge := (1 - d) * min(rx, ry) / 2
			if edge <= 0 {
				continue
			}
			z := float32(math.Sqrt(float64(max(0, 1-d))))
			light := 0.35 + 0.65*max(0, -0.45*u-0.55*v+0.7*z)
			shade := col.times(light * (1 + depth*texture[y*c.w+x]))
			spot := max(0, -0.4*u-0.5*v+0.77*z)
			spot = spot * spot * spot
			spot *= spot * spot
			c.blend(x, y, shade.mix(rgb{1, 1, 0.95}, 0.35*spot), edge)
		}
	}
}
