package ring

import "math"

// MeanOverRings is the mean of every track's e-value over all rings of a
// picture of which little was read, each weighed by its probability.
func MeanOverRings(r *Reading, b *Book) [Tracks]float64 {
	return meanOver(b, r, r.ScoreRing)
}

// MeanGiven is the same with side information: known rings stay what they are.
func MeanGiven(f *Informed, b *Book) [Tracks]float64 {
	return meanOver(b, f.reading, func(word []uint64) (out Score) {
		room := f.pool.Get().(*room)
		defer f.pool.Put(room)
		f.table.sum(word, room.lanes)
		l := room.mix(f.table.weights, room.lanes)
		for t := range out {
			out[t] = l
		}
		return out
	})
}

func meanOver(b *Book, r *Reading, score func(word []uint64) Score) [Tracks]float64 {
	var out [Tracks]float64
	word := make([]uint64, b.Words())
	var at []uint32 // what was not read says nothing
	for k, v := range r.y {
		if v != 0 {
			at = append(at, b.order[k])
		}
	}
	for ring := range uint64(1) << len(at) {
		clear(word)
		prob := 1.0
		for k, pos := range at {
			p := b.P(int(pos))
			if ring>>k&1 == 1 {
				word[pos>>6] |= 1 << (pos & 63)
				prob *= p
			} else {
				prob *= 1 - p
			}
		}
		for t, l := range score(word) {
			if l != Never {
				out[t] += prob * math.Exp(l.float())
			}
		}
	}
	return out
}

// Strong makes short pictures weigh the models of mixed copies too.
func (r *Reading) Strong() { r.screen.strong = true }

// Exp and Log are the package's own.
var Exp, Log = exp, log

// Float is l in nats.
func (l Nats) Float() float64 { return l.float() }

// Open lets every viewer pass.
var Open = open

// PlainScore is the screen's integer score, position by position.
func (r *Reading) PlainScore(v uint64) (whole, prefix int) {
	word := make([]uint64, r.book.Words())
	r.book.Codeword(word, v)
	for pos := range 64 * len(word) {
		w := 0
		for plane := range planes {
			w |= int(r.screen.masks[pos>>6][plane]>>(pos&63)&1) << plane
		}
		if (word[pos>>6]^r.screen.flip[pos>>6])>>(pos&63)&1 == 1 {
			whole += w
			if pos>>6 < r.book.prefix {
				prefix += w
			}
		}
	}
	return whole, prefix
}

// Least returns a gate's two bounds.
func (g Gate) Least() (whole, prefix int) { return g.whole, g.prefix }
