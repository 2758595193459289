// Package forest learns to tell two kinds of rows of numbers apart: gradient boosting
// of regression trees for the logistic loss (Friedman 2001), over features cut into
// bins. The handle model learns by it what people choose and it would not, and the
// attacker that handles are measured against learns by it to tell them.
package forest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Forest is trees whose values add up to the logarithm of the odds of the first kind,
// both kinds as frequent as in what it was grown over.
type Forest struct{ Trees [][]Node }

// Node is a fork, or a leaf if Feature is negative. The root is a tree's first; both
// ways from a fork lead further on.
type Node struct {
	Feature     int
	Cut         float64 // left: at most
	Left, Right int
	Value       float64 // of a leaf
}

// Size is how large a forest grows.
type Size struct {
	Rounds, Depth int
	Rate          float64 // how much of its own step each tree takes
}

const (
	bins      = 64
	leafLeast = 25 // rows
	leafDamp  = 2.0
)

// grower grows a forest over one table.
type grower struct {
	rate float64
	cuts [][]float64 // by feature
	bin  [][]uint8   // by feature and row
	grad []float64
	hess []float64
	rows []int
}

// Grow learns from rows of equal length; first says which are of the first kind.
func Grow(rows [][]float64, first []bool, size Size, rng *rand.Rand) *Forest {
	g := newGrower(rows, size.Rate)
	f := &Forest{}
	score := make([]float64, len(rows))
	for range size.Rounds {
		for i := range rows {
			p := 1 / (1 + math.Exp(-score[i]))
			g.hess[i] = p * (1 - p)
			g.grad[i] = -p
			if first[i] {
				g.grad[i] = 1 - p
			}
		}
		g.rows = g.rows[:0]
		for i := range rows {
			if rng.IntN(10) < 7 {
				g.rows = append(g.rows, i)
			}
		}
		var use []int
		for f := range g.cuts {
			if rng.IntN(10) < 6 {
				use = append(use, f)
			}
		}
		var tree []Node
		g.grow(&tree, g.rows, use, size.Depth)
		f.Trees = append(f.Trees, tree)
		for i, row := range rows {
			score[i] += walk(tree, row)
		}
	}
	return f
}

func newGrower(rows [][]float64, rate float64) *grower {
	g := &grower{rate: rate, grad: make([]float64, len(rows)), hess: make([]float64, len(rows))}
	for f := range rows[0] {
		all := make([]float64, len(rows))
		for i, row := range rows {
			all[i] = row[f]
		}
		sorted := slices.Sorted(slices.Values(all))
		var cuts []float64
		for b := 1; b < bins; b++ {
			cuts = append(cuts, sorted[b*(len(sorted)-1)/bins])
		}
		cuts = slices.Compact(cuts)
		bin := make([]uint8, len(rows))
		for i, v := range all {
			at, _ := slices.BinarySearch(cuts, v) // the first cut that is not below v
			bin[i] = uint8(at)
		}
		g.cuts, g.bin = append(g.cuts, cuts), append(g.bin, bin)
	}
	return g
}

// grow appends the tree over rows and returns its root's place.
func (g *grower) grow(tree *[]Node, rows []int, use []int, depth int) int {
	var sumG, sumH float64
	for _, i := range rows {
		sumG += g.grad[i]
		sumH += g.hess[i]
	}
	at := len(*tree)
	*tree = append(*tree, Node{Feature: -1, Value: g.rate * sumG / (sumH + leafDamp)})
	if depth == 0 || len(rows) < 2*leafLeast {
		return at
	}
	feature, cut, gain := -1, 0, 1e-6
	for _, f := range use {
		var hg, hh [bins]float64
		var hn [bins]int
		bin := g.bin[f]
		for _, i := range rows {
			b := bin[i]
			hg[b] += g.grad[i]
			hh[b] += g.hess[i]
			hn[b]++
		}
		var lg, lh float64
		ln := 0
		for c := range g.cuts[f] {
			lg, lh, ln = lg+hg[c], lh+hh[c], ln+hn[c]
			if ln < leafLeast || len(rows)-ln < leafLeast {
				continue
			}
			rg, rh := sumG-lg, sumH-lh
			if v := lg*lg/(lh+leafDamp) + rg*rg/(rh+leafDamp) - sumG*sumG/(sumH+leafDamp); v > gain {
				feature, cut, gain = f, c, v
			}
		}
	}
	if feature < 0 {
		return at
	}
	var left, right []int
	for _, i := range rows {
		if int(g.bin[feature][i]) <= cut {
			left = append(left, i)
		} else {
			right = append(right, i)
		}
	}
	l := g.grow(tree, left, use, depth-1)
	r := g.grow(tree, right, use, depth-1)
	(*tree)[at] = Node{Feature: feature, Cut: g.cuts[feature][cut], Left: l, Right: r}
	return at
}

func walk(tree []Node, row []float64) float64 {
	at := 0
	for tree[at].Feature >= 0 {
		if row[tree[at].Feature] <= tree[at].Cut {
			at = tree[at].Left
		} else {
			at = tree[at].Right
		}
	}
	return tree[at].Value
}

// Score is the logarithm of the odds that a row is of the first kind.
func (f *Forest) Score(row []float64) (v float64) {
	for _, t := range f.Trees {
		v += walk(t, row)
	}
	return v
}
