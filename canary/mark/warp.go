package mark

import "math"

// A kernel is how a program reduces or moves pixels: a weight over distance in
// pixels, stretched by the reduction unless the program does not look at more
// than its neighbours (plain).
type kernel struct {
	reach  float64
	plain  bool
	weight func(d float64) float64
}

// Kernels that clone sites' software uses; the filter of fit.go takes up what
// lies between them.
var (
	cubic   = kernel{2, false, func(d float64) float64 { return bicubic(d, -0.5) }}
	box     = kernel{0.5, false, func(float64) float64 { return 1 }}
	hat     = kernel{1, false, func(d float64) float64 { return max(0, 1-math.Abs(d)) }}
	lanczos = kernel{3, false, func(d float64) float64 { return sinc(d) * sinc(d/3) }}
	nearby  = kernel{1, true, func(d float64) float64 { return max(0, 1-math.Abs(d)) }}
)

func sinc(d float64) float64 {
	if math.Abs(d) < 1e-9 {
		return 1
	}
	if math.Abs(d) >= 3 {
		return 0
	}
	return math.Sin(math.Pi*d) / (math.Pi * d)
}

// bicubic is Keys' interpolator with slope a.
func bicubic(d, a float64) float64 {
	d = math.Abs(d)
	switch {
	case d < 1:
		return ((a+2)*d-(a+3))*d*d + 1
	case d < 2:
		return ((a*d-5*a)*d+8*a)*d - 4*a
	}
	return 0
}

// apply maps a point.
func (t Affine) apply(x, y float64) (float64, float64) {
	return t.A*x + t.B*y + t.C, t.D*x + t.E*y + t.F
}

func (t Affine) det() float64 { return t.A*t.E - t.B*t.D }

// inverse is the transform back; det must not be 0.
func (t Affine) inverse() Affine {
	d := t.det()
	i := Affine{A: t.E / d, B: -t.B / d, D: -t.D / d, E: t.A / d}
	i.C = -(i.A*t.C + i.B*t.F)
	i.F = -(i.D*t.C + i.E*t.F)
	return i
}

// sizes are the lengths of the reference's pixel sides on the suspect.
func (t Affine) sizes() (sx, sy float64) { return math.Hypot(t.A, t.D), math.Hypot(t.B, t.E) }

// upright says whether the transform turns and shears by less than a
// fiftieth of a pixel over a w x h picture.
func (t Affine) upright(w, h int) bool {
	return math.Abs(t.B)*float64(h) < 0.02 && math.Abs(t.D)*float64(w) < 0.02
}

// window is a rectangle of the suspect, its corner on the 8-pixel grid, sides
// multiples of 8: where the picture lies.
type window struct {
	x0, y0, w, h int
	t, back      Affine    // reference to window pixels, and back
	off          []float32 // dx, dy of every window pixel off the map; nil for a straight suspect
	reach        float64   // the largest of them
}

// from is the place in the reference that window pixel x, y shows.
func (v *window) from(x, y int) (float64, float64) {
	fx, fy := v.spot(x, y)
	return v.back.apply(fx, fy)
}

// spot is where on an unbent window the pixel x, y would lie.
func (v *window) spot(x, y int) (float64, float64) {
	fx, fy := float64(x)+0.5, float64(y)+0.5
	if v.off != nil {
		i := 2 * (y*v.w + x)
		fx, fy = fx+float64(v.off[i]), fy+float64(v.off[i+1])
	}
	return fx, fy
}

// place finds the window of a w x h reference on a suspect; false when nothing of it lies there.
func place(w, h int, s Plane, t Affine) (window, bool) {
	lox, loy, hix, hiy := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i := range 4 {
		x, y := t.apply(float64(i&1*w), float64(i>>1*h))
		lox, loy, hix, hiy = min(lox, x), min(loy, y), max(hix, x), max(hiy, y)
	}
	lox, loy = max(0, math.Floor(lox)), max(0, math.Floor(loy))
	hix, hiy = min(float64(s.W), math.Ceil(hix)), min(float64(s.H), math.Ceil(hiy))
	if !(hix-lox >= 8) || !(hiy-loy >= 8) {
		return window{}, false
	}
	v := window{x0: int(lox) &^ 7, y0: int(loy) &^ 7}
	v.w, v.h = (int(hix)-v.x0+7)&^7, (int(hiy)-v.y0+7)&^7
	v.t = t
	v.t.C -= float64(v.x0)
	v.t.F -= float64(v.y0)
	v.back = v.t.inverse()
	return v, true
}

// span is where one output pixel of a line takes its value from.
type span struct {
	from int
	w    []float32
}

// spans weighs n source pixels for m output pixels whose centre i+.5 lies at
// (i+.5-shift)/scale of the source. The edge pixels repeat.
func (k kernel) spans(n, m int, scale, shift float64) []span {
	wide := 1.0
	if s := math.Abs(scale); s < 1 && !k.plain {
		wide = 1 / s
	}
	reach := k.reach * wide
	out := make([]span, m)
	for i := range out {
		at := (float64(i) + 0.5 - shift) / scale
		at = min(max(at, -reach), float64(n)+reach)
		lo, hi := int(math.Floor(at-reach)), int(math.Ceil(at+reach))
		first, last := min(max(lo, 0), n-1), min(max(hi-1, 0), n-1)
		s := span{from: first, w: make([]float32, last-first+1)}
		var sum float64
		for j := lo; j < hi; j++ {
			w := k.at(float64(j), at, reach, wide)
			s.w[min(max(j, first), last)-first] += float32(w)
			sum += w
		}
		if math.Abs(sum) < 1e-6 {
			clear(s.w)
			s.w[0], sum = 1, 1
		}
		for j := range s.w {
			s.w[j] /= float32(sum)
		}
		out[i] = s
	}
	return out
}

// at is the weight of pixel j for a sample at, all in source pixels; the box
// counts the part of the pixel inside it.
func (k kernel) at(j, at, reach, wide float64) float64 {
	if k.reach == 0.5 {
		return max(0, min(at+reach, j+1)-max(at-reach, j))
	}
	return k.weight((j + 0.5 - at) / wide)
}

// resize maps a plane along its axes through spans of x and y.
func resize(p Plane, xs, ys []span) []float32 {
	w := len(xs)
	lines := make([][]float32, p.H)
	line := func(y int) []float32 {
		if lines[y] == nil {
			lines[y] = shrunk(p.Pix[y*p.W:(y+1)*p.W], xs)
		}
		return lines[y]
	}
	out := make([]float32, w*len(ys))
	for y := range ys {
		s := &ys[y]
		dst := out[y*w : y*w+w]
		for i, f := range s.w {
			if f == 0 {
				continue
			}
			for x, v := range line(s.from + i)[:len(dst)] {
				dst[x] += f * v
			}
		}
	}
	return out
}

func shrunk(src []float32, xs []span) []float32 {
	r := make([]float32, len(xs))
	for x := range r {
		s := &xs[x]
		in := src[s.from : s.from+len(s.w)]
		var sum float32
		for i, f := range s.w {
			sum += f * in[i]
		}
		r[x] = sum
	}
	return r
}

// mapped is a reference plane on the window.
func (v *window) mapped(p Plane, k kernel) []float32 {
	if v.off == nil && v.t.upright(p.W, p.H) {
		if whole(v.t.A, v.t.C) && whole(v.t.E, v.t.F) {
			return v.copied(p)
		}
		return resize(p, k.spans(p.W, v.w, v.t.A, v.t.C), k.spans(p.H, v.h, v.t.E, v.t.F))
	}
	// First to size, then turned.
	sx, sy := v.t.sizes()
	mid := p
	rest := v.t
	if sx < 0.99 || sy < 0.99 {
		mw, mh := max(1, int(math.Ceil(float64(p.W)*sx))), max(1, int(math.Ceil(float64(p.H)*sy)))
		mid = Plane{W: mw, H: mh, Pix: resize(p, k.spans(p.W, mw, sx, 0), k.spans(p.H, mh, sy, 0))}
		rest.A, rest.D, rest.B, rest.E = rest.A/sx, rest.D/sx, rest.B/sy, rest.E/sy
	}
	return v.turned(mid, rest.inverse())
}

func whole(scale, shift float64) bool {
	return math.Abs(math.Abs(scale)-1) < 1e-5 && math.Abs(shift-math.Round(shift)) < 0.003
}

// copied is mapped for a transform that moves or mirrors by whole pixels.
func (v *window) copied(p Plane) []float32 {
	out := make([]float32, v.w*v.h)
	cols := make([]int, v.w)
	for x := range cols {
		cols[x] = nearest(v.back.A*(float64(x)+0.5)+v.back.C, p.W)
	}
	for y := range v.h {
		row := p.Pix[nearest(v.back.E*(float64(y)+0.5)+v.back.F, p.H)*p.W:][:p.W]
		dst := out[y*v.w : y*v.w+v.w]
		for x, c := range cols {
			dst[x] = row[c]
		}
	}
	return out
}

func nearest(f float64, n int) int { return min(max(int(math.Floor(f)), 0), n-1) }

// turnSteps are the positions between two pixels that turned knows.
const turnSteps = 64

var turnTable = func() (table [turnSteps + 1][4]float32) {
	for i := range table {
		for j := range 4 {
			table[i][j] = float32(bicubic(float64(i)/turnSteps-float64(j-1), -0.5))
		}
	}
	return
}()

// turned samples p bicubically at back of every window pixel.
func (v *window) turned(p Plane, back Affine) []float32 {
	out := make([]float32, v.w*v.h)
	for y := range v.h {
		for x := range v.w {
			fx, fy := back.apply(v.spot(x, y))
			fx, fy = min(max(fx-0.5, -1), float64(p.W)), min(max(fy-0.5, -1), float64(p.H))
			out[y*v.w+x] = p.between(fx, fy)
		}
	}
	return out
}

// between is the plane at fx, fy, pixel centres at whole numbers.
func (p *Plane) between(fx, fy float64) float32 {
	ix, iy := int(math.Floor(fx)), int(math.Floor(fy))
	wx, wy := &turnTable[int((fx-float64(ix))*turnSteps+0.5)], &turnTable[int((fy-float64(iy))*turnSteps+0.5)]
	var sum float32
	if ix >= 1 && iy >= 1 && ix+2 < p.W && iy+2 < p.H {
		for j := range 4 {
			r := p.Pix[(iy-1+j)*p.W+ix-1:][:4]
			sum += wy[j] * (wx[0]*r[0] + wx[1]*r[1] + wx[2]*r[2] + wx[3]*r[3])
		}
		return sum
	}
	for j := range 4 {
		r := p.Pix[min(max(iy-1+j, 0), p.H-1)*p.W:]
		for i := range 4 {
			sum += wy[j] * wx[i] * r[min(max(ix-1+i, 0), p.W-1)]
		}
	}
	return sum
}
