package registry

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"birdring/beacon/decode"
	"birdring/beacon/find"
	"birdring/canary/mark"
	"birdring/registry/sqlstore"
)

// leastFit is the correlation of local structure from which an aligned picture
// is taken for ours: foreign pictures stay below .4, planted ones reach .6.
const leastFit = .5

// mostMatches bounds the planted pictures that one file is compared with in detail.
const mostMatches = 8

// anchoredDistance is the PDQ distance up to which a picture of a decoy that the
// page names is aligned although neither hash nor keypoints know it; unrelated
// photos lie at 110 and more.
const anchoredDistance = 100

// smallSide is the longer side, in pixels, up to which keypoints are too few to
// rely on: such an image is aligned with every picture of a decoy its page names.
const smallSide = 200

// fewAnchors is how many decoys a page may name for that: an overview of many
// profiles would cost minutes.
const fewAnchors = 2

// mostTried is how many pictures of the decoys that a page names are aligned with an
// image in which nothing else was found; each that is not there costs about as much as
// looking for keypoints.
const mostTried = 12

// mostReferences bounds the references kept in memory, about 10 MB each.
const mostReferences = 12

// eye recognises and reads the registry's own pictures. No ring is looked at here.
type eye struct {
	mu    sync.Mutex // guards the rest, held while the index grows
	index *find.Index
	known map[uint32]bool // pictures in the index, by number
	refs  []*reference    // asked for last in front

	scores scoreCache
	shown  exposedCache
	trials trialCache
}

// reference is a picture as the reader sees it, or the making of it.
type reference struct {
	num uint32
	get func() (*mark.Reference, error)
}

// lookalike is one picture of ours that a file shows.
type lookalike struct {
	picture   *picture
	transform mark.Affine // planted to found pixels
	bend      *mark.Field // where it is bent besides; nil when straight
	fit       float64     // correlation after alignment
	soft      *mark.Soft
}

// finding is what a file shows of one photo: the pictures of its group that it
// could come from, the one that fits best first.
type finding []lookalike

// newest brings the index up to date with the pictures planted and returns it.
func (e *eye) newest(ctx context.Context, r *Registry, w *world) (*find.Index, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.index == nil {
		e.index, e.known = find.NewIndex(), map[uint32]bool{}
	}
	if len(e.known) >= len(w.pictures) {
		return e.index, nil
	}
	// A few at a time: the database is not held while prints are unpacked.
	for i := range w.pictures {
		p := &w.pictures[i]
		if e.known[p.num] {
			continue
		}
		if !p.main() { // found through the largest picture of its photo
			e.known[p.num] = true
			continue
		}
		print, err := r.print(ctx, p.num)
		if err != nil {
			return nil, err
		}
		e.index.Add(p.id, print)
		e.known[p.num] = true
	}
	return e.index, nil
}

// print reads the stored print of a picture.
func (r *Registry) print(ctx context.Context, num uint32) (*find.Print, error) {
	var data []byte
	if err := r.db.Read().QueryRowContext(ctx, `SELECT print FROM pictures WHERE num = ?`, num).Scan(&data); err != nil {
		return nil, fmt.Errorf("read print of picture %d: %w", num, sqlstore.Explain(err))
	}
	print, err := find.UnmarshalPrint(data)
	if err != nil {
		return nil, fmt.Errorf("picture %d: %w", num, err)
	}
	return print, nil
}

// reference returns a picture's reference from memory or makes it.
func (e *eye) reference(r *Registry, num uint32) (*mark.Reference, error) {
	e.mu.Lock()
	i := slices.IndexFunc(e.refs, func(f *reference) bool { return f.num == num })
	var f *reference
	if i >= 0 {
		f = e.refs[i]
		e.refs = slices.Delete(e.refs, i, i+1)
	} else {
		f = &reference{num: num, get: sync.OnceValues(func() (*mark.Reference, error) {
			p, err := r.prepared(num)
			if err != nil {
				return nil, err
			}
			return p.picture.Reference()
		})}
	}
	e.refs = slices.Insert(e.refs, 0, f)
	e.refs = e.refs[:min(len(e.refs), mostReferences)]
	e.mu.Unlock()
	ref, err := f.get()
	if err != nil {
		e.mu.Lock()
		e.refs = slices.DeleteFunc(e.refs, func(o *reference) bool { return o == f })
		e.mu.Unlock()
	}
	return ref, err
}

// look finds the pictures of ours in a decoded file and reads their soft values.
// anchors are decoys (indexes) named where the file was found: their pictures are
// tried whatever the index says. Which picture it is and how it lies is decided
// by residual alone, never by a ring.
func (r *Registry) look(ctx context.Context, w *world, img *decode.Image, anchors []int) ([]finding, error) {
	index, err := r.eye.newest(ctx, r, w)
	if err != nil {
		return nil, err
	}
	query := find.NewQuery(img.Luma)
	starts := map[int][]mark.Affine{} // picture index -> where it may lie
	var order []int
	add := func(i int, rough ...mark.Affine) {
		if _, ok := starts[i]; !ok {
			order = append(order, i)
		}
		starts[i] = append(starts[i], rough...)
	}
	add = w.wholeGroup(add)
	for _, m := range index.Search(query, mostMatches) {
		if i, ok := w.photos[m.ID]; ok {
			add(i, m.Rough)
		}
	}
	rest, err := r.anchored(ctx, w, query, anchors, add)
	if err != nil {
		return nil, err
	}
	if len(order) == 0 {
		for _, i := range rest[:min(len(rest), mostTried)] {
			add(i)
		}
	}
	var all []lookalike
	for _, i := range order {
		l, ok, err := r.align(ctx, &w.pictures[i], img, starts[i])
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, l)
		}
	}
	if err := r.read(ctx, img, all); err != nil {
		return nil, err
	}
	for i := range all {
		all[i].transform = enlarged(all[i].transform, float64(img.Step))
	}
	return grouped(all), nil
}

// anchored adds the pictures of decoys that a page names where they may be in the
// image; rest are the others, of few decoys: worth a try when nothing else is found.
func (r *Registry) anchored(ctx context.Context, w *world, query *find.Query, anchors []int, add func(int, ...mark.Affine)) (rest []int, err error) {
	small := max(query.W, query.H) <= smallSide && len(anchors) <= fewAnchors
	for _, d := range anchors {
		for _, i := range w.of[d] {
			if !w.pictures[i].main() {
				continue
			}
			print, err := r.print(ctx, w.pictures[i].num)
			if err != nil {
				return nil, err
			}
			m, ok := find.Locate(query, print)
			switch {
			case ok:
				add(i, m.Rough)
			case m.Distance <= anchoredDistance || small:
				add(i)
			case len(anchors) <= fewAnchors:
				rest = append(rest, i)
			}
		}
	}
	return rest, nil
}

// align says whether a file shows a picture, and how it lies.
func (r *Registry) align(ctx context.Context, p *picture, img *decode.Image, starts []mark.Affine) (lookalike, bool, error) {
	ref, err := r.eye.reference(r, p.num)
	if err != nil {
		return lookalike{}, false, err
	}
	t, fit, err := find.Align(ctx, ref.Mean, img.Luma, starts)
	if ctx.Err() != nil {
		return lookalike{}, false, context.Cause(ctx)
	}
	if err != nil || !(fit >= leastFit) {
		return lookalike{}, false, nil // not this picture
	}
	bend := find.Bend(ctx, ref.Mean, img.Luma, t)
	if ctx.Err() != nil {
		return lookalike{}, false, context.Cause(ctx)
	}
	return lookalike{picture: p, transform: t, bend: bend, fit: fit}, true, nil
}

// enlarged is a transform to the pixels of a picture whose luma plane is smaller by f.
func enlarged(t mark.Affine, f float64) mark.Affine {
	return mark.Affine{A: t.A * f, B: t.B * f, C: t.C * f, D: t.D * f, E: t.E * f, F: t.F * f}
}

// read fills in the soft values of what was found.
func (r *Registry) read(ctx context.Context, img *decode.Image, all []lookalike) error {
	for i := range all {
		l := &all[i]
		ref, err := r.eye.reference(r, l.picture.num)
		if err != nil {
			return err
		}
		l.soft, err = mark.Read(ctx, ref, &mark.Suspect{Luma: img.Luma, Quant: img.Quant, Rounded: img.Rounded, Bend: l.bend}, l.transform)
		if err != nil {
			return fmt.Errorf("read picture %s: %w", l.picture.id, err)
		}
		if len(l.soft.Y) != l.picture.segments {
			return fmt.Errorf("read picture %s: %d soft values for %d segments", l.picture.id, len(l.soft.Y), l.picture.segments)
		}
	}
	return nil
}

// grouped puts together the pictures of one photo; of a group the best fit comes first.
func grouped(all []lookalike) []finding {
	slices.SortStableFunc(all, func(a, b lookalike) int { return cmp.Compare(b.fit, a.fit) })
	var out []finding
next:
	for _, l := range all {
		for j := range out {
			if out[j][0].picture.group == l.picture.group {
				out[j] = append(out[j], l)
				continue next
			}
		}
		out = append(out, finding{l})
	}
	return out
}

// transformOf describes an alignment in words of people.
func transformOf(p *picture, t mark.Affine, w, h int) *TraceTransform {
	out := &TraceTransform{ScaleX: math.Hypot(t.A, t.D), ScaleY: math.Hypot(t.B, t.E)}
	a, d := t.A, t.D
	if t.A*t.E-t.B*t.D < 0 {
		out.Mirror = true
		a, d = -a, -d
	}
	out.RotateDeg = round(math.Atan2(d, a)*180/math.Pi, 1e3) + 0 // no -0
	out.ScaleX, out.ScaleY = round(out.ScaleX, 1e5), round(out.ScaleY, 1e5)
	out.Crop = cropOf(p, t, w, h)
	return out
}

// cropOf is the part of the planted picture that the found one shows.
func cropOf(p *picture, t mark.Affine, w, h int) [4]float64 {
	det := t.A*t.E - t.B*t.D
	if det == 0 {
		return [4]float64{}
	}
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, c := range [4][2]float64{{0, 0}, {float64(w), 0}, {0, float64(h)}, {float64(w), float64(h)}} {
		u, v := c[0]-t.C, c[1]-t.F
		x, y := (t.E*u-t.B*v)/det, (t.A*v-t.D*u)/det
		x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
	}
	x0, y0 = max(x0, 0), max(y0, 0)
	x1, y1 = min(x1, float64(p.width)), min(y1, float64(p.height))
	return [4]float64{round(x0, 10), round(y0, 10), round(max(0, x1-x0), 10), round(max(0, y1-y0), 10)}
}

func round(v, steps float64) float64 { return math.Round(v*steps) / steps }
