package registry

import (
	"cmp"
	"context"
	"slices"

	"birdring/canary"
	"birdring/canary/ring"
)

// audiences say who may have been shown a picture before a time.
type audiences func(p *picture, at int64) ([]audience, error)

// trial is the evidence of rings on a number of photos against every account
// that was shown any of them. What is in it depends on the photos, the audiences
// and the keys alone, not on the way it came about.
type trial struct {
	r      *Registry
	of     audiences
	groups map[string]*groupTrial
	order  []*groupTrial // as first seen
	index  map[int64]int // of an account in ids, sums and most
	ids    []int64
	sums   []ring.Sums
	most   []ring.Nats // bounds the evidence of sums from above
}

// groupTrial is one photo's part of a trial.
type groupTrial struct {
	name   string
	files  []foundFile
	prints []uint64                  // per file: of its audiences
	runs   map[int64]*ring.Sightings // accounts that scored; the others, if shown it, scored nothing
	seen   []bool                    // by an account's index in the trial: it was shown the photo
}

func (r *Registry) newTrial(of audiences) *trial {
	return &trial{r: r, of: of, groups: map[string]*groupTrial{}, index: map[int64]int{}}
}

// see adds a file that shows one photo, the next in order of sighting. It costs
// what scoring costs: accounts that scored nothing are touched when they are
// first shown the photo, and then no more.
func (t *trial) see(ctx context.Context, group string, f foundFile) error {
	g := t.groups[group]
	if g == nil {
		if len(t.groups) >= ring.MostGroups {
			return nil // a cell could overflow: the first ones count
		}
		g = &groupTrial{name: group, runs: map[int64]*ring.Sightings{}}
	}
	fresh, err := t.fileScores(ctx, f, nil)
	if err != nil {
		return err
	}
	if t.groups[group] == nil {
		t.groups[group] = g
		t.order = append(t.order, g)
	}
	if len(g.prints) == 0 || g.prints[len(g.prints)-1] != fresh.print {
		t.show(g, fresh.asked)
	}
	for account, s := range fresh.scores {
		run := g.runs[account]
		if run == nil {
			run = &ring.Sightings{}
			g.runs[account] = run
		}
		run.Skip(len(g.files) - run.Count())
		old := run.Factor(group)
		run.See(s)
		now := run.Factor(group)
		i := t.index[account]
		t.sums[i].Swap(&old, &now)
		t.most[i] = t.sums[i].Most()
	}
	g.files = append(g.files, f)
	g.prints = append(g.prints, fresh.print)
	return nil
}

// show enters the accounts of audiences that were not shown a photo before: as
// long as they score nothing, they count as if they had not supplied it.
func (t *trial) show(g *groupTrial, asked []audience) {
	unit, none := ring.Unit(g.name), nothing(g.name)
	for _, who := range asked {
		who.accounts(func(account int64) {
			i, ok := t.index[account]
			if !ok {
				i = len(t.ids)
				t.index[account] = i
				t.ids, t.sums, t.most = append(t.ids, account), append(t.sums, ring.Sums{}), append(t.most, 0)
			}
			if i >= len(g.seen) {
				g.seen = append(g.seen, make([]bool, max(i+1, len(t.ids))-len(g.seen))...)
			}
			if !g.seen[i] {
				g.seen[i] = true
				t.sums[i].Swap(&unit, &none)
				t.most[i] = t.sums[i].Most()
			}
		})
	}
}

// shown says whether an account was shown a photo.
func (t *trial) shown(g *groupTrial, account int64) bool {
	i, ok := t.index[account]
	return ok && i < len(g.seen) && g.seen[i]
}

// nothing is the factor of an account that was shown a photo and scored nothing.
func nothing(group string) ring.Factor {
	var none ring.Sightings
	return none.Factor(group)
}

// factor is an account's factor of a photo.
func (t *trial) factor(g *groupTrial, account int64) ring.Factor {
	switch run := g.runs[account]; {
	case run != nil:
		return run.Factor(g.name)
	case t.shown(g, account):
		return nothing(g.name)
	}
	return ring.Unit(g.name)
}

// fileScores are what one file says about every account.
type fileScores struct {
	scores map[int64]ring.Score // of those not dropped
	asked  []audience           // of the pictures it could come from
	print  uint64               // of the audiences
}

// scorer scores viewers on a find.
type scorer func(s softRead, who audience) (map[canary.Viewer]ring.Score, error)

// fileScores averages the sessions of an account and, over the pictures of one
// photo that a file could come from, those that the account was shown. Without a
// scorer it is the plain one.
func (t *trial) fileScores(ctx context.Context, f foundFile, score scorer) (fileScores, error) {
	if score == nil {
		score = func(s softRead, who audience) (map[canary.Viewer]ring.Score, error) { return t.r.score(ctx, s, who) }
	}
	out := fileScores{scores: map[int64]ring.Score{}}
	each := map[int64][]ring.Score{} // per account: of the pictures it scored on
	for _, s := range f.from {
		parts, err := t.of(s.picture, f.at)
		if err != nil {
			return out, err
		}
		for _, who := range parts {
			out.asked = append(out.asked, who)
			out.print = out.print*31 + who.print()
			logs, err := score(s, who)
			if err != nil {
				return out, err
			}
			for account, l := range accountScores(who, logs) {
				each[account] = append(each[account], l)
			}
		}
	}
	for account, all := range each {
		for n := shownTo(out.asked, account); len(all) < n; {
			all = append(all, ring.Nothing)
		}
		out.scores[account] = ring.Average(all)
	}
	return out, nil
}

// shownTo is the number of audiences an account is in.
func shownTo(asked []audience, account int64) (n int) {
	for _, who := range asked {
		if who.holds(account) {
			n++
		}
	}
	return n
}

// accountScores averages the sessions of every account with one that scored.
func accountScores(who audience, logs map[canary.Viewer]ring.Score) map[int64]ring.Score {
	out := make(map[int64]ring.Score, len(logs))
	for v := range logs {
		account := who.accountOf(v)
		if _, done := out[account]; done || account == 0 {
			continue
		}
		var all []ring.Score
		for _, s := range who.sessions(account) {
			l, ok := logs[s]
			if !ok {
				l = ring.Nothing
			}
			all = append(all, l)
		}
		out[account] = ring.Average(all)
	}
	return out
}

// mostPasses bounds the passes with side information.
const mostPasses = 4

// passes are the sums of accounts, pass by pass. Further passes read the photos
// that mixed copies with the rings of the accounts accused so far.
type passes struct {
	t     *trial
	extra []map[int64]ring.Sums // pass 2, 3, ..: accounts whose sums differ from the first
}

func (p *passes) of(account int64) []ring.Sums {
	i, ok := p.t.index[account]
	if !ok {
		return nil
	}
	out := []ring.Sums{p.t.sums[i]}
	for _, more := range p.extra {
		s, ok := more[account]
		if !ok {
			s = p.t.sums[i]
		}
		out = append(out, s)
	}
	return out
}

// most bounds the evidence of an account's rings from above, in millibits.
func (p *passes) most(account int64) int64 {
	most := ring.Never
	if i, ok := p.t.index[account]; ok {
		most = p.t.most[i]
	}
	for _, more := range p.extra {
		if s, ok := more[account]; ok {
			most = max(most, s.Most())
		}
	}
	return most.Millibits() + 1
}

// inform adds passes until nobody more is accused. accused says who is, given
// the passes so far, best first.
func (t *trial) inform(ctx context.Context, accused func(*passes) ([]int64, error)) (*passes, error) {
	p := &passes{t: t}
	known := 0
	for len(p.extra) < mostPasses-1 {
		members, err := accused(p)
		if err != nil || len(members) <= known {
			return p, err
		}
		known = len(members)
		more, err := t.informed(ctx, members)
		if err != nil || len(more) == 0 {
			return p, err
		}
		p.extra = append(p.extra, more)
	}
	return p, nil
}

// informed reads every photo that mixes the members' copies with what they
// explain, and returns the sums that change by it.
func (t *trial) informed(ctx context.Context, members []int64) (map[int64]ring.Sums, error) {
	out := map[int64]ring.Sums{}
	for _, g := range t.order {
		var in []int64
		for _, m := range members {
			if t.factor(g, m).Mixed() {
				in = append(in, m)
			}
		}
		if len(in) == 0 {
			continue
		}
		slices.SortStableFunc(in, func(a, b int64) int {
			return cmp.Or(cmp.Compare(t.factor(g, b).Alone(), t.factor(g, a).Alone()), cmp.Compare(a, b))
		})
		runs, err := t.regroup(ctx, g, in)
		if err != nil {
			return nil, err
		}
		for account, run := range runs {
			if slices.Contains(in, account) {
				continue // its own bits say nothing more about it
			}
			sums, ok := out[account]
			if !ok {
				sums = t.sums[t.index[account]]
			}
			old, now := t.factor(g, account), run.Factor(g.name)
			sums.Swap(&old, &now)
			out[account] = sums
		}
	}
	return out, nil
}

// regroup sees a photo's files again, given members of the coalition.
func (t *trial) regroup(ctx context.Context, g *groupTrial, members []int64) (map[int64]*ring.Sightings, error) {
	runs := map[int64]*ring.Sightings{}
	for n, f := range g.files {
		fresh, err := t.fileScores(ctx, f, func(s softRead, who audience) (map[canary.Viewer]ring.Score, error) {
			return t.r.scoreGiven(ctx, s, who, members)
		})
		if err != nil {
			return nil, err
		}
		for account, s := range fresh.scores {
			run := runs[account]
			if run == nil {
				run = &ring.Sightings{}
				runs[account] = run
			}
			run.Skip(n - run.Count())
			run.See(s)
		}
	}
	return runs, nil
}

// scoreGiven scores the viewers that passed the screen once more, with the rings
// of members: of each the session that fits best.
func (r *Registry) scoreGiven(ctx context.Context, s softRead, who audience, members []int64) (map[canary.Viewer]ring.Score, error) {
	logs, err := r.score(ctx, s, who)
	if err != nil {
		return nil, err
	}
	var known []uint64
	for _, m := range members {
		best, found := ring.Nothing, uint64(0)
		for _, v := range who.sessions(m) {
			if l, ok := logs[v]; ok && slices.Compare(l[:], best[:]) > 0 {
				best, found = l, uint64(v)
			}
		}
		if found != 0 && len(known) < ring.MostKnown {
			known = append(known, found)
		}
	}
	if len(known) == 0 {
		return logs, nil
	}
	reading, err := r.prepareReading(s)
	if err != nil {
		return nil, err
	}
	given := reading.Given(known)
	out := make(map[canary.Viewer]ring.Score, len(logs))
	for v := range logs {
		out[v] = given.Score(uint64(v))
	}
	return out, nil
}
