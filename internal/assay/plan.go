package assay

import (
	"context"
	"errors"
	"fmt"
	"image"
	"runtime"
	"sync"

	"birdring/beacon/decode"
	"birdring/internal/assay/change"
)

// Plan is what is done to every picture.
type Plan struct {
	Singles    []*change.Change
	Foreign    []Foreign // the same by other people's software
	Collusions []Joining
	Left       []string // changes left out, with the reason
}

// Joining is a collusion of a number of accounts.
type Joining struct {
	*change.Collusion
	Copies int
}

// Quick is a plan that tells most in little time, under 20 s a photo on one core; Full makes every change, and
// every collusion of 2, 3, 4, 8 and 16 accounts.
func Quick() Plan {
	var p Plan
	for _, c := range change.List() {
		if c.Telling {
			p.Singles = append(p.Singles, c)
		}
	}
	for _, c := range change.Collusions() {
		switch c.Name {
		case "average":
			p.Collusions = append(p.Collusions, Joining{c, 2})
		case "minority":
			p.Collusions = append(p.Collusions, Joining{c, 3})
		}
	}
	return p.readable()
}

// Full is the whole matrix.
func Full() Plan { return full().readable() }

func full() Plan {
	p := Plan{Singles: change.List()}
	var err error
	if p.Foreign, err = ForeignChanges(); err != nil {
		p.Left = append(p.Left, "ten changes by foreign software: "+err.Error())
	}
	for _, n := range []int{2, 3, 4, 8, 16} {
		for _, c := range change.Collusions() {
			p.Collusions = append(p.Collusions, Joining{c, n})
		}
	}
	return p
}

// Only is the part of the whole matrix with these names: of single changes, of
// collusions ("average"), or of one with its number of copies ("average:2").
func Only(names []string) (Plan, error) {
	var out Plan
	whole := full()
	for _, name := range names {
		before := len(out.Singles) + len(out.Collusions)
		for _, c := range whole.Singles {
			if c.Name == name {
				out.Singles = append(out.Singles, c)
			}
		}
		for _, j := range whole.Collusions {
			if j.Name == name || fmt.Sprint(j.Name, ":", j.Copies) == name {
				out.Collusions = append(out.Collusions, j)
			}
		}
		if before == len(out.Singles)+len(out.Collusions) {
			return Plan{}, fmt.Errorf("no change is called %q: the names stand in the rows of --full, for example jpeg75 or average:2", name)
		}
	}
	return out.readable(), nil
}

// readable leaves out changes that end in a format which this program cannot read.
func (p Plan) readable() Plan {
	known := map[string]string{}
	var singles []*change.Change
	for _, c := range p.Singles {
		kind := c.Format().Kind
		why, ok := known[kind]
		if !ok {
			why = unreadable(c.Format())
			known[kind] = why
		}
		if why != "" {
			p.Left = append(p.Left, c.Name+": "+why)
			continue
		}
		singles = append(singles, c)
	}
	p.Singles = singles
	return p
}

// unreadable says why nothing saved in a format can be traced, "" if it can.
func unreadable(f change.Format) string {
	if f == change.AsIs {
		return ""
	}
	probe := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range probe.Pix { // opaque, and with something in it, as photos are
		probe.Pix[i] = uint8(64 + i/4%64)
		if i%4 == 3 {
			probe.Pix[i] = 255
		}
	}
	data, err := f.Encode(probe)
	if err == nil {
		_, err = decode.Decode(context.Background(), data, decode.Default())
	}
	switch {
	case errors.Is(err, decode.ErrFormat):
		return "this program reads no " + f.Kind
	case err != nil:
		return err.Error()
	}
	return ""
}

// Assay does all of a plan to a picture, on all cores. Rows come in the plan's order.
func (b *Bed) Assay(ctx context.Context, p *Picture, plan Plan) ([]Row, error) {
	quality, _, _, err := b.Quality(ctx, p, guilty)
	if err != nil {
		return nil, err
	}
	one, foreign := len(plan.Singles), len(plan.Foreign)
	rows := make([]Row, one+foreign+len(plan.Collusions))
	err = Workers(ctx, len(rows), func(ctx context.Context, i int) (err error) {
		switch {
		case i < one:
			rows[i], _, err = b.SingleRow(ctx, p, plan.Singles[i], guilty)
		case i < one+foreign:
			rows[i], _, err = b.ForeignRow(ctx, p, &plan.Foreign[i-one], guilty)
		default:
			j := plan.Collusions[i-one-foreign]
			rows[i], _, err = b.CollusionRow(ctx, p, j.Collusion, Gang(guilty, j.Copies))
		}
		rows[i].Quality = quality
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("assay: %w", err)
	}
	return rows, nil
}

// guilty is the account whose copies are changed; which one it is does not matter.
const guilty = 11

// Gang is a group of n accounts, the first one from.
func Gang(from, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = from + 7*i
	}
	return out
}

// Workers runs n jobs on all cores, one a core, and returns the first error.
func Workers(ctx context.Context, n int, job func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				if err := job(ctx, i); err != nil {
					stop(err)
					return
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
