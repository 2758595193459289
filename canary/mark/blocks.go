package mark

import "math"

// The suspect is judged in 8x8 blocks on its own grid, by DCT: there its noise is
// nearly white, and if the suspect is a JPEG file each coefficient is known to
// lie in one bin of its quantiser. WebP rounds 4x4 blocks: then each block holds four.

// blocks are a plane's DCT coefficients, block by block, natural order.
type blocks struct {
	w, h int // in blocks
	base base
	c    [][64]float32
}

// base is the basis of a block's coefficients.
type base struct{ forward, inverse func(*[64]float32) }

var (
	whole8  = base{dct, idct}
	fours44 = base{dct4, idct4}
)

func transformed(p []float32, w, h int, by base) blocks {
	b := blocks{w / 8, h / 8, by, make([][64]float32, w/8*(h/8))}
	for i := range b.c {
		at := i/b.w*8*w + i%b.w*8
		c := &b.c[i]
		for y := range 8 {
			copy(c[8*y:8*y+8], p[at+y*w:at+y*w+8])
		}
		by.forward(c)
	}
	return b
}

// restored is the plane of the blocks.
func (b *blocks) restored() []float32 {
	w := 8 * b.w
	out := make([]float32, 64*len(b.c))
	for i := range b.c {
		c := b.c[i]
		b.base.inverse(&c)
		at := i/b.w*8*w + i%b.w*8
		for y := range 8 {
			copy(out[at+y*w:at+y*w+8], c[8*y:8*y+8])
		}
	}
	return out
}

// Halves of the orthonormal DCT basis: cosine of frequency u at sample x < 4.
var half8 = func() (c [8][4]float32) {
	for u := range 8 {
		f := 0.5
		if u == 0 {
			f = 0.5 / math.Sqrt2
		}
		for x := range 4 {
			c[u][x] = float32(f * math.Cos(float64(2*x+1)*float64(u)*math.Pi/16))
		}
	}
	return c
}()

// line8 transforms eight samples a stride apart.
func line8(p *[64]float32, at, s int) {
	a0, a7 := p[at], p[at+7*s]
	a1, a6 := p[at+s], p[at+6*s]
	a2, a5 := p[at+2*s], p[at+5*s]
	a3, a4 := p[at+3*s], p[at+4*s]
	s0, s1, s2, s3 := a0+a7, a1+a6, a2+a5, a3+a4
	d0, d1, d2, d3 := a0-a7, a1-a6, a2-a5, a3-a4
	for u := 0; u < 8; u += 2 {
		c, d := &half8[u], &half8[u+1]
		p[at+u*s] = c[0]*s0 + c[1]*s1 + c[2]*s2 + c[3]*s3
		p[at+(u+1)*s] = d[0]*d0 + d[1]*d1 + d[2]*d2 + d[3]*d3
	}
}

// back8 is line8's inverse.
func back8(p *[64]float32, at, s int) {
	c0, c1, c2, c3 := p[at], p[at+s], p[at+2*s], p[at+3*s]
	c4, c5, c6, c7 := p[at+4*s], p[at+5*s], p[at+6*s], p[at+7*s]
	for x := range 4 {
		e := half8[0][x]*c0 + half8[2][x]*c2 + half8[4][x]*c4 + half8[6][x]*c6
		o := half8[1][x]*c1 + half8[3][x]*c3 + half8[5][x]*c5 + half8[7][x]*c7
		p[at+x*s], p[at+(7-x)*s] = e+o, e-o
	}
}

func dct(p *[64]float32) {
	for y := range 8 {
		line8(p, 8*y, 1)
	}
	for x := range 8 {
		line8(p, x, 8)
	}
}

func idct(p *[64]float32) {
	for x := range 8 {
		back8(p, x, 8)
	}
	for y := range 8 {
		back8(p, 8*y, 1)
	}
}

// cos4 is the orthonormal DCT of four samples.
var cos4 = func() (c [4][4]float32) {
	for u := range 4 {
		f := math.Sqrt2 / 2
		if u == 0 {
			f = 0.5
		}
		for x := range 4 {
			c[u][x] = float32(f * math.Cos(float64(2*x+1)*float64(u)*math.Pi/8))
		}
	}
	return c
}()

// dct4 turns 8x8 samples into four blocks of 4x4 coefficients, one after another.
func dct4(p *[64]float32) {
	src := *p
	for b := range 4 {
		at := b>>1*32 + b&1*4
		var rows [16]float32 // of horizontal frequencies
		for y := range 4 {
			r := src[at+8*y : at+8*y+4]
			for u := range 4 {
				c := &cos4[u]
				rows[4*y+u] = c[0]*r[0] + c[1]*r[1] + c[2]*r[2] + c[3]*r[3]
			}
		}
		for v := range 4 {
			c := &cos4[v]
			for u := range 4 {
				p[16*b+4*v+u] = c[0]*rows[u] + c[1]*rows[4+u] + c[2]*rows[8+u] + c[3]*rows[12+u]
			}
		}
	}
}

// idct4 is dct4's inverse.
func idct4(p *[64]float32) {
	src := *p
	for b := range 4 {
		at := b>>1*32 + b&1*4
		var rows [16]float32
		for y := range 4 {
			for u := range 4 {
				for v := range 4 {
					rows[4*y+u] += cos4[v][y] * src[16*b+4*v+u]
				}
			}
		}
		for y := range 4 {
			for x := range 4 {
				var sum float32
				for u := range 4 {
					sum += cos4[u][x] * rows[4*y+u]
				}
				p[at+8*y+x] = sum
			}
		}
	}
}

// Tables of the normal distribution between -normalEnd and normalEnd.
const (
	normalEnd  = 6
	normalStep = 128
)

// normalTable holds the distribution function and the density side by side, and
// how much each grows to the next place.
var normalTable = func() (table [2*normalEnd*normalStep + 1][4]float32) {
	at := func(i int) (cdf, pdf float64) {
		x := float64(i)/normalStep - normalEnd
		return math.Erfc(-x/math.Sqrt2) / 2, math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)
	}
	for i := range table {
		cdf, pdf := at(i)
		nextCDF, nextPDF := at(i + 1)
		table[i] = [4]float32{float32(cdf), float32(nextCDF - cdf), float32(pdf), float32(nextPDF - pdf)}
	}
	return
}()

// normal is the distribution function and the density at x.
func normal(x float32) (cdf, pdf float32) {
	f := (min(max(x, -normalEnd), normalEnd) + normalEnd) * normalStep
	i := int(f)
	u := f - float32(i)
	t := &normalTable[i]
	return t[0] + u*t[1], t[2] + u*t[3]
}

// normalCDF is the distribution function at x.
func normalCDF(x float32) float32 {
	f := (min(max(x, -normalEnd), normalEnd) + normalEnd) * normalStep
	i := int(f)
	t := &normalTable[i]
	return t[0] + (f-float32(i))*t[1]
}

// stray is the share of coefficients that obey no model (overlays, clipping);
// it bounds what one of them can say.
const stray = 1e-4

// inBin is the probability of the bin lo..hi around mean 0 with deviation s.
func inBin(lo, hi, inv float32) float32 {
	if lo > 0 { // the lower tail is the precise one
		lo, hi = -hi, -lo
	}
	a, b := normalCDF(lo*inv), normalCDF(hi*inv)
	return max(b-a, 0) + stray
}

// momentsInBin are mean and mean square, around the model's mean, of a value known to lie in a bin.
func momentsInBin(lo, hi, s float32) (mean, square float32) {
	flip := lo > 0
	if flip {
		lo, hi = -hi, -lo
	}
	inv := 1 / s
	a, b := lo*inv, hi*inv
	pa, da := normal(a)
	pb, db := normal(b)
	z := pb - pa
	if z < 1e-5 { // far out: next to the nearer edge
		edge := hi
		if lo > -hi && hi > 0 {
			edge = lo
		}
		mean, square = edge, edge*edge
	} else {
		mean = min(max(s*(da-db)/z, lo), hi)
		a, b = max(a, -normalEnd), min(b, normalEnd)
		square = max(s*s*(1+(a*da-b*db)/z), mean*mean)
	}
	if flip {
		mean = -mean
	}
	return mean, square
}
