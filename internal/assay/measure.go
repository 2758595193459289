package assay

import (
	"context"
	"fmt"
	"math"
	"time"

	"birdring/canary"
	"birdring/canary/mark"
	"birdring/canary/ring"
	"birdring/internal/assay/change"
	"birdring/registry"
)

// The two matrices.
const (
	Single    = "single"
	Collusion = "collusion"
)

// Row says what became of one picture under one change.
type Row struct {
	*Picture
	Quality
	Matrix  string // Single or Collusion
	Change  string
	When    string  // in words
	Copies  int     // that went into it
	Bits    float64 // of the right account; of several, of the one with the least
	Z       float64 // likewise: Find.Z, of collusions Find.Centred
	Verdict registry.Verdict

	Demand  float64 // share of the root of Left that Z is expected to reach; 0 for collusions
	Left    int     // segments that can be seen in the find
	Found   bool    // the picture was recognised
	Named   int     // right accounts at 64 bits or more
	Wrong   []string
	Seconds float64 // of the trace
	Data    []byte  // the file that was traced
}

// Root is the root of the segments left, which Z cannot exceed.
func (r *Row) Root() float64 { return math.Sqrt(float64(r.Left)) }

// Find is what a trace of a changed copy gave.
type Find struct {
	Verdict registry.Verdict
	Found   bool // the picture was recognised
	Named   []registry.TraceAccount
	Affine  mark.Affine
	Fit     float64
	Read    int           // segments read
	Reading *ring.Reading // nil unless found
	Seconds float64

	book *ring.Book
	y    []int16
}

// Read traces a file in which picture p was hidden.
func (b *Bed) Read(ctx context.Context, p *Picture, data []byte) (*Find, error) {
	began := time.Now()
	all, err := b.Reg.Examine(ctx, registry.TraceRequest{Name: p.File, Data: data, CapturedAt: began.Add(time.Hour)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.File, err)
	}
	f := &Find{Verdict: registry.VerdictUnknown, Seconds: time.Since(began).Seconds()}
	for _, e := range all {
		f.Named = append(f.Named, e.Accounts...)
		if e.Photo == nil || *e.Photo != p.Photo {
			continue
		}
		f.Verdict, f.Found, f.Affine, f.Fit, f.Read, f.y = e.Verdict, true, e.Affine, e.Fit, e.Soft.Read, e.Soft.Y
		if f.book, err = b.Reg.Book(ctx, p.Photo); err != nil {
			return nil, err
		}
		if f.Reading, err = ring.NewReading(f.book, f.y); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Under is the same find scored by another codebook of the picture.
func (f *Find) Under(book *ring.Book) (*Find, error) {
	g := *f
	if !f.Found {
		return &g, nil
	}
	var err error
	g.book = book
	g.Reading, err = ring.NewReading(book, f.y)
	return &g, err
}

// Bits is the evidence against a viewer, by this picture alone; 0 if it was not found.
func (f *Find) Bits(v canary.Viewer) float64 {
	if !f.Found {
		return 0
	}
	return float64(f.Reading.Score(uint64(v)).Alone()) / 1000
}

// Z is the correlation of a viewer's ring with the soft values, in standard
// deviations of a fair code: sum(y c) / sqrt(sum(y^2)), c = +-1. It cannot exceed
// the root of the segments read. A picture's bumps have secret fair signs, so that
// what is seen of a ring, and with it the right account's z, does not depend on
// the code: it is the z that the same planting has under the uniform code.
func (f *Find) Z(v canary.Viewer) float64 {
	return f.correlate(v, func(int) float64 { return 0 })
}

// Centred is the same under the picture's own code: sum(y (c - m)) / sqrt(sum(y^2
// (1 - m^2))), m the mean of c over viewers. Of an account that had no part in the
// find it has mean 0 and standard deviation 1, also when the copies of many were joined.
func (f *Find) Centred(v canary.Viewer) float64 {
	return f.correlate(v, func(pos int) float64 { return 2*f.book.P(pos) - 1 })
}

func (f *Find) correlate(v canary.Viewer, mean func(pos int) float64) float64 {
	if !f.Found {
		return 0
	}
	word := make([]uint64, f.book.Words())
	f.book.Codeword(word, uint64(v))
	var sum, variance float64
	for k, pos := range f.book.Order() {
		y, m := float64(f.y[k]), mean(int(pos))
		c := float64(2*int64(word[pos>>6]>>(pos&63)&1) - 1)
		sum += y * (c - m)
		variance += y * y * (1 - m*m)
	}
	if variance == 0 {
		return 0
	}
	return sum / math.Sqrt(variance)
}

// SingleRow changes the n-th account's copy and traces it.
func (b *Bed) SingleRow(ctx context.Context, p *Picture, c *change.Change, n int) (Row, *Find, error) {
	served, err := b.Served(ctx, p, n)
	if err != nil {
		return Row{}, nil, err
	}
	made, err := c.Make(served, uint64(n))
	if err != nil {
		return Row{}, nil, fmt.Errorf("%s: %w", p.File, err)
	}
	row := Row{Picture: p, Matrix: Single, Change: c.Name, When: c.When, Copies: 1, Demand: c.Demand(&made.Truth)}
	f, err := b.fill(ctx, &row, made, []int{n})
	return row, f, err
}

// CollusionRow joins the copies of accounts and traces the result.
func (b *Bed) CollusionRow(ctx context.Context, p *Picture, c *change.Collusion, accounts []int) (Row, *Find, error) {
	var served [][]byte
	for _, n := range accounts {
		data, err := b.Served(ctx, p, n)
		if err != nil {
			return Row{}, nil, err
		}
		served = append(served, data)
	}
	made, err := c.Make(served, uint64(accounts[0]))
	if err != nil {
		return Row{}, nil, fmt.Errorf("%s: %w", p.File, err)
	}
	row := Row{
		Picture: p, Matrix: Collusion, Change: c.Name, Copies: len(accounts),
		When: fmt.Sprintf("%d copies are %s", len(accounts), c.When),
	}
	f, err := b.fill(ctx, &row, made, accounts)
	return row, f, err
}

// fill traces what was made and measures the guilty accounts.
func (b *Bed) fill(ctx context.Context, row *Row, made *change.Made, guilty []int) (*Find, error) {
	f, err := b.Read(ctx, row.Picture, made.Data)
	if err != nil {
		return nil, err
	}
	right := map[string]bool{}
	row.Bits, row.Z = math.Inf(1), math.Inf(1)
	for _, n := range guilty {
		name := Account(n % b.accounts)
		right[name] = true
		v, err := b.Reg.Number(ctx, name, "")
		if err != nil {
			return nil, err
		}
		z := f.Z(v)
		if row.Matrix == Collusion {
			z = f.Centred(v)
		}
		row.Bits, row.Z = min(row.Bits, f.Bits(v)), min(row.Z, z)
	}
	for _, a := range f.Named {
		if right[a.Account] {
			row.Named++
		} else {
			row.Wrong = append(row.Wrong, a.Account)
		}
	}
	row.Verdict, row.Found, row.Seconds = f.Verdict, f.Found, f.Seconds
	row.Left, row.Data = made.Truth.Left(row.Grid), made.Data
	row.Bits, row.Z = rounded(row.Bits, 1000), rounded(row.Z, 1000)
	return f, nil
}

// rounded rounds evidence down, as all bits that are told.
func rounded(v, steps float64) float64 { return math.Floor(v*steps) / steps }
