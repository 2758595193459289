package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"text/tabwriter"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/assay"
	"birdring/internal/assay/change"
)

// innocents are scored on every find. Only here: they are numbers that nobody has.
const innocents = 100_000

// Every picture meets a fifth of the changes in each round: held-out ones in all
// rounds, the others in two.
const (
	rounds      = 5
	tunedRounds = 2
)

// matrixUntil is the share of the time after which the rest is the colluders'.
const matrixUntil = .8

// cell is what was measured of one change.
type cell struct {
	held, tuned []assay.Row
	innocent    float64 // the most that anybody innocent scored, bits
}

// matrix changes one account's copy of the pictures in all ways of package change.
func matrix(ctx context.Context, b *bench) error {
	plan := assay.Full()
	cells := make([]cell, len(plan.Singles))
	var mu sync.Mutex // guards cells and done
	pics := b.bed.Pictures
	planned, done := 0, 0
	until := matrixUntil
	if b.last("matrix") {
		until = 1
	}
	type job struct{ round, pic int }
	var jobs []job
	for r := range rounds {
		for i := range pics {
			if heldOut(i) || r < tunedRounds {
				jobs = append(jobs, job{r, i})
			}
		}
	}
	of := func(j job, visit func(c int) error) error {
		for c := range plan.Singles {
			if (c+j.pic)%rounds == j.round {
				if err := visit(c); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, j := range jobs {
		of(j, func(int) error { planned++; return nil })
	}
	err := assay.Workers(ctx, len(jobs), func(ctx context.Context, n int) error {
		j := jobs[n]
		return of(j, func(c int) error {
			if b.spent() > until {
				return nil
			}
			row, f, err := b.bed.SingleRow(ctx, pics[j.pic], plan.Singles[c], j.pic*37+c*7+11)
			if err != nil {
				return err
			}
			row.Data = nil
			most := mostInnocent(f)
			mu.Lock()
			defer mu.Unlock()
			if heldOut(j.pic) {
				cells[c].held = append(cells[c].held, row)
			} else {
				cells[c].tuned = append(cells[c].tuned, row)
			}
			cells[c].innocent = max(cells[c].innocent, most)
			if done++; done%20 == 0 {
				progress("matrix: %d of %d pairs", done, planned)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	b.printMatrix(plan, cells)
	if err := b.printBounds(ctx, plan, cells); err != nil {
		return err
	}
	b.printf("%d of %d pairs of picture and change were measured (planned: every change on all held-out pictures, on %d in %d of the others; time allowed %.0f %% of it)\n\n",
		done, len(pics)*len(plan.Singles), tunedRounds, rounds, share(done, planned))
	return nil
}

// mostInnocent is the most that any of many viewers scores whose copies never existed.
// Those whom the screen drops count as 0.
func mostInnocent(f *assay.Find) float64 {
	if !f.Found {
		return 0
	}
	most := 0.0
	f.Reading.ScoreRange(f.Reading.Gate(innocents), uint64(canary.FirstViewer)+1<<40, innocents, func(_ uint64, s *ring.Score) {
		most = max(most, float64(s.Alone())/1000)
	})
	return most
}

func (b *bench) printMatrix(plan assay.Plan, cells []cell) {
	b.printf("One copy changed. Held-out pictures left, the others right; z under a fair code, bits with code D of the same planting;\nwanted: median z of the held-out, a share of the root of the segments left; innocent: the most of %d a find.\n", innocents)
	t := tabwriter.NewWriter(b.out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "change\tn\tbits\tworst\tz\tworst\t>=64\t|\tn\tbits\tworst\tz\tworst\t>=64\t|\tinnocent\twanted\t\t")
	var all, right, wrong [2]int
	innocent := 0.0
	for i, c := range cells {
		h, o := summarise(c.held), summarise(c.tuned)
		for k, s := range []summary{h, o} {
			all[k], right[k], wrong[k] = all[k]+s.n, right[k]+s.right, wrong[k]+s.wrong
		}
		innocent = max(innocent, c.innocent)
		wanted, stands := "", "not measured"
		if h.n > 0 {
			wanted = fmt.Sprintf("%.1f = %.1f x %.1f", h.want.median, h.want.median/h.root.median, h.root.median)
			stands = b.demand(h.z.median >= h.want.median)
		}
		fmt.Fprintf(t, "%s\t%s|\t%s|\t%.1f\t%s\t%s\t\n", plan.Singles[i].Name, h.cells(), o.cells(), c.innocent, wanted, stands)
		b.foreignTwin(t, plan.Singles[i])
	}
	t.Flush()
	for _, left := range plan.Left {
		b.printf("left out: %s\n", left)
	}
	pass := math.Round(1e4*float64(right[0])/float64(max(1, all[0]))) / 100
	b.printf("held out: %d of %d pairs lead to the right account at 64 bits or more = %.2f %% (99 %% demanded: %s), %d to a wrong one (0 demanded: %s)\n",
		right[0], all[0], pass, b.demand(pass >= 99), wrong[0], b.demand(wrong[0] == 0))
	b.printf("others:   %d of %d, %d wrong; the most that an innocent scored anywhere: %.1f bits (64 attribute)\n", right[1], all[1], wrong[1], innocent)
	b.demand(wrong[1] == 0 && innocent < 64)
}

// foreignTwin prints what foreign software's twin of a change gave.
func (b *bench) foreignTwin(t *tabwriter.Writer, c *change.Change) {
	var held, tuned []assay.Row
	for i, p := range b.bed.Pictures {
		for _, r := range b.foreign[p] {
			if r.Change != assay.ForeignName(c) {
				continue
			}
			if heldOut(i) {
				held = append(held, r)
			} else {
				tuned = append(tuned, r)
			}
		}
	}
	if len(held) == 0 {
		return
	}
	h, o := summarise(held), summarise(tuned)
	fmt.Fprintf(t, "by foreign software\t%s|\t%s|\t\t\t\t\n", h.cells(), o.cells())
}
