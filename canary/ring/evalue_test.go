package ring_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"birdring/canary/ring"
)

func reading(t testing.TB, b *ring.Book, y []int16) *ring.Reading {
	t.Helper()
	r, err := ring.NewReading(b, y)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// siteBits is the evidence of distinct photos, each found once.
func siteBits(photos ...ring.Score) int64 {
	var l ring.Ledger
	for i, s := range photos {
		var seen ring.Sightings
		seen.See(s)
		if err := l.Rings(seen.Factor(fmt.Sprint(i))); err != nil {
			panic(err)
		}
	}
	return l.Millibits()
}

// The mean of every track over all rings of a short picture is 1, or less by
// what rounding down takes: an innocent viewer's expected e-value, whatever the
// values are. With side information too.
func TestMeanOfEIsOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	hostile := map[string]func() int16{
		"honest":   func() int16 { return int16((rng.NormFloat64()*.6 + 1 - 2*float64(rng.IntN(2))) * 1000) },
		"constant": func() int16 { return 1024 },
		"heavy":    func() int16 { return int16(max(-32000, min(32000, 900*rng.NormFloat64()/(rng.Float64()+1e-3)))) },
		"zero":     func() int16 { return int16(rng.IntN(3)-1) * int16(rng.IntN(2)) * 700 },
	}
	const m, read = 640, 12 // segments of all biases
	for _, code := range []ring.Code{ring.U, ring.D, ring.D6} {
		for name, draw := range hostile {
			b, err := ring.NewBook(key(9), code, m)
			if err != nil {
				t.Fatal(err)
			}
			y := make([]int16, b.M())
			for i := range read {
				y[i*m/read] = draw()
			}
			r := reading(t, b, y)
			r.Strong()
			check := func(what string, sums [ring.Tracks]float64) {
				for track, mean := range sums {
					if mean > 1+1e-9 || mean < 1-(read+4)*0x1p-24 {
						t.Errorf("%s %s%s track %d: mean of E = %.12f, want 1", code, name, what, track, mean)
					}
				}
			}
			check("", ring.MeanOverRings(r, b))
			check(" given two", ring.MeanGiven(r.Given([]uint64{3, 4}), b))
		}
	}
}

// The same picture again never multiplies.
func TestAgainNeverMultiplies(t *testing.T) {
	var e ring.Score
	for i := range e {
		e[i] = 465_163_200 // 40 bits
	}
	one := siteBits(e)
	var s ring.Sightings
	for range 1000 {
		s.See(e)
	}
	again := s.Factor("a").Alone()
	if again > one+1000 || again < one {
		t.Errorf("1000 sightings of one picture: %d millibits, one: %d", again, one)
	}
	if distinct := siteBits(e, e); distinct < one+30_000 {
		t.Errorf("two distinct pictures: %d millibits, one: %d", distinct, one)
	}
	if avg := siteBits(ring.Average([]ring.Score{e, e})); avg > one+1 {
		t.Errorf("the average of two equal e-values is larger than each: %d", avg)
	}
	if avg := siteBits(ring.Average([]ring.Score{e, ring.Nothing})); avg > one-900 {
		t.Errorf("half of nothing: %d, want a bit less than %d", avg, one)
	}
}

// One secret enters a ledger once; a cache refuses to swap two groups.
func TestOneSecretMultipliesOnce(t *testing.T) {
	var l ring.Ledger
	var s ring.Sightings
	s.See(ring.Score{})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.Rings(s.Factor("a")))
	must(l.Rings(s.Factor("b")))
	must(l.Handle(ring.Handle("a", 37_000, 1)))
	must(l.Link(ring.Link("a", 1)))
	must(l.Probe(ring.Probe("a", 37_000, 100)))
	must(l.Coin("a", .25, true))
	for i, err := range []error{
		l.Rings(s.Factor("a")), l.Handle(ring.Handle("a", 37_000, 2)), l.Link(ring.Link("a", 1)),
		l.Probe(ring.Probe("a", 37_000, 100)), l.Coin("a", .25, true), l.Missing(ring.KindLink, "a"),
	} {
		if !errors.Is(err, ring.ErrTwice) {
			t.Errorf("second factor %d of one secret: %v", i, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a photo group was swapped for another")
		}
	}()
	var sums ring.Sums
	a, b := s.Factor("a"), s.Factor("b")
	sums.Swap(&a, &b)
}

// Sums are the same whatever was swapped in and out before.
func TestSumsForgetWhatIsTakenOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	factor := func(name string) ring.Factor {
		var s ring.Sightings
		var e ring.Score
		for i := range e {
			e[i] = ring.Nats(rng.NormFloat64() * 50 * (1 << 24))
		}
		if rng.IntN(3) == 0 {
			e = ring.Nothing
		}
		s.See(e)
		return s.Factor(name)
	}
	var sums, plain ring.Sums
	for i := range 200 {
		name := fmt.Sprint(i)
		unit, first, last := ring.Unit(name), factor(name), factor(name)
		sums.Swap(&unit, &first)
		sums.Swap(&first, &last)
		plain.Swap(&unit, &last)
	}
	if sums != plain {
		t.Error("sums depend on the way they came about")
	}
	if sums.Nats() > sums.Most() {
		t.Errorf("the bound %d lies below the evidence %d", sums.Most(), sums.Nats())
	}
}

// The e-values of handles, links, probes and coins have mean at most 1, and
// silence costs little.
func TestProofsAreEValues(t *testing.T) {
	sum := 0.0
	const h = 12 // bits; strings number 2^12, each as likely as the other
	for index := 1; index <= 1<<h; index++ {
		var l ring.Ledger
		if err := l.Handle(ring.Handle("d", h*1000, index)); err != nil {
			t.Fatal(err)
		}
		sum += math.Exp2(float64(l.Millibits())/1000) / (1 << h)
	}
	if sum > 1 || sum < .9 {
		t.Errorf("mean of E over handles = %v", sum)
	}
	for _, r := range []float64{.02, .1, .25, .9} {
		for n := range 5 {
			mean := 0.0
			for heads := range 1 << n {
				prob := 1.0
				var l ring.Ledger
				for i := range n {
					up := heads>>i&1 == 1
					if up {
						prob *= r
					} else {
						prob *= 1 - r
					}
					if err := l.Coin(fmt.Sprint(i), r, up); err != nil {
						t.Fatal(err)
					}
				}
				mean += prob * math.Exp2(float64(l.Parts().Coins)/1000)
			}
			if mean > 1+1e-9 || mean < .99 {
				t.Errorf("share %v, %d decoys: mean of E = %v", r, n, mean)
			}
		}
	}
	var silent ring.Ledger
	for i := range 30 {
		silent.Missing(ring.KindProbe, fmt.Sprint(i))
		silent.Missing(ring.KindHandle, fmt.Sprint(i))
	}
	if m := silent.Millibits(); m < -400 || m > 0 {
		t.Errorf("silence weighs %d millibits", m)
	}
}

// Dark decoys alone need three; one confirms a ring.
func TestFewProbesOnlyConfirm(t *testing.T) {
	for n := 1; n <= 4; n++ {
		var l ring.Ledger
		for i := range n {
			l.Probe(ring.Probe(fmt.Sprint(i), 40_000, 128))
		}
		if got := l.Millibits() >= 30_000; got != (n >= 3) {
			t.Errorf("%d dark decoys alone weigh %d millibits", n, l.Millibits())
		}
		var s ring.Sightings
		var e ring.Score
		for i := range e {
			e[i] = 20 << 24
		}
		s.See(e)
		l.Rings(s.Factor("a"))
		if l.Millibits() < s.Factor("a").Alone()+25_000 {
			t.Errorf("%d dark decoys do not confirm a ring: %d", n, l.Millibits())
		}
	}
}

// Whatever values are read, the mean of E over all rings is at most 1 for every track.
func FuzzMeanOfE(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 0, 0, 255, 127, 0, 128}, uint8(2), uint8(0))
	f.Add([]byte{0xff, 0x7f, 0x01, 0x80, 0, 0, 1, 0}, uint8(1), uint8(3))
	f.Fuzz(func(t *testing.T, raw []byte, code, known uint8) {
		y := make([]int16, min(len(raw)/2, 8))
		if len(y) == 0 {
			return
		}
		for i := range y {
			y[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		b, err := ring.NewBook(key(byte(len(y))), ring.Code(1+code%3), len(y))
		if err != nil {
			t.Fatal(err)
		}
		r := reading(t, b, y)
		r.Strong()
		sums := ring.MeanOverRings(r, b)
		if n := known % 20; n > 0 {
			var members []uint64
			for i := range n {
				members = append(members, uint64(i))
			}
			sums = ring.MeanGiven(r.Given(members), b)
		}
		for track, mean := range sums {
			if !(mean < 1+1e-9) || mean < 1-1e-5 {
				t.Errorf("track %d: mean of E = %.12f", track, mean)
			}
		}
	})
}

// Whatever is read, nothing panics, no gate lets somebody score who is dropped one
// by one, and side information of any rings keeps its bounds.
func FuzzReading(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 0, 0, 255, 127, 0, 128}, uint64(65536), uint8(0))
	f.Add([]byte{0, 128, 0, 128, 255, 127}, uint64(1)<<40, uint8(5))
	f.Fuzz(func(t *testing.T, raw []byte, v uint64, code uint8) {
		y := make([]int16, len(raw)/2)
		if len(y) == 0 || len(y) > 2048 {
			return
		}
		for i := range y {
			y[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		b, err := ring.NewBook(key(2), ring.Code(1+code%3), len(y))
		if err != nil {
			t.Fatal(err)
		}
		r := reading(t, b, y)
		r.Strong()
		plain := r.Score(v)
		for track, l := range plain {
			if l != ring.Never && math.Abs(l.Float()) > 1<<20 {
				t.Fatalf("track %d: %v", track, l)
			}
		}
		for _, g := range []ring.Gate{r.Gate(1 << 20), r.Sweep(1 << 30)} {
			gated := r.Gated(g, v)
			for track := range gated {
				if gated[track] != ring.Never && gated[track] != plain[track] {
					t.Fatalf("track %d: %v behind the gate, %v without", track, gated[track], plain[track])
				}
			}
		}
		r.Given([]uint64{v, v + 1}).Score(v + 2)
		plain.Alone()
	})
}

// The i-th token-like string is worth 64 - log2(i(i+1)) bits, before what the
// ledger's mixture takes.
func TestLinkIsWorthLessTheMoreStringsWereMet(t *testing.T) {
	bits := func(index int) float64 {
		var l ring.Ledger
		if err := l.Link(ring.Link("a", index)); err != nil {
			t.Fatal(err)
		}
		return float64(l.Parts().Links) / 1000
	}
	first := bits(1)
	if first > 63 || first < 55 {
		t.Errorf("the first string is worth %.3f bits, want a few less than 63", first)
	}
	for _, i := range []float64{2, 10, 1e3, 1e6} {
		if got, want := bits(int(i)), first-math.Log2(i*(i+1)/2); math.Abs(got-want) > .01 {
			t.Errorf("string %.0f is worth %.3f bits, want %.3f", i, got, want)
		}
	}
	if bits(0) != first {
		t.Error("a number below 1 is none")
	}
}
