package mark

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// reader carries one reading through its steps.
type reader struct {
	ref   *Reference
	v     window
	raw   []float32 // the suspect on the window
	use   []bool    // window pixels inside both pictures
	open  []bool    // of them those that nothing seems to cover
	quant *[64]uint16
	round *Rounded

	plain  []float32   // the reference, mapped
	halves [][]float32 // the halves of each colour, mapped
	cells  cells

	p      []float32   // prediction without a ring
	h      [][]float32 // halves as the prediction shows them
	pieces []piece
	mean   [][64]float32 // prediction with the believed ring
	noise  noise
	rings  []ringed
}

var errNothing = errors.New("reference and suspect hold no pixels: pass decoded pictures")

// Read reads soft values out of a suspect that shows the reference's picture
// under the transform t (reference pixels to suspect pixels), which should be
// right to 0.1 px. No ring is looked at. Where nothing of the picture lies on the
// suspect, all values are 0. Time and memory grow with the smaller of
// the two pictures; about half a second at 1080 px. It fails on planes that
// contradict their size, on a transform that is no transform, and when ctx ends.
func Read(ctx context.Context, ref *Reference, s *Suspect, t Affine) (*Soft, error) {
	r, err := weighed(ctx, ref, s, t)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return &Soft{Y: make([]int16, ref.Grid.Segments())}, nil
	}
	return r.soft(), nil
}

// weighed reads up to the likelihoods; nil when nothing of the picture lies on the suspect.
func weighed(ctx context.Context, ref *Reference, s *Suspect, t Affine) (*reader, error) {
	if ref == nil || s == nil {
		return nil, errNothing
	}
	if err := check(ref, s, t); err != nil {
		return nil, err
	}
	luma, quant, t, part := bounded(ref, s, t)
	v, ok := place(ref.Mean.W, ref.Mean.H, luma, t)
	if !ok {
		return nil, nil
	}
	if s.Bend != nil && s.Bend.whole() {
		v.off = s.Bend.onto(v.w, v.h, part.x0+float64(v.x0)*part.fx, part.y0+float64(v.y0)*part.fy, part.fx, part.fy)
		v.reach = reach(v.off)
	}
	r := &reader{ref: ref, v: v, quant: quant}
	if quant == nil && part.fx == 1 && part.fy == 1 {
		r.round = s.Rounded
	}
	r.take(luma)
	if err := r.mapReference(ctx); err != nil {
		return nil, err
	}
	if err := r.enact(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func check(ref *Reference, s *Suspect, t Affine) error {
	for _, p := range []Plane{ref.Mean, ref.Half, s.Luma} {
		if p.W < 1 || p.H < 1 || len(p.Pix) != p.W*p.H {
			return errNothing
		}
	}
	g := ref.Grid
	if ref.Half.W != ref.Mean.W || ref.Half.H != ref.Mean.H || g.W != ref.Mean.W || g.H != ref.Mean.H || g.MCU < 8 || g.Row < 0 || g.Run < 1 {
		return fmt.Errorf("reference planes of %d x %d and %d x %d do not fit their grid of %d x %d",
			ref.Mean.W, ref.Mean.H, ref.Half.W, ref.Half.H, g.W, g.H)
	}
	for _, f := range []float64{t.A, t.B, t.C, t.D, t.E, t.F} {
		if math.IsNaN(f) || math.Abs(f) > 1e7 {
			return fmt.Errorf("transform %v is out of range: align the pictures first", t)
		}
	}
	sx, sy := t.sizes()
	if sx < 0.01 || sy < 0.01 || sx > 100 || sy > 100 || math.Abs(t.det()) < 0.05*sx*sy {
		return fmt.Errorf("transform %v squashes the picture: align the pictures first", t)
	}
	return nil
}

// bounded reduces a suspect that shows the picture far larger than the
// reference is: the detail is made up, and the time would be unbounded.
func bounded(ref *Reference, s *Suspect, t Affine) (Plane, *[64]uint16, Affine, part) {
	all := part{fx: 1, fy: 1}
	sx, sy := t.sizes()
	if sx*sy <= 1.5 && max(sx, sy) <= 2 {
		return s.Luma, s.Quant, t, all
	}
	// Only what lies under the picture is wanted; its place moves along.
	v, ok := place(ref.Mean.W, ref.Mean.H, s.Luma, t)
	if !ok {
		return s.Luma, s.Quant, t, all
	}
	fx, fy := min(1, 1/sx), min(1, 1/sy)
	if !t.upright(ref.Mean.W, ref.Mean.H) {
		fx = min(fx, fy)
		fy = fx
	}
	w, h := min(v.w, s.Luma.W-v.x0), min(v.h, s.Luma.H-v.y0)
	cut := Plane{W: w, H: h, Pix: make([]float32, w*h)}
	for y := range h {
		copy(cut.Pix[y*w:(y+1)*w], s.Luma.Pix[(v.y0+y)*s.Luma.W+v.x0:])
	}
	nw, nh := max(1, int(float64(w)*fx)), max(1, int(float64(h)*fy))
	fx, fy = float64(nw)/float64(w), float64(nh)/float64(h)
	small := Plane{W: nw, H: nh, Pix: resize(cut, hat.spans(w, nw, fx, 0), hat.spans(h, nh, fy, 0))}
	n := v.t
	return small, nil, Affine{n.A * fx, n.B * fx, n.C * fx, n.D * fy, n.E * fy, n.F * fy},
		part{float64(v.x0), float64(v.y0), 1 / fx, 1 / fy}
}

// part says which part of a suspect a plane is: its corner, and how many pixels
// of the suspect its own are apart.
type part struct{ x0, y0, fx, fy float64 }

// take cuts the window out of the suspect and marks the pixels inside both pictures.
func (r *reader) take(p Plane) {
	v := r.v
	r.raw, r.use = make([]float32, v.w*v.h), make([]bool, v.w*v.h)
	fw, fh := float64(r.ref.Mean.W), float64(r.ref.Mean.H)
	for y := range v.h {
		src := p.Pix[min(v.y0+y, p.H-1)*p.W:][:p.W]
		for x := range v.w {
			f := src[min(v.x0+x, p.W-1)]
			if !(f > 0) { // also what is no number
				f = 0
			}
			i := y*v.w + x
			r.raw[i] = min(f, 255)
			if v.x0+x < p.W && v.y0+y < p.H {
				bx, by := v.from(x, y)
				r.use[i] = bx > 0 && by > 0 && bx < fw && by < fh
			}
		}
	}
}

// mapReference brings mean and half onto the window with the resampling kernel
// that leaves the least residual.
func (r *reader) mapReference(ctx context.Context) error {
	mean := r.ref.Mean
	clamped := Plane{W: mean.W, H: mean.H, Pix: make([]float32, len(mean.Pix))}
	half := Plane{W: mean.W, H: mean.H, Pix: make([]float32, len(mean.Pix))}
	for i, f := range mean.Pix {
		if !(f > 0) {
			f = 0
		}
		clamped.Pix[i] = min(f, 255)
		if d := r.ref.Half.Pix[i]; d > -128 && d < 128 {
			half.Pix[i] = d
		}
	}
	best := cubic
	r.plain = r.v.mapped(clamped, best)
	r.open = (&stage{w: r.v.w, h: r.v.h, plain: r.plain, use: r.use}).uncovered(r.raw)
	sx, sy := r.v.t.sizes()
	if min(sx, sy) < 0.95 {
		least, chosen := math.Inf(1), r.plain
		for i, k := range []kernel{cubic, hat, box, lanczos, nearby} {
			if err := ctx.Err(); err != nil {
				return err
			}
			e := r.plain
			if i > 0 {
				e = r.v.mapped(clamped, k)
			}
			g := newStage(e, r.open, r.v.w, r.v.h)
			var m model
			g.fitTone(&m, e, r.raw)
			if res := g.fitFilter(&m, r.raw); res < least {
				least, best, chosen = res, k, e
			}
		}
		r.plain = chosen
	}
	r.cells = newCells(r.ref.Grid, r.v)
	n := r.cells.colours
	for c := range n * n {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := half
		if n > 1 {
			p = r.cells.only(half, c%n, c/n)
		}
		r.halves = append(r.halves, r.v.mapped(p, best))
	}
	return nil
}

// enact fits the re-enactment twice: the second time without what the first
// reading made out of the ring, and with coefficients put back where the
// suspect's quantiser bins allow.
func (r *reader) enact(ctx context.Context) error {
	v := r.v
	g := newStage(r.plain, r.open, v.w, v.h)
	by, suspect, bins := r.blocks()
	fitted := g.plain
	target := r.raw
	var m model
	slope := make([]float32, v.w*v.h)
	shifts := make([][2]padded, len(r.halves))
	const rounds = 2
	for round := range rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.fitTone(&m, fitted, target)
		g.fitFilter(&m, target)
		fitted = g.plain
		if m.filters {
			fitted = g.run(&m, g.shifts)
		}
		g.fitTone(&m, fitted, target)
		r.p = make([]float32, v.w*v.h)
		for i, f := range fitted {
			r.p[i], slope[i] = m.at(f)
		}
		g.leaveOut(r.p, target, r.open)
		d := g.fitDrift(r.p, target, r.cells.driftSize())
		d.run(r.p, slope, v.w, v.h)
		for i := range r.p {
			r.p[i] = min(max(r.p[i], 0), 255)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.h = r.h[:0]
		for c, half := range r.halves {
			h := half
			if m.filters {
				if shifts[c][0].pix == nil {
					shifts[c] = g.pair(half)
				}
				h = g.run(&m, shifts[c])
			}
			out := make([]float32, len(h))
			for i, f := range h {
				if r.use[i] {
					out[i] = f * slope[i]
				}
			}
			r.h = append(r.h, out)
		}
		predicted := transformed(r.p, v.w, v.h, by)
		r.pieces = r.cells.pieces(r.h, by)
		r.decide(&suspect, &predicted, bins)
		if round+1 < rounds {
			target = r.restore(&suspect, &predicted, bins)
		}
	}
	return nil
}

// blocks are the suspect's, in the basis in which its encoder rounded, and what
// is known of that.
func (r *reader) blocks() (base, blocks, *bins) {
	if r.round != nil {
		s := transformed(r.raw, r.v.w, r.v.h, fours44)
		if b := roundedBins(&s, r.round, &r.v, r.raw, r.use); b != nil {
			return fours44, s, b
		}
	}
	s := transformed(r.raw, r.v.w, r.v.h, whole8)
	return whole8, s, newBins(&s, r.quant, r.raw, r.use, r.v.w)
}

// uncovered are the stage's pixels without the blocks whose mean no tone curve
// explains: bars, captions and stickers. A filter leaves the mean of a block nearly alone, so
// that nothing is left out here which fitFilter has to see.
func (g *stage) uncovered(target []float32) []bool {
	inside := g.use
	bw := g.w / 8
	for range 3 {
		var m model
		g.fitTone(&m, g.plain, target)
		sum, n := make([]float32, bw*(g.h/8)), make([]float32, bw*(g.h/8))
		for y := 0; y < g.h; y += 2 {
			for x := range g.w {
				if i := y*g.w + x; inside[i] {
					v, _ := m.at(g.plain[i])
					sum[y/8*bw+x/8] += target[i] - v
					n[y/8*bw+x/8]++
				}
			}
		}
		var sizes []float32
		for b := range sum {
			if n[b] > 0 {
				sum[b] = float32(math.Abs(float64(sum[b] / n[b])))
				sizes = append(sizes, sum[b])
			}
		}
		if len(sizes) == 0 {
			return inside
		}
		slices.Sort(sizes)
		limit := max(5, 6*sizes[len(sizes)/2])
		g.use = make([]bool, len(inside))
		for y := range g.h {
			for x := range g.w {
				i := y*g.w + x
				g.use[i] = inside[i] && sum[y/8*bw+x/8] < limit
			}
		}
	}
	return g.use
}

// leaveOut takes pixels out of the fits that no re-enactment explains: captions,
// stickers, borders.
func (g *stage) leaveOut(p, target []float32, inside []bool) {
	var sizes []float32
	g.use = inside
	g.sample(20_000, func(_, _, i int) { sizes = append(sizes, float32(math.Abs(float64(target[i]-p[i])))) })
	if len(sizes) == 0 {
		return
	}
	slices.Sort(sizes)
	limit := max(6, 8*sizes[len(sizes)/2])
	g.use = make([]bool, len(inside))
	for i, in := range inside {
		d := target[i] - p[i]
		g.use[i] = in && d < limit && d > -limit
	}
}
