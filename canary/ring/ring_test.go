package ring_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"birdring/canary/ring"
)

func key(seed byte) []byte {
	k := make([]byte, 32)
	for i := range k {
		k[i] = seed + byte(i)
	}
	return k
}

func book(t testing.TB, code ring.Code, m int) *ring.Book {
	t.Helper()
	b, err := ring.NewBook(key(1), code, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The layout is frozen: a change here breaks every picture ever planted.
func TestLayoutV1IsFrozen(t *testing.T) {
	golden := map[string]string{
		"U/1":     "1e8ed3c928fa96be",
		"U/63":    "845d3607b81f8828",
		"U/64":    "06dfe67dd944c956",
		"U/65":    "6caad080419cb514",
		"U/600":   "393b2f4c6bc5a6eb",
		"U/2048":  "c32bdcc0cd7173a4",
		"U/3060":  "257642308eb0fbc2",
		"U/65536": "0104fd0cf1ab474c",
		"D/1":     "e121a799ceb09e49",
		"D/63":    "7796b971cb97be9f",
		"D/64":    "ea3f9f3bb1c323a3",
		"D/65":    "a321a12ceb6fe248",
		"D/600":   "ef80d16730c3557f",
		"D/2048":  "cad2dd503612d1eb",
		"D/3060":  "5a86657c2c7f4666",
		"D/65536": "47d9d99d4a86f9f7",
	}
	for _, code := range []ring.Code{ring.U, ring.D} {
		for _, m := range []int{1, 63, 64, 65, 600, 2048, 3060, 65536} {
			b := book(t, code, m)
			h := sha256.New()
			word := make([]uint64, b.Words())
			for _, v := range []uint64{0, 1, 65535, 65536, 1 << 35} {
				b.Codeword(word, v)
				binary.Write(h, binary.LittleEndian, word)
			}
			binary.Write(h, binary.LittleEndian, b.Order())
			for pos := range 64 * b.Words() {
				fmt.Fprintf(h, "%.6f", b.P(pos))
			}
			name := fmt.Sprintf("%s/%d", code, m)
			if got := hex.EncodeToString(h.Sum(nil)[:8]); got != golden[name] {
				t.Errorf("%q: %q,", name, got)
			}
		}
	}
}

func TestOrderIsAPermutation(t *testing.T) {
	b := book(t, ring.D, 1000)
	seen := map[uint32]bool{}
	for _, pos := range b.Order() {
		if seen[pos] || int(pos) >= 64*b.Words() {
			t.Fatalf("position %d twice or out of range", pos)
		}
		seen[pos] = true
	}
}

// Every position's share of ones over viewers must be the bias the evidence uses.
func TestBiasIsWhatPSays(t *testing.T) {
	b := book(t, ring.D, 640)
	const n = 20000
	ones := make([]int, 64*b.Words())
	word := make([]uint64, b.Words())
	for v := range uint64(n) {
		b.Codeword(word, v)
		for pos := range ones {
			ones[pos] += int(word[pos>>6] >> (pos & 63) & 1)
		}
	}
	for pos, k := range ones {
		p := b.P(pos)
		if z := (float64(k) - n*p) / math.Sqrt(n*p*(1-p)); math.Abs(z) > 6 {
			t.Errorf("position %d: %d ones of %d, want share %.4f (z = %.1f)", pos, k, n, p, z)
		}
	}
}

func TestCodewordDoesNotAllocate(t *testing.T) {
	b := book(t, ring.D, 3060)
	word := make([]uint64, b.Words())
	if n := testing.AllocsPerRun(200, func() { b.Codeword(word, 70000) }); n > 0 {
		t.Errorf("%.1f allocations a codeword", n)
	}
}

// The mean of every track over all rings of a short picture is exactly 1: an
// innocent viewer's expected e-value, whatever the values are.
func TestMeanOfEIsOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	hostile := map[string]func() int16{
		"honest":   func() int16 { return int16((rng.NormFloat64()*.6 + 1 - 2*float64(rng.IntN(2))) * 1000) },
		"constant": func() int16 { return 1024 },
		"heavy":    func() int16 { return int16(max(-32000, min(32000, 900*rng.NormFloat64()/(rng.Float64()+1e-3)))) },
		"zero":     func() int16 { return int16(rng.IntN(3)-1) * int16(rng.IntN(2)) * 700 },
	}
	for _, code := range []ring.Code{ring.U, ring.D} {
		for name, draw := range hostile {
			b, err := ring.NewBook(key(9), code, 12)
			if err != nil {
				t.Fatal(err)
			}
			y := make([]int16, b.M())
			for i := range y {
				y[i] = draw()
			}
			r, err := ring.NewReading(b, y)
			if err != nil {
				t.Fatal(err)
			}
			sums := ring.MeanOverRings(r, b)
			for track, mean := range sums {
				if math.Abs(mean-1) > 1e-9 {
					t.Errorf("%s %s track %d: mean of E = %.12f, want 1", code, name, track, mean)
				}
			}
		}
	}
}

// leak makes the soft values of viewer v's copy: y = +-a + N(0, s^2) with the
// bit error rate of hard decisions given as a/s = q.
func leak(b *ring.Book, v uint64, q float64, rng *rand.Rand) []int16 {
	word := make([]uint64, b.Words())
	b.Codeword(word, v)
	y := make([]int16, b.M())
	for k, pos := range b.Order() {
		f := q
		if word[pos>>6]>>(pos&63)&1 == 0 {
			f = -q
		}
		y[k] = int16(1000 * (f + rng.NormFloat64()) / (1 + q))
	}
	return y
}

// One leaker at the positions of statistics section 3 (U, 64 bits, power .99) must be found.
func TestOneLeakerIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	// Bit error rates .05, .2 and .35; the table's lengths for hard bits, which soft values undercut.
	for _, c := range []struct {
		ber, q float64
		m      int
	}{{.05, 1.645, 128}, {.2, .842, 359}, {.35, .385, 1569}} {
		found := 0
		const tries = 200
		for i := range uint64(tries) {
			b, err := ring.NewBook(key(byte(i)), ring.U, c.m)
			if err != nil {
				t.Fatal(err)
			}
			r, err := ring.NewReading(b, leak(b, 70000+i, c.q, rng))
			if err != nil {
				t.Fatal(err)
			}
			if ring.SiteBits([]ring.TrackLogs{r.Score(70000 + i)}) >= ring.AttributedMillibits {
				found++
			}
		}
		t.Logf("BER %.2f, %d positions: %d of %d at 64 bits", c.ber, c.m, found, tries)
		// Power .99 expected: 8 or more misses of 200 have chance 1e-3 each; three rows.
		if found < tries*95/100 {
			t.Errorf("BER %.2f, %d positions: only %d of %d at 64 bits", c.ber, c.m, found, tries)
		}
	}
}

// No innocent among 200,000 comes near the line, and the leaker is among those the screen lets through.
func TestScoreRangeFindsOnlyTheLeaker(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	b := book(t, ring.D, 2048)
	const guilty = 123_456
	r, err := ring.NewReading(b, leak(b, guilty, .6, rng))
	if err != nil {
		t.Fatal(err)
	}
	found, most := false, int64(math.MinInt64)
	r.ScoreRange(1, 200_000, func(v uint64, tl *ring.TrackLogs) {
		bits := ring.SiteBits([]ring.TrackLogs{*tl})
		if v == guilty {
			found = bits >= ring.AttributedMillibits
			if one := r.Score(v); one != *tl {
				t.Errorf("bulk and single score differ: %v, %v", *tl, one)
			}
			return
		}
		most = max(most, bits)
	})
	if !found {
		t.Error("the leaker was not found at 64 bits")
	}
	// Ville: 2e5 innocents x 2^-33 = 2e-5.
	if most >= ring.ErrorMillibits {
		t.Errorf("an innocent viewer reached %d millibits", most)
	}
	t.Logf("largest innocent: %d millibits", most)
}

// The same picture again never multiplies.
func TestAgainNeverMultiplies(t *testing.T) {
	var e ring.TrackLogs
	for i := range e {
		e[i] = 40 * math.Ln2
	}
	one := ring.SiteBits([]ring.TrackLogs{ring.Again([]ring.TrackLogs{e})})
	many := make([]ring.TrackLogs, 1000)
	for i := range many {
		many[i] = e
	}
	again := ring.SiteBits([]ring.TrackLogs{ring.Again(many)})
	if again > one+1000 || again < one {
		t.Errorf("1000 sightings of one picture: %d millibits, one: %d", again, one)
	}
	distinct := ring.SiteBits([]ring.TrackLogs{e, e})
	if distinct < one+30_000 {
		t.Errorf("two distinct pictures: %d millibits, one: %d", distinct, one)
	}
	if avg := ring.SiteBits([]ring.TrackLogs{ring.Average([]ring.TrackLogs{e, e})}); avg > ring.SiteBits([]ring.TrackLogs{e})+1 {
		t.Errorf("the average of two equal e-values is larger than each: %d", avg)
	}
}

func TestBadArguments(t *testing.T) {
	if _, err := ring.NewBook(make([]byte, 16), ring.D, 100); err == nil {
		t.Error("a short key was taken")
	}
	for _, m := range []int{0, -1, ring.MaxSegments + 1} {
		if _, err := ring.NewBook(key(0), ring.D, m); err == nil {
			t.Errorf("%d segments were taken", m)
		}
	}
	if _, err := ring.NewBook(key(0), 9, 100); err == nil {
		t.Error("an unknown code was taken")
	}
	if _, err := ring.NewReading(book(t, ring.D, 100), make([]int16, 99)); err == nil {
		t.Error("too few soft values were taken")
	}
}

// Whatever is read, scoring neither panics nor returns NaN.
func FuzzReading(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 0, 0, 255, 127, 0, 128}, uint64(65536))
	f.Fuzz(func(t *testing.T, raw []byte, v uint64) {
		y := make([]int16, len(raw)/2)
		if len(y) == 0 || len(y) > 4096 {
			return
		}
		for i := range y {
			y[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		b, err := ring.NewBook(key(2), ring.D, len(y))
		if err != nil {
			t.Fatal(err)
		}
		r, err := ring.NewReading(b, y)
		if err != nil {
			t.Fatal(err)
		}
		for track, l := range r.Score(v) {
			if math.IsNaN(l) || math.IsInf(l, 1) {
				t.Fatalf("track %d: %v", track, l)
			}
		}
	})
}

func BenchmarkCodeword(b *testing.B) {
	k := book(b, ring.D, 3060)
	word := make([]uint64, k.Words())
	b.ReportAllocs()
	v := uint64(65536)
	for b.Loop() {
		k.Codeword(word, v)
		v++
	}
}

// BenchmarkScoreRange reports nanoseconds a viewer of a scan that drops innocents by the screen.
func BenchmarkScoreRange(b *testing.B) {
	k := book(b, ring.D, 3060)
	r, err := ring.NewReading(k, leak(k, 7, .8, rand.New(rand.NewPCG(1, 1))))
	if err != nil {
		b.Fatal(err)
	}
	const n = 1 << 14
	for b.Loop() {
		r.ScoreRange(1, n, func(uint64, *ring.TrackLogs) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/viewer")
}
