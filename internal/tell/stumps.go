package tell

import (
	"math"
	"slices"
)

// stump adds left or right to a file's score, according to one feature.
type stump struct {
	feature     int
	at          float64 // left up to here
	left, right float64
}

// boost fits decision stumps one after another, each to what the ones before left
// unexplained of the labels' log-likelihood (Friedman 2001, LogitBoost's Newton
// step). Other than a regression it sees effects that set in at a threshold. A
// tenth of every step is taken, so that many features have their say.
func boost(x [][]float64, ringed []bool, rounds int) []stump {
	const rate, fewest = 0.1, 8
	orders := make([][]int, len(x[0]))
	for f := range orders {
		o := make([]int, len(x))
		for i := range o {
			o[i] = i
		}
		slices.SortStableFunc(o, func(a, b int) int { return compare(x[a][f], x[b][f]) })
		orders[f] = o
	}
	score, gradient, weight := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	var out []stump
	for range rounds {
		var all, heavy float64
		for i, s := range score {
			p := 1 / (1 + math.Exp(-s))
			gradient[i], weight[i] = -p, max(p*(1-p), 1e-6)
			if ringed[i] {
				gradient[i]++
			}
			all, heavy = all+gradient[i], heavy+weight[i]
		}
		best, gain := stump{}, 0.0
		for f, order := range orders {
			var g, w float64
			for n, i := range order[:len(order)-1] {
				g, w = g+gradient[i], w+weight[i]
				here, next := x[i][f], x[order[n+1]][f]
				if here == next || n+1 < fewest || len(order)-n-1 < fewest {
					continue
				}
				if v := g*g/w + (all-g)*(all-g)/(heavy-w); v > gain {
					gain = v
					best = stump{f, (here + next) / 2, rate * g / w, rate * (all - g) / (heavy - w)}
				}
			}
		}
		if gain == 0 {
			break
		}
		out = append(out, best)
		for i, row := range x {
			score[i] += best.score(row)
		}
	}
	return out
}

func (s *stump) score(row []float64) float64 {
	if row[s.feature] <= s.at {
		return s.left
	}
	return s.right
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// learner trains on rows and returns what scores others.
type learner func(x [][]float64, ringed []bool) func(row []float64) float64

// regressions have different penalties, boosts different numbers of stumps; of a
// family the one that does best within the training photos is used.
var (
	regressions = []learner{regression(3), regression(30), regression(300)}
	boosts      = []learner{boosting(25), boosting(75), boosting(200)}
)

func regression(penalty float64) learner {
	return func(x [][]float64, ringed []bool) func([]float64) float64 {
		w := logistic(x, ringed, penalty)
		return func(row []float64) float64 { return dot(w, row) }
	}
}

func boosting(rounds int) learner {
	return func(x [][]float64, ringed []bool) func([]float64) float64 {
		all := boost(x, ringed, rounds)
		return func(row []float64) (sum float64) {
			for i := range all {
				sum += all[i].score(row)
			}
			return sum
		}
	}
}
