package ring_test

import (
	"crypto/aes"
	"crypto/cipher"
	"maps"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"birdring/canary/ring"
)

// No innocent among 200,000 comes near the line, the leaker passes every gate, and
// bulk scoring agrees with the plain way bit for bit.
func TestScoreRangeFindsOnlyTheLeaker(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	b := book(t, ring.D, 2048)
	const guilty = 123_456
	r := reading(t, b, leak(b, guilty, .6, rng))
	for name, gate := range map[string]ring.Gate{"gate": r.Gate(200_000), "sweep": r.Sweep(200_000)} {
		found, visited, most := false, 0, int64(math.MinInt64)
		r.ScoreRange(gate, 1, 200_000, func(v uint64, s *ring.Score) {
			visited++
			if one := r.Gated(gate, v); one != *s {
				t.Fatalf("%s: bulk and single score differ: %v, %v", name, *s, one)
			}
			bits := siteBits(*s)
			if v == guilty {
				found = bits >= ring.AttributedMillibits
				return
			}
			most = max(most, bits)
		})
		if !found {
			t.Errorf("%s: the leaker was not found at 64 bits", name)
		}
		// Ville: 2e5 innocents x 2^-33 = 2e-5.
		if most >= ring.ErrorMillibits {
			t.Errorf("%s: an innocent viewer reached %d millibits", name, most)
		}
		if visited > 6000 {
			t.Errorf("%s lets %d of 200,000 pass", name, visited)
		}
		t.Logf("%s: %d viewers weighed, largest innocent %d millibits", name, visited, most)
	}
	if s := r.Gated(r.Sweep(1<<30), 5); s != ring.Nothing {
		t.Error("a dropped viewer scores something")
	}
}

// The screen's bit slices add up what the weights say, and its distribution over
// innocents is what the gate assumes.
func TestScreenAgainstPlainSums(t *testing.T) {
	for _, code := range []ring.Code{ring.U, ring.D, ring.D6} {
		b := book(t, code, 1500)
		r := reading(t, b, leak(b, 9, 1, rand.New(rand.NewPCG(6, 6))))
		gate := r.Sweep(1 << 17)
		whole, prefix := gate.Least()
		passed, plain, byWhole := 0, 0, 0
		const n = 20_000
		r.ScoreRange(gate, 100_000, n, func(uint64, *ring.Score) { passed++ })
		for v := uint64(100_000); v < 100_000+n; v++ {
			w, p := r.PlainScore(v)
			if w >= whole {
				byWhole++
				if p >= prefix {
					plain++
				}
			}
			if (w >= whole && p >= prefix) != r.Pass(gate, v) {
				t.Fatalf("%s: viewer %d scores %d and %d against %d and %d", code, v, w, p, whole, prefix)
			}
		}
		if passed != plain {
			t.Errorf("%s: %d viewers pass, %d should", code, passed, plain)
		}
		// 2^-6 of innocents are expected over the gate of 2^17 viewers.
		if share := float64(byWhole) / n; share < .010 || share > .024 {
			t.Errorf("%s: %.4f of innocents reach the gate, %.4f expected", code, share, math.Exp2(-6))
		}
	}
}

// A weak find drops nobody: a leaker could be among them.
func TestWeakFindsAreNotScreened(t *testing.T) {
	b := book(t, ring.U, 300)
	r := reading(t, b, leak(b, 9, .15, rand.New(rand.NewPCG(6, 6))))
	if whole, _ := r.Gate(1 << 30).Least(); whole != math.MinInt {
		t.Errorf("a find of 300 weak segments is screened at %d", whole)
	}
}

// keystreamFloor is what making n bytes of AES-CTR keystream costs: the least
// that looking at so much of a codebook can cost.
func keystreamFloor(b *testing.B, bytes int) float64 {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	ctr := cipher.NewCTR(block, make([]byte, 16))
	buf := make([]byte, 256*bytes)
	best := math.Inf(1)
	for range 20 {
		begin := time.Now()
		clear(buf)
		ctr.XORKeyStream(buf, buf)
		best = min(best, float64(time.Since(begin).Nanoseconds()))
	}
	return best / 256
}

func benchmarkRange(b *testing.B, bytes int, gate func(*ring.Reading) ring.Gate) {
	k := book(b, ring.D, 2048)
	r := reading(b, k, leak(k, 7, .8, rand.New(rand.NewPCG(1, 1))))
	g := gate(r)
	const n = 1 << 14
	weighed := 0
	r.ScoreRange(g, 70_000, n, func(uint64, *ring.Score) {})
	b.ReportAllocs()
	ns := math.Inf(1)
	for b.Loop() {
		weighed = 0
		begin := time.Now()
		r.ScoreRange(g, 70_000, n, func(uint64, *ring.Score) { weighed++ })
		ns = min(ns, float64(time.Since(begin).Nanoseconds())/n) // the machine may be shared: the best round counts
	}
	b.ReportMetric(ns, "ns/viewer")
	b.ReportMetric(ns/keystreamFloor(b, bytes), "x-AES-keystream")
	b.ReportMetric(float64(weighed)/n, "weighed/viewer")
}

// BenchmarkScoreRange is a find of 2048 segments of code D against a million exposed viewers.
func BenchmarkScoreRange(b *testing.B) {
	benchmarkRange(b, 64+16*35, func(r *ring.Reading) ring.Gate { return r.Gate(1_000_000) })
}

// BenchmarkSweep is the same by the first 512 positions.
func BenchmarkSweep(b *testing.B) {
	benchmarkRange(b, 64, func(r *ring.Reading) ring.Gate { return r.Sweep(10_000_000) })
}

// BenchmarkScore is one viewer on all tracks.
func BenchmarkScore(b *testing.B) {
	k := book(b, ring.D, 2048)
	r := reading(b, k, leak(k, 7, .8, rand.New(rand.NewPCG(1, 1))))
	b.ReportAllocs()
	v := uint64(65536)
	for b.Loop() {
		r.Score(v)
		v++
	}
}

// BenchmarkNewReading is the preparation of one find, models of mixed copies included.
func BenchmarkNewReading(b *testing.B) {
	k := book(b, ring.D, 2048)
	y := leak(k, 7, .8, rand.New(rand.NewPCG(1, 1)))
	for b.Loop() {
		reading(b, k, y).Score(1)
	}
}

// Viewers given one by one score as in a range, whatever the gaps.
func TestScoreMany(t *testing.T) {
	b := book(t, ring.D, 700)
	r := reading(t, b, leak(b, 70_100, .6, rand.New(rand.NewPCG(3, 4))))
	var viewers []uint64
	for v := uint64(70_000); v < 72_000; v += 1 + v%3 {
		viewers = append(viewers, v)
	}
	viewers = append(viewers, 90_000, 90_001, 1<<35)
	gate := r.Gate(20_000)
	want, got := map[uint64]ring.Score{}, map[uint64]ring.Score{}
	for _, v := range viewers {
		if s := r.Gated(gate, v); s != ring.Nothing {
			want[v] = s
		}
	}
	r.ScoreMany(gate, viewers, func(v uint64, s *ring.Score) { got[v] = *s })
	if !maps.Equal(want, got) || len(got) < 10 {
		t.Errorf("%d viewers scored, want %d", len(got), len(want))
	}
}
