// Package recall measures whether planted pictures are found among very many.
//
// Photos are planted among distractors, one account's copies are changed as clone
// sites change them, and two things are counted: the pairs of photo and change in
// which the reader, given the true transform, reads 64 bits or more of the right
// account, and those of them in which the search, knowing nothing, finds and
// aligns the picture.
package recall

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // the copies
	"math"
	"runtime"
	"time"

	"birdring/beacon/decode"
	"birdring/beacon/find"
	"birdring/canary"
	"birdring/canary/mark"
	"birdring/canary/ring"
)

// Options of a run.
type Options struct {
	Photos    []image.Image // planted and shown
	Others    []image.Image // what distractors are cut out of, beside painted scenes
	Foreign   []image.Image // nobody's: what a look-up costs that finds nothing
	Planted   int           // prints in the index, distractors with them
	Seed      uint64
	Candidate int          // matches looked at in detail for a file; 0: 8, as the registry does
	Progress  func(string) // may be nil
}

// Row is what one change did to all photos.
type Row struct {
	Change   string
	Pairs    int
	Readable int // 64 bits or more, given the true transform
	Found    int // of the readable, found and aligned without any hint
	Missed   []int
	Errors   []float64 // of the alignment at the corners, in pixels of the file
}

// Result of a run.
type Result struct {
	Rows          []Row
	Planted       int
	BytesPerPrint float64         // of memory, over the whole index
	Decode        []time.Duration // of every changed file
	Query         []time.Duration // print of the file
	Search        []time.Duration // among all planted
	Foreign       []float64       // decode, print and search of pictures of nobody's, as a multiple of decode
	ForeignHash   []float64       // decode and PDQ alone, likewise
	FalseMatches  int             // foreign pictures that matched anything
}

// Readable and Found sum up the rows.
func (r *Result) Readable() (n int) {
	for _, row := range r.Rows {
		n += row.Readable
	}
	return n
}

// Found counts the readable pairs that were found.
func (r *Result) Found() (n int) {
	for _, row := range r.Rows {
		n += row.Found
	}
	return n
}

const guilty = canary.Viewer(70_001)

// subject is a planted photo.
type subject struct {
	id       string
	ref      *mark.Reference
	renderer *canary.Renderer
	copy     image.Image
}

func plant(i int, img image.Image) (*subject, error) {
	key := bytes.Repeat([]byte{byte(i + 1)}, 32)
	id := fmt.Sprintf("photo-%d", i)
	pic, _, err := canary.Prepare(img, canary.PrepareOptions{ID: id, Num: uint32(i + 1), Code: ring.D, Key: key})
	if err != nil {
		return nil, err
	}
	s := &subject{id: id}
	if s.ref, err = pic.Reference(); err != nil {
		return nil, err
	}
	if s.renderer, err = canary.NewRenderer(pic, key); err != nil {
		return nil, err
	}
	s.copy, _, err = image.Decode(bytes.NewReader(s.renderer.Append(nil, guilty)))
	return s, err
}

// bits is the evidence against the guilty viewer when the transform is known.
func (s *subject) bits(ctx context.Context, img *decode.Image, t mark.Affine) (float64, error) {
	soft, err := mark.Read(ctx, s.ref, &mark.Suspect{Luma: img.Luma, Quant: img.Quant, Rounded: img.Rounded}, t)
	if err != nil {
		return 0, err
	}
	reading, err := ring.NewReading(s.renderer.Book(), soft.Y)
	if err != nil {
		return 0, err
	}
	return float64(reading.Score(uint64(guilty)).Alone()) / 1000, nil
}

// Run plants, changes and searches. It ends with ctx.
func Run(ctx context.Context, o Options) (*Result, error) {
	say := func(format string, a ...any) {
		if o.Progress != nil {
			o.Progress(fmt.Sprintf(format, a...))
		}
	}
	if o.Candidate == 0 {
		o.Candidate = 8
	}
	index := find.NewIndex()
	var subjects []*subject
	for i, img := range o.Photos {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s, err := plant(i, img)
		if err != nil {
			say("photo %d is not planted: %v", i, err)
			continue
		}
		subjects = append(subjects, s)
		index.Add(s.id, find.NewPrint(s.ref.Mean))
		say("planted %d of %d photos", i+1, len(o.Photos))
	}
	before, own := heap(), index.Len()
	err := distract(o.Others, o.Planted-index.Len(), o.Seed, func(id string, p *find.Print) bool {
		index.Add(id, p)
		if n := index.Len(); n%10_000 == 0 {
			say("%d of %d in the index", n, o.Planted)
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return nil, err
	}
	out := &Result{Planted: index.Len()}
	out.BytesPerPrint = (float64(heap()) - float64(before)) / float64(max(1, index.Len()-own))
	for _, c := range changes {
		row := Row{Change: c.name}
		for i, s := range subjects {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err := out.try(ctx, &row, c, s, subjects[(i+1)%len(subjects)], index, o.Candidate); err != nil {
				return nil, fmt.Errorf("%s of photo %d: %w", c.name, i, err)
			}
		}
		say("%-34s %d of %d readable found", c.name, row.Found, row.Readable)
		out.Rows = append(out.Rows, row)
	}
	return out, out.foreign(ctx, o, index)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// try is one pair of photo and change.
func (r *Result) try(ctx context.Context, row *Row, c change, s, other *subject, index *find.Index, limit int) error {
	w, h := s.ref.Mean.W, s.ref.Mean.H
	plan := c.plan(w, h, other.copy)
	file, err := plan.draw(s.copy)
	if err != nil {
		return err
	}
	t0 := time.Now()
	img, err := decode.Decode(ctx, file, decode.Default())
	if err != nil {
		return err
	}
	t1 := time.Now()
	q := find.NewQuery(img.Luma)
	t2 := time.Now()
	matches := index.Search(q, limit)
	r.Decode, r.Query, r.Search = append(r.Decode, t1.Sub(t0)), append(r.Query, t2.Sub(t1)), append(r.Search, time.Since(t2))
	row.Pairs++
	bits, err := s.bits(ctx, img, plan.t)
	if err != nil {
		return err
	}
	if bits < 64 {
		return nil
	}
	row.Readable++
	for _, m := range matches {
		if m.ID != s.id {
			continue
		}
		got, fit, err := find.Align(ctx, s.ref.Mean, img.Luma, []mark.Affine{m.Rough})
		if err == nil && fit >= 0.5 {
			row.Found++
			row.Errors = append(row.Errors, cornerError(got, plan.t, w, h, img.Luma.W, img.Luma.H))
			return nil
		}
	}
	row.Missed = append(row.Missed, row.Pairs-1)
	return nil
}

// foreign looks up pictures of nobody's.
func (r *Result) foreign(ctx context.Context, o Options, index *find.Index) error {
	for _, img := range o.Foreign {
		b := img.Bounds()
		s := scene{w: b.Dx(), h: b.Dy(), t: mark.Affine{A: 1, E: 1}, quality: 85}
		file, err := s.draw(img)
		if err != nil {
			return err
		}
		t0 := time.Now()
		d, err := decode.Decode(ctx, file, decode.Default())
		if err != nil {
			return err
		}
		t1 := time.Now()
		find.PDQ(d.Luma)
		t2 := time.Now()
		if len(index.Search(find.NewQuery(d.Luma), 8)) > 0 {
			r.FalseMatches++
		}
		base := t1.Sub(t0).Seconds()
		r.ForeignHash = append(r.ForeignHash, (base+t2.Sub(t1).Seconds())/base)
		r.Foreign = append(r.Foreign, (base+time.Since(t2).Seconds())/base)
	}
	return nil
}

// cornerError is the largest error, in pixels of the file, over the part of the
// planted picture that the file shows.
func cornerError(got, truth mark.Affine, w, h, fw, fh int) float64 {
	det := truth.A*truth.E - truth.B*truth.D
	worst := 0.0
	for _, f := range [4][2]float64{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
		u, v := f[0]*float64(fw)-truth.C, f[1]*float64(fh)-truth.F
		x, y := (truth.E*u-truth.B*v)/det, (truth.A*v-truth.D*u)/det
		x, y = min(max(x, 0), float64(w)), min(max(y, 0), float64(h))
		worst = max(worst, math.Hypot((got.A-truth.A)*x+(got.B-truth.B)*y+got.C-truth.C, (got.D-truth.D)*x+(got.E-truth.E)*y+got.F-truth.F))
	}
	return worst
}
