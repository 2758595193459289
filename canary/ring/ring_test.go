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
		"U/1":      "1e8ed3c928fa96be",
		"U/63":     "845d3607b81f8828",
		"U/64":     "06dfe67dd944c956",
		"U/65":     "6caad080419cb514",
		"U/600":    "393b2f4c6bc5a6eb",
		"U/2048":   "c32bdcc0cd7173a4",
		"U/3060":   "257642308eb0fbc2",
		"U/65536":  "0104fd0cf1ab474c",
		"D/1":      "e121a799ceb09e49",
		"D/63":     "7796b971cb97be9f",
		"D/64":     "ea3f9f3bb1c323a3",
		"D/65":     "a321a12ceb6fe248",
		"D/600":    "ef80d16730c3557f",
		"D/2048":   "cad2dd503612d1eb",
		"D/3060":   "5a86657c2c7f4666",
		"D/65536":  "47d9d99d4a86f9f7",
		"D6/1":     "9ad7c825e1de64fe",
		"D6/63":    "a49d44c38e274d46",
		"D6/64":    "192931ff39e5887b",
		"D6/65":    "61630a5d674e94b6",
		"D6/600":   "b2635ead37caecfc",
		"D6/2048":  "976cb6d5aedf37b8",
		"D6/3060":  "1309ca8174eb391f",
		"D6/65536": "23d229e4b23e49df",
	}
	for _, code := range []ring.Code{ring.U, ring.D, ring.D6} {
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
