package mark

import (
	"math"
	"slices"
)

// tempers are the shares of the likelihoods that "some ring" must win with:
// noise twice as strong as estimated may not look like a ring.
var tempers = [...]float64{1, 0.7, 0.5}

// soft turns the weighed segments into soft values.
func (r *reader) soft() *Soft {
	out := &Soft{}
	var marked [len(tempers)]float64
	for _, g := range r.rings {
		for i, f := range tempers {
			marked[i] += either(f*(g.plus-g.zero), f*(g.minus-g.zero))
		}
	}
	out.MarkedMillibits = int64(math.Floor(1000 / math.Ln2 * slices.Min(marked[:])))
	cal := calibrate(r.rings)
	odds := make([]float64, len(cal))
	for k, c := range cal {
		odds[k] = c.odds
	}
	out.Y = shaped(odds)
	for _, y := range out.Y {
		if y != 0 {
			out.Read++
		}
	}
	return out
}

// either is the log of the mean of e^a and e^b, bounded; 0 for what is no number.
func either(a, b float64) float64 {
	top := max(a, b)
	f := top + math.Log1p(math.Exp(min(a, b)-top)) - math.Ln2
	if math.IsNaN(f) {
		return 0
	}
	return min(max(f, -1000), 1000)
}

// Evidence is computed from soft values under the model y = +-a + N(0, s^2) with
// one a/s for all segments, mixed over modelQ (package ring). The log odds of the
// segments are bent by whatever curve promises the most evidence under that
// model; the promise uses the odds themselves and no ring.
var (
	modelQ = [...]float64{.12, .25, .4, .7, 1.1, 1.8, 3}
	bends  = [...]float64{.5, 1, 2, 4, 8, 16}
)

const modelFloor = .03 / float64(len(modelQ))

// shaped are the soft values for log odds.
func shaped(odds []float64) []int16 {
	best := make([]int16, len(odds))
	most := math.Inf(-1)
	y := make([]float64, len(odds))
	for _, bend := range bends {
		for hard := range 2 {
			for k, l := range odds {
				if hard == 1 {
					y[k] = min(max(l/(2*bend), -1), 1)
				} else {
					y[k] = l / (math.Abs(l) + bend)
				}
			}
			if p := promise(y, odds); p > most {
				most = p
				for k, f := range y {
					best[k] = int16(math.Round(4096 * f))
				}
			}
		}
	}
	return best
}

// promise is the evidence in nats that values y give the right ring of a uniform
// code if the log odds are right.
func promise(y, odds []float64) float64 {
	var power float64
	n := 0
	for _, f := range y {
		if f != 0 {
			power += f * f
			n++
		}
	}
	if n == 0 || !(power > 0) {
		return 0
	}
	power /= float64(n)
	var logs [len(modelQ)]float64
	var a, s2, weight [len(modelQ)]float64
	for i, q := range modelQ {
		s2[i] = power / (1 + q*q)
		a[i] = q * math.Sqrt(s2[i])
	}
	for _, f := range y {
		if f == 0 {
			continue
		}
		f = math.Abs(f)
		for i := range modelQ {
			logs[i] += -(f-a[i])*(f-a[i])/(2*s2[i]) + math.Log1p(math.Exp(-2*a[i]*f/s2[i])) - math.Log(s2[i])/2
		}
	}
	top := slices.Max(logs[:])
	var total float64
	for i := range weight {
		weight[i] = math.Exp(logs[i] - top)
		total += weight[i]
	}
	for i := range weight {
		weight[i] = modelFloor + (1-modelFloor*float64(len(modelQ)))*weight[i]/total
		weight[i] /= math.Sqrt(s2[i])
	}
	var sum float64
	for k, f := range y {
		if f == 0 {
			continue
		}
		f = math.Abs(f)
		var up, down float64
		for i, w := range weight {
			up += w * math.Exp(-(f-a[i])*(f-a[i])/(2*s2[i]))
			down += w * math.Exp(-(f+a[i])*(f+a[i])/(2*s2[i]))
		}
		right := 1 / (1 + math.Exp(-min(math.Abs(odds[k]), 30)))
		up, down = max(up, 1e-300), max(down, 1e-300)
		sum += right*math.Log(2*up/(up+down)) + (1-right)*math.Log(2*down/(up+down))
	}
	return sum
}
