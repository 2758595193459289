package critic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"birdring/canary/handle"
)

// background is what the attacker has besides the lists to learn from.
type background struct {
	language *language
	pieces   map[string]bool // runs of 4..8 signs, end marks included
	runs     map[string]bool // runs of letters
	shapes   map[string]float64
	total    float64
	bits     func(string) float64
}

func newBackground(t Task) *background {
	b := &background{learn(t.Background), map[string]bool{}, map[string]bool{}, map[string]float64{}, float64(len(t.Background)), t.Bits}
	for _, name := range t.Background {
		pieces(name, func(p string) { b.pieces[p] = true })
		for _, r := range letters(name) {
			b.runs[r] = true
		}
		b.shapes[handle.Shape(name)]++
	}
	return b
}

func pieces(name string, visit func(string)) {
	s := "^" + name + "$"
	for n := 4; n <= 8; n++ {
		for i := 0; i+n <= len(s); i++ {
			visit(s[i : i+n])
		}
	}
}

// letters are the runs of letters in a name.
func letters(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r < 'a' || r > 'z' })
}

// eyes are what the attacker looks at a name with.
type eyes struct {
	b          *background
	real, ours *language
	linear     *linear
	shapes     map[string][2]float64
}

func newEyes(s sample, b *background, rng *rand.Rand) *eyes {
	e := &eyes{b: b, real: learn(s.of(true)), ours: learn(s.of(false)), shapes: map[string][2]float64{}}
	for i, name := range s.names {
		k := handle.Shape(name)
		v := e.shapes[k]
		if s.real[i] {
			v[0]++
		} else {
			v[1]++
		}
		e.shapes[k] = v
	}
	e.linear = newLinear(s, rng)
	return e
}

// look returns the features of a name. names calls them by name, in the same order.
func (e *eyes) look(name string) []float64 { return e.features(name, nil) }

func (e *eyes) names() (out []string) {
	e.features("name", func(n string) { out = append(out, n) })
	return out
}

func (e *eyes) features(name string, called func(string)) (out []float64) {
	put := func(what string, v float64) {
		out = append(out, v)
		if called != nil {
			called(what)
		}
	}
	n := float64(len(name))
	real, ours := e.real.judge(name), e.ours.judge(name)
	for i := 1; i < deepest; i++ {
		put(fmt.Sprintf("language %d, real:ours", i+1), real.logs[i]-ours.logs[i])
	}
	put("language, real", real.logs[3]/(n+1))
	put("language, ours", ours.logs[3]/(n+1))
	put("least likely sign, real:ours", real.worst-ours.worst)
	put("linear", e.linear.score(name))
	s := e.shapes[handle.Shape(name)]
	put("shape, real:ours", math.Log(s[0]+1)-math.Log(s[1]+1))
	e.backgroundFeatures(name, n, real, put)
	build(name, put)
	return out
}

// backgroundFeatures compare a name with what our model was fitted to.
func (e *eyes) backgroundFeatures(name string, n float64, real verdict, put func(string, float64)) {
	if e.b.total == 0 {
		return
	}
	back := e.b.language.judge(name)
	for i := 2; i < deepest; i++ {
		put(fmt.Sprintf("language %d, background", i+1), back.logs[i]/(n+1))
		put(fmt.Sprintf("language %d, real:background", i+1), real.logs[i]-back.logs[i])
	}
	put("language 7:4, background", back.logs[6]-back.logs[3])
	put("least likely sign, background", back.worst)
	var seen, all [9]float64
	longest := 0.0
	pieces(name, func(p string) {
		all[len(p)]++
		if e.b.pieces[p] {
			seen[len(p)]++
			longest = max(longest, float64(len(p)))
		}
	})
	for k := 4; k <= 8; k++ {
		put(fmt.Sprintf("pieces of %d in background", k), seen[k]/max(1, all[k]))
	}
	put("longest piece in background", longest)
	known, longestRun := 0.0, 0.0
	runs := letters(name)
	for _, r := range runs {
		if e.b.runs[r] {
			known++
			longestRun = max(longestRun, float64(len(r)))
		}
	}
	put("runs in background", known/max(1, float64(len(runs))))
	put("longest run in background", longestRun)
	put("shape in background", math.Log(e.b.shapes[handle.Shape(name)]+0.3))
	if e.b.bits != nil {
		bits := e.b.bits(name)
		if math.IsInf(bits, 1) {
			bits = 200
		}
		put("our model", bits)
		put("our model, a sign", bits/n)
	}
}

// build is how a name is put together.
func build(name string, put func(string, float64)) {
	var digits, vowels, separators, repeats, consonants, most, changes float64
	var seen [256]float64
	rare := 0.0
	for i := range len(name) {
		c := name[i]
		seen[c]++
		letter := c >= 'a' && c <= 'z'
		switch {
		case c >= '0' && c <= '9':
			digits++
			consonants = 0
		case !letter:
			separators++
			consonants = 0
		case strings.IndexByte("aeiouy", c) >= 0:
			vowels++
			consonants = 0
		default:
			consonants++
			if strings.IndexByte("jqxzvkw", c) >= 0 {
				rare++
			}
		}
		most = max(most, consonants)
		if i > 0 {
			if c == name[i-1] {
				repeats++
			}
			if handle.Shape(name[i-1:i]) != handle.Shape(name[i:i+1]) {
				changes++
			}
		}
	}
	entropy := 0.0
	for _, c := range seen {
		if c > 0 {
			entropy -= c / float64(len(name)) * math.Log2(c/float64(len(name)))
		}
	}
	trimmed := strings.TrimRight(name, "0123456789")
	tail := name[len(trimmed):]
	year := 0.0
	if len(tail) == 4 && (tail >= "1940" && tail <= "2030") {
		year = 1
	}
	n := float64(len(name))
	put("length", n)
	put("digits", digits)
	put("vowels", vowels/max(1, n-digits-separators))
	put("separators", separators)
	put("repeats", repeats)
	put("most consonants", most)
	put("rare consonants", rare)
	put("changes of class", changes)
	put("entropy", entropy)
	put("closing digits", float64(len(tail)))
	put("year", year)
	put("first sign", float64(signCode(name[0])))
	put("last sign", float64(signCode(name[len(name)-1])))
	put("first run", float64(len(name)-len(strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz"))))
}
