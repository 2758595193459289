package mark

import "math"

// cells knows where every segment's half lies on the window. When segments
// are small there, their halves run into each other: they are then mapped in
// colours x colours sets of segments apart from each other.
type cells struct {
	grid    Grid
	v       window
	perRow  int
	colours int
	margin  float64 // reference pixels around a segment that its half may reach
}

func newCells(g Grid, v window) cells {
	sx, sy := v.t.sizes()
	c := cells{grid: g, v: v, colours: 1}
	cols := (g.W + g.MCU - 1) / g.MCU
	c.perRow = (cols + g.Run - 1) / g.Run
	side := float64(min(g.MCU*g.Run, g.rowHeight()))
	switch size := side * min(sx, sy); {
	case size < 5:
		c.colours, c.margin = 3, side
	case size < 12:
		c.colours, c.margin = 2, side/2
	}
	return c
}

// colour is the set a segment belongs to.
func (c *cells) colour(k int) int {
	return k/c.perRow%c.colours*c.colours + k%c.perRow%c.colours
}

// only keeps the segments of one colour.
func (c *cells) only(p Plane, cx, cy int) Plane {
	out := Plane{W: p.W, H: p.H, Pix: make([]float32, len(p.Pix))}
	for k := range c.grid.Segments() {
		if c.colour(k) != cy*c.colours+cx {
			continue
		}
		x0, y0, x1, y1 := c.grid.Rect(k)
		for y := y0; y < y1; y++ {
			copy(out.Pix[y*p.W+x0:y*p.W+x1], p.Pix[y*p.W+x0:y*p.W+x1])
		}
	}
	return out
}

// driftSize is the side of a drift cell in window pixels: so many segments
// that their halves average out of it.
func (c *cells) driftSize() int {
	sx, sy := c.v.t.sizes()
	return max(24, int(4*float64(max(16, c.grid.MCU))*math.Sqrt(sx*sy)))
}

// piece is what one segment's half puts into one block.
type piece struct {
	seg, block int
	c          [64]float32
}

// pieces cuts the halves h, one plane a colour, into segments and blocks.
func (c *cells) pieces(h [][]float32, in base) []piece {
	var out []piece
	v := c.v
	bw := v.w / 8
	for k := range c.grid.Segments() {
		ix0, iy0, ix1, iy1 := c.grid.Rect(k)
		x0, y0 := float64(ix0)-c.margin, float64(iy0)-c.margin
		x1, y1 := float64(ix1)+c.margin, float64(iy1)+c.margin
		lox, loy, hix, hiy := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
		for i := range 4 {
			px, py := x0, y0
			if i&1 == 1 {
				px = x1
			}
			if i>>1 == 1 {
				py = y1
			}
			x, y := v.t.apply(px, py)
			lox, loy, hix, hiy = min(lox, x), min(loy, y), max(hix, x), max(hiy, y)
		}
		lox, loy, hix, hiy = lox-v.reach, loy-v.reach, hix+v.reach, hiy+v.reach
		bx0, by0 := int(max(0, lox))/8, int(max(0, loy))/8
		bx1, by1 := int(min(float64(v.w)-1, hix)), int(min(float64(v.h)-1, hiy))
		if hix < 0 || hiy < 0 || bx1 < 0 || by1 < 0 {
			continue
		}
		src := h[c.colour(k)]
		for by := by0; by <= by1/8; by++ {
			for bx := bx0; bx <= bx1/8; bx++ {
				p := piece{seg: k, block: by*bw + bx}
				var power float32
				for y := range 8 {
					at := (8*by+y)*v.w + 8*bx
					for x := range 8 {
						f := src[at+x]
						if f == 0 {
							continue
						}
						rx, ry := v.from(8*bx+x, 8*by+y)
						if rx >= x0 && rx < x1 && ry >= y0 && ry < y1 {
							p.c[8*y+x] = f
							power += f * f
						}
					}
				}
				if power < 1e-5 {
					continue
				}
				in.forward(&p.c)
				out = append(out, p)
			}
		}
	}
	return out
}
