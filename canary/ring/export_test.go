package ring

import "math"

// MeanOverRings is the mean of every track's e-value over all rings of a short
// picture, each weighted by its probability.
func MeanOverRings(r *Reading, b *Book) [Tracks]float64 {
	var out [Tracks]float64
	word := make([]uint64, b.Words())
	for ring := range uint64(1) << b.m {
		clear(word)
		prob := 1.0
		for k, pos := range b.order {
			p := b.P(int(pos))
			if ring>>k&1 == 1 {
				word[pos>>6] |= 1 << (pos & 63)
				prob *= p
			} else {
				prob *= 1 - p
			}
		}
		for t, l := range r.score(word) {
			out[t] += prob * math.Exp(l)
		}
	}
	return out
}
