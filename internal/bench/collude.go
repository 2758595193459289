package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"text/tabwriter"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/assay"
	"birdring/internal/assay/change"
)

// gang is a number of accounts that join their copies of so many pictures, and
// how many of them must be found. Evidence adds up over the pictures as on a site.
type gang struct {
	copies, pictures, least int
	strategies              []string // nil: all
}

// work is how many traces a picture costs.
func (g gang) work() int {
	if g.strategies != nil {
		return len(g.strategies)
	}
	return len(change.Collusions())
}

// gangs as issue 3 demands them, and two more for which it demands nothing.
var gangs = []gang{
	{2, 1, 2, nil},
	{4, 3, 4, nil},
	{16, 5, 1, []string{"average"}},
	{3, 1, 0, []string{"minority"}},
	{8, 5, 0, []string{"average"}},
}

// joinedLogs is what the finds of a gang say about each member, picture by picture.
type joinedLogs struct {
	strategy string
	perPic   []*joinedFind // by picture; nil: time did not allow
	wrong    int
}

// joinedFind is what one find of a gang says about its members.
type joinedFind struct {
	reading *ring.Reading // nil: not recognised
	viewers []uint64      // the members
	scores  []ring.Score
}

// colluders joins copies in every way. Each gang has a part of the time that is
// left, as large as its part of the work.
func colluders(ctx context.Context, b *bench) error {
	from, work, all := b.spent(), 0, 0
	for _, g := range gangs {
		all += g.work()
	}
	var sixteen *joinedLogs
	t := tabwriter.NewWriter(b.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "joined copies\tby\tpictures\tsets\tall found\tone found\tleast bits\tmost bits\twrong\tdemanded\t\t")
	for _, g := range gangs {
		work += g.work()
		joined, err := b.join(ctx, g, from+(1-from)*float64(work)/float64(all))
		if err != nil {
			return err
		}
		for _, j := range joined {
			b.printGang(t, g, j)
		}
		if g.copies == 16 {
			sixteen = joined[0]
		}
		progress("collusion: gangs of %d", g.copies)
	}
	t.Flush()
	b.printHowMany(gangs[2], sixteen)
	b.printf("each set is of other pictures, and so of other rings; saved as JPEG 75; bits of the least and most suspected member, median over sets\n\n")
	return nil
}

// join has a gang join its copies of every picture, by every strategy.
func (b *bench) join(ctx context.Context, g gang, until float64) ([]*joinedLogs, error) {
	var all []*joinedLogs
	var how []*change.Collusion
	for _, c := range change.Collusions() {
		if g.strategies == nil || slices.Contains(g.strategies, c.Name) {
			how = append(how, c)
			all = append(all, &joinedLogs{strategy: c.Name, perPic: make([]*joinedFind, len(b.bed.Pictures))})
		}
	}
	pics := b.bed.Pictures
	whole := len(pics) / g.pictures * g.pictures // the rest makes no set
	var mu sync.Mutex
	err := assay.Workers(ctx, whole, func(ctx context.Context, i int) error {
		members := assay.Gang(17, g.copies) // one farm: the same on all pictures
		if b.spent() > until {
			return nil
		}
		for k, c := range how {
			row, f, err := b.bed.CollusionRow(ctx, pics[i], c, members)
			if err != nil {
				return err
			}
			found, err := b.scored(ctx, f, members)
			if err != nil {
				return err
			}
			mu.Lock()
			all[k].perPic[i] = found
			all[k].wrong += len(row.Wrong)
			mu.Unlock()
		}
		return nil
	})
	return all, err
}

// scored scores members on a find.
func (b *bench) scored(ctx context.Context, f *assay.Find, members []int) (*joinedFind, error) {
	out := &joinedFind{}
	if !f.Found {
		return out, nil
	}
	out.reading = f.Reading
	for _, n := range members {
		v, err := b.viewer(ctx, n)
		if err != nil {
			return nil, err
		}
		out.viewers = append(out.viewers, uint64(v))
		out.scores = append(out.scores, f.Reading.Score(uint64(v)))
	}
	return out, nil
}

// viewer is the number of the n-th account.
func (b *bench) viewer(ctx context.Context, n int) (canary.Viewer, error) {
	return b.bed.Reg.Number(ctx, assay.Account(n%b.accounts), "")
}

// bitsOver is the evidence of some pictures together against every member. As on
// a site, those over the line help to find the others: the pictures are weighed
// again with their rings, until nobody is added.
func bitsOver(set []*joinedFind, members int) []float64 {
	out := make([]float64, members)
	evidence := make([]ring.Ledger, members)
	known := make([]bool, members)
	factors := make([][][]ring.Factor, members) // [member][picture][pass]
	for m := range factors {
		factors[m] = make([][]ring.Factor, len(set))
		for i, p := range set {
			if p.reading != nil {
				factors[m][i] = []ring.Factor{factorOf(i, p.scores[m])}
			}
		}
	}
	for fresh := true; fresh; {
		fresh = false
		for m := range out {
			if known[m] {
				continue
			}
			evidence[m] = ring.Ledger{}
			for _, passes := range factors[m] {
				if passes != nil {
					must(evidence[m].Rings(passes...))
				}
			}
			out[m] = float64(evidence[m].Millibits()) / 1000
		}
		for m, bits := range out {
			if !known[m] && bits >= 64 {
				known[m], fresh = true, true
			}
		}
		if fresh {
			inform(set, factors, known)
		}
	}
	return out
}

// inform adds a pass with the rings of the known members for each of the others.
func inform(set []*joinedFind, factors [][][]ring.Factor, known []bool) {
	for i, p := range set {
		if p.reading == nil {
			continue
		}
		var rings []uint64
		for m, is := range known {
			if is {
				rings = append(rings, p.viewers[m])
			}
		}
		given := p.reading.Given(rings)
		for m, is := range known {
			if !is {
				factors[m][i] = append(factors[m][i], factorOf(i, given.Score(p.viewers[m])))
			}
		}
	}
}

func factorOf(picture int, s ring.Score) ring.Factor {
	var seen ring.Sightings
	seen.See(s)
	return seen.Factor(fmt.Sprint(picture))
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("internal error: %v", err))
	}
}

func (b *bench) printGang(t *tabwriter.Writer, g gang, j *joinedLogs) {
	sets, allFound, oneFound, enough := 0, 0, 0, 0
	var least, most []float64
	for i := 0; i+g.pictures <= len(j.perPic); i += g.pictures {
		set := j.perPic[i : i+g.pictures]
		if !measured(set) { // time did not allow
			continue
		}
		sets++
		each := bitsOver(set, g.copies)
		bits := spreadOf(each)
		found := 0
		for _, v := range each {
			if v >= 64 {
				found++
			}
		}
		least, most = append(least, bits.least), append(most, bits.most)
		allFound += btoi(found == g.copies)
		oneFound += btoi(found > 0)
		enough += btoi(found >= g.least)
	}
	demanded, stands := "-", ""
	if g.least > 0 && sets > 0 {
		demanded = fmt.Sprintf("%d of %d in every set", g.least, g.copies)
		stands = b.demand(enough == sets && j.wrong == 0)
	}
	fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%d\t%d\t%.0f\t%.0f\t%d\t%s\t%s\t\n", g.copies, j.strategy, g.pictures, sets, allFound, oneFound,
		spreadOf(least).median, spreadOf(most).median, j.wrong, demanded, stands)
}

// printHowMany says how many pictures it takes until the first of a gang is found.
// From each set's first picture it goes on, round through all of them.
func (b *bench) printHowMany(g gang, j *joinedLogs) {
	n := len(j.perPic) / g.pictures * g.pictures
	if !measured(j.perPic[:n]) || n == 0 {
		return
	}
	var took []float64
	open := 0
	for i := 0; i < n; i += g.pictures {
		turned := slices.Concat(j.perPic[i:n], j.perPic[:i])
		k := 1
		for k <= n && spreadOf(bitsOver(turned[:k], g.copies)).most < 64 {
			k++
		}
		if k > n {
			open++
			continue
		}
		took = append(took, float64(k))
	}
	s := spreadOf(took)
	b.printf("of %d who average, the first is found after %.0f pictures in the median (%.0f to %.0f) of %d tries; %d tries find none in %d pictures\n",
		g.copies, s.median, s.least, s.most, len(took), open, n)
}

// measured says that time allowed for every picture of a set.
func measured(set []*joinedFind) bool {
	for _, p := range set {
		if p == nil {
			return false
		}
	}
	return true
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
