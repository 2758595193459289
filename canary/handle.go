package canary

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// HandleModel draws handles shape first: the run lengths of letters, digits and
// separators, then each run's signs given the three before and the distance to
// the run's end. Its tables are integers, so the probability of a handle is
// exact: -log2 of it is what a find of the handle is worth before counting the
// strings it could have coincided with. Safe for concurrent use.
//
// The bundled model is fitted to names made up for this project. It is fit for
// the demo; a platform's own handles look different.
type HandleModel struct {
	shapes []string
	upTo   []uint32 // cumulative weights of shapes
	signs  map[context]*table
}

// context is what the next sign depends on: the signs before it in the run (at
// most three), and how many follow in the run (at most three are told apart).
type context struct {
	before [3]byte
	digits bool
	left   uint8
}

// table is a distribution over 26 letters or 10 digits in parts of 65536.
type table [26]uint32

const parts = 1 << 16

// handle bounds, as Mastodon and most platforms take them.
const (
	minHandle = 5
	maxHandle = 24
)

// DefaultHandleModel is the bundled model.
var DefaultHandleModel = sync.OnceValue(func() *HandleModel { return fitHandles(madeUpHandles(60000)) })

// fitHandles counts shapes and signs of a list of handles.
func fitHandles(names []string) *HandleModel {
	m := &HandleModel{signs: map[context]*table{}}
	shapes := map[string]uint32{}
	counts := map[context]*[26]int{}
	for _, h := range names {
		shapes[shapeOf(h)]++
		eachSign(h, func(c context, sign byte) {
			// Count for the full context and for every shorter one that may stand in for it.
			for n := 3; n >= 0; n-- {
				short := c.cut(n)
				t := counts[short]
				if t == nil {
					t = new([26]int)
					counts[short] = t
				}
				t[ordinal(sign)]++
				if n > 0 && short == c.cut(n-1) {
					break
				}
			}
		})
	}
	for s := range shapes {
		m.shapes = append(m.shapes, s)
	}
	slices.Sort(m.shapes)
	var sum uint32
	for _, s := range m.shapes {
		sum += shapes[s]
		m.upTo = append(m.upTo, sum)
	}
	for c, t := range counts {
		m.signs[c] = normalise(t, c.digits)
	}
	return m
}

// cut forgets all but the last n signs before.
func (c context) cut(n int) context {
	for i := range 3 - n {
		c.before[i] = 0
	}
	return c
}

// normalise turns counts into parts of 65536, none of them zero: a sign never
// seen is rare, not impossible.
func normalise(counts *[26]int, digits bool) *table {
	n := 26
	if digits {
		n = 10
	}
	total := 0
	for _, c := range counts[:n] {
		total += 16*c + 1
	}
	var t table
	left := uint32(parts)
	most := 0
	for i, c := range counts[:n] {
		t[i] = max(1, uint32(uint64(16*c+1)*(parts-uint64(n))/uint64(total)))
		left -= t[i]
		if t[i] > t[most] {
			most = i
		}
	}
	t[most] += left
	return &t
}

// at finds the table of a context, or of the longest context like it that was seen.
func (m *HandleModel) at(c context) *table {
	for n := 3; n >= 0; n-- {
		if t := m.signs[c.cut(n)]; t != nil {
			return t
		}
	}
	return nil
}

// shapeOf writes a handle's runs: a for letters, 9 for digits, separators as they are.
func shapeOf(h string) string {
	b := []byte(h)
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z':
			b[i] = 'a'
		case c >= '0' && c <= '9':
			b[i] = '9'
		}
	}
	return string(b)
}

// eachSign visits the letters and digits of a handle with their contexts.
func eachSign(h string, visit func(c context, sign byte)) {
	shape := shapeOf(h)
	for i := 0; i < len(h); {
		end := i
		for end < len(h) && shape[end] == shape[i] {
			end++
		}
		if shape[i] != 'a' && shape[i] != '9' {
			i = end
			continue
		}
		c := context{digits: shape[i] == '9'}
		for ; i < end; i++ {
			c.left = uint8(min(3, end-1-i))
			visit(c, h[i])
			c.before = [3]byte{c.before[1], c.before[2], h[i]}
		}
	}
}

func ordinal(sign byte) int {
	if sign >= 'a' {
		return int(sign - 'a')
	}
	return int(sign - '0')
}

// Bits is -log2 of the probability that the model draws h, +Inf if it never does.
func (m *HandleModel) Bits(h string) float64 {
	i, ok := slices.BinarySearch(m.shapes, shapeOf(h))
	if !ok {
		return math.Inf(1)
	}
	weight := m.upTo[i]
	if i > 0 {
		weight -= m.upTo[i-1]
	}
	bits := math.Log2(float64(m.upTo[len(m.upTo)-1])) - math.Log2(float64(weight))
	eachSign(h, func(c context, sign byte) {
		t := m.at(c)
		if t == nil || t[ordinal(sign)] == 0 {
			bits = math.Inf(1)
			return
		}
		bits += 16 - math.Log2(float64(t[ordinal(sign)]))
	})
	return bits
}

// draw makes one handle from a stream of random bytes.
func (m *HandleModel) draw(next func(n uint32) uint32) string {
	i, _ := slices.BinarySearch(m.upTo, next(m.upTo[len(m.upTo)-1])+1)
	shape := m.shapes[i]
	out := []byte(shape)
	for at := 0; at < len(shape); {
		end := at
		for end < len(shape) && shape[end] == shape[at] {
			end++
		}
		if shape[at] != 'a' && shape[at] != '9' {
			at = end
			continue
		}
		c := context{digits: shape[at] == '9'}
		for ; at < end; at++ {
			c.left = uint8(min(3, end-1-at))
			out[at] = m.at(c).pick(next(parts), c.digits)
			c.before = [3]byte{c.before[1], c.before[2], out[at]}
		}
	}
	return string(out)
}

func (t *table) pick(v uint32, digits bool) byte {
	first := byte('a')
	if digits {
		first = '0'
	}
	for i, p := range t {
		if v < p {
			return first + byte(i)
		}
		v -= p
	}
	return first
}

// keyStream draws unbiased numbers from AES-CTR under a derived key.
func (k *Keyring) keyStream(purpose string) func(n uint32) uint32 {
	key := derive(k.epochs[0].secret, "birdring/"+purpose, 16)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("canary: internal error: aes: " + err.Error()) // only for a bad key length
	}
	ctr := cipher.NewCTR(block, make([]byte, aes.BlockSize))
	return func(n uint32) uint32 {
		limit := math.MaxUint32 - (math.MaxUint32%n+1)%n
		for {
			var b [4]byte
			ctr.XORKeyStream(b[:], b[:])
			if v := binary.BigEndian.Uint32(b[:]); v <= limit {
				return v % n
			}
		}
	}
}

// Handle draws the handle of a decoy: recomputable from key, decoy and counter.
// Handles below minBits, that platforms refuse, or that offend are passed over
// within the counter's own stream. bits is exact; what passing over adds to the
// probability of the rest is the caller's to account for (kept share).
func (k *Keyring) Handle(m *HandleModel, decoy string, counter uint32, minBits float64) (handle string, bits float64) {
	next := k.keyStream("handle/v1|" + decoy + "|" + string(binary.BigEndian.AppendUint32(nil, counter)))
	for {
		h := m.draw(next)
		if len(h) < minHandle || len(h) > maxHandle || !decent(h) {
			continue
		}
		if b := m.Bits(h); b >= minBits {
			return h, b
		}
	}
}

// Fold is the form in which two handles are taken for one: separators dropped,
// signs that look alike made one. Handles of decoys must differ in it.
func Fold(handle string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(handle) {
		switch c {
		case '.', '_', '-':
			continue
		case '0':
			c = 'o'
		case '1', 'i':
			c = 'l'
		}
		b.WriteRune(c)
	}
	return strings.ReplaceAll(b.String(), "rn", "m")
}

// indecent words that must not stand in a folded handle.
var indecent = list("sex porn fuck shit cunt nazi hitler rape slut whore puta merde fick hure kurva sik orospu caralho bangsat chutiya kill isis admin support official")

func decent(h string) bool {
	folded := Fold(h)
	for _, w := range indecent {
		if strings.Contains(folded, Fold(w)) {
			return false
		}
	}
	return true
}

// madeUpHandles puts n handles together from the locales' names and words in
// the shapes that people use: what the bundled model is fitted to.
func madeUpHandles(n int) []string {
	rng := rand.New(rand.NewPCG(1, 2)) // fixed: the model is part of the program
	one := func(s []string) string { return strings.ToLower(s[rng.IntN(len(s))]) }
	digits := func() string {
		switch rng.IntN(6) {
		case 0:
			return string(byte('0' + rng.IntN(10)))
		case 1, 2, 3:
			return string([]byte{byte('0' + rng.IntN(10)), byte('0' + rng.IntN(10))})
		case 4:
			return string([]byte{byte('1' + rng.IntN(9)), byte('0' + rng.IntN(10)), byte('0' + rng.IntN(10))})
		}
		return []string{"19", "20"}[rng.IntN(2)] + string([]byte{byte('0' + rng.IntN(10)), byte('0' + rng.IntN(10))})
	}
	out := make([]string, 0, n)
	for range n {
		l := &locales[rng.IntN(len(locales))]
		first, last, word := one(l.first), one(l.last), one(l.words)
		sep := []string{"", "", "", "_", "_", "."}[rng.IntN(6)]
		var h string
		switch rng.IntN(9) {
		case 0, 1:
			h = first + sep + last
		case 2:
			h = first + sep + word
		case 3:
			h = word + sep + one(l.words)
		case 4:
			h = first[:1] + sep + last
		case 5:
			h = last + sep + first
		case 6:
			h = first + last[:1+rng.IntN(min(3, len(last)))]
		case 7:
			h = word + sep + last
		case 8:
			h = first + sep + first[:1+rng.IntN(len(first))]
		}
		if rng.IntN(10) < 3 {
			h += digits()
		}
		out = append(out, strings.ReplaceAll(h, ".", "_"))
	}
	return out
}
