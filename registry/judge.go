package registry

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"birdring/canary"
	"birdring/canary/ring"
)

// judged is an account with what one find says about it.
type judged struct {
	account   int64 // row
	millibits int64
	exposed   bool // shown the decoy before the capture
}

// judgement is what one find says by itself. It holds scores below their lines:
// only named and verdict leave this package.
type judgement struct {
	verdict  Verdict
	scored   int      // viewers
	accounts []judged // at 64 bits or more, or at the line of probable; best first
	defect   string   // verdict error: what is wrong
}

// judge scores every viewer shown the decoy before the capture - with all, every
// viewer - and the controls, on a file that shows one photo.
func (r *Registry) judge(ctx context.Context, w *world, f finding, captured time.Time, all bool) (*judgement, error) {
	at := captured.UnixMicro()
	from := f.reads()
	j := &judgement{}
	if w.leakedRead(from, at) {
		j.verdict = VerdictError
		j.defect = fmt.Sprintf("picture %s is of an epoch whose secret is in other hands: nothing found since then names anybody, see birdring keys list", from[0].picture.id)
		return j, nil
	}
	neutral, err := r.controls(ctx, w, from, j)
	if err != nil || j.verdict == VerdictError {
		return j, err
	}
	of := r.suspects(ctx, w, all)
	file := foundFile{at: at, from: from}
	if j.scored, err = scoredOn([]foundFile{file}, of); err != nil {
		return nil, err
	}
	t := r.newTrial(of)
	if err := t.see(ctx, file.group(), file); err != nil {
		return nil, err
	}
	exposed := map[int64]bool{}
	for _, s := range from {
		shown, err := r.exposed(ctx, r.db.Read(), w.decoys[s.picture.decoy].Num)
		if err != nil {
			return nil, err
		}
		audience{shown, at}.accounts(func(account int64) { exposed[account] = true })
	}
	if err := j.rank(ctx, t, exposed); err != nil {
		return nil, err
	}
	j.settle(f, neutral)
	return j, nil
}

// suspects are the viewers scored on a picture. With all, an account that was
// shown the decoy is still scored by the viewers it was shown to alone.
func (r *Registry) suspects(ctx context.Context, w *world, all bool) audiences {
	rest := map[uint32]*roster{}
	return func(p *picture, at int64) ([]audience, error) {
		decoy := w.decoys[p.decoy].Num
		shown, err := r.exposed(ctx, r.db.Read(), decoy)
		if err != nil || !all {
			return []audience{{shown, at}}, err
		}
		if rest[decoy] == nil {
			if rest[decoy], err = others(ctx, r.db.Read(), audience{shown, at}); err != nil {
				return nil, err
			}
		}
		return []audience{{shown, at}, {rest[decoy], math.MaxInt64}}, nil
	}
}

// rank keeps the accounts over the line of probable, best first.
func (j *judgement) rank(ctx context.Context, t *trial, exposed map[int64]bool) error {
	line := min(ring.ProbableMillibits(j.scored), ring.AttributedMillibits)
	weighed := func(p *passes, least int64) (out []judged) {
		for _, account := range t.ids {
			if p.most(account) < least {
				continue
			}
			if m := ring.Passes(p.of(account)).Millibits(); m >= least {
				out = append(out, judged{account, m, exposed[account]})
			}
		}
		slices.SortFunc(out, func(a, b judged) int {
			return cmp.Or(cmp.Compare(b.millibits, a.millibits), cmp.Compare(a.account, b.account))
		})
		return out
	}
	p, err := t.inform(ctx, func(p *passes) ([]int64, error) {
		var out []int64
		for _, a := range weighed(p, ring.AttributedMillibits) {
			if a.exposed {
				out = append(out, a.account)
			}
		}
		return out, nil
	})
	if err != nil {
		return err
	}
	j.accounts = weighed(p, line)
	return nil
}

// settle finds the verdict.
func (j *judgement) settle(f finding, neutral bool) {
	is := func(least int64) func(judged) bool {
		return func(a judged) bool { return a.exposed && a.millibits >= least }
	}
	marked := slices.ContainsFunc(f, func(l lookalike) bool { return l.soft.MarkedMillibits >= ring.MarkedMillibits })
	switch {
	case slices.ContainsFunc(j.accounts, is(ring.AttributedMillibits)):
		j.verdict = VerdictAttributed
	case neutral:
		j.verdict = VerdictNeutral
	case slices.ContainsFunc(j.accounts, is(ring.ProbableMillibits(j.scored))):
		j.verdict = VerdictProbable
	case marked || len(j.accounts) > 0 && j.accounts[0].millibits >= ring.AttributedMillibits:
		j.verdict = VerdictMarked
	default:
		j.verdict = VerdictUnmarked
	}
}

// named are the accounts that may be told: those at 64 bits, and probable ones
// for an analyst who asks.
func (j *judgement) named(probable bool) []judged {
	var out []judged
	for _, a := range j.accounts {
		switch {
		case a.millibits >= ring.AttributedMillibits:
		case probable && a.exposed && a.millibits >= ring.ProbableMillibits(j.scored):
		default:
			continue
		}
		out = append(out, a)
	}
	return out
}

// stored is the verdict as it is kept: a level below 64 bits is told, never kept.
func (j *judgement) stored() Verdict {
	if j.verdict == VerdictProbable {
		return VerdictMarked
	}
	return j.verdict
}

// controls scores the numbers that are never given out. One of 1..65535 at its
// line means a defect of ours: an alarm, and the verdict error. It says whether
// the neutral copy was found.
func (r *Registry) controls(ctx context.Context, w *world, from []softRead, j *judgement) (neutral bool, err error) {
	for _, s := range from {
		reading, err := r.prepareReading(s)
		if err != nil {
			return false, err
		}
		most, who := int64(math.MinInt64), uint64(0)
		// A control that reads as served is far beyond any gate: one of 256 is scored in full.
		reading.ScoreRange(reading.Gate(int(canary.MaxControl)<<3), 1, uint64(canary.MaxControl), func(v uint64, l *ring.Score) {
			if m := l.Alone(); m > most {
				most, who = m, v
			}
		})
		if most >= ring.ErrorMillibits {
			j.verdict = VerdictError
			j.defect = fmt.Sprintf("control %d, which was never given out, reads as served: do not rely on this picture, see /healthz", who)
			detail := map[string]any{"photo": s.picture.id, "decoy": w.decoys[s.picture.decoy].ID, "control": who, "millibits": most, "y": packSoft(s.y)}
			return false, r.alarm(ctx, "control", fmt.Sprintf("control %d scores %d bits on picture %s", who, most/1000, s.picture.id), detail)
		}
		neutral = neutral || reading.Score(uint64(canary.Neutral)).Alone() >= ring.AttributedMillibits
	}
	return neutral, nil
}
