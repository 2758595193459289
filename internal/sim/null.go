package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"birdring/canary/ring"
)

// hostile values: what a scraper might make the reader see.
var hostile = []struct {
	name string
	draw func(rng *rand.Rand, bit bool) int16
}{
	{"honest", func(rng *rand.Rand, bit bool) int16 { return sized(600*rng.NormFloat64() + signOf(bit)*500) }},
	{"weak", func(rng *rand.Rand, bit bool) int16 { return sized(900*rng.NormFloat64() + signOf(bit)*110) }},
	{"constant", func(*rand.Rand, bool) int16 { return 1024 }},
	{"heavy tails", func(rng *rand.Rand, _ bool) int16 { return sized(600 * math.Tan(math.Pi*(rng.Float64()-.5))) }},
	{"half gone", func(rng *rand.Rand, bit bool) int16 {
		if rng.IntN(2) == 0 {
			return 0
		}
		return sized(signOf(bit) * 2000)
	}},
}

func signOf(bit bool) float64 {
	if bit {
		return 1
	}
	return -1
}

// alphas are the levels at which type-I errors are counted.
var alphas = []float64{1e-1, 1e-2, 1e-3, 1e-4}

// errors counts innocents whose largest evidence reached 1/alpha.
type errors struct {
	mu   sync.Mutex
	n    int
	over [4]int
}

func (x *errors) add(most int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.n++
	for i, a := range alphas {
		if float64(most) >= -math.Log2(a)*1000 {
			x.over[i]++
		}
	}
}

func (x *errors) row(name string) row {
	r := row{Case: name, Want: "at most alpha + 3 standard errors at .1, .01, .001, .0001", OK: true, Runs: x.n}
	for i, a := range alphas {
		share := float64(x.over[i]) / float64(x.n)
		r.Got += fmt.Sprintf("%.5f ", share)
		r.OK = r.OK && share <= a+3*math.Sqrt(a*(1-a)/float64(x.n))
	}
	return r
}

// nullTable: innocents' largest evidence over 20 looks (ten photos, then each of
// them again), and over 400 guesses at one photo.
func nullTable(e effort, tell func(row)) {
	const photos, m = 10, 300
	for _, code := range []ring.Code{ring.U, ring.D} {
		for kind, h := range hostile {
			readings := make([][2]*ring.Reading, photos)
			for d := range readings {
				rng := random(uint64(d), uint64(kind))
				b := newBook(code, m, uint64(1000*kind+d))
				for again := range 2 {
					y := make([]int16, m)
					for k, bit := range bitsOf(b, 99) {
						y[k] = h.draw(rng, bit)
					}
					readings[d][again] = newReading(b, y)
				}
			}
			var x errors
			n := e.runs(10_000)
			each(n, func(i int) { x.add(mostOf(readings, uint64(100_000+i))) })
			tell(x.row(fmt.Sprintf("%s, %s values, 20 looks", code, h.name)))
		}
	}
	b := newBook(ring.D, m/2, 5)
	var guesses []*ring.Reading
	rng := random(6, 6)
	for range 400 {
		y := make([]int16, m/2)
		for k := range y {
			y[k] = sized(1024 * signOf(rng.IntN(2) == 0))
		}
		guesses = append(guesses, newReading(b, y))
	}
	var x errors
	each(e.runs(1_500), func(i int) {
		var seen ring.Sightings
		most := int64(math.MinInt64)
		for _, g := range guesses {
			seen.See(g.Score(uint64(100_000 + i)))
			most = max(most, seen.Factor("").Alone())
		}
		x.add(most)
	})
	tell(x.row("D, one photo guessed at 400 times"))
}

// mostOf is the largest evidence against a viewer at any look.
func mostOf(readings [][2]*ring.Reading, v uint64) int64 {
	var sums ring.Sums
	unit := ring.Unit("")
	seen := make([]ring.Sightings, len(readings))
	most := int64(math.MinInt64)
	for again := range 2 {
		for d := range readings {
			old := unit
			if again > 0 {
				old = seen[d].Factor("")
			}
			seen[d].See(readings[d][again].Score(v))
			now := seen[d].Factor("")
			sums.Swap(&old, &now)
			if sums.Most().Millibits() >= 3000 {
				most = max(most, ring.Passes([]ring.Sums{sums}).Millibits())
			}
		}
	}
	return most
}

// meanTable: the mean of E over all rings of a picture of which 12 segments were read.
func meanTable(_ effort, tell func(row)) {
	const m, read = 640, 12
	for _, code := range []ring.Code{ring.U, ring.D, ring.D6} {
		for kind, h := range hostile {
			b := newBook(code, m, uint64(kind))
			rng := random(uint64(kind), 3)
			y := make([]int16, m)
			var at []uint32 // code positions of what was read, of all biases
			for i := range read {
				k := i * m / read
				y[k] = h.draw(rng, i%2 == 0)
				at = append(at, b.Order()[k])
			}
			r := newReading(b, y)
			var mean [ring.Tracks]float64
			word := make([]uint64, b.Words())
			for bits := range 1 << read {
				clear(word)
				prob := 1.
				for i, pos := range at {
					p := b.P(int(pos))
					if bits>>i&1 == 1 {
						word[pos>>6] |= 1 << (pos & 63)
						prob *= p
					} else {
						prob *= 1 - p
					}
				}
				for t, l := range r.ScoreRing(word) {
					mean[t] += prob * math.Exp(float64(l)/(1<<24))
				}
			}
			low, high := math.Inf(1), math.Inf(-1)
			for _, v := range mean {
				low, high = min(low, v), max(high, v)
			}
			tell(row{
				Case: fmt.Sprintf("%s, %s values, all rings of %d segments read, %d tracks", code, h.name, read, ring.Tracks), Want: "at most 1 + 1e-9, short of 1 by rounding down alone",
				Got: fmt.Sprintf("%.9f to %.9f", low, high), OK: high <= 1+1e-9 && low > 1-1e-5, Runs: 1 << read,
			})
		}
	}
}

// innocentsTable: nobody among ten million reaches 64 bits.
func innocentsTable(e effort, tell func(row)) {
	n := uint64(e.runs(10_000_000))
	b := newBook(ring.D, 2048, 1)
	r := newReading(b, soft(bitsOf(b, 7), .84, random(1, 2)))
	const parts = 64
	var over, weighed atomic.Int64
	var mu sync.Mutex
	most := int64(math.MinInt64)
	gate := r.Gate(int(n))
	each(parts, func(i int) {
		best := int64(math.MinInt64)
		r.ScoreRange(gate, 100_000+uint64(i)*(n/parts), n/parts, func(_ uint64, s *ring.Score) {
			weighed.Add(1)
			if best = max(best, s.Alone()); s.Alone() >= ring.AttributedMillibits {
				over.Add(1)
			}
		})
		mu.Lock()
		defer mu.Unlock()
		most = max(most, best)
	})
	tell(row{
		Case: fmt.Sprintf("D, 2048 positions, %d innocents, %d weighed on all tracks", n, weighed.Load()), Want: "0 at 64 bits, the largest below log2(n) + 10 bits",
		Got: fmt.Sprintf("%d, the largest %.1f bits", over.Load(), float64(most)/1000), OK: over.Load() == 0 && float64(most)/1000 < math.Log2(float64(n))+10, Runs: int(n),
	})
}

// tailTable: T x P0(E >= T) deep in the tail, by drawing rings as the leaker's
// would be and weighing them back.
func tailTable(e effort, tell func(row)) {
	const q = .84
	for _, code := range []ring.Code{ring.U, ring.D} {
		for _, t := range []float64{1e6, 1e12, 1e15} {
			m := int(math.Log(t)/.22) + 30
			if code == ring.D {
				m = m * 4 / 3
			}
			b := newBook(code, m, uint64(m))
			y := soft(bitsOf(b, 7), q, random(1, 2))
			r := newReading(b, y)
			n := max(e.runs(20_000), 2_000)
			var mu sync.Mutex
			sum, squares := 0., 0.
			each(n, func(i int) {
				rng := random(uint64(m), uint64(i))
				word := make([]uint64, b.Words())
				weight := 0.
				for k, pos := range b.Order() {
					p := b.P(int(pos))
					odds := p / (1 - p) * math.Exp(2*q*float64(y[k])/1024*(1+q))
					post := odds / (1 + odds)
					if rng.Float64() < post {
						word[pos>>6] |= 1 << (pos & 63)
						weight += math.Log(p / post)
					} else {
						weight += math.Log((1 - p) / (1 - post))
					}
				}
				if float64(r.ScoreRing(word).Alone())/1000 < math.Log2(t) {
					return
				}
				x := t * math.Exp(weight)
				mu.Lock()
				defer mu.Unlock()
				sum, squares = sum+x, squares+x*x
			})
			mean := sum / float64(n)
			se := math.Sqrt(max(0, squares/float64(n)-mean*mean) / float64(n))
			tell(row{
				Case: fmt.Sprintf("%s, %d positions, T = %.0e, importance sampling", code, m, t), Want: "T x P0(E >= T) at most 1",
				Got: fmt.Sprintf("%.4f +- %.4f", mean, se), OK: mean <= 1 && mean > 0 && se < .2*mean, Runs: n,
			})
		}
	}
}
