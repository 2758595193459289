package ring

import (
	"math"
	"slices"
)

// averaged are the sizes of the coalitions whose averaged pixels the centred
// lanes look for.
var averaged = [...]int{2, 3, 4, 8, 16}

// mixedTable tabulates the models of mixed copies, then the centred lanes.
func (r *Reading) mixedTable() *table {
	var by [classes][]model
	for c := class(2); c < classes; c++ {
		by[c] = coalitions(c, 0, 0)
	}
	centre := r.centre()
	often := make([]int, len(r.symbols))
	for _, i := range r.of {
		if i >= 0 {
			often[i]++
		}
	}
	fit := make([]float64, mixed+1)
	seen := 0
	t := r.tabulate(mixed+len(averaged), func(s symbol, one, zero []Nats) {
		p, n := s.class.p(), float64(often[seen])
		seen++
		mixedBets(s, by[s.class], one, zero, fit, n)
		fit[mixed] += float64(n * log(float64(p*exp(s.ratio[0]))+1-p)) // the single leaker
		for i := range averaged {
			one[mixed+i], zero[mixed+i] = centre.bet(s, i)
		}
	})
	t.weights = modelWeights(fit)
	return t
}

// modelWeights are logs of the models' weights: a fifth uniform, the rest as
// likely as the values, the biases and known members' bits make each. The viewer's
// own bits do not enter.
func modelWeights(fit []float64) []float64 {
	const floor = .2
	top, sum := slices.Max(fit), 0.
	for _, l := range fit {
		sum += exp(l - top)
	}
	out := make([]float64, len(fit))
	for i, l := range fit {
		out[i] = log(floor/float64(len(fit)) + float64((1-floor)*exp(l-top)/sum))
	}
	return out
}

// mixedBets are LR_g = [t_x f1 + (1-t_x) f0] / [t f1 + (1-t) f0] (statistics
// section 6). fit gains the log likelihood of the value, met n times, under each model.
func mixedBets(s symbol, models []model, one, zero []Nats, fit []float64, n float64) {
	p, e := s.class.p(), exp(s.ratio[0])
	for i, m := range models {
		t := float64(p*m.one) + float64((1-p)*m.zero)
		mean := float64(t*e) + 1 - t
		fit[i] += float64(n * log(mean))
		one[i] = down(log((float64(m.one*e) + 1 - m.one) / mean))
		zero[i] = down(log((float64(m.zero*e) + 1 - m.zero) / mean))
	}
}

// centre models averaged copies of biased code: y = a(2p-1) + (2a/c)(x-p) + noise.
type centre struct {
	a     float64 // strength of the ring
	noise [len(averaged)]float64
	power float64
}

// centre estimates strength and noise from values and biases alone.
func (r *Reading) centre() centre {
	var n int
	var cross, squares, power, spread float64
	for k, v := range r.y {
		if v == 0 {
			continue
		}
		p := r.book.class(int(r.book.order[k])).p()
		f, lean := valueOf(v), 2*p-1
		cross += float64(f * lean)
		squares += float64(lean * lean)
		power += float64(f * f)
		spread += float64(p * (1 - p))
		n++
	}
	c := centre{}
	if n == 0 || squares == 0 {
		return c
	}
	c.power = power / float64(n)
	c.a = max(0, min(cross/squares, 2*math.Sqrt(c.power)))
	rest := c.power - float64(c.a*c.a)*squares/float64(n) // of y - a(2p-1), about
	for i, size := range averaged {
		c.noise[i] = max(float64(0.02*c.power), rest-float64(4*c.a*c.a)/float64(size)*spread/float64(n))
	}
	return c
}

// bet is a bet on a coalition of averaged[i] copies.
func (c *centre) bet(s symbol, i int) (one, zero Nats) {
	if c.a == 0 {
		return 0, 0
	}
	p := s.class.p()
	size := float64(averaged[i])
	step := 2 * c.a / size
	// The other members' bits spread around p and count as noise.
	variance := c.noise[i] + float64(float64(step*step)*p*(1-p)*(size-1))
	off := valueOf(s.y) - float64(c.a*(2*p-1))
	return bet(clip(step/variance*(off-float64(step*(0.5-p)))), p, 1)
}
