package critic

import (
	"math"
	"math/rand/v2"
	"slices"
)

// linear is logistic regression over runs of one to five signs, hashed, with the
// step sizes of AdaGrad (Duchi, Hazan and Singer 2011).
type linear struct{ w, g []float64 }

const linearBits = 18

func newLinear(s sample, rng *rand.Rand) *linear {
	l := &linear{make([]float64, 1<<linearBits), make([]float64, 1<<linearBits)}
	const rate, passes, shrink = 0.15, 4, 1e-5
	order := rng.Perm(len(s.names))
	for range passes {
		for _, i := range order {
			y := 0.0
			if s.real[i] {
				y = 1
			}
			at := hashes(s.names[i])
			d := 1/(1+math.Exp(-l.sum(at))) - y
			for _, k := range at {
				g := d + shrink*l.w[k]
				l.g[k] += g * g
				l.w[k] -= rate * g / math.Sqrt(l.g[k]+1e-4)
			}
		}
	}
	return l
}

func (l *linear) sum(at []uint32) (v float64) {
	for _, k := range at {
		v += l.w[k]
	}
	return v / math.Sqrt(float64(len(at)))
}

func (l *linear) score(name string) float64 { return l.sum(hashes(name)) }

func hashes(name string) (out []uint32) {
	s := "^" + name + "$"
	for i := range len(s) {
		h := uint64(0xcbf29ce484222325)
		for n := 0; n < 5 && i+n < len(s); n++ {
			h = (h ^ uint64(s[i+n])) * 0x100000001b3
			out = append(out, uint32((h^h>>29)*0x9e3779b97f4a7c15>>(64-linearBits)))
		}
	}
	return out
}

// forest is gradient boosting of regression trees for the logistic loss (Friedman
// 2001) over features cut into bins.
type forest struct {
	trees [][]node
}

// node is a fork, or a leaf if feature is negative.
type node struct {
	feature     int
	cut         float64 // left: at most
	left, right int
	value       float64
}

const (
	rounds    = 320
	depth     = 5
	rate      = 0.05
	bins      = 64
	leafLeast = 25 // rows
	leafDamp  = 2.0
)

// grower grows a forest over one table.
type grower struct {
	cuts [][]float64 // by feature
	bin  [][]uint8   // by feature and row
	grad []float64
	hess []float64
	rows []int
}

func boost(rows [][]float64, real []bool, rng *rand.Rand) *forest {
	g := newGrower(rows)
	f := &forest{}
	score := make([]float64, len(rows))
	for range rounds {
		for i := range rows {
			p := 1 / (1 + math.Exp(-score[i]))
			g.hess[i] = p * (1 - p)
			g.grad[i] = -p
			if real[i] {
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
		var tree []node
		g.grow(&tree, g.rows, use, depth)
		f.trees = append(f.trees, tree)
		for i, row := range rows {
			score[i] += walk(tree, row)
		}
	}
	return f
}

func newGrower(rows [][]float64) *grower {
	g := &grower{grad: make([]float64, len(rows)), hess: make([]float64, len(rows))}
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
func (g *grower) grow(tree *[]node, rows []int, use []int, depth int) int {
	var sumG, sumH float64
	for _, i := range rows {
		sumG += g.grad[i]
		sumH += g.hess[i]
	}
	at := len(*tree)
	*tree = append(*tree, node{feature: -1, value: rate * sumG / (sumH + leafDamp)})
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
	(*tree)[at] = node{feature: feature, cut: g.cuts[feature][cut], left: l, right: r}
	return at
}

func walk(tree []node, row []float64) float64 {
	at := 0
	for tree[at].feature >= 0 {
		if row[tree[at].feature] <= tree[at].cut {
			at = tree[at].left
		} else {
			at = tree[at].right
		}
	}
	return tree[at].value
}

func (f *forest) score(row []float64) (v float64) {
	for _, t := range f.trees {
		v += walk(t, row)
	}
	return v
}
