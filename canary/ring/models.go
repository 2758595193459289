package ring

import "slices"

// What a coalition may do where its copies differ (statistics section 6). A
// model is a size of the coalition and one of these: the probability that the
// found copy shows variant 1 when ones of c copies do.
var strategies = [...]func(ones, c int) float64{
	func(ones, c int) float64 { return float64(ones) / float64(c) },       // interleave: each segment from a copy at random
	func(ones, c int) float64 { return marking(ones, c, sign(2*ones-c)) }, // majority; a tie is a coin
	func(ones, c int) float64 { return marking(ones, c, sign(c-2*ones)) }, // minority
	func(ones, c int) float64 { return marking(ones, c, .5) },             // coin
	func(ones, c int) float64 { return marking(ones, c, 1) },              // all-1: variant 1 wherever a copy shows it
	func(ones, c int) float64 { return marking(ones, c, 0) },              // all-0
}

// marking is p, except where all copies agree: the coalition cannot make what none of its copies shows.
func marking(ones, c int, p float64) float64 {
	switch ones {
	case 0:
		return 0
	case c:
		return 1
	}
	return p
}

func sign(v int) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return 0
	}
	return .5
}

// sizes of the coalitions modelled, besides the single leaker.
var sizes = []int{2, 3, 4, 6, 8, 12, 16, 24, 32, 48}

// mixed is the number of models of two copies and more; with the single leaker
// they are 61, and telling them apart costs ln 61 = 4.1 nats.
const mixed = 60

// model holds what a copy's bit says under one model: the probability that the
// found copy shows variant 1 if the viewer's copy shows 1 or 0.
type model struct{ one, zero float64 }

// coalitions are the models of class c when ones of known copies of the coalition
// are known to show variant 1; without known copies they number mixed.
func coalitions(c class, known, ones int) []model {
	p := c.p()
	var out []model
	for _, size := range coalitionSizes(known) {
		rest := binomial(size-1-known, p)
		for _, theta := range strategies {
			var m model
			for k, w := range rest {
				m.one += float64(w * theta(ones+k+1, size))
				m.zero += float64(w * theta(ones+k, size))
			}
			out = append(out, m)
		}
	}
	return out
}

// coalitionSizes are the sizes modelled when known members are known; the viewer
// in question is one more.
func coalitionSizes(known int) []int {
	var out []int
	if known > 0 {
		out = append(out, known+1)
	}
	for _, s := range sizes {
		if s > known+1 || known == 0 {
			out = append(out, s)
		}
	}
	return slices.Compact(out)
}

// binomial is the distribution of the ones among n copies.
func binomial(n int, p float64) []float64 {
	out := make([]float64, n+1)
	out[0] = 1
	for i := range n {
		for k := i + 1; k > 0; k-- {
			out[k] = float64(out[k]*(1-p)) + float64(out[k-1]*p)
		}
		out[0] = float64(out[0] * (1 - p))
	}
	return out
}
