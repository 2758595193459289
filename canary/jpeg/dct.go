package jpeg

import "math"

// half[u][x], x 0..3, is the orthonormal DCT basis c(u)/2 cos((2x+1)u pi/16);
// the other half of each function is its mirror image, negated for odd u.
var half = func() (c [8][4]float32) {
	for u := range 8 {
		scale := 0.5
		if u == 0 {
			scale = 0.5 / math.Sqrt2
		}
		for x := range 4 {
			c[u][x] = float32(scale * math.Cos(float64(2*x+1)*float64(u)*math.Pi/16))
		}
	}
	return c
}()

// FDCT is the orthonormal 8x8 forward transform (T.81 A.3.3), natural order, in place.
func FDCT(b *[64]float32) {
	for y := range 8 {
		forward(b, 8*y, 1)
	}
	for x := range 8 {
		forward(b, x, 8)
	}
}

// forward transforms the 8 values at b[at], b[at+step], ...: sums of mirrored
// values make the even coefficients, differences the odd ones.
func forward(b *[64]float32, at, step int) {
	var s, d [4]float32
	for x := range 4 {
		l, r := b[(at+x*step)&63], b[(at+(7-x)*step)&63]
		s[x], d[x] = l+r, l-r
	}
	for u := 0; u < 8; u += 2 {
		e, o := &half[u], &half[u+1]
		b[(at+u*step)&63] = s[0]*e[0] + s[1]*e[1] + s[2]*e[2] + s[3]*e[3]
		b[(at+(u+1)*step)&63] = d[0]*o[0] + d[1]*o[1] + d[2]*o[2] + d[3]*o[3]
	}
}

// IDCT is the inverse of FDCT, in place.
func IDCT(b *[64]float32) {
	for y := range 8 {
		// Most rows of high vertical frequency are empty.
		if r := b[8*y : 8*y+8 : 8*y+8]; r[0] != 0 || r[1] != 0 || r[2] != 0 || r[3] != 0 || r[4] != 0 || r[5] != 0 || r[6] != 0 || r[7] != 0 {
			inverse(b, 8*y, 1)
		}
	}
	for x := range 8 {
		inverse(b, x, 8)
	}
}

// inverse is the inverse of forward.
func inverse(b *[64]float32, at, step int) {
	var e, o [4]float32
	for u := 0; u < 8; u += 2 {
		p, q := b[(at+u*step)&63], b[(at+(u+1)*step)&63]
		c, d := &half[u], &half[u+1]
		for x := range 4 {
			e[x] += p * c[x]
			o[x] += q * d[x]
		}
	}
	for x := range 4 {
		b[(at+x*step)&63] = e[x] + o[x]
		b[(at+(7-x)*step)&63] = e[x] - o[x]
	}
}

// LumaPlane decodes the luma component to float samples, W x H, not clamped
// and not rounded: the value 128 is added as T.81 A.3.1 says.
func (f *Frame) LumaPlane() []float32 {
	out := make([]float32, f.W*f.H)
	var q [64]float32
	for z, natural := range zigzag {
		q[natural] = float32(f.Quant[0][z])
	}
	var px [64]float32
	for by := 0; 8*by < f.H; by++ {
		for bx := 0; 8*bx < f.W; bx++ {
			b := f.Luma.At(bx, by)
			for z, natural := range zigzag {
				px[natural] = float32(b[z]) * q[natural]
			}
			IDCT(&px)
			for y := range min(8, f.H-8*by) {
				row := out[(8*by+y)*f.W+8*bx:]
				for x := range min(8, f.W-8*bx) {
					row[x] = px[8*y+x] + 128
				}
			}
		}
	}
	return out
}
