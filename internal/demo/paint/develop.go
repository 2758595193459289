package paint

import (
	"image"
	"math"
)

// lens darkens the corners and softens the picture by a small blur, as optics do;
// without it the edges would be sharper than any photo's.
func (c *canvas) lens() {
	strength := c.uniform(0.1, 0.35)
	for y := range c.h {
		v := float32(y)/float32(c.h) - 0.5
		for x := range c.w {
			u := float32(x)/float32(c.w) - 0.5
			c.pix[y*c.w+x] = c.pix[y*c.w+x].times(1 - strength*(u*u+v*v)*2)
		}
	}
	c.soften()
}

// soften convolves with (1 2 1)/4 in both directions.
func (c *canvas) soften() {
	tmp := make([]rgb, len(c.pix))
	for y := range c.h {
		row := c.pix[y*c.w : (y+1)*c.w]
		for x := range row {
			a, b := row[max(0, x-1)], row[min(c.w-1, x+1)]
			tmp[y*c.w+x] = row[x].mix(a.mix(b, 0.5), 0.5)
		}
	}
	for y := range c.h {
		above, below := tmp[max(0, y-1)*c.w:], tmp[min(c.h-1, y+1)*c.w:]
		for x := range c.w {
			c.pix[y*c.w+x] = tmp[y*c.w+x].mix(above[x].mix(below[x], 0.5), 0.5)
		}
	}
}

// develop adds sensor grain, more of it in the shadows, and rounds to 8 bits.
func (c *canvas) develop() *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, c.w, c.h))
	grain := c.uniform(0.004, 0.014)
	for i, p := range c.pix {
		luma := 0.3*p.r + 0.59*p.g + 0.11*p.b
		n := float32(c.rng.NormFloat64()) * grain * (1.3 - 0.6*min(1, luma))
		tone := float32(c.rng.NormFloat64()) * grain * 0.4
		px := out.Pix[i*4 : i*4+4 : i*4+4]
		px[0], px[1], px[2], px[3] = level(p.r+n+tone), level(p.g+n), level(p.b+n-tone), 255
	}
	return out
}

// level maps 0..1 to 0..255 with a soft shoulder, so that highlights roll off as film and sensors make them.
func level(v float32) uint8 {
	v = max(0, v)
	if v > 0.8 {
		v = 0.8 + 0.2*float32(math.Tanh(float64(v-0.8)/0.2))
	}
	return uint8(v*255 + 0.5)
}
