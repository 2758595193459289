package ring

import (
	"fmt"
	"math"
	"sync"
)

// Constants of statistics section 3: q = a/s of the model y = +-a + N(0, s^2).
var (
	innerQ = [...]float64{.12, .25, .4, .7, 1.1, 1.8, 3}
	// The outer ones are for reliability too weak to be read off the values; the
	// last is for values all of one size, which tell nothing about it.
	outerQ = [...]float64{.1, .18, .3, .75}
	rhos   = [...]float64{1, .5, .25, .1}
)

const (
	shapes      = 1 + len(outerQ)
	innerFloor  = .03 / float64(len(innerQ))
	maxLogRatio = 16.0
)

// Reading is everything about a find that does not depend on any viewer's ring:
// for every track and position, what a 0 and a 1 there are worth. It is safe for
// concurrent use.
type Reading struct {
	book    *Book
	y       []int16
	symbols []symbol // the different (value, bias) pairs
	of      []int32  // per segment: its symbol, -1 where nothing was read

	plain   *table // the tracks before trackMixed
	screen  *screen
	mixing  func() *table // the models of mixed copies and the centred ones, made when first needed
	windows func() *windowed
	pool    sync.Pool // *room
}

// symbol is a soft value at a position of one bias.
type symbol struct {
	y     int16
	class class
	ratio [shapes]float64 // log f1(y)/f0(y), clipped
}

// room is what scoring one viewer needs.
type room struct {
	word  []uint64
	plain [trackMixed]Nats
	lanes []Nats
	logs  []float64
}

// NewReading prepares the soft values of a find, in segment order: y[k] > 0
// speaks for variant 1 of segment k, 0 for nothing read there. len(y) must be b.M().
func NewReading(b *Book, y []int16) (*Reading, error) {
	if len(y) != b.m {
		return nil, fmt.Errorf("%d soft values for a picture of %d segments", len(y), b.m)
	}
	r := &Reading{book: b, y: y, of: make([]int32, len(y))}
	seen := map[uint32]int32{}
	ratios := logRatios(y)
	for k, v := range y {
		if v == 0 {
			r.of[k] = -1
			continue
		}
		c := b.class(int(b.order[k]))
		key := uint32(uint16(v))<<8 | uint32(c)
		i, ok := seen[key]
		if !ok {
			i = int32(len(r.symbols))
			seen[key] = i
			r.symbols = append(r.symbols, symbol{v, c, ratios(v)})
		}
		r.of[k] = i
	}
	r.plain = r.tabulate(trackMixed, plainBets)
	r.screen = r.newScreen()
	r.mixing = sync.OnceValue(r.mixedTable)
	r.windows = sync.OnceValue(r.newWindows)
	r.pool.New = func() any {
		return &room{word: make([]uint64, b.Words()), lanes: make([]Nats, mixed+len(averaged))}
	}
	return r, nil
}

// bet is log R(1) and log R(0) of a share rho of the positions telling, for a
// log-likelihood ratio l at a bias p: p R(1) + (1-p) R(0) = 1 whatever l is.
func bet(l, p, rho float64) (one, zero Nats) {
	e := exp(l)
	mean := float64(p*e) + 1 - p
	return down(log(1 - rho + float64(rho*(e/mean)))), down(log(1 - rho + rho/mean))
}

// plainBets are the tracks of one leaker.
func plainBets(s symbol, one, zero []Nats) {
	p := s.class.p()
	for i := range trackHard {
		one[i], zero[i] = bet(s.ratio[i/len(rhos)], p, rhos[i%len(rhos)])
	}
	one[trackHard], zero[trackHard] = bet(s.ratio[shapes-1], p, 1)
}

// logRatios returns log f1(y)/f0(y) for each shape: the inner mixture, whose
// weights the values themselves choose, and the outer ones.
func logRatios(y []int16) func(v int16) [shapes]float64 {
	var squares uint64 // exact in any order
	var n int
	count := make([]uint32, 1<<15+1)
	for _, v := range y {
		if v != 0 {
			size := int64(v)
			squares += uint64(size * size)
			count[max(size, -size)]++
			n++
		}
	}
	if n == 0 {
		return func(int16) [shapes]float64 { return [shapes]float64{} }
	}
	power := float64(squares) / (1 << 20) / float64(n)
	weights := innerWeights(count, power)
	return func(v int16) (out [shapes]float64) {
		f := valueOf(v)
		out[0] = clip(mixtureRatio(f, power, weights))
		for i, q := range outerQ {
			// a/s^2 with s^2 = power/(1+q^2), a = q s.
			out[1+i] = clip(float64(2 * f * q * math.Sqrt((1+float64(q*q))/power)))
		}
		return out
	}
}

// valueOf is a soft value in units of 1024.
func valueOf(y int16) float64 { return float64(float64(y) / 1024) }

func clip(l float64) float64 { return max(-maxLogRatio, min(maxLogRatio, l)) }

// innerWeights weighs the grid of q by the likelihood of the values' sizes
// under 1/2 N(a) + 1/2 N(-a), floored. count is how often each size occurs.
func innerWeights(count []uint32, power float64) [len(innerQ)]float64 {
	var logs [len(innerQ)]float64
	for i, q := range innerQ {
		s2 := power / (1 + float64(q*q))
		a := float64(q * math.Sqrt(s2))
		norm := float64(log(s2) / 2)
		for size, n := range count {
			if n == 0 {
				continue
			}
			f := float64(float64(size) / 1024)
			// log of the density up to a constant; cosh through its larger half.
			one := log(1+exp(-2*a*f/s2)) - float64((f-a)*(f-a))/(2*s2) - norm
			logs[i] += float64(float64(n) * one)
		}
	}
	top := logs[0]
	for _, l := range logs {
		top = max(top, l)
	}
	var w [len(innerQ)]float64
	var total float64
	for i, l := range logs {
		w[i] = exp(l - top)
		total += w[i]
	}
	for i := range w {
		w[i] = innerFloor + float64((1-innerFloor*float64(len(w)))*(w[i]/total))
	}
	return w
}

// mixtureRatio is log sum_q w N(f; a_q) - log sum_q w N(f; -a_q).
func mixtureRatio(f, power float64, weights [len(innerQ)]float64) float64 {
	var plus, minus [len(innerQ)]float64
	top := math.Inf(-1)
	for i, q := range innerQ {
		s2 := power / (1 + float64(q*q))
		a := float64(q * math.Sqrt(s2))
		c := log(weights[i]) - float64(log(s2)/2)
		plus[i] = c - float64((f-a)*(f-a))/(2*s2)
		minus[i] = c - float64((f+a)*(f+a))/(2*s2)
		top = max(top, plus[i], minus[i])
	}
	var up, down float64
	for i := range plus {
		up += exp(plus[i] - top)
		down += exp(minus[i] - top)
	}
	const tiny = 1e-300
	return log(max(up, tiny)) - log(max(down, tiny))
}
