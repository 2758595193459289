package mark

import (
	"math"
	"slices"
)

// Segments do not all keep what the re-enactment predicts: an encoder may have
// flattened some, and what looks like quiet noise may be louder there. How much of
// the ring is left (keep, in units of the half) and how loud the noise is
// (loud, in units of the estimated deviation) is mixed over this grid; the shares
// are learned from the segments' sizes alone, by expectation maximisation, apart
// for segments of weak, middle and strong signal.
var (
	keeps = [...]float64{0, 0.35, 0.7, 1}
	louds = [...]float64{0.8, 1.2, 2, 4}
)

const (
	grids   = len(keeps) * len(louds)
	classes = 4
)

// calibrated is what can be said about one segment after that.
type calibrated struct {
	odds   float64 // log odds of variant 1 against 0
	mean   float64 // expected half, -1..1
	square float64 // expected square of it
}

// calibrate weighs the segments; those without information get zeros.
func calibrate(rings []ringed) []calibrated {
	out := make([]calibrated, len(rings))
	type seen struct {
		k       int
		t, info float64
	}
	var all []seen
	for k, g := range rings {
		info := -(g.plus - g.zero) - (g.minus - g.zero)
		pull := (g.plus - g.minus) / 2
		// Outliers bend the likelihood upwards: then only the slope is left.
		info = max(info, math.Abs(pull)*0.5)
		if !(info > 1e-6) || math.IsInf(info, 0) || math.IsNaN(pull) {
			continue
		}
		all = append(all, seen{k, pull / info, info})
	}
	slices.SortFunc(all, func(a, b seen) int {
		switch {
		case a.info < b.info:
			return -1
		case a.info > b.info:
			return 1
		}
		return a.k - b.k
	})
	n := len(all)
	for c := range classes {
		part := all[c*n/classes : (c+1)*n/classes]
		plus, minus := make([][grids]float64, len(part)), make([][grids]float64, len(part))
		for i, s := range part {
			top := math.Inf(-1)
			for j := range grids {
				keep, loud := keeps[j/len(louds)], louds[j%len(louds)]
				f := s.info / (2 * loud * loud)
				plus[i][j] = -(s.t-keep)*(s.t-keep)*f - math.Log(loud)
				minus[i][j] = -(s.t+keep)*(s.t+keep)*f - math.Log(loud)
				top = max(top, plus[i][j], minus[i][j])
			}
			for j := range grids {
				plus[i][j], minus[i][j] = math.Exp(plus[i][j]-top), math.Exp(minus[i][j]-top)
			}
		}
		share := learned(plus, minus)
		for i, s := range part {
			var up, down, mean, square float64
			for j, w := range share {
				keep := keeps[j/len(louds)]
				a, b := w*plus[i][j], w*minus[i][j]
				up += a
				down += b
				mean += keep * (a - b)
				square += keep * keep * (a + b)
			}
			const least = 1e-12
			out[s.k] = calibrated{
				odds:   math.Log((up + least) / (down + least)),
				mean:   mean / (up + down + least),
				square: square / (up + down + least),
			}
		}
	}
	return out
}

// learned are the shares of the grid that make the segments likeliest, starting
// from, and held near, "the ring is whole and the noise as estimated".
func learned(plus, minus [][grids]float64) [grids]float64 {
	var prior, share [grids]float64
	for j := range grids {
		prior[j] = 0.3 / float64(grids)
		if keeps[j/len(louds)] == 1 && louds[j%len(louds)] == 1.2 {
			prior[j] += 0.7
		}
	}
	share = prior
	if len(plus) == 0 {
		return share
	}
	for range 12 {
		var sum [grids]float64
		for i := range plus {
			var total float64
			for j, w := range share {
				total += w * (plus[i][j] + minus[i][j])
			}
			if !(total > 0) {
				continue
			}
			for j, w := range share {
				sum[j] += w * (plus[i][j] + minus[i][j]) / total
			}
		}
		const held = 10 // segments' worth of prior
		var total float64
		for j := range sum {
			sum[j] += held * prior[j]
			total += sum[j]
		}
		for j := range sum {
			share[j] = sum[j] / total
		}
	}
	return share
}
