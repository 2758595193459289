// Package critic is the attacker that handles are measured against: a scraper with
// names of real accounts and with handles of decoys that he has found out, who
// learns to tell them apart.
//
// He has, besides both lists, the Background: the very handles our model was fitted
// to; and he knows the program, so he fits the same model to them and asks it how
// likely it makes each name. What he lacks is the key. He stacks what each of these
// says: language models of one to seven signs of all three lists, a linear classifier
// over runs of signs, how much of a name stands letter for letter in the background,
// and the name's build, under boosted trees. What a name's score rests on never saw
// the name: the lists are cut into folds.
//
// The number it yields is only as strong as this attacker; it is no proof that a
// better one does not exist.
package critic

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"birdring/canary/handle/forest"
)

// Task is what the attacker is given.
type Task struct {
	Real, Ours []string
	Background []string                    // what our model was fitted to; may be none
	Bits       func(handle string) float64 // what our fitted model says, may be nil
	Seed       uint64
	Step       func(done, total int) // told how far it is, may be nil
}

// Result is how well he tells them apart, on names he did not learn from.
type Result struct {
	AUC    float64 // 0.5: not at all, 1: always
	Error  float64 // standard error of AUC (Hanley and McNeil 1982)
	Recall float64 // share of ours flagged where one real name in a hundred is
	// Parts are the AUCs of his means one by one, the strongest first.
	Parts []Part
	// Real and Ours are the scores of the names he was tested on.
	Real, Ours []float64
}

// Part is one of the attacker's means.
type Part struct {
	Name string
	AUC  float64
}

// Fewest is how many names a side the attacker needs.
const Fewest = 300

func tooFew(real, ours int) error {
	return fmt.Errorf("%d real names and %d handles are too few to judge by: %d of each at least", real, ours, Fewest)
}

const folds = 5

// Run lets the attacker learn from two thirds of both lists and tests him on the rest.
func Run(t Task) (Result, error) {
	if len(t.Real) < Fewest || len(t.Ours) < Fewest {
		return Result{}, tooFew(len(t.Real), len(t.Ours))
	}
	if t.Step == nil {
		t.Step = func(int, int) {}
	}
	rng := rand.New(rand.NewPCG(t.Seed, 0xc217))
	train, test := sample{}, sample{}
	for label, names := range [][]string{t.Ours, t.Real} {
		names = slices.Clone(names)
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		cut := len(names) * 2 / 3
		train.add(names[:cut], label == 1)
		test.add(names[cut:], label == 1)
	}
	rng.Shuffle(len(train.names), train.swap)
	b := newBackground(t)
	const steps = folds + 2
	t.Step(1, steps)
	// Each fold's features come from what was learnt from the other folds.
	rows := make([][]float64, len(train.names))
	for fold := range folds {
		var rest sample
		for i, name := range train.names {
			if i%folds != fold {
				rest.add([]string{name}, train.real[i])
			}
		}
		e := newEyes(rest, b, rng)
		for i := fold; i < len(train.names); i += folds {
			rows[i] = e.look(train.names[i])
		}
		t.Step(2+fold, steps)
	}
	e := newEyes(train, b, rng)
	tested := make([][]float64, len(test.names))
	for i, name := range test.names {
		tested[i] = e.look(name)
	}
	stacked := forest.Grow(rows, train.real, trees, rng)
	r := Result{}
	for i, row := range tested {
		if s := stacked.Score(row); test.real[i] {
			r.Real = append(r.Real, s)
		} else {
			r.Ours = append(r.Ours, s)
		}
	}
	t.Step(steps, steps)
	if len(r.Real) == 0 || len(r.Ours) == 0 {
		return r, errors.New("no names left to test on")
	}
	r.AUC = AUC(r.Real, r.Ours)
	r.Error = aucError(r.AUC, len(r.Real), len(r.Ours))
	r.Recall = RecallAt(r.Real, r.Ours, 0.01)
	r.Parts = parts(e.names(), tested, test.real)
	return r, nil
}

// sample is names and whether they are real.
type sample struct {
	names []string
	real  []bool
}

func (s *sample) add(names []string, real bool) {
	for _, n := range names {
		s.names, s.real = append(s.names, n), append(s.real, real)
	}
}

func (s *sample) swap(i, j int) {
	s.names[i], s.names[j] = s.names[j], s.names[i]
	s.real[i], s.real[j] = s.real[j], s.real[i]
}

func (s *sample) of(real bool) (out []string) {
	for i, n := range s.names {
		if s.real[i] == real {
			out = append(out, n)
		}
	}
	return out
}

// AUC is the chance that a real name scores higher than one of ours, a tie counting half.
func AUC(real, ours []float64) float64 {
	ours = slices.Sorted(slices.Values(ours))
	sum := 0.0
	for _, s := range real {
		below, _ := slices.BinarySearch(ours, s)
		upTo, _ := slices.BinarySearchFunc(ours, s, func(a, b float64) int {
			if a <= b {
				return -1
			}
			return 1
		})
		sum += float64(below) + float64(upTo-below)/2
	}
	return sum / float64(len(real)) / float64(len(ours))
}

// aucError is the standard error of an AUC (Hanley and McNeil 1982).
func aucError(a float64, n, m int) float64 {
	q1, q2 := a/(2-a), 2*a*a/(1+a)
	return math.Sqrt((a*(1-a) + float64(n-1)*(q1-a*a) + float64(m-1)*(q2-a*a)) / float64(n) / float64(m))
}

// RecallAt is the share of ours that lie below the score under which the share
// flagged of real names lies.
func RecallAt(real, ours []float64, flagged float64) float64 {
	real = slices.Sorted(slices.Values(real))
	line := real[int(flagged*float64(len(real)))]
	n := 0
	for _, s := range ours {
		if s < line {
			n++
		}
	}
	return float64(n) / float64(len(ours))
}

// parts are the AUCs of single features, whichever way they point.
func parts(names []string, rows [][]float64, real []bool) (out []Part) {
	for f, name := range names {
		var a, b []float64
		for i, row := range rows {
			if real[i] {
				a = append(a, row[f])
			} else {
				b = append(b, row[f])
			}
		}
		auc := AUC(a, b)
		out = append(out, Part{name, max(auc, 1-auc)})
	}
	slices.SortStableFunc(out, func(a, b Part) int {
		switch {
		case a.AUC > b.AUC:
			return -1
		case a.AUC < b.AUC:
			return 1
		}
		return 0
	})
	return out
}
