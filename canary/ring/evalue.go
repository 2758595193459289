package ring

import "math"

// Lines of evidence, in millibits.
const (
	AttributedMillibits = 64_000 // an account is attributed
	MarkedMillibits     = 58_000 // "some ring", judged without any ring
	ErrorMillibits      = 33_000 // a control here means a defect of ours (chance <= 2^-17 for 65,535 of them)
)

// ProbableMillibits is the line of the level `probable`: log2(20 x candidates), rounded up.
func ProbableMillibits(candidates int) int64 {
	return int64(math.Ceil(1000 * math.Log2(20*float64(max(1, candidates)))))
}

// pis are the shares of a site's pictures that an account may have supplied.
var (
	pis     = [...]float64{1, .5, .2, .08, .03, .01}
	piPrior = [...]float64{.3, .2, .15, .15, .1, .1}
)

// SiteBits is the evidence of distinct pictures (different photo groups) found
// on one site against one viewer: log2 of sum over tracks t and shares pi of
// v_t v_pi prod_d (1 - pi + pi E_d^t), in millibits rounded down. The mixture
// stands outside the product. No pictures: 0.
func SiteBits(pictures []TrackLogs) int64 {
	terms := make([]float64, 0, Tracks*len(pis))
	for s, ps := range shapePrior {
		for i, pr := range rhoPrior {
			t := 4*s + i
			for j, pi := range pis {
				sum := math.Log(ps * pr * piPrior[j])
				for d := range pictures {
					sum += logMix(pictures[d][t], pi)
				}
				terms = append(terms, sum)
			}
		}
	}
	nats := logSum(terms)
	if math.IsInf(nats, -1) {
		return math.MinInt64 / 2
	}
	return int64(math.Floor(nats / math.Ln2 * 1000))
}

// logMix is log(1 - pi + pi e^l).
func logMix(l, pi float64) float64 {
	if pi == 1 {
		return l
	}
	a, b := math.Log1p(-pi), math.Log(pi)+l
	if b < a {
		a, b = b, a
	}
	return b + math.Log1p(math.Exp(a-b))
}

// logSum is log of the sum of e^l.
func logSum(logs []float64) float64 {
	top := math.Inf(-1)
	for _, l := range logs {
		top = max(top, l)
	}
	if math.IsInf(top, -1) {
		return top
	}
	var sum float64
	for _, l := range logs {
		sum += math.Exp(l - top)
	}
	return top + math.Log(sum)
}

// Again joins the sightings of one and the same picture on one site, in the
// order they were made: sum over s = 1, 2, .. of E^(s) / (s(s+1)). It never
// exceeds what an e-value may, however often a picture is seen.
func Again(sightings []TrackLogs) TrackLogs {
	return combine(sightings, func(i int) float64 { return -math.Log(float64((i + 1) * (i + 2))) })
}

// Average joins hypotheses of which one is true at the most: the sessions of one
// account, or the pictures of a photo group that one file could come from.
func Average(of []TrackLogs) TrackLogs {
	n := math.Log(float64(max(1, len(of))))
	return combine(of, func(int) float64 { return -n })
}

func combine(of []TrackLogs, logWeight func(i int) float64) TrackLogs {
	var out TrackLogs
	if len(of) == 1 { // the same sum, many times a site
		w := logWeight(0)
		for t, l := range of[0] {
			out[t] = l + w
		}
		return out
	}
	terms := make([]float64, len(of))
	for t := range out {
		for i := range of {
			terms[i] = of[i][t] + logWeight(i)
		}
		out[t] = logSum(terms)
	}
	return out
}
