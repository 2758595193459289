package find

import (
	"math"
	"slices"

	"birdring/canary/mark"
)

// structure is a plane freed of local brightness and contrast: (x - mean) /
// (deviation + floor) over windows of a few pixels. Tone curves, vignettes and
// translucent overlays leave it nearly unchanged.
type structure struct {
	mark.Plane
}

// normRadius is the half side of those windows; noiseFloor keeps noise and
// compression artefacts of flat areas small (in grey levels).
const (
	normRadius = 6
	edge       = normRadius // nearer to an edge, windows see borders and captions or are cut
	noiseFloor = 6
)

func newStructure(p mark.Plane) structure {
	mean := boxMean(p, normRadius)
	square := mark.Plane{W: p.W, H: p.H, Pix: make([]float32, len(p.Pix))}
	for i, v := range p.Pix {
		d := v - mean.Pix[i]
		mean.Pix[i] = d
		square.Pix[i] = d * d
	}
	dev := boxMean(square, normRadius)
	for i, d := range mean.Pix {
		mean.Pix[i] = d / (float32(math.Sqrt(float64(max(dev.Pix[i], 0)))) + noiseFloor)
	}
	return structure{mean}
}

// soften blurs with a Gaussian of sigma 1. Interpolating between pixels blurs a
// little too; on planes with sharper detail a blurred suspect would fit best
// half a pixel beside its place.
func soften(p mark.Plane) mark.Plane {
	const a, b, c = 6.0 / 16, 4.0 / 16, 1.0 / 16
	tmp := slices.Clone(p.Pix)
	for y := range p.H {
		src, dst := p.Pix[y*p.W:(y+1)*p.W], tmp[y*p.W:(y+1)*p.W]
		for x := 2; x < p.W-2; x++ {
			dst[x] = a*src[x] + b*(src[x-1]+src[x+1]) + c*(src[x-2]+src[x+2])
		}
	}
	out := mark.Plane{W: p.W, H: p.H, Pix: slices.Clone(tmp)}
	for y := 2; y < p.H-2; y++ {
		dst := out.Pix[y*p.W : (y+1)*p.W]
		m2, m1, z, p1, p2 := tmp[(y-2)*p.W:], tmp[(y-1)*p.W:], tmp[y*p.W:], tmp[(y+1)*p.W:], tmp[(y+2)*p.W:]
		for x := range dst {
			dst[x] = a*z[x] + b*(m1[x]+p1[x]) + c*(m2[x]+p2[x])
		}
	}
	return out
}

// sample interpolates (cubic, Catmull-Rom) value and gradient at x, y in
// coordinates with pixel centres at + 0.5; ok is false near and outside the edges.
func (s *structure) sample(x, y float64) (v, gx, gy float32, ok bool) {
	x, y = x-0.5, y-0.5
	if !(x >= edge && y >= edge && x < float64(s.W-1-edge) && y < float64(s.H-1-edge)) {
		return 0, 0, 0, false
	}
	ix, iy := int(x), int(y)
	wx, dx := cubic(float32(x - float64(ix)))
	wy, dy := cubic(float32(y - float64(iy)))
	at := (iy-1)*s.W + ix - 1
	for k := range 4 {
		r := s.Pix[at : at+4 : at+4]
		row := wx[0]*r[0] + wx[1]*r[1] + wx[2]*r[2] + wx[3]*r[3]
		v += wy[k] * row
		gx += wy[k] * (dx[0]*r[0] + dx[1]*r[1] + dx[2]*r[2] + dx[3]*r[3])
		gy += dy[k] * row
		at += s.W
	}
	return v, gx, gy, true
}

// value is sample without the gradient.
func (s *structure) value(x, y float64) (v float32, ok bool) {
	x, y = x-0.5, y-0.5
	if !(x >= edge && y >= edge && x < float64(s.W-1-edge) && y < float64(s.H-1-edge)) {
		return 0, false
	}
	ix, iy := int(x), int(y)
	wx, wy := cubicWeights(float32(x-float64(ix))), cubicWeights(float32(y-float64(iy)))
	at := (iy-1)*s.W + ix - 1
	for k := range 4 {
		r := s.Pix[at : at+4 : at+4]
		v += wy[k] * (wx[0]*r[0] + wx[1]*r[1] + wx[2]*r[2] + wx[3]*r[3])
		at += s.W
	}
	return v, true
}

// cubicWeights are the weights of Catmull-Rom interpolation.
func cubicWeights(t float32) [4]float32 {
	t2 := t * t
	t3 := t2 * t
	return [4]float32{
		0.5 * (-t3 + 2*t2 - t),
		0.5 * (3*t3 - 5*t2 + 2),
		0.5 * (-3*t3 + 4*t2 + t),
		0.5 * (t3 - t2),
	}
}

// cubic gives the weights of Catmull-Rom interpolation and of its derivative.
func cubic(t float32) (w, d [4]float32) {
	t2 := t * t
	w = cubicWeights(t)
	d = [4]float32{
		0.5 * (-3*t2 + 4*t - 1),
		0.5 * (9*t2 - 10*t),
		0.5 * (-9*t2 + 8*t + 1),
		0.5 * (3*t2 - 2*t),
	}
	return w, d
}

// compared is a suspect pixel that is compared: its place and value, and what the
// reference shows there.
type compared struct{ u, v, s, r, gx, gy float32 }

// look lists the suspect pixels that are compared: a regular part of
// those that lie inside both pictures, about budget of them; with the reference's
// gradients when asked for.
func (w *work) look(gradients bool) []compared {
	w.seen = w.seen[:0]
	// The rows and columns that can lie inside: the image of ref.
	inv, ok := invert(w.toRef)
	if !ok {
		return nil
	}
	box := imageOf(inv, w.ref.W, w.ref.H, w.suspect.W, w.suspect.H)
	left, right := clampInt(box.x0, edge, w.suspect.W-edge), clampInt(box.x1+1, edge, w.suspect.W-edge)
	top, bottom := clampInt(box.y0, edge, w.suspect.H-edge), clampInt(box.y1+1, edge, w.suspect.H-edge)
	step := max(1, int(math.Sqrt(float64((right-left)*(bottom-top))/budget)+0.5))
	t := w.toRef
	for y := top; y < bottom; y += step {
		v := float64(y) + 0.5
		for x := left + y/step%step; x < right; x += step {
			u := float64(x) + 0.5
			c := compared{u: float32(u), v: float32(v), s: w.suspect.Pix[y*w.suspect.W+x]}
			rx, ry := t.A*u+t.B*v+t.C, t.D*u+t.E*v+t.F
			if gradients {
				c.r, c.gx, c.gy, ok = w.ref.sample(rx, ry)
			} else {
				c.r, ok = w.ref.value(rx, ry)
			}
			if ok {
				w.seen = append(w.seen, c)
			}
		}
	}
	return w.seen
}

func clampInt(v float64, lo, hi int) int {
	return int(math.Min(math.Max(v, float64(lo)), float64(max(lo, hi))))
}

// step is one robust Gauss-Newton step on the map: suspect = gain * ref + bias.
// It returns how far the overlap's corners moved, in pixels of the planes, and
// the correlation before the step; ok is false when there is too little to see.
func (w *work) step() (far, ncc float64, ok bool) {
	seen := w.look(true)
	gain, bias, scale, ncc := tone(seen)
	if len(seen) < leastSide*leastSide/2 || !(gain > 0.02) {
		return 0, ncc, false
	}
	const params = 8 // A B C D E F of the map, gain, bias
	var m [params][params]float64
	var rhs [params]float64
	cx, cy := float64(w.suspect.W)/2, float64(w.suspect.H)/2
	unit := 2 / float64(max(w.suspect.W, w.suspect.H))
	limit := float32(1 / (scale * scale))
	g32, b32 := float32(gain), float32(bias)
	for i := range seen {
		p := &seen[i]
		e := p.s - g32*p.r - b32
		k := 1 / (1 + e*e*limit)
		k *= k
		x, y := float32((float64(p.u)-cx)*unit), float32((float64(p.v)-cy)*unit)
		gx, gy := p.gx*g32, p.gy*g32
		j := [params]float32{gx * x, gx * y, gx, gy * x, gy * y, gy, p.r, 1}
		for a := range j {
			f := k * j[a]
			rhs[a] += float64(f * e)
			row := &m[a]
			for b := a; b < params; b++ {
				row[b] += float64(f * j[b])
			}
		}
	}
	rows := make([][]float64, params)
	for a := range m {
		rows[a] = make([]float64, params+1)
		for b := range params {
			rows[a][b] = m[min(a, b)][max(a, b)]
		}
		rows[a][a] *= 1 + 1e-6 // keeps structure in one direction only solvable
		rows[a][a] += 1e-9
		rows[a][params] = rhs[a]
	}
	sol, ok := solve(rows, 1)
	if !ok {
		return 0, ncc, false
	}
	d := mark.Affine{A: sol[0][0] * unit, B: sol[1][0] * unit, D: sol[3][0] * unit, E: sol[4][0] * unit}
	d.C = sol[2][0] - d.A*cx - d.B*cy
	d.F = sol[5][0] - d.D*cx - d.E*cy
	next := mark.Affine{
		A: w.toRef.A + d.A, B: w.toRef.B + d.B, C: w.toRef.C + d.C,
		D: w.toRef.D + d.D, E: w.toRef.E + d.E, F: w.toRef.F + d.F,
	}
	far = moved(w.toRef, next, w.suspect.W, w.suspect.H)
	if !(far < float64(max(w.suspect.W, w.suspect.H))) {
		return far, ncc, false
	}
	w.toRef = next
	return far, ncc, true
}

// tone fits gain and bias, and measures the scale of the residuals (robustly)
// and the correlation.
func tone(seen []compared) (gain, bias, scale, ncc float64) {
	var ss, sr, sss, srr, ssr float64
	for i := range seen {
		a, b := float64(seen[i].s), float64(seen[i].r)
		ss, sr, sss, srr, ssr = ss+a, sr+b, sss+a*a, srr+b*b, ssr+a*b
	}
	if len(seen) < 2 {
		return 0, 0, 1, 0
	}
	c := 1 / float64(len(seen))
	vs, vr, cov := sss*c-ss*c*ss*c, srr*c-sr*c*sr*c, ssr*c-ss*c*sr*c
	if !(vs > 1e-9 && vr > 1e-9) {
		return 0, 0, 1, 0
	}
	ncc = cov / math.Sqrt(vs*vr)
	gain = cov / vr
	bias = ss*c - gain*sr*c
	residuals := make([]float32, 0, len(seen)/16+1)
	for i := 15; i < len(seen); i += 16 {
		residuals = append(residuals, float32(math.Abs(float64(seen[i].s)-gain*float64(seen[i].r)-bias)))
	}
	scale = math.Sqrt(vs)
	if len(residuals) > 0 {
		slices.Sort(residuals)
		scale = 3*1.4826*float64(residuals[len(residuals)/2]) + 1e-3
	}
	return gain, bias, scale, ncc
}

// match blurs ref as far as the suspect seems to have been blurred, and says
// whether it did: against a sharper reference a blurred suspect fits best where
// interpolation blurs most, beside its place.
func (w *work) match() bool {
	best, blurred := w.correlation(), false
	for range 8 {
		next := *w
		next.plain = soften(w.plain)
		next.ref = newStructure(next.plain)
		ncc := next.correlation()
		if ncc < best+1e-4 {
			break
		}
		*w, best, blurred = next, ncc, true
	}
	return blurred
}

// correlation is the normalised correlation of the two structures where they overlap.
func (w *work) correlation() float64 {
	_, _, _, ncc := tone(w.look(false))
	return ncc
}
