package tell

import (
	"math"
	"slices"
)

// scaler brings features to mean 0 and standard deviation 1.
type scaler struct{ mean, sd []float64 }

func newScaler(x [][]float64) scaler {
	n := len(x[0])
	s := scaler{make([]float64, n), make([]float64, n)}
	for _, row := range x {
		for i, v := range row {
			s.mean[i] += v / float64(len(x))
		}
	}
	for _, row := range x {
		for i, v := range row {
			s.sd[i] += (v - s.mean[i]) * (v - s.mean[i]) / float64(len(x))
		}
	}
	for i, v := range s.sd {
		s.sd[i] = math.Sqrt(v)
	}
	return s
}

func (s scaler) scale(row []float64) []float64 {
	out := make([]float64, len(row))
	for i, v := range row {
		if s.sd[i] > 1e-9 {
			out[i] = max(-6, min(6, (v-s.mean[i])/s.sd[i]))
		}
	}
	return out
}

// logistic fits a logistic regression with penalty lambda on the squared
// weights by Newton's method. The classes are balanced and centred: no intercept.
func logistic(x [][]float64, ringed []bool, lambda float64) []float64 {
	n := len(x[0])
	w := make([]float64, n)
	for range 8 {
		h := make([][]float64, n)
		for i := range h {
			h[i] = make([]float64, n)
			h[i][i] = lambda
		}
		g := make([]float64, n)
		for i, v := range w {
			g[i] = -lambda * v
		}
		for k, row := range x {
			p := 1 / (1 + math.Exp(-dot(w, row)))
			t := 0.0
			if ringed[k] {
				t = 1
			}
			weight := max(p*(1-p), 1e-4)
			for i, v := range row {
				if v == 0 {
					continue
				}
				g[i] += (t - p) * v
				hi := h[i]
				for j, u := range row[:i+1] {
					hi[j] += weight * v * u
				}
			}
		}
		for i, d := range solve(h, g) {
			w[i] += d
		}
	}
	return w
}

// solve solves h x = g for a positive definite h, given by its lower half, which
// it overwrites with its Cholesky factor.
func solve(h [][]float64, g []float64) []float64 {
	n := len(g)
	for i := range n {
		for j := range i + 1 {
			s := h[i][j]
			for k := range j {
				s -= h[i][k] * h[j][k]
			}
			if i == j {
				h[i][i] = math.Sqrt(max(s, 1e-12))
			} else {
				h[i][j] = s / h[j][j]
			}
		}
	}
	x := slices.Clone(g)
	for i := range n {
		for k := range i {
			x[i] -= h[i][k] * x[k]
		}
		x[i] /= h[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			x[i] -= h[k][i] * x[k]
		}
		x[i] /= h[i][i]
	}
	return x
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// auc is the probability that a ringed file scores above an ordinary one.
func auc(scores []float64, ringed []bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case scores[a] < scores[b]:
			return -1
		case scores[a] > scores[b]:
			return 1
		}
		return 0
	})
	var ranks, positives float64
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			if ringed[k] {
				ranks += float64(i+j+1) / 2 // the mean rank of equal scores
				positives++
			}
		}
		i = j
	}
	negatives := float64(len(scores)) - positives
	if positives == 0 || negatives == 0 {
		return math.NaN()
	}
	return (ranks - positives*(positives+1)/2) / (positives * negatives)
}
