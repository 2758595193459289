package ring_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"birdring/canary/ring"
)

// hard makes hard decisions about viewer v's copy with a bit error rate.
func hard(b *ring.Book, v uint64, ber float64, rng *rand.Rand) []int16 {
	word := make([]uint64, b.Words())
	b.Codeword(word, v)
	y := make([]int16, b.M())
	for k, pos := range b.Order() {
		y[k] = 1024
		if (word[pos>>6]>>(pos&63)&1 == 0) != (rng.Float64() < ber) {
			y[k] = -1024
		}
	}
	return y
}

// The lengths at which statistics section 3 expects 99 of 100 leakers over 64
// bits, from hard decisions of unknown reliability. Printed for comparison; what is
// asserted, from a bit error rate of .1, is that 1.1 times that length suffices.
// (At .05, values that all have one size look more reliable than they are.)
func TestPositionsOneLeakerNeeds(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	tries := 400
	if testing.Short() {
		tries = 100
	}
	for _, c := range []struct {
		ber float64
		m   int
	}{{0, 69}, {.05, 128}, {.1, 179}, {.2, 359}, {.3, 862}, {.35, 1569}} {
		var power [2]int
		for i := range tries {
			for j, m := range [2]int{c.m, int(math.Ceil(1.1 * float64(c.m)))} {
				b, err := ring.NewBook(key(byte(i)), ring.U, m)
				if err != nil {
					t.Fatal(err)
				}
				v := uint64(100_000 + i)
				r, err := ring.NewReading(b, hard(b, v, c.ber, rng))
				if err != nil {
					t.Fatal(err)
				}
				if ring.SiteBits([]ring.TrackLogs{r.Score(v)}) >= ring.AttributedMillibits {
					power[j]++
				}
			}
		}
		t.Logf("U, bit error rate %.2f: %.3f of leakers over 64 bits at the table's %d positions, %.3f at 1.1 times as many",
			c.ber, float64(power[0])/float64(tries), c.m, float64(power[1])/float64(tries))
		// At .99 expected, fewer than .94 of 400 has chance below 1e-9.
		if c.ber != .05 && power[1]*100 < tries*94 {
			t.Errorf("bit error rate %.2f: %d of %d at %d positions", c.ber, power[1], tries, c.m*11/10)
		}
	}
}

// hostile values: what a scraper might make the reader see.
var hostile = []struct {
	name string
	draw func(rng *rand.Rand, bit bool) int16
}{
	{"honest", func(rng *rand.Rand, bit bool) int16 { return sized(600*rng.NormFloat64() + sign(bit)*500) }},
	{"weak", func(rng *rand.Rand, bit bool) int16 { return sized(900*rng.NormFloat64() + sign(bit)*110) }},
	{"constant", func(*rand.Rand, bool) int16 { return 1024 }},
	{"heavy", func(rng *rand.Rand, _ bool) int16 { return sized(600 * math.Tan(math.Pi*(rng.Float64()-.5))) }},
	{"mixed", func(rng *rand.Rand, bit bool) int16 {
		if rng.IntN(2) == 0 {
			return 0
		}
		return sized(sign(bit) * 2000)
	}},
}

func sized(f float64) int16 { return int16(max(-32767, min(32767, f))) }

func sign(bit bool) float64 {
	if bit {
		return 1
	}
	return -1
}

// Under the null the share of innocent viewers at 1/alpha or more stays below
// alpha, for the largest evidence over ten looks: five distinct pictures, then
// each of them again.
func TestInnocentsStayBelowTheirBound(t *testing.T) {
	const looks = 5
	viewers := 4_000
	if testing.Short() {
		viewers = 500
	}
	rng := rand.New(rand.NewPCG(21, 22))
	for _, code := range []ring.Code{ring.U, ring.D} {
		for _, h := range hostile {
			var readings, again [looks]*ring.Reading
			for d := range looks {
				b, err := ring.NewBook(key(byte(d)), code, 400)
				if err != nil {
					t.Fatal(err)
				}
				word := make([]uint64, b.Words())
				b.Codeword(word, 99)
				for _, r := range []*[looks]*ring.Reading{&readings, &again} {
					y := make([]int16, b.M())
					for k, pos := range b.Order() {
						y[k] = h.draw(rng, word[pos>>6]>>(pos&63)&1 == 1)
					}
					if r[d], err = ring.NewReading(b, y); err != nil {
						t.Fatal(err)
					}
				}
			}
			over := map[float64]int{1e-1: 0, 1e-2: 0, 1e-3: 0}
			for v := range uint64(viewers) {
				most := int64(math.MinInt64)
				var found []ring.TrackLogs
				for d := range looks {
					found = append(found, ring.Again([]ring.TrackLogs{readings[d].Score(1000 + v)}))
					most = max(most, ring.SiteBits(found))
				}
				for d := range looks {
					found[d] = ring.Again([]ring.TrackLogs{readings[d].Score(1000 + v), again[d].Score(1000 + v)})
					most = max(most, ring.SiteBits(found))
				}
				for alpha := range over {
					if float64(most) >= -math.Log2(alpha)*1000 {
						over[alpha]++
					}
				}
			}
			for alpha, n := range over {
				// Six standard errors and two: a false alarm below 1e-8.
				if float64(n) > alpha*float64(viewers)+6*math.Sqrt(alpha*float64(viewers))+2 {
					t.Errorf("%s %s: %d of %d innocents at 1/%g", code, h.name, n, viewers, alpha)
				}
			}
			t.Logf("%s %-8s %v of %d", code, h.name, over, viewers)
		}
	}
}

// Whatever values are read, the mean of E over all rings is 1 for every track.
func FuzzMeanOfE(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 0, 0, 255, 127, 0, 128}, true)
	f.Add([]byte{0xff, 0x7f, 0x01, 0x80, 0, 0, 1, 0}, false)
	f.Fuzz(func(t *testing.T, raw []byte, uniform bool) {
		y := make([]int16, min(len(raw)/2, 8))
		if len(y) == 0 {
			return
		}
		for i := range y {
			y[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		code := ring.D
		if uniform {
			code = ring.U
		}
		b, err := ring.NewBook(key(byte(len(y))), code, len(y))
		if err != nil {
			t.Fatal(err)
		}
		r, err := ring.NewReading(b, y)
		if err != nil {
			t.Fatal(err)
		}
		for track, mean := range ring.MeanOverRings(r, b) {
			if !(math.Abs(mean-1) < 1e-9) {
				t.Errorf("track %d: mean of E = %.12f", track, mean)
			}
		}
	})
}

// BenchmarkScore reports the full score of one viewer on all tracks.
func BenchmarkScore(b *testing.B) {
	k := book(b, ring.D, 3060)
	r, err := ring.NewReading(k, leak(k, 7, .8, rand.New(rand.NewPCG(1, 1))))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	v := uint64(65536)
	for b.Loop() {
		r.Score(v)
		v++
	}
}

// BenchmarkNewReading reports the preparation of one find.
func BenchmarkNewReading(b *testing.B) {
	k := book(b, ring.D, 3060)
	y := leak(k, 7, .8, rand.New(rand.NewPCG(1, 1)))
	for b.Loop() {
		if _, err := ring.NewReading(k, y); err != nil {
			b.Fatal(err)
		}
	}
}
