package find

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"birdring/canary/mark"
)

// ErrAlign is returned for pictures that cannot be aligned at all: too small,
// or with no start that lets them overlap.
var ErrAlign = errors.New("pictures cannot be aligned: too small, or they do not overlap")

// Limits of the search.
const (
	coarseSide = 72    // longer side of the overlap on the coarsest level
	judgeSide  = 144   // and on the level where starts are compared
	leastSide  = 12    // a picture with a shorter side is not aligned
	budget     = 50000 // pixels looked at per step
	finalists  = 2     // starts refined to the end
	surely     = 0.9   // correlation at which no other start is tried
	hopeless   = 0.3   // correlation of the best start below which nothing is refined: foreign pictures reach .24, planted ones .81
)

// Align refines where a planted picture (ref) lies in a suspect: from rough
// starts, and from starts of its own (the whole picture stretched over the
// whole suspect, over what is left without plain borders, and the largest part
// of the suspect's shape out of the middle; each also mirrored), coarse to
// fine, by Gauss-Newton on both pictures' local structure.
//
// It returns the map from ref to suspect pixels (see the package comment) and
// how well local structure correlates over the overlap, -1..1 (measured: planted
// pictures reach 0.69 and more in every change tried, mostly 0.95; foreign ones
// stay below 0.4). Which start wins is decided by that correlation alone. It gives up when ctx ends.
func Align(ctx context.Context, ref, suspect mark.Plane, starts []mark.Affine) (mark.Affine, float64, error) {
	if min(ref.W, ref.H, suspect.W, suspect.H) < leastSide ||
		len(ref.Pix) < ref.W*ref.H || len(suspect.Pix) < suspect.W*suspect.H {
		return identity, 0, ErrAlign
	}
	a := aligner{ctx: ctx, ref: newMips(ref), suspect: newMips(suspect)}
	last := a.finalists(starts, coarseSide*2)
	if len(last) == 0 || last[0].ncc < surely {
		last = a.best(append(last, a.finalists(ownStarts(ref, suspect), coarseSide)...))
	}
	if ctx.Err() != nil {
		return identity, 0, context.Cause(ctx)
	}
	if len(last) == 0 {
		return identity, 0, ErrAlign
	}
	if last[0].ncc < hopeless {
		return last[0].t, a.judge(last[0].t), nil
	}
	for i := range last {
		coarse := last[i]
		a.refine(&last[i], 2*judgeSide, math.MaxInt)
		if ctx.Err() != nil {
			return identity, 0, context.Cause(ctx)
		}
		if !last[i].ok {
			last[i] = coarse
		}
	}
	slices.SortStableFunc(last, better)
	return last[0].t, a.judge(last[0].t), nil
}

// finalists refines starts up to judgeSide and keeps the best ones.
func (a *aligner) finalists(starts []mark.Affine, from int) []hypothesis {
	var all []hypothesis
	for _, s := range starts {
		h := hypothesis{t: s, start: s, ok: true}
		if a.refine(&h, from, judgeSide); h.ok && a.ctx.Err() == nil {
			all = append(all, h)
		}
	}
	return a.best(all)
}

// best keeps the few hypotheses worth refining to the end.
func (a *aligner) best(all []hypothesis) []hypothesis {
	slices.SortStableFunc(all, better)
	all = distinct(all, float64(max(a.suspect[0].W, a.suspect[0].H))/100, a.ref[0])
	all = all[:min(len(all), finalists)]
	if len(all) > 1 && all[1].ncc < all[0].ncc-0.25 {
		all = all[:1]
	}
	return all
}

// hypothesis is one way the picture may lie.
type hypothesis struct {
	start, t mark.Affine
	ncc      float64 // at judgeSide
	ok       bool    // false once it has run away
}

func better(a, b hypothesis) int { return cmp.Compare(b.ncc, a.ncc) }

// distinct drops hypotheses that ended where a better one did.
func distinct(all []hypothesis, within float64, ref mark.Plane) []hypothesis {
	var out []hypothesis
	for _, h := range all {
		if !slices.ContainsFunc(out, func(o hypothesis) bool { return moved(o.t, h.t, ref.W, ref.H) < within }) {
			out = append(out, h)
		}
	}
	return out
}

// moved is the largest distance between the images of a picture's corners.
func moved(s, t mark.Affine, w, h int) float64 {
	far := 0.0
	for _, c := range [4][2]float64{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
		x1, y1 := apply(s, c[0]*float64(w), c[1]*float64(h))
		x2, y2 := apply(t, c[0]*float64(w), c[1]*float64(h))
		far = math.Max(far, math.Hypot(x1-x2, y1-y2))
	}
	return far
}

// mips holds a plane and its halvings, and resamples from the nearest.
type mips []mark.Plane

func newMips(p mark.Plane) mips {
	out := mips{p}
	for min(p.W, p.H) >= 32 {
		p = halve(p)
		out = append(out, p)
	}
	return out
}

// at returns the part of the plane around box, reduced by fx and fy (at most 1),
// and the map from the plane's pixels to the part's.
func (m mips) at(fx, fy float64, box rect) (part mark.Plane, place mark.Affine) {
	i := 0
	for f := 0.5; i+1 < len(m) && f >= max(fx, fy)*0.999; f /= 2 {
		i++
	}
	src, f := m[i], math.Exp2(float64(-i))
	// Room for windows and interpolation around the box, and for steps.
	room := 24 / min(fx, fy)
	x0, x1 := clampInt((box.x0-room)*f, 0, src.W), clampInt((box.x1+room)*f+1, 0, src.W)
	y0, y1 := clampInt((box.y0-room)*f, 0, src.H), clampInt((box.y1+room)*f+1, 0, src.H)
	src = cut(src, x0, y0, max(x1, x0+1), max(y1, y0+1))
	w := max(1, int(math.Round(float64(src.W)*fx/f)))
	h := max(1, int(math.Round(float64(src.H)*fy/f)))
	stepX, stepY := float64(src.W)/float64(w), float64(src.H)/float64(h)
	place = mark.Affine{A: f / stepX, C: -float64(x0) / stepX, E: f / stepY, F: -float64(y0) / stepY}
	if w == src.W && h == src.H {
		return src, place
	}
	return columns(rows(src, w, stepX, smooth), h, stepY, smooth), place
}

// cut copies a part of a plane; the whole is returned as it is.
func cut(p mark.Plane, x0, y0, x1, y1 int) mark.Plane {
	x0, y0 = min(x0, p.W-1), min(y0, p.H-1)
	x1, y1 = min(x1, p.W), min(y1, p.H)
	if x0 == 0 && y0 == 0 && x1 == p.W && y1 == p.H {
		return p
	}
	out := mark.Plane{W: x1 - x0, H: y1 - y0, Pix: make([]float32, (x1-x0)*(y1-y0))}
	for y := range out.H {
		copy(out.Pix[y*out.W:(y+1)*out.W], p.Pix[(y0+y)*p.W+x0:])
	}
	return out
}

// rect is a part of a picture, in pixels.
type rect struct{ x0, y0, x1, y1 float64 }

// imageOf is the smallest rect around what t makes of a w x h picture, cut to a
// picture of size cw x ch; it is empty (x1 <= x0 or y1 <= y0) when they do not overlap.
func imageOf(t mark.Affine, w, h, cw, ch int) rect {
	r := rect{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, c := range [4][2]float64{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
		x, y := apply(t, c[0]*float64(w), c[1]*float64(h))
		r.x0, r.y0, r.x1, r.y1 = math.Min(r.x0, x), math.Min(r.y0, y), math.Max(r.x1, x), math.Max(r.y1, y)
	}
	r.x0, r.y0 = math.Max(r.x0, 0), math.Max(r.y0, 0)
	r.x1, r.y1 = math.Min(r.x1, float64(cw)), math.Min(r.y1, float64(ch))
	return r
}

// aligner holds the two pictures.
type aligner struct {
	ctx          context.Context
	ref, suspect mips
}

// work is a pair of planes of about the same scale, on which a map is refined.
type work struct {
	plain        mark.Plane // ref before its structure was taken
	ref, suspect structure
	toRef        mark.Affine // suspect plane px -> ref plane px
	refScale     mark.Affine // ref px -> ref plane px
	suspectScale mark.Affine // and the same of the suspect
	seen         []compared  // room for look
}

// overlap returns the longer side, in suspect pixels, of the overlap that t
// gives, and the overlap's area.
func (a *aligner) overlap(t mark.Affine) (side, area float64) {
	r := imageOf(t, a.ref[0].W, a.ref[0].H, a.suspect[0].W, a.suspect[0].H)
	dx, dy := r.x1-r.x0, r.y1-r.y0
	if !(dx > 0 && dy > 0) {
		return 0, 0
	}
	return math.Max(dx, dy), dx * dy
}

// sane says that t may still be where a picture lies: not too squeezed, and
// with enough overlap.
func (a *aligner) sane(t mark.Affine) bool {
	big, small := axes(t)
	if !(small > 0.02 && big < 50 && big < 4*small) {
		return false
	}
	_, area := a.overlap(t)
	whole := math.Min(float64(a.suspect[0].W*a.suspect[0].H), math.Abs(t.A*t.E-t.B*t.D)*float64(a.ref[0].W*a.ref[0].H))
	return area > 0.1*whole && area > leastSide*leastSide
}

// levels lists the reductions of the suspect (1 = its own pixels) from where
// the overlap's longer side is from pixels to where it is to, halving each time.
// No level is finer than either picture.
func (a *aligner) levels(t mark.Affine, from, to int) []float64 {
	side, _ := a.overlap(t)
	big, _ := axes(t)
	top := math.Min(1, 1/big)
	var out []float64
	for c := top; ; c /= 2 {
		if px := c * side; px <= 1.5*float64(to) || to == math.MaxInt {
			out = append(out, c)
			if px < 1.5*float64(from) {
				break
			}
		} else if px < float64(from) {
			break
		}
	}
	slices.Reverse(out)
	return out
}

// prepare builds the planes for a reduction c of the suspect, of the parts that
// t lets overlap.
func (a *aligner) prepare(t mark.Affine, c float64) work {
	ref, suspect := a.ref[0], a.suspect[0]
	inv, _ := invert(t)
	gx, gy := math.Hypot(t.A, t.D), math.Hypot(t.B, t.E)
	sp, sPlace := a.suspect.at(c, c, imageOf(t, ref.W, ref.H, suspect.W, suspect.H))
	rp, rPlace := a.ref.at(math.Min(gx*c, 1), math.Min(gy*c, 1), imageOf(inv, suspect.W, suspect.H, ref.W, ref.H))
	rp, sp = soften(rp), soften(sp)
	w := work{
		plain: rp, ref: newStructure(rp), suspect: newStructure(sp),
		refScale: rPlace, suspectScale: sPlace,
	}
	w.put(t)
	return w
}

// put sets the map from t, take gives it back.
func (w *work) put(t mark.Affine) {
	inv, _ := invert(compose(w.suspectScale, t))
	w.toRef = compose(w.refScale, inv)
}

func (w *work) take() (mark.Affine, bool) {
	inv, ok := invert(w.toRef)
	if !ok {
		return inv, false
	}
	back, _ := invert(w.suspectScale)
	return compose(back, compose(inv, w.refScale)), true
}

// refine walks a hypothesis from coarse to fine. It is given up when it leaves
// its start by more than a quarter of the picture or loses the overlap.
func (a *aligner) refine(h *hypothesis, from, to int) {
	if !a.sane(h.t) {
		h.ok = false
		return
	}
	levels := a.levels(h.t, from, to)
	for i, c := range levels {
		w := a.prepare(h.t, c)
		before := w
		if !a.settle(&w, h) {
			return
		}
		// Robust steps may walk away from a small overlap to a smaller one.
		if was := before.correlation(); w.correlation() < was-0.02 {
			w, h.ncc = before, was
		}
		if i == len(levels)-1 && to == math.MaxInt && w.match() && !a.settle(&w, h) {
			return
		}
		t, ok := w.take()
		side, _ := a.overlap(h.start)
		if !ok || !a.sane(t) || moved(h.start, t, a.ref[0].W, a.ref[0].H) > 0.5*side+4 {
			h.ok = false
			return
		}
		h.t = t
	}
}

// settle steps until nothing moves; false when the hypothesis (or the time) is lost.
func (a *aligner) settle(w *work, h *hypothesis) bool {
	for range 15 {
		if a.ctx.Err() != nil {
			return false
		}
		step, ncc, ok := w.step()
		h.ncc = ncc
		if !ok {
			h.ok = false
			return false
		}
		if step < 0.004 {
			break
		}
	}
	return true
}

// judge is the correlation of local structure at judgeSide.
func (a *aligner) judge(t mark.Affine) float64 {
	if !a.sane(t) {
		return 0
	}
	c := a.levels(t, judgeSide, judgeSide)
	if len(c) == 0 {
		c = a.levels(t, coarseSide, math.MaxInt)
	}
	w := a.prepare(t, c[len(c)-1])
	return w.correlation()
}

// ownStarts are the places to look without any hint.
func ownStarts(ref, suspect mark.Plane) []mark.Affine {
	starts := []mark.Affine{stretched(ref.W, ref.H, suspect.W, suspect.H)}
	if x0, y0, x1, y1, ok := inner(suspect); ok {
		t := stretched(ref.W, ref.H, x1-x0, y1-y0)
		t.C, t.F = float64(x0), float64(y0)
		starts = append(starts, t)
	}
	fx, fy := float64(suspect.W)/float64(ref.W), float64(suspect.H)/float64(ref.H)
	if f := math.Max(fx, fy); f > 1.02*math.Min(fx, fy) {
		t := scaling(f, f)
		t.C = (float64(suspect.W) - f*float64(ref.W)) / 2
		t.F = (float64(suspect.H) - f*float64(ref.H)) / 2
		starts = append(starts, t)
	}
	for _, s := range starts[:len(starts):len(starts)] {
		starts = append(starts, flipped(s, ref.W))
	}
	return starts
}

// inner is the part of a suspect inside plain borders (rows or columns of one
// brightness); ok is false when there are none, or nothing but them.
func inner(p mark.Plane) (x0, y0, x1, y1 int, ok bool) {
	x1, y1 = p.W, p.H
	for y0 < y1 && plain(p.Pix[y0*p.W:(y0+1)*p.W], 1, p.W) {
		y0++
	}
	for y1 > y0 && plain(p.Pix[(y1-1)*p.W:y1*p.W], 1, p.W) {
		y1--
	}
	if y1-y0 < leastSide {
		return 0, 0, 0, 0, false
	}
	for x0 < x1 && plain(p.Pix[y0*p.W+x0:], p.W, y1-y0) {
		x0++
	}
	for x1 > x0 && plain(p.Pix[y0*p.W+x1-1:], p.W, y1-y0) {
		x1--
	}
	return x0, y0, x1, y1, x1-x0 >= leastSide && (x1-x0 < p.W || y1-y0 < p.H)
}

// plain says that n samples, step apart, hardly differ (JPEG rings a little).
func plain(pix []float32, step, n int) bool {
	lo, hi := pix[0], pix[0]
	for i := range n {
		v := pix[i*step]
		lo, hi = min(lo, v), max(hi, v)
	}
	return hi-lo <= 10
}
