package main

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sort"

	"birdring/canary/ring"
)

// newBook makes the codebook of a simulated picture.
func newBook(code ring.Code, m int, n uint64) *ring.Book {
	key := make([]byte, 32)
	binary.LittleEndian.PutUint64(key, n)
	binary.LittleEndian.PutUint64(key[8:], seed)
	b, err := ring.NewBook(key, code, m)
	if err != nil {
		panic("sim: internal error: " + err.Error())
	}
	return b
}

func newReading(b *ring.Book, y []int16) *ring.Reading {
	r, err := ring.NewReading(b, y)
	if err != nil {
		panic("sim: internal error: " + err.Error())
	}
	return r
}

// bitsOf are a viewer's bits by segment.
func bitsOf(b *ring.Book, v uint64) []bool {
	word := make([]uint64, b.Words())
	b.Codeword(word, v)
	out := make([]bool, b.M())
	for k, pos := range b.Order() {
		out[k] = word[pos>>6]>>(pos&63)&1 == 1
	}
	return out
}

// hard makes hard decisions with a bit error rate.
func hard(bits []bool, ber float64, rng *rand.Rand) []int16 {
	y := make([]int16, len(bits))
	for k, bit := range bits {
		y[k] = -1024
		if bit != (rng.Float64() < ber) {
			y[k] = 1024
		}
	}
	return y
}

// soft makes soft values y = +-a + N(0, s^2) with a/s = q.
func soft(bits []bool, q float64, rng *rand.Rand) []int16 {
	y := make([]int16, len(bits))
	for k, bit := range bits {
		f := -q
		if bit {
			f = q
		}
		y[k] = sized(1024 * (f + rng.NormFloat64()) / (1 + q))
	}
	return y
}

// An attack decides from how many of c copies show variant 1.
type attack struct {
	name string
	one  func(ones, c int, rng *rand.Rand) bool
}

var attacks = []attack{
	{"interleave", func(ones, c int, rng *rand.Rand) bool { return rng.IntN(c) < ones }},
	{"majority", func(ones, c int, rng *rand.Rand) bool {
		return 2*ones > c || 2*ones == c && rng.IntN(2) == 0
	}},
	{"coin", func(ones, c int, rng *rand.Rand) bool { return ones == c || ones > 0 && rng.IntN(2) == 0 }},
	{"minority", func(ones, c int, rng *rand.Rand) bool {
		return ones == c || ones > 0 && (2*ones < c || 2*ones == c && rng.IntN(2) == 0)
	}},
	{"all-1", func(ones, _ int, _ *rand.Rand) bool { return ones > 0 }},
}

// mixed is what a coalition makes of its copies, noise-free.
func mixed(b *ring.Book, members []uint64, a attack, rng *rand.Rand) []int16 {
	ones := make([]int, b.M())
	for _, v := range members {
		for k, bit := range bitsOf(b, v) {
			if bit {
				ones[k]++
			}
		}
	}
	y := make([]int16, b.M())
	for k, n := range ones {
		y[k] = -1024
		if a.one(n, len(members), rng) {
			y[k] = 1024
		}
	}
	return y
}

// averaged is the mean of the copies' pixels under noise of a deviation in units of the strength.
func averaged(b *ring.Book, members []uint64, noise float64, rng *rand.Rand) []int16 {
	sum := make([]float64, b.M())
	for _, v := range members {
		for k, bit := range bitsOf(b, v) {
			if bit {
				sum[k]++
			} else {
				sum[k]--
			}
		}
	}
	y := make([]int16, b.M())
	for k, s := range sum {
		y[k] = sized(1024 * (s/float64(len(members)) + noise*rng.NormFloat64()))
	}
	return y
}

func sized(f float64) int16 { return int16(max(-32767, min(32767, math.Round(f)))) }

// siteBits is the evidence of distinct photos, each found once.
func siteBits(scores ...ring.Score) int64 {
	var sums ring.Sums
	unit := ring.Unit("")
	for i := range scores {
		var seen ring.Sightings
		seen.See(scores[i])
		f := seen.Factor("")
		sums.Swap(&unit, &f) // the label is the same by construction: each stands for a photo of its own
	}
	return ring.Passes([]ring.Sums{sums}).Millibits()
}

// quantile of integers.
func quantile(v []int, q float64) int {
	sort.Ints(v)
	return v[min(len(v)-1, int(q*float64(len(v))))]
}
