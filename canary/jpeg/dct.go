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

// Constants of IntFDCT: cosines with 13 bits after the point (jfdctint.c).
const (
	fix0298 = 2446
	fix0390 = 3196
	fix0541 = 4433
	fix0765 = 6270
	fix0899 = 7373
	fix1175 = 9633
	fix1501 = 12299
	fix1847 = 15137
	fix1961 = 16069
	fix2053 = 16819
	fix2562 = 20995
	fix3072 = 25172
)

// IntFDCT is FDCT as libjpeg computes it by default, rounding errors included
// (jfdctint.c, after Loeffler, Ligtenberg and Moschytz 1989). The result is 8
// times the orthonormal transform.
func IntFDCT(b *[64]int32) {
	for y := range 8 {
		intForward(b, 8*y, 1, 2, 11)
	}
	for x := range 8 {
		intForward(b, x, 8, -2, 15)
	}
}

// intForward is one pass of IntFDCT over the values at b[at], b[at+step], ...:
// the even sums are shifted left by up (right if negative), products right by down.
func intForward(b *[64]int32, at, step, up int, down uint) {
	v := func(i int) *int32 { return &b[(at+i*step)&63] }
	round := func(x int32, n uint) int32 { return (x + 1<<(n-1)) >> n }
	t0, t7 := *v(0)+*v(7), *v(0)-*v(7)
	t1, t6 := *v(1)+*v(6), *v(1)-*v(6)
	t2, t5 := *v(2)+*v(5), *v(2)-*v(5)
	t3, t4 := *v(3)+*v(4), *v(3)-*v(4)
	t10, t13 := t0+t3, t0-t3
	t11, t12 := t1+t2, t1-t2
	if up > 0 {
		*v(0), *v(4) = (t10+t11)<<up, (t10-t11)<<up
	} else {
		*v(0), *v(4) = round(t10+t11, uint(-up)), round(t10-t11, uint(-up))
	}
	z1 := (t12 + t13) * fix0541
	*v(2), *v(6) = round(z1+t13*fix0765, down), round(z1-t12*fix1847, down)
	z1 = -(t4 + t7) * fix0899
	z2 := -(t5 + t6) * fix2562
	z3, z4 := t4+t6, t5+t7
	z5 := (z3 + z4) * fix1175
	z3, z4 = z5-z3*fix1961, z5-z4*fix0390
	*v(7), *v(5) = round(t4*fix0298+z1+z3, down), round(t5*fix2053+z2+z4, down)
	*v(3), *v(1) = round(t6*fix3072+z2+z3, down), round(t7*fix1501+z1+z4, down)
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
