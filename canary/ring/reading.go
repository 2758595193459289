package ring

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Tracks is the number of bets kept apart on one picture: four shapes of
// reliability times four shares of positions that tell anything.
const Tracks = 16

// TrackLogs holds the log e-value (nats) of one picture for one viewer, per track.
// -Inf stands for an e-value of 0.
type TrackLogs [Tracks]float64

// Constants of statistics section 3: q = a/s of the model y = +-a + N(0, s^2).
var (
	innerQ      = [...]float64{.12, .25, .4, .7, 1.1, 1.8, 3}
	outerQ      = [...]float64{.1, .18, .3}
	shapePrior  = [4]float64{.55, .15, .15, .15} // inner, then the outer ones
	rhos        = [4]float64{1, .5, .25, .1}
	rhoPrior    = [4]float64{.55, .2, .15, .1}
	innerFloor  = .03 / float64(len(innerQ))
	maxLogRatio = 16.0
)

// screenTrack is the bet that a scan over many viewers uses to drop the hopeless:
// the inner shape with a quarter of the positions telling, which a mixed copy still passes.
const screenTrack = 2

// Reading is everything about a find that does not depend on any viewer's ring:
// for each track and position, what a 0 and a 1 there are worth.
type Reading struct {
	book  *Book
	base  TrackLogs       // all bits 0
	quads [][16]TrackLogs // for every 4 code positions: what their bits add
	lut   []float32       // screen: 256 sums for every 8 positions
	start float32         // screen with all bits 0
}

// NewReading prepares the soft values of a find, in segment order: y[k] > 0
// speaks for variant 1 of segment k, 0 for nothing read there. len(y) must be b.M().
func NewReading(b *Book, y []int16) (*Reading, error) {
	if len(y) != b.m {
		return nil, fmt.Errorf("%d soft values for a picture of %d segments", len(y), b.m)
	}
	r := &Reading{book: b}
	delta := make([]TrackLogs, 64*b.Words()) // [code position]: 1 instead of 0
	shapes := logRatios(y)
	for k, v := range y {
		if v == 0 {
			continue
		}
		pos := b.order[k]
		p := b.P(int(pos))
		for s := range shapes {
			one, zero := bet(shapes[s][k], p)
			for i, rho := range rhos {
				l1, l0 := math.Log(1-rho+rho*one), math.Log(1-rho+rho*zero)
				r.base[4*s+i] += l0
				delta[pos][4*s+i] = l1 - l0
			}
		}
	}
	r.buildQuads(delta)
	r.buildScreen(delta)
	return r, nil
}

// bet returns R(1) and R(0) for a log-likelihood ratio l = log f1/f0 at a
// position with P(1) = p; p R(1) + (1-p) R(0) = 1 whatever l is.
func bet(l, p float64) (one, zero float64) {
	e := math.Exp(l)
	mean := p*e + 1 - p
	return e / mean, 1 / mean
}

// logRatios returns log f1(y)/f0(y) of every segment for each of the four
// shapes: the inner mixture, whose weights the values themselves choose, and
// the outer ones for reliability too weak to be seen in the values.
func logRatios(y []int16) [4][]float64 {
	var sum float64
	var n int
	for _, v := range y {
		if v != 0 {
			f := float64(v) / 1024
			sum += f * f
			n++
		}
	}
	var out [4][]float64
	for s := range out {
		out[s] = make([]float64, len(y))
	}
	if n == 0 {
		return out
	}
	power := sum / float64(n)
	weights := innerWeights(y, power)
	for k, v := range y {
		if v == 0 {
			continue
		}
		f := float64(v) / 1024
		out[0][k] = clip(mixtureRatio(f, power, weights))
		for i, q := range outerQ {
			// a/s^2 with s^2 = power/(1+q^2), a = q s.
			out[1+i][k] = clip(2 * f * q * math.Sqrt((1+q*q)/power))
		}
	}
	return out
}

func clip(l float64) float64 { return max(-maxLogRatio, min(maxLogRatio, l)) }

// innerWeights weighs the grid of q by the likelihood of the values' sizes
// under 1/2 N(a) + 1/2 N(-a), floored.
func innerWeights(y []int16, power float64) [len(innerQ)]float64 {
	var logs [len(innerQ)]float64
	for i, q := range innerQ {
		s2 := power / (1 + q*q)
		a := q * math.Sqrt(s2)
		for _, v := range y {
			if v == 0 {
				continue
			}
			f := math.Abs(float64(v) / 1024)
			// log of the density up to a constant; cosh through its larger half.
			logs[i] += -(f-a)*(f-a)/(2*s2) + math.Log1p(math.Exp(-2*a*f/s2)) - math.Log(s2)/2
		}
	}
	top := logs[0]
	for _, l := range logs {
		top = max(top, l)
	}
	var w [len(innerQ)]float64
	var total float64
	for i, l := range logs {
		w[i] = max(math.Exp(l-top), 0)
		total += w[i]
	}
	for i := range w {
		w[i] = innerFloor + (1-innerFloor*float64(len(w)))*w[i]/total
	}
	return w
}

// mixtureRatio is log sum_q w N(f; a_q) - log sum_q w N(f; -a_q).
func mixtureRatio(f, power float64, weights [len(innerQ)]float64) float64 {
	var plus, minus [len(innerQ)]float64
	top := math.Inf(-1)
	for i, q := range innerQ {
		s2 := power / (1 + q*q)
		a := q * math.Sqrt(s2)
		c := math.Log(weights[i]) - math.Log(s2)/2
		plus[i] = c - (f-a)*(f-a)/(2*s2)
		minus[i] = c - (f+a)*(f+a)/(2*s2)
		top = max(top, plus[i], minus[i])
	}
	var up, down float64
	for i := range plus {
		up += math.Exp(plus[i] - top)
		down += math.Exp(minus[i] - top)
	}
	const tiny = 1e-300
	return math.Log(max(up, tiny)) - math.Log(max(down, tiny))
}

// Score is the evidence of this picture against one viewer.
func (r *Reading) Score(v uint64) TrackLogs {
	word := make([]uint64, r.book.Words())
	r.book.Codeword(word, v)
	return r.score(word)
}

// score adds what every four bits are worth, in order of code positions.
func (r *Reading) score(word []uint64) TrackLogs {
	out := r.base
	for i, w := range word {
		quads := r.quads[16*i : 16*i+16]
		for j := range quads {
			row := &quads[j][w&15]
			w >>= 4
			for t, d := range row {
				out[t] += d
			}
		}
	}
	return out
}

// buildQuads tabulates all tracks for four positions at a time.
func (r *Reading) buildQuads(delta []TrackLogs) {
	r.quads = make([][16]TrackLogs, len(delta)/4)
	for g := range r.quads {
		for v := 1; v < 16; v++ {
			row := &delta[4*g+bits.TrailingZeros(uint(v))]
			for t, d := range &r.quads[g][v&(v-1)] {
				r.quads[g][v][t] = d + row[t]
			}
		}
	}
}

// buildScreen tabulates the screening track for eight positions at a time.
func (r *Reading) buildScreen(delta []TrackLogs) {
	r.start = float32(r.base[screenTrack])
	r.lut = make([]float32, len(delta)/8*256)
	for g := range len(delta) / 8 {
		table := r.lut[g*256 : g*256+256]
		for v := 1; v < 256; v++ {
			bit := bits.TrailingZeros(uint(v))
			table[v] = table[v&(v-1)] + float32(delta[g*8+bit][screenTrack])
		}
	}
}

func (r *Reading) screen(word []uint64) float32 {
	sum := r.start
	for i, w := range word {
		t := r.lut[i*2048 : i*2048+2048 : i*2048+2048]
		sum += t[byte(w)] + t[256+int(byte(w>>8))] + t[512+int(byte(w>>16))] + t[768+int(byte(w>>24))] +
			t[1024+int(byte(w>>32))] + t[1280+int(byte(w>>40))] + t[1536+int(byte(w>>48))] + t[1792+int(byte(w>>56))]
	}
	return sum
}

// ScoreRange scores the viewers from..from+n-1 and visits those whose screening
// bet has not lost; the others' e-values count as 0, which keeps the bound. Cost
// grows linearly with n; state does not grow.
func (r *Reading) ScoreRange(from, n uint64, visit func(v uint64, t *TrackLogs)) {
	const batch = 256
	b := r.book
	heads := cipher.NewCTR(b.heads, counter(from, 4))
	tails := cipher.NewCTR(b.tails, counter(from, uint64(b.blocks)))
	head, tail := make([]byte, 64*batch), make([]byte, 16*b.blocks*batch)
	word := make([]uint64, b.Words())
	for done := uint64(0); done < n; done += batch {
		clear(head)
		clear(tail)
		heads.XORKeyStream(head, head)
		tails.XORKeyStream(tail, tail)
		for i := range min(batch, n-done) {
			b.assemble(word, head[64*i:], tail[16*uint64(b.blocks)*i:])
			if r.screen(word) <= 0 {
				continue
			}
			t := r.score(word)
			visit(from+done+i, &t)
		}
	}
}

// counter is the initial counter block of viewer v whose stretch is n blocks long.
func counter(v, n uint64) []byte {
	iv := make([]byte, 16)
	binary.BigEndian.PutUint64(iv[8:], v*n)
	return iv
}
