package handle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// made are names made up for tests: two of a few words, some digits.
func made(n int, seed uint64) []string {
	rng := rand.New(rand.NewPCG(seed, 1))
	firsts := strings.Fields("anna bela carlo dora emil fritz gina hanno ilse jonas kira lars mona nils olga paul rita sven tina udo vera willi zoe maren torben selma")
	lasts := strings.Fields("adler berg clausen dorn engel falk gerber holm iversen jansen krug lorenz maurer nolte oster petersen quast rieger sommer thiel unger vogt wolff zander")
	words := strings.Fields("photo travel coffee garden music bike nord sea cook daily real hello")
	out := make([]string, n)
	for i := range out {
		one := func(s []string) string { return s[rng.IntN(len(s))] }
		sep := []string{"", "", "_", "_"}[rng.IntN(4)]
		h := one(firsts) + sep + one([][]string{lasts, words}[rng.IntN(2)])
		if rng.IntN(3) == 0 {
			h = one(words) + h
		}
		if rng.IntN(3) == 0 {
			h += fmt.Sprint(rng.IntN(2000))
		}
		out[i] = h
	}
	return out
}

// fitted is a model of three thousand of them.
func fitted(t testing.TB) *Model {
	t.Helper()
	m, err := theModel()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var theModel = sync.OnceValues(func() (*Model, error) {
	f := NewFitter(Rules{Name: "test", Min: 2, Max: 24, Separators: "_"})
	for _, h := range made(3000, 1) {
		if err := f.Add(h); err != nil {
			return nil, err
		}
	}
	return f.Model(nil)
})

func rules(t testing.TB, s string) Rules {
	t.Helper()
	r, err := ParseRules(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func random(seed uint64) Source {
	rng := rand.New(rand.NewPCG(seed, 2))
	return func() uint16 { return uint16(rng.Uint32()) }
}

// The probabilities of all handles of a shape add up to one.
func TestProbabilitiesAddUp(t *testing.T) {
	m := fitted(t)
	sum := map[string]float64{}
	for a := byte('a'); a <= 'z'; a++ {
		for b := byte('a'); b <= 'z'; b++ {
			for c := byte('a'); c <= 'z'; c++ {
				sum["aaa"] += math.Exp2(-m.signBits(string([]byte{a, b, c})))
			}
			for d := byte('0'); d <= '9'; d++ {
				sum["aa9"] += math.Exp2(-m.signBits(string([]byte{a, b, d})))
				sum["a_a9"] += math.Exp2(-m.signBits(string([]byte{a, '_', b, d})))
			}
		}
	}
	for shape, s := range sum {
		if math.Abs(s-1) > 1e-9 {
			t.Errorf("handles of shape %s add up to %.12f", shape, s)
		}
	}
	for _, p := range m.plans {
		total := uint64(0)
		for _, w := range p.weights {
			total += uint64(w)
		}
		if total != 1<<32 {
			t.Errorf("shapes of floor %v add up to %d", p.floor, total)
		}
	}
}

// The slow obvious probability of a run: over every way to cut it into words.
func (m *Model) slowChance(run string, digit bool) float64 {
	var sign func(at place, c byte, level int) (own, seams float64)
	sign = func(at place, c byte, level int) (float64, float64) {
		i := m.context(contextKey(at.before, level, at.digit, at.left))
		if level == 0 {
			p := m.says(i, c)
			return p.sign, p.seam
		}
		own, seams := sign(at, c, level-1)
		if i == nil {
			return own, seams
		}
		p, l := m.says(i, c), float64(i.leave)/parts
		return (1-l)*p.sign + l*own, (1-l)*p.seam + l*seams
	}
	sum := 0.0
	for cuts := range 1 << max(0, len(run)-1) {
		p, at := 1.0, place{before: newHistory(), digit: digit}
		for i := range len(run) {
			at.left = len(run) - 1 - i
			if i > 0 && cuts>>(i-1)&1 == 1 {
				_, s := sign(at, 0, at.top())
				p *= s
				at.before, at.age = newHistory(), 0
			}
			own, seams := sign(at, run[i], at.top())
			if at.age == 0 {
				own /= 1 - seams
			}
			p *= own
			at.before, at.age = at.before.then(run[i]), at.age+1
		}
		sum += p
	}
	return sum
}

// wordsOf splits a handle at its separators.
func wordsOf(h string) []string {
	return strings.FieldsFunc(h, func(r rune) bool { return r < 128 && separator(byte(r)) })
}

func TestChanceAgreesWithTheSlowOne(t *testing.T) {
	m := fitted(t)
	for _, run := range append(made(40, 9), "zzz", "x", "annaberg", "nnaber", "photoannaberg") {
		for _, word := range wordsOf(run) {
			for _, r := range []string{strings.TrimRight(word, "0123456789"), word[len(strings.TrimRight(word, "0123456789")):]} {
				if r == "" || len(r) > 14 {
					continue
				}
				digit := class(r[0]) == '9'
				fast, slow := m.runChance(r, digit), m.slowChance(r, digit)
				if math.Abs(fast-slow) > 1e-12*slow+1e-300 && math.Abs(fast/slow-1) > 1e-9 {
					t.Errorf("%s: %g, the slow way %g", r, fast, slow)
				}
			}
		}
	}
}

// What is drawn is as frequent as its bits say: of n draws, n times the summed
// probability of a fixed list of handles are in the list.
func TestBitsAreHonest(t *testing.T) {
	for _, c := range []struct {
		m     *Model
		floor float64
	}{{fitted(t), 0}, {fitted(t), 15}, {tasting(t), 0}, {tasting(t), 15}} {
		floor := c.floor
		p, err := c.m.Plan(floor)
		if err != nil {
			t.Fatal(err)
		}
		list, next := map[string]bool{}, random(3)
		for range 12000 {
			if h, bits, ok, _ := p.Draw(next); ok && bits < floor+14 {
				list[h] = true
			}
		}
		want := 0.0
		for h := range list {
			want += math.Exp2(-p.Bits(h))
		}
		const n = 15000
		got, drawn := 0, 0
		for drawn < n {
			if h, most := p.raw(next); most < p.rawBits(h)-1e-9 {
				t.Fatalf("%s has %v bits and at most %v", h, p.rawBits(h), most)
			}
			h, bits, ok, _ := p.Draw(next)
			if !ok {
				continue
			}
			drawn++
			if bits < floor-1e-9 {
				t.Fatalf("%s has %.3f bits below the floor of %v", h, bits, floor)
			}
			if math.Abs(bits-p.Bits(h)) > 1e-9 {
				t.Fatalf("%s: %v bits drawn, %v computed", h, bits, p.Bits(h))
			}
			if list[h] {
				got++
			}
		}
		want *= n
		// Six standard deviations of a binomial count, and what kept's own error adds.
		if d := math.Abs(float64(got) - want); d > 6*math.Sqrt(want)+0.04*want {
			t.Errorf("floor %v: %d of %d draws are on the list, their bits say %.0f", floor, got, n, want)
		}
		t.Logf("floor %v: %d drawn, %.0f expected, kept %.3f", floor, got, want, p.Kept())
	}
}

func TestPlansKeepTheRules(t *testing.T) {
	f := NewFitter(rules(t, "instagram"))
	for _, h := range made(2000, 4) {
		f.Add(strings.ReplaceAll(h, "_", "."))
		f.Add(strings.ToUpper(h))
	}
	for _, h := range []string{"", "a", ".anna", "anna.", "an..na", "an-na", "anna berg", "änna", strings.Repeat("a", 31), "..."} {
		if err := f.Add(h); err == nil {
			t.Errorf("%q was taken for a handle", h)
		}
	}
	m, err := f.Model(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Plan(18)
	if err != nil {
		t.Fatal(err)
	}
	fitted := map[string]bool{}
	for _, h := range made(2000, 4) {
		fitted[Fold(h)] = true
	}
	next := random(8)
	for range 5000 {
		h, _, ok, _ := p.Draw(next)
		if !ok {
			continue
		}
		if err := m.rules.Check(h); err != nil {
			t.Errorf("%q: %v", h, err)
		}
		if fitted[Fold(h)] || offensive(h) || famous(h) {
			t.Errorf("%q should have been passed over", h)
		}
	}
	if _, err := m.Plan(150); err == nil {
		t.Error("a floor of 150 bits was promised")
	}
}

func TestTooFewHandles(t *testing.T) {
	f := NewFitter(rules(t, "x"))
	f.Add("anna")
	if _, err := f.Model(nil); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("got %v", err)
	}
}

// The counter forgets the rarest, never the common, and stays small.
func TestCounterIsBounded(t *testing.T) {
	c := newCounter(16, 1000)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		c.add(uint64(rng.IntN(20)), 1)
		c.add(1000+rng.Uint64N(1<<40), 1)
	}
	if len(c.keys) > 4096 || c.n > 2048 {
		t.Errorf("%d keys in %d slots", c.n, len(c.keys))
	}
	found := 0
	for _, e := range c.sorted() {
		if e.key < 20 && e.seen > 9000 {
			found++
		}
	}
	if found != 20 {
		t.Errorf("%d of 20 common keys are left", found)
	}
}

func TestSplitterFindsWords(t *testing.T) {
	s := newSplitter(made(3000, 2))
	for run, want := range map[string]string{"annaberg": "anna berg", "veraholm": "vera holm", "holm": "holm", "xqzzqx": ""} {
		var b strings.Builder
		for i, cut := range s.split(run) {
			if cut {
				b.WriteByte(' ')
			}
			b.WriteByte(run[i])
		}
		if want != "" && b.String() != want {
			t.Errorf("%s is cut %q", run, b.String())
		}
	}
}

func TestFile(t *testing.T) {
	for name, m := range map[string]*Model{"plain": fitted(t), "with a taste": tasting(t)} {
		t.Run(name, func(t *testing.T) { sameFile(t, m) })
	}
}

func sameFile(t *testing.T, m *Model) {
	file := m.Marshal()
	again, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != m.ID() || again.Fitted() != m.Fitted() || again.Rules() != m.Rules() {
		t.Errorf("%v %v %v came back as %v %v %v", m.ID(), m.Fitted(), m.Rules(), again.ID(), again.Fitted(), again.Rules())
	}
	a, _ := m.Plan(0)
	b, _ := again.Plan(0)
	x, y := random(5), random(5)
	for range 500 {
		h, bits, _, _ := a.Draw(x)
		g, more, _, _ := b.Draw(y)
		if h != g || bits != more {
			t.Fatalf("%s with %v bits came back as %s with %v", h, bits, g, more)
		}
	}
	for name, damaged := range map[string][]byte{
		"empty": nil, "another file": []byte("hello, this is a text that has nothing to do with any model of handles at all"),
		"cut": file[:len(file)-1], "newer": append([]byte("BRHM\x63"), file[5:]...), "turned": flip(file, 100),
	} {
		if _, err := Parse(damaged); err == nil {
			t.Errorf("%s: taken for a model", name)
		}
	}
}

func flip(file []byte, i int) []byte {
	out := append([]byte{}, file...)
	out[i] ^= 1
	return out
}

// A handle is a function of the stream alone: what was drawn years ago can be drawn again.
func TestGolden(t *testing.T) {
	p, err := fitted(t).Plan(0)
	if err != nil {
		t.Fatal(err)
	}
	next := random(1)
	var got []string
	for len(got) < 6 {
		if h, _, ok, _ := p.Draw(next); ok {
			got = append(got, h)
		}
	}
	const want = "rearlogina coffee_zander bikephoto1387 monailse veratravel1720 selma_tina"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("drew %q, once %q", s, want)
	}
}

func BenchmarkDraw(b *testing.B) {
	p, err := fitted(b).Plan(15)
	if err != nil {
		b.Fatal(err)
	}
	next := random(1)
	b.ReportAllocs()
	for b.Loop() {
		for {
			if _, _, ok, _ := p.Draw(next); ok {
				break
			}
		}
	}
}
