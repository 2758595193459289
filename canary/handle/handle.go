// Package handle draws the handles of decoys and says how hard each is to meet
// by chance.
//
// A Model is fitted to the operator's own handles (Fitter). It draws shape first:
// the run lengths of letters, digits and separators as one piece, then each sign
// given up to five signs before it and how many follow in its run. All tables are
// integers, so the probability of a handle is exact and is stored with it as bits.
//
// Fitted to 20,000 handles and more it has a taste too: it learns what as a whole
// looks like none of them, and passes over most such draws. That is in the bits, like
// all that is passed over: each is -log2 of the chance that the handle is given out.
//
//	m, err := fitter.Model(nil)
//	plan, err := m.Plan(30)
//	h, bits := plan.Draw(random)
//
// What a handle proves. Handles are drawn with a secret key. For any text written
// without knowledge of that key, with T different handle-like words in it,
//
//	P(the text holds the handle of decoy d) <= T * 2^-bits
//
// whatever the text is and however people choose names: the only probability in it
// is that of our own draw. So a found handle is worth bits - log2(T), not bits: in
// one site's dump of 100,000 names a 37-bit handle leaves 20 bits, in the whole web
// (a thousand million names) a 30-bit handle leaves nothing. A single handle is an
// alert. It accuses nobody: it says that somebody who was shown the decoy passed it
// on, in a shared decoy not even who. Not covered: texts that depend on the handle,
// such as somebody quoting the leak.
//
// The model is as good as what it was fitted to: handles of another platform are
// told apart at a glance, and whoever owns the model file knows the distribution
// (never the handles: those need the key). Keep it as secret as the registry.
//
// The package is pure: it knows no clock, no system and no network.
package handle

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// bounds of a handle in signs, whatever the platform.
const (
	minSigns = 2
	maxSigns = 40
)

// order is how many signs before the next one are looked at; lefts how many that
// follow in its run are told apart.
const (
	order = 5
	lefts = 7
)

// parts is what the weights of a context add up to.
const parts = 1 << 16

// Model is a distribution over handles. Safe for concurrent use.
type Model struct {
	id     string
	rules  Rules
	fitted uint64 // how many handles it was fitted to

	shapes []string // sorted
	plans  []*Plan  // by floor

	slots []context // open-addressed by key; free where there are no signs
	signs []sign    // the contexts', in the order of their keys

	taste *taste // may be nil
	known *Names // folded forms of what it was fitted to, as far as they went in
}

// context is what is known of the sign that follows some others. Its own signs are in
// the order of their codes.
type context struct {
	key   uint64
	first uint32 // of its signs
	leave uint16 // the chance of going to the context one sign shorter, in parts
	n     uint8  // of its signs
}

// sign is a sign and its weight, kept less one so that all of parts fits.
type sign struct {
	less uint16
	c    byte
}

func (s sign) weight() uint32 { return uint32(s.less) + 1 }

// own are a context's signs.
func (m *Model) own(c *context) []sign { return m.signs[c.first:][:c.n] }

// Source is a stream of independent uniform 16-bit numbers.
type Source func() uint16

// Rules are the platform's, as given when the model was fitted.
func (m *Model) Rules() Rules { return m.rules }

// Fitted is the number of handles the model was fitted to.
func (m *Model) Fitted() uint64 { return m.fitted }

// Tastes says whether the model passes over draws that do not look like names: it was
// fitted to enough of them.
func (m *Model) Tastes() bool { return m.taste != nil }

// Size is the memory of the model's tables in bytes.
func (m *Model) Size() int {
	n := 16*len(m.slots) + 4*len(m.signs) + 8*len(m.known.bits) + m.taste.size()
	for _, s := range m.shapes {
		n += len(s) + 16 + 8*len(m.plans)
	}
	return n
}

// Knows says whether a handle, also spelled another way, may be one the model was
// fitted to: always true for those that went in, and for one in a hundred others.
func (m *Model) Knows(handle string) bool { return m.known.Has(handle) }

// code is a sign's number in contexts, 0 for what is no handle sign.
func code(c byte) uint64 {
	switch {
	case c >= 'a' && c <= 'z':
		return uint64(c-'a') + 1
	case c >= '0' && c <= '9':
		return uint64(c-'0') + 27
	case c == '_':
		return 37
	case c == '.':
		return 38
	case c == '-':
		return 39
	case c == seam:
		return 41
	}
	return 0
}

// start stands before the first sign.
const start = 40

// history is the last signs, six bits each, the newest lowest.
type history uint64

func newHistory() history { return none }

// none is a history of nothing but starts.
const none history = start * (1<<(6*order) - 1) / 63

const everything = 1<<(6*order) - 1

func (h history) then(c byte) history { return (h<<6 | history(code(c))) & everything }

// levelShift puts a context's level above its signs, class and distance.
const levelShift = 6*order + 6

// contextKey is level (signs looked at), the signs, class and distance to the run's end.
func contextKey(h history, level int, digit bool, left int) uint64 {
	k := uint64(level)<<levelShift | uint64(h)&(1<<(6*level)-1)<<4 | uint64(min(left, lefts))
	if digit {
		k |= 8
	}
	return k
}

func spread(k uint64) uint64 {
	k *= 0x9e3779b97f4a7c15
	return k ^ k>>29
}

// index makes the look-up table of contexts.
func (m *Model) index(contexts []context) {
	m.slots = make([]context, len(contexts)*3/2+16)
	for _, c := range contexts {
		at := m.slot(c.key)
		for m.slots[at].n != 0 {
			if at++; at == len(m.slots) {
				at = 0
			}
		}
		m.slots[at] = c
	}
}

// slot is where a key is looked for first.
func (m *Model) slot(k uint64) int {
	at, _ := bits.Mul64(k*0x9e3779b97f4a7c15, uint64(len(m.slots)))
	return int(at)
}

// context finds a context; nil if there is none.
func (m *Model) context(k uint64) *context {
	for at := m.slot(k); ; {
		c := &m.slots[at]
		switch {
		case c.n == 0:
			return nil
		case c.key == k:
			return c
		}
		if at++; at == len(m.slots) {
			at = 0
		}
	}
}

// contexts are all contexts, by key.
func (m *Model) contexts() []context {
	var out []context
	for _, c := range m.slots {
		if c.n != 0 {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b context) int { return cmp.Compare(a.key, b.key) })
	return out
}

// seam is the sign between two words of a run that are written as one, johnsmith. It
// is drawn like a letter, shows in no handle, and makes the word after it begin like
// any other: what people join are words, and what stands before one says little about it.
const seam = '|'

// place is where a sign stands: what came before it in its word, and its run.
type place struct {
	before history
	age    int // signs of the word so far
	digit  bool
	left   int // signs of the run that follow
}

// top is the longest context worth looking at: a longer one would only repeat that
// the word began.
func (at *place) top() int { return min(order, at.age+1) }

// pick draws a sign, which may be a seam. way is the probability of the way it was
// drawn, through the contexts that were left; there may be other ways to it.
func (m *Model) pick(at *place, next Source) (c byte, way float64) {
	way = 1
	for level := at.top(); level > 0; level-- {
		i := m.context(contextKey(at.before, level, at.digit, at.left))
		if i == nil {
			continue
		}
		leave := i.leave
		if next() >= leave {
			c, w := m.among(i, next)
			return c, way * float64(parts-uint32(leave)) * float64(w) / (parts * parts)
		}
		way *= float64(leave) / parts
	}
	c, w := m.among(m.context(contextKey(at.before, 0, at.digit, at.left)), next)
	return c, way * float64(w) / parts
}

// among draws one of a context's own signs, and says its weight.
func (m *Model) among(i *context, next Source) (c byte, weight uint32) {
	v := uint32(next())
	for _, s := range m.own(i) {
		if v < s.weight() {
			return s.c, s.weight()
		}
		v -= s.weight()
	}
	panic("handle: internal error: weights do not add up") // they do: see sound
}

// pair is the probability of a sign and of a seam at a place.
type pair struct{ sign, seam float64 }

// over mixes what context i says about sign c over what the shorter ones say.
func (m *Model) over(i *context, c byte, shorter pair) pair {
	own := m.says(i, c)
	leave := float64(i.leave) / parts
	// The conversions keep a compiler from fusing the steps, so that every machine
	// gets the same number.
	return pair{float64((1-leave)*own.sign) + float64(leave*shorter.sign), float64((1-leave)*own.seam) + float64(leave*shorter.seam)}
}

// says are the weights of a sign and of the seam among a context's own signs, as
// probabilities. The seam stands last.
func (m *Model) says(i *context, c byte) (p pair) {
	own := m.own(i)
	if last := own[len(own)-1]; last.c == seam {
		own = own[:len(own)-1]
		p.seam = float64(last.weight()) / parts
	}
	for _, s := range own {
		if s.c == c {
			p.sign = float64(s.weight()) / parts
			break
		}
	}
	return p
}

// class of a sign in a shape: 'a', '9', or the separator itself.
func class(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return 'a'
	case c >= '0' && c <= '9':
		return '9'
	}
	return c
}

// Shape writes a handle's runs: a for letters, 9 for digits, separators as they are.
func Shape(h string) string {
	b := []byte(h)
	for i, c := range b {
		b[i] = class(c)
	}
	return string(b)
}

func separator(c byte) bool { return c == '_' || c == '.' || c == '-' }

// runs visits the runs of letters and digits of a shape.
func runs(shape string, visit func(from, to int, digit bool)) {
	for i := 0; i < len(shape); {
		end := i + 1
		for end < len(shape) && shape[end] == shape[i] {
			end++
		}
		if !separator(shape[i]) {
			visit(i, end, shape[i] == '9')
		}
		i = end
	}
}

// signBits is -log2 of the probability of h's signs given its shape: the sum over
// all places at which its runs may have seams.
func (m *Model) signBits(h string) (sum float64) {
	runs(Shape(h), func(from, to int, digit bool) {
		sum -= math.Log2(m.runChance(h[from:to], digit))
	})
	return sum
}

// runChance is the probability of a run (the forward algorithm: Baum and Petrie
// 1966, over the number of signs since the last seam).
func (m *Model) runChance(run string, digit bool) float64 {
	var reach [order + 1]float64 // by age of the word; all of order and more look alike
	reach[0] = 1
	var alive [order + 1]bool // by age: the word so far begins others that were counted
	before := newHistory()
	for i := range len(run) {
		c, left := run[i], len(run)-1-i
		var then [order + 1]float64
		var living [order + 1]bool
		began := reach[0]
		// Contexts that do not reach back to the word's beginning are the same for
		// every age.
		least := m.says(m.context(contextKey(0, 0, digit, left)), c)
		said := least
		known := true // a context is known only if the shorter ones are
		for age := 1; age <= min(i, order); age++ {
			if known {
				at := m.context(contextKey(before, age, digit, left))
				if known = at != nil; known {
					said = m.over(at, c, said)
				}
			}
			if reach[age] == 0 {
				continue
			}
			all := said
			if age < order && alive[age] {
				if at := m.context(contextKey(beginning(before, age), age+1, digit, left)); at != nil {
					all, living[age+1] = m.over(at, c, said), true
				}
			}
			then[min(age+1, order)] += float64(reach[age] * all.sign)
			began += float64(reach[age] * all.seam)
		}
		all := least
		if at := m.context(contextKey(newHistory(), 1, digit, left)); at != nil {
			all, living[1] = m.over(at, c, all), true
		}
		then[1] += float64(began * all.sign / (1 - all.seam)) // no word is empty: a seam here is drawn again
		reach, alive = then, living
		before = before.then(c)
	}
	sum := 0.0
	for _, p := range reach {
		sum += p
	}
	return sum
}

// beginning is the history of a word whose last age signs are the only ones.
func beginning(h history, age int) history {
	mask := history(1)<<(6*age) - 1
	return newHistory()<<(6*age)&everything | h&mask
}

// fill draws the signs of a shape. way is the probability of the way they were drawn:
// that of the handle is no less.
func (m *Model) fill(shape string, next Source) (h string, way float64) {
	out := []byte(shape)
	way = 1
	runs(shape, func(from, to int, digit bool) {
		at := place{before: newHistory(), digit: digit}
		for i := from; i < to; {
			at.left = to - 1 - i
			c, w := m.pick(&at, next)
			way *= w
			if c == seam {
				at.before, at.age = newHistory(), 0
				continue
			}
			out[i] = c
			at.before, at.age = at.before.then(c), at.age+1
			i++
		}
	})
	return string(out), way
}
