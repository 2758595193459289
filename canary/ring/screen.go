package ring

import (
	"crypto/cipher"
	"encoding/binary"
	"math"
	"math/bits"
)

// A scan over many viewers drops the hopeless by one integer score before it
// weighs all tracks: weights of 4 bits, four masks a word, AND and popcount. A
// dropped viewer's e-value counts as 0, which keeps the bound; who is dropped
// depends on the values, the viewer's own ring and how many are scored.

// screen is the integer score and what is known of it without any ring.
type screen struct {
	masks  [][4]uint64 // per word: the positions whose weight has bit 0..3
	flip   []uint64    // positions where a 0 speaks for the viewer
	whole  gauge
	prefix gauge // the first words alone
	strong bool
}

// gauge is the distribution of a score over innocent viewers, and how many
// standard deviations above it the score of a lone leaker is expected.
type gauge struct{ mean, deviation, leaker float64 }

const (
	planes      = 4
	screenTrack = 2 // inner shape, a quarter of the positions telling: a mixed copy passes too

	// A lone leaker falls short of its expected score by six deviations once in 1e9.
	spared = 6
	// Models of mixed copies are weighed where a lone leaker would stand out so far.
	strongLeaker = 10
	// Viewers that may be weighed on all tracks for one find, of innocent ones about so many.
	weighed = 2048
)

func (r *Reading) newScreen() *screen {
	b := r.book
	s := &screen{masks: make([][4]uint64, b.Words()), flip: make([]uint64, b.Words())}
	most := 0.0
	delta := make([]float64, len(r.symbols))
	guess := make([]float64, len(r.symbols)) // P(1 | value)
	for i, sym := range r.symbols {
		p := sym.class.p()
		one, zero := bet(sym.ratio[0], p, rhos[screenTrack])
		delta[i] = (one - zero).float()
		most = max(most, math.Abs(delta[i]))
		e := exp(sym.ratio[0])
		guess[i] = float64(p*e) / (float64(p*e) + 1 - p)
	}
	if most == 0 {
		return s
	}
	var whole, prefix tallies
	for k, i := range r.of {
		if i < 0 {
			continue
		}
		pos := b.order[k]
		p, g := r.symbols[i].class.p(), guess[i]
		q := int(math.Floor(float64(math.Abs(delta[i])/most*(1<<planes-1)) + 0.5))
		if delta[i] < 0 {
			s.flip[pos>>6] |= 1 << (pos & 63)
			p, g = 1-p, 1-g
		}
		for plane := range planes {
			s.masks[pos>>6][plane] |= uint64(q>>plane&1) << (pos & 63)
		}
		whole.add(float64(q), p, g)
		if int(pos>>6) < b.prefix {
			prefix.add(float64(q), p, g)
		}
	}
	s.whole, s.prefix = whole.gauge(), prefix.gauge()
	s.strong = s.whole.leaker >= strongLeaker
	return s
}

// tallies sum what positions of weight q, a right bit at chance p and at g for the leaker, add to a score.
type tallies struct{ mean, variance, leaker float64 }

func (t *tallies) add(q, p, g float64) {
	t.mean += float64(q * p)
	t.variance += float64(q * q * p * (1 - p))
	t.leaker += float64(q * (g - p))
}

func (t tallies) gauge() gauge {
	if !(t.variance > 0) {
		return gauge{}
	}
	d := math.Sqrt(t.variance)
	return gauge{t.mean, d, t.leaker / d}
}

// Gate is the least score with which a viewer is weighed at all, and the least
// evidence on the tracks of a lone leaker with which it is weighed on the others.
type Gate struct {
	whole, prefix int
	plain         Nats
}

// open lets everybody pass.
var open = Gate{math.MinInt, math.MinInt, Never}

// normal[k] is the deviation that a standard normal exceeds with chance 2^-k.
var normal = [...]float64{math.Inf(-1), 0, .674, 1.150, 1.534, 1.863, 2.154, 2.418, 2.660, 2.886, 3.097}

// Gate returns the gate for scoring n viewers on this find. Few viewers all
// pass, and so does everybody if the find is so weak that a leaker could be lost.
func (r *Reading) Gate(n int) Gate {
	k := 0
	for k < len(normal)-1 && n>>k > weighed {
		k++
	}
	g := Gate{r.screen.whole.least(normal[k]), math.MinInt, Never}
	if g.whole != math.MinInt {
		g.plain = down(float64(max(0, k-1)) * math.Ln2) // an innocent's chance, again
	}
	return g
}

// Sweep returns a gate for n viewers of whom none is known to have been shown
// the picture: most are dropped by the first 512 positions, if those tell enough
// for that. Copies mixed of more than four may be dropped with them.
func (r *Reading) Sweep(n int) Gate {
	g := r.Gate(n)
	const steep = 4.
	if r.screen.prefix.leaker >= steep+spared {
		g.prefix = r.screen.prefix.least(steep)
	}
	return g
}

// least is the score z deviations above the innocent's mean, or lower if a leaker could miss that.
func (g gauge) least(z float64) int {
	z = min(z, g.leaker-spared)
	if g.deviation == 0 || z < -1 {
		return math.MinInt
	}
	return int(math.Ceil(g.mean + float64(z*g.deviation)))
}

// score is the integer score of words that were made with signs ^ flip.
func (s *screen) score(word []uint64) int {
	var c0, c1, c2, c3 int
	masks := s.masks[:len(word)]
	for i, w := range word {
		m := &masks[i]
		c0 += bits.OnesCount64(w & m[0])
		c1 += bits.OnesCount64(w & m[1])
		c2 += bits.OnesCount64(w & m[2])
		c3 += bits.OnesCount64(w & m[3])
	}
	return c0 + 2*c1 + 4*c2 + 8*c3
}

// Pass says whether a viewer is let through.
func (r *Reading) Pass(g Gate, v uint64) bool {
	if g == open {
		return true
	}
	room := r.pool.Get().(*room)
	defer r.pool.Put(room)
	r.book.Codeword(room.word, v)
	for i := range room.word {
		room.word[i] ^= r.screen.flip[i]
	}
	return (g.prefix == math.MinInt || r.screen.score(room.word[:r.book.prefix]) >= g.prefix) && r.screen.score(room.word) >= g.whole
}

// Gated is Score, or Nothing for a viewer that the gate drops.
func (r *Reading) Gated(g Gate, v uint64) Score {
	if !r.Pass(g, v) {
		return Nothing
	}
	room := r.pool.Get().(*room)
	defer r.pool.Put(room)
	r.book.Codeword(room.word, v)
	return r.score(room, room.word, g)
}

// batch is how many viewers' keystream is made at a time.
const batch = 256

// ScoreRange scores the viewers from..from+n-1 and visits those whom the gate lets
// through; the others score Nothing. Cost grows linearly with n; state does not grow.
func (r *Reading) ScoreRange(g Gate, from, n uint64, visit func(v uint64, s *Score)) {
	b := r.book
	signs := make([]uint64, b.Words())
	for i := range signs {
		signs[i] = b.signs[i] ^ r.screen.flip[i]
	}
	heads := cipher.NewCTR(b.heads, counter(from, 4))
	head, tail := make([]byte, 64*batch), make([]byte, 16*b.blocks*batch)
	word := make([]uint64, b.Words())
	pass := make([]bool, batch)
	var tails cipher.Stream
	next := uint64(0) // the viewer that tails stands at
	for done := uint64(0); done < n; done += batch {
		size := min(batch, n-done)
		clear(head)
		heads.XORKeyStream(head, head)
		if !r.screenHeads(g, signs, head, word, pass[:size]) {
			continue
		}
		clear(tail)
		if tails == nil || next != done {
			tails = cipher.NewCTR(b.tails, counter(from+done, uint64(b.blocks)))
		}
		next = done + batch
		tails.XORKeyStream(tail, tail)
		for i, ok := range pass[:size] {
			if !ok {
				continue
			}
			h, t := head[64*i:], tail[16*b.blocks*i:]
			if g.whole != math.MinInt {
				if b.combine(word, signs, h, t); r.screen.score(word) < g.whole {
					continue
				}
			}
			room := r.pool.Get().(*room)
			b.assemble(room.word, h, t)
			s := r.score(room, room.word, g)
			r.pool.Put(room)
			visit(from+done+uint64(i), &s)
		}
	}
}

// screenHeads screens a batch by the first words; it says whether any passes.
func (r *Reading) screenHeads(g Gate, signs []uint64, head []byte, word []uint64, pass []bool) (any bool) {
	if g.prefix == math.MinInt {
		for i := range pass {
			pass[i] = true
		}
		return true
	}
	if r.book.prefix == prefixWords {
		masks := (*[prefixWords][planes]uint64)(r.screen.masks)
		for i := range pass {
			pass[i] = scoreHead((*[64]byte)(head[64*i:]), (*[prefixWords]uint64)(signs), masks) >= g.prefix
			any = any || pass[i]
		}
		return any
	}
	word = word[:r.book.prefix]
	for i := range pass {
		for j := range word {
			word[j] = binary.LittleEndian.Uint64(head[64*i+8*j:]) ^ signs[j]
		}
		pass[i] = r.screen.score(word) >= g.prefix
		any = any || pass[i]
	}
	return any
}

// scoreHead is score of a whole prefix, with nothing left to check.
func scoreHead(head *[64]byte, signs *[prefixWords]uint64, masks *[prefixWords][planes]uint64) int {
	var low, high int
	for j := range prefixWords {
		w := binary.LittleEndian.Uint64(head[8*j:]) ^ signs[j]
		m := &masks[j]
		low += bits.OnesCount64(w&m[0]) + 2*bits.OnesCount64(w&m[1])
		high += bits.OnesCount64(w&m[2]) + 2*bits.OnesCount64(w&m[3])
	}
	return low + 4*high
}

// counter is the initial counter block of viewer v whose stretch is n blocks long.
func counter(v, n uint64) []byte {
	iv := make([]byte, 16)
	hi, lo := bits.Mul64(v, n)
	binary.BigEndian.PutUint64(iv[:8], hi)
	binary.BigEndian.PutUint64(iv[8:], lo)
	return iv
}

// ScoreMany is ScoreRange for viewers given by number, in rising order. Stretches
// without large gaps cost as little as a range.
func (r *Reading) ScoreMany(g Gate, viewers []uint64, visit func(v uint64, s *Score)) {
	const gap, run = 3, 64
	for from := 0; from < len(viewers); {
		to := from + 1
		for to < len(viewers) && viewers[to]-viewers[to-1] <= gap {
			to++
		}
		if to-from < run {
			for _, v := range viewers[from:to] {
				if s := r.Gated(g, v); s != Nothing {
					visit(v, &s)
				}
			}
		} else {
			i := from
			r.ScoreRange(g, viewers[from], viewers[to-1]-viewers[from]+1, func(v uint64, s *Score) {
				for viewers[i] < v {
					i++ // to is past i: the last viewer is not below v
				}
				if viewers[i] == v {
					visit(v, s)
				}
			})
		}
		from = to
	}
}
