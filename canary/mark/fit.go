package mark

import "math"

// The fit re-enacts what happened to the picture between the original and the
// suspect: a filter (resampling kernel, blur, sharpening, a leftover shift or
// stretch), a tone curve, and what drifts slowly over the picture (offset, gain,
// position). All of it is fitted to pixels by least squares; no ring is involved.

// tap is one term of the filter: plane src seen from dx, dy further.
type tap struct{ src, dx, dy int }

const pad = 6 // pixels around a padded plane, at least the farthest tap

// taps: all shifts within 2 pixels, and a blurred copy at 4 pixels' distance.
var taps = func() []tap {
	var out []tap
	for dy := -2; dy <= 2; dy++ {
		for dx := -2; dx <= 2; dx++ {
			if dx != 0 || dy != 0 {
				out = append(out, tap{0, dx, dy})
			}
		}
	}
	for dy := -4; dy <= 4; dy += 4 {
		for dx := -4; dx <= 4; dx += 4 {
			out = append(out, tap{1, dx, dy})
		}
	}
	return out
}()

const (
	nodes    = 17 // of the tone curve, 16 grey levels apart
	stretchy = 4  // terms for leftover scale and rotation
)

var wideBlur = gauss(1.6, 5)

// padded is a plane with its edge repeated pad pixels outwards.
type padded struct {
	w, h, stride int
	pix          []float32
}

func padOut(src []float32, w, h int) padded {
	p := padded{w: w, h: h, stride: w + 2*pad}
	p.pix = make([]float32, p.stride*(h+2*pad))
	for y := range h + 2*pad {
		row := src[min(max(y-pad, 0), h-1)*w:][:w]
		dst := p.pix[y*p.stride:][:p.stride]
		copy(dst[pad:], row)
		for i := range pad {
			dst[i], dst[pad+w+i] = row[0], row[w-1]
		}
	}
	return p
}

// row is row y seen from dx, dy further.
func (p *padded) row(y, dx, dy int) []float32 {
	return p.pix[(y+dy+pad)*p.stride+pad+dx:][:p.w]
}

// model is a fitted re-enactment.
type model struct {
	filter  [64]float64 // one coefficient a tap
	stretch [stretchy]float64
	tone    [nodes]float64 // value at grey level 16 i
	filters bool           // the filter is more than the identity
}

// at is the tone curve's value and slope.
func (m *model) at(x float32) (v, slope float32) {
	f := min(max(float64(x)/16, 0), nodes-1.001)
	i := int(f)
	a, b := m.tone[i], m.tone[i+1]
	return float32(a + (b-a)*(f-float64(i))), float32((b - a) / 16)
}

// stage is the material of a fit.
type stage struct {
	w, h   int
	plain  []float32 // the reference on the window
	use    []bool    // pixels that count
	shifts [2]padded // plain, and blurred
}

func newStage(plain []float32, use []bool, w, h int) *stage {
	g := &stage{w: w, h: h, plain: plain, use: use}
	g.shifts = g.pair(plain)
	return g
}

func (g *stage) pair(p []float32) [2]padded {
	return [2]padded{padOut(p, g.w, g.h), padOut(smooth(p, g.w, g.h, wideBlur), g.w, g.h)}
}

// sample visits at most about n usable pixels, spread evenly.
func (g *stage) sample(n int, visit func(x, y, i int)) {
	step := max(1, g.w*g.h/n)
	for i := step / 2; i < g.w*g.h; i += step {
		// Rows start out of step, so that no column pattern is favoured.
		if g.use[i] {
			visit(i%g.w, i/g.w, i)
		}
	}
}

// fitTone fits the tone curve from src to target.
func (g *stage) fitTone(m *model, src, target []float32) {
	var n [nodes][nodes]float64
	var b [nodes]float64
	count := 0.0
	g.sample(60_000, func(_, _, i int) {
		f := min(max(float64(src[i])/16, 0), nodes-1.001)
		j := int(f)
		u := f - float64(j)
		t := float64(target[i])
		n[j][j] += (1 - u) * (1 - u)
		n[j+1][j+1] += u * u
		n[j][j+1] += u * (1 - u)
		n[j+1][j] += u * (1 - u)
		b[j] += (1 - u) * t
		b[j+1] += u * t
		count++
	})
	// Where no pixel says anything the curve goes on straight, at the identity in the last resort.
	stiff := 0.002*count + 1e-3
	for i := 1; i+1 < nodes; i++ {
		for a, ca := range [3]float64{1, -2, 1} {
			for c, cc := range [3]float64{1, -2, 1} {
				n[i-1+a][i-1+c] += 0.02 * stiff * ca * cc
			}
		}
	}
	for i := range nodes {
		n[i][i] += 1e-4 * stiff
		b[i] += 1e-4 * stiff * 16 * float64(i)
	}
	var a [nodes * nodes]float64
	for i := range nodes {
		copy(a[i*nodes:], n[i][:])
	}
	if solve(a[:], b[:], nodes) {
		m.tone = b
		return
	}
	for i := range m.tone {
		m.tone[i] = 16 * float64(i)
	}
}

// fitFilter fits the filter, the tone curve given, and returns the mean squared residual.
func (g *stage) fitFilter(m *model, target []float32) float64 {
	const k = 64
	nt := len(taps)
	nv := nt + stretchy
	var a [k * k]float64
	var b, v [k]float64
	var count, power float64
	cx, cy := float64(g.w)/2, float64(g.h)/2
	unit := 1 / max(cx, cy)
	g.sample(24_000, func(x, y, i int) {
		if x < 4 || y < 4 || x >= g.w-4 || y >= g.h-4 {
			return
		}
		e := g.plain[i]
		t, slope := m.at(e)
		if slope < 0.05 {
			return
		}
		at := (y+pad)*g.shifts[0].stride + x + pad
		for j, p := range taps {
			v[j] = float64(slope * (g.shifts[p.src].pix[at+p.dy*g.shifts[0].stride+p.dx] - e))
		}
		ex := float64(slope*(g.shifts[0].pix[at+1]-g.shifts[0].pix[at-1])) / 2
		ey := float64(slope*(g.shifts[0].pix[at+g.shifts[0].stride]-g.shifts[0].pix[at-g.shifts[0].stride])) / 2
		ux, uy := (float64(x)-cx)*unit, (float64(y)-cy)*unit
		v[nt], v[nt+1], v[nt+2], v[nt+3] = ux*ex, uy*ex, ux*ey, uy*ey
		r := float64(target[i] - t)
		for j := range nv {
			vj := v[j]
			row := a[j*nv : j*nv+j+1]
			for l := range row {
				row[l] += vj * v[l]
			}
			b[j] += vj * r
		}
		power += r * r
		count++
	})
	*m = model{tone: m.tone}
	if count < 200 {
		return math.Inf(1)
	}
	right := b
	for j := range nv {
		for l := range j {
			a[l*nv+j] = a[j*nv+l]
		}
		a[j*nv+j] += 1e-4*a[j*nv+j] + 0.02*count
	}
	if !solve(a[:nv*nv], b[:nv], nv) {
		return math.Inf(1)
	}
	for j := range nv {
		power -= b[j] * right[j]
	}
	var sum float64
	for j := range nt {
		m.filter[j] = b[j]
		sum += math.Abs(b[j])
	}
	for j := range stretchy {
		m.stretch[j] = b[nt+j]
		sum += math.Abs(b[nt+j])
	}
	m.filters = sum > 0.01
	return power / count
}

// run applies the filter to a plane and its blurred copy.
func (g *stage) run(m *model, p [2]padded) []float32 {
	out := make([]float32, g.w*g.h)
	own := float32(1)
	for j := range taps {
		own -= float32(m.filter[j])
	}
	cx, cy := float32(g.w)/2, float32(g.h)/2
	unit := 1 / max(cx, cy)
	var st [stretchy]float32
	stretched := false
	for j, s := range m.stretch {
		st[j] = float32(s) * unit
		stretched = stretched || math.Abs(s) > 0.004
	}
	for y := range g.h {
		dst := out[y*g.w : y*g.w+g.w]
		for x, v := range p[0].row(y, 0, 0) {
			dst[x] = own * v
		}
		for j, t := range taps {
			c := float32(m.filter[j])
			if c == 0 {
				continue
			}
			for x, v := range p[t.src].row(y, t.dx, t.dy) {
				dst[x] += c * v
			}
		}
		if !stretched {
			continue
		}
		left, right := p[0].row(y, -1, 0), p[0].row(y, 1, 0)
		up, down := p[0].row(y, 0, -1), p[0].row(y, 0, 1)
		uy := float32(y) - cy
		for x := range dst {
			ux := float32(x) - cx
			dst[x] += (st[0]*ux+st[1]*uy)*(right[x]-left[x])/2 + (st[2]*ux+st[3]*uy)*(down[x]-up[x])/2
		}
	}
	return out
}

// drift is what changes slowly over the picture: per cell an offset, a gain
// and a displacement, interpolated between cell centres.
type drift struct {
	size, cw, ch int
	cells        [][4]float32
}

// fitDrift fits the drift of target against the prediction p.
func (g *stage) fitDrift(p, target []float32, size int) drift {
	d := drift{size: size, cw: (g.w + size - 1) / size, ch: (g.h + size - 1) / size}
	type sums struct {
		a [10]float64
		b [4]float64
		r float64
	}
	raw := make([]sums, d.cw*d.ch)
	for y := 1; y < g.h-1; y++ {
		for x := 1; x < g.w-1; x++ {
			i := y*g.w + x
			if !g.use[i] {
				continue
			}
			v := [4]float64{1, float64(p[i]-128) / 64, float64(p[i+1]-p[i-1]) / 2, float64(p[i+g.w]-p[i-g.w]) / 2}
			r := float64(target[i] - p[i])
			s := &raw[y/size*d.cw+x/size]
			s.a[0] += 1
			s.a[1] += v[1]
			s.a[2] += v[2]
			s.a[3] += v[3]
			s.a[4] += v[1] * v[1]
			s.a[5] += v[1] * v[2]
			s.a[6] += v[1] * v[3]
			s.a[7] += v[2] * v[2]
			s.a[8] += v[2] * v[3]
			s.a[9] += v[3] * v[3]
			s.b[0] += r
			s.b[1] += r * v[1]
			s.b[2] += r * v[2]
			s.b[3] += r * v[3]
			s.r += r * r
		}
	}
	d.cells = make([][4]float32, len(raw))
	for cy := range d.ch {
		for cx := range d.cw {
			var s sums
			for ny := max(0, cy-1); ny <= min(d.ch-1, cy+1); ny++ {
				for nx := max(0, cx-1); nx <= min(d.cw-1, cx+1); nx++ {
					f := 1.0
					if nx != cx {
						f /= 2
					}
					if ny != cy {
						f /= 2
					}
					o := &raw[ny*d.cw+nx]
					for i := range s.a {
						s.a[i] += f * o.a[i]
					}
					for i := range s.b {
						s.b[i] += f * o.b[i]
					}
					s.r += f * o.r
				}
			}
			if s.a[0] < 16 {
				continue
			}
			// Ridge: the noise against what drifts are usual (levels, share per 64 levels, pixels).
			noise := s.r/s.a[0] + 0.1
			var a [16]float64
			at := 0
			for i := range 4 {
				for j := i; j < 4; j++ {
					a[4*i+j], a[4*j+i] = s.a[at], s.a[at]
					at++
				}
			}
			for i, usual := range [4]float64{8, 4, 0.3, 0.3} {
				a[5*i] += 8 * noise / (usual * usual)
			}
			if !solve(a[:], s.b[:], 4) {
				continue
			}
			for i, limit := range [4]float64{60, 30, 1.5, 1.5} {
				d.cells[cy*d.cw+cx][i] = float32(min(max(s.b[i], -limit), limit))
			}
		}
	}
	return d
}

// run adds the drift to a prediction in place and multiplies slope by its gain.
func (d *drift) run(p, slope []float32, w, h int) {
	src := append([]float32(nil), p...)
	for y := range h {
		fy := (float32(y)+0.5)/float32(d.size) - 0.5
		y0 := int(math.Floor(float64(fy)))
		v := fy - float32(y0)
		top, low := min(max(y0, 0), d.ch-1)*d.cw, min(max(y0+1, 0), d.ch-1)*d.cw
		up, down := src[max(y-1, 0)*w:][:w], src[min(y+1, h-1)*w:][:w]
		row := src[y*w : y*w+w]
		for x := range row {
			fx := (float32(x)+0.5)/float32(d.size) - 0.5
			x0 := int(fx+1) - 1
			u := fx - float32(x0)
			l, r := min(max(x0, 0), d.cw-1), min(max(x0+1, 0), d.cw-1)
			a, b, c, e := &d.cells[top+l], &d.cells[top+r], &d.cells[low+l], &d.cells[low+r]
			wa, wb, wc, we := (1-u)*(1-v), u*(1-v), (1-u)*v, u*v
			gain := wa*a[1] + wb*b[1] + wc*c[1] + we*e[1]
			p[y*w+x] += wa*a[0] + wb*b[0] + wc*c[0] + we*e[0] + gain*(row[x]-128)/64 +
				(wa*a[2]+wb*b[2]+wc*c[2]+we*e[2])*(row[min(x+1, w-1)]-row[max(x-1, 0)])/2 +
				(wa*a[3]+wb*b[3]+wc*c[3]+we*e[3])*(down[x]-up[x])/2
			slope[y*w+x] *= max(0, 1+gain/64)
		}
	}
}

// solve solves the symmetric positive system a x = b of n unknowns in place by
// Cholesky; false if a is not positive.
func solve(a, b []float64, n int) bool {
	for j := range n {
		for i := j; i < n; i++ {
			s := a[i*n+j]
			for k := range j {
				s -= a[i*n+k] * a[j*n+k]
			}
			if i == j {
				if !(s > 1e-12) || math.IsInf(s, 0) {
					return false
				}
				a[j*n+j] = math.Sqrt(s)
				continue
			}
			a[i*n+j] = s / a[j*n+j]
		}
	}
	for i := range n {
		for k := range i {
			b[i] -= a[i*n+k] * b[k]
		}
		b[i] /= a[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			b[i] -= a[k*n+i] * b[k]
		}
		b[i] /= a[i*n+i]
	}
	for _, v := range b[:n] {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
