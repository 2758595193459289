// Package ring draws the secret codeword of a (viewer, picture) pair and scores
// what was read out of a found picture against it.
//
// # Layout v1 (frozen; golden vectors in the test)
//
// A picture has m segments. Its codebook has W = ceil(m/64) words of 64 code
// positions. Code D shares the words among depths 1..5 by .40/.20/.15/.15/.10
// (largest remainder, ties to the smaller depth), code D6 among depths 1..6 by
// .35/.25/.10/.15/0/.15, code U gives all to depth 1; words stand in order of depth. A word of depth t is the AND of t keystream
// words XOR a secret sign word, so a bit is 1 with probability 2^-t or 1-2^-t.
//
// Keystreams are AES-128 in counter mode (big-endian 128-bit counter, from 0)
// under keys derived from the picture key by HKDF-SHA256 with the labels
// birdring/ring/v1/{prefix,main,sign,order}/<code>/<m>. The first min(8, words of
// depth 1) words of viewer v are bytes [64v, 64v+64) of the prefix stream, so that a
// screen of many viewers reads one short contiguous range each; the others follow one another in
// bytes [Bv, Bv+B) of the main stream, B a multiple of 16. Words are little-endian.
// Segment k stands at code position Order()[k]: a Fisher-Yates shuffle of all
// 64W positions, cut to m, drawn from the order stream by rejection.
//
// # Evidence
//
// The null hypothesis H0(j, W) of account j and site W: no copy served to j is an
// ingredient of anything found on W. Under it j's ring is independent of all that
// was found, whatever the scraper did, because the ring is drawn by a secret key
// and nothing about a find - which picture it is, how it lies, how reliable it is,
// what a coalition may have done - is decided by looking at a ring. NewReading
// turns the soft values of a find into bets, one a position, with mean 1 over the
// ring; their product is an e-value, and so is every average of e-values that is
// weighed beforehand, and every product over independent secrets (Shafer 2021,
// Vovk-Wang 2021). As finds come in, the products over distinct photo groups are a
// test martingale given all finds, so by Ville's inequality P(any false attribution
// ever) <= viewers x sites x 2^-64. Feedback does not spoil it: until j is accused,
// nothing computed from j's ring may reach anybody outside, so a site's behaviour
// cannot depend on it before the first false accusation. Rounding is always down,
// and whoever is dropped by the screen counts as 0: both only lower e-values.
//
// What may multiply is a matter of types: Scores are averaged (sessions of an
// account, pictures that one file could come from), a Sightings weighs the files
// of one photo, its Factor enters a Ledger once; handles, links, probes and coins
// have a type each, made by their own secrets.
//
// # Probes
//
// A dark decoy's handle h is drawn with a chance of 2^-b or less, kept secret, and
// named once: in our question to site W. H0 of account j: no look-up by j descends
// from that question. Then j's look-ups in the window after it, at most L of them,
// were chosen independently of h, and the probability that one of them is h is at
// most L 2^-b by the union bound. So E = 2^b/L [j was the first to look h up] has
// mean at most 1: being first is part of being there at all. A look-up before the
// question shows that the handle was known otherwise, and the probe says nothing.
// Handles of different decoys are drawn independently, so probes multiply; those
// that others answered count as 0 in a mixture over the share of probes an account
// serves. The ring in the answer is drawn under another key label and multiplies
// too. W may post the handle or lure somebody to it: therefore the first requester
// alone, soon after the question, and three dark decoys before probes count
// without other evidence. make sim simulates the null.
//
// # Cost
//
// A find is scored against a viewer in about two and a half times the cost of
// making the viewer's keystream: go test -bench Score ./canary/ring prints it. At
// 0.3 microseconds a viewer, 10^9 viewers cost five minutes of one core, the sweep by
// the prefix alone 35 seconds; memory stays flat, and the work shards by viewer
// number.
package ring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"
)

// Layout is the version of the codeword layout that this package draws.
const Layout = 1

// MaxSegments bounds the segments of a picture.
const MaxSegments = 1 << 20

// Code says how the bits of a codebook are biased.
type Code uint8

// The codes. Their numbers are stored with pictures.
const (
	U Code = 1 // uniform: strongest for one account, erased by three that compare copies
	D Code = 2 // dyadic mix of biases: traces mixed copies
	// D6 reaches a bias of 1/64: for farms that mix 24 copies and more.
	D6 Code = 3
)

// ParseCode reads a code's name.
func ParseCode(name string) (Code, error) {
	switch name {
	case "U":
		return U, nil
	case "D":
		return D, nil
	case "D6":
		return D6, nil
	}
	return 0, fmt.Errorf("unknown code %q: use U, D or D6", name)
}

// String is the code's name.
func (c Code) String() string {
	switch c {
	case U:
		return "U"
	case D:
		return "D"
	case D6:
		return "D6"
	}
	return fmt.Sprintf("Code(%d)", uint8(c))
}

// Check refuses a code that this package does not know.
func (c Code) Check() error {
	_, err := c.shares()
	return err
}

// shares[t-1] is the share of words of depth t, in percent.
func (c Code) shares() ([]int, error) {
	switch c {
	case U:
		return []int{100}, nil
	case D:
		return []int{40, 20, 15, 15, 10}, nil
	case D6:
		return []int{35, 25, 10, 15, 0, 15}, nil
	}
	return nil, fmt.Errorf("unknown code %d: this program knows U (1), D (2) and D6 (3)", uint8(c))
}

// prefixWords is the most words a viewer takes from the prefix stream.
const prefixWords = 8

// Book is the codebook of one picture. It is safe for concurrent use.
type Book struct {
	code   Code
	m      int
	depths []uint8  // per word
	signs  []uint64 // per word
	order  []uint32 // per segment
	prefix int      // words taken from the prefix stream
	counts []int    // of the other words, per depth
	blocks int      // AES blocks of a viewer in the main stream
	heads  cipher.Block
	tails  cipher.Block
}

// scratches is shared by all books: what one of them left is in the cache still
// when the next is asked, while its own, used long ago, is not.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

// scratch is room for one viewer's keystream.
type scratch struct {
	counter [aes.BlockSize]byte
	stream  []byte
}

// NewBook returns the codebook of a picture with m segments under its 32-byte key.
func NewBook(key []byte, code Code, m int) (*Book, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("picture key of %d bytes: want 32", len(key))
	}
	if m < 1 || m > MaxSegments {
		return nil, fmt.Errorf("%d segments: want 1 to %d", m, MaxSegments)
	}
	shares, err := code.shares()
	if err != nil {
		return nil, err
	}
	b := &Book{code: code, m: m}
	words := (m + 63) / 64
	draws := 0
	for t, n := range apportion(words, shares) {
		for range n {
			b.depths = append(b.depths, uint8(t+1))
		}
		if t == 0 {
			b.prefix = min(prefixWords, n)
			b.counts = append(b.counts, n-b.prefix)
		} else {
			b.counts = append(b.counts, n)
		}
		draws += n * (t + 1)
	}
	b.blocks = ((draws-b.prefix)*8 + aes.BlockSize - 1) / aes.BlockSize
	if b.heads, err = b.cipher(key, "prefix"); err != nil {
		return nil, err
	}
	if b.tails, err = b.cipher(key, "main"); err != nil {
		return nil, err
	}
	if err := b.drawSigns(key); err != nil {
		return nil, err
	}
	if err := b.drawOrder(key); err != nil {
		return nil, err
	}
	return b, nil
}

// apportion shares n words among depths by largest remainder, ties to the smaller depth.
func apportion(n int, percent []int) []int {
	out := make([]int, len(percent))
	left := n
	for t, p := range percent {
		out[t] = n * p / 100
		left -= out[t]
	}
	taken := make([]bool, len(percent))
	for range left {
		best := -1
		for t, p := range percent {
			if !taken[t] && (best < 0 || n*p%100 > n*percent[best]%100) {
				best = t
			}
		}
		out[best]++
		taken[best] = true
	}
	return out
}

// cipher derives the block cipher of one stream of the book.
func (b *Book) cipher(key []byte, stream string) (cipher.Block, error) {
	label := fmt.Sprintf("birdring/ring/v1/%s/%s/%d", stream, b.code, b.m)
	k, err := hkdf.Key(sha256.New, key, nil, label, 16)
	if err != nil {
		return nil, fmt.Errorf("derive %s: %w", label, err)
	}
	return aes.NewCipher(k)
}

func (b *Book) drawSigns(key []byte) error {
	c, err := b.cipher(key, "sign")
	if err != nil {
		return err
	}
	stream := make([]byte, (len(b.depths)*8+15)/16*16)
	cipher.NewCTR(c, make([]byte, 16)).XORKeyStream(stream, stream)
	b.signs = make([]uint64, len(b.depths))
	for i := range b.signs {
		b.signs[i] = binary.LittleEndian.Uint64(stream[8*i:])
	}
	return nil
}

func (b *Book) drawOrder(key []byte) error {
	c, err := b.cipher(key, "order")
	if err != nil {
		return err
	}
	ctr := cipher.NewCTR(c, make([]byte, 16))
	var buf [4]byte
	next := func() uint32 {
		clear(buf[:])
		ctr.XORKeyStream(buf[:], buf[:])
		return binary.LittleEndian.Uint32(buf[:])
	}
	all := make([]uint32, 64*len(b.depths))
	for i := range all {
		all[i] = uint32(i)
	}
	for i := range b.m {
		j := i + int(below(uint32(len(all)-i), next))
		all[i], all[j] = all[j], all[i]
	}
	b.order = all[:b.m:b.m]
	return nil
}

// below draws a number in 0..n-1 without bias, rejecting the uneven rest.
func below(n uint32, next func() uint32) uint32 {
	limit := ^uint32(0) - (^uint32(0)%n+1)%n
	for {
		if v := next(); v <= limit {
			return v % n
		}
	}
}

// M is the number of segments.
func (b *Book) M() int { return b.m }

// Code is the book's code.
func (b *Book) Code() Code { return b.code }

// Words is the length of a codeword in 64-bit words.
func (b *Book) Words() int { return len(b.depths) }

// Order gives the code position of every segment. The caller must not change it.
func (b *Book) Order() []uint32 { return b.order }

// P is the probability that the bit at a code position is 1, over viewers.
func (b *Book) P(pos int) float64 { return b.class(pos).p() }

// class is a bias: twice the depth, and 1 if the bit is mostly 1.
type class uint8

const classes = 14 // depths 1..6

func (b *Book) class(pos int) class {
	return class(2*b.depths[pos>>6] + uint8(b.signs[pos>>6]>>(pos&63)&1))
}

// p is the probability of a 1.
func (c class) p() float64 {
	p := 1 / float64(uint64(1)<<(c>>1))
	if c&1 == 1 {
		return 1 - p
	}
	return p
}

// Codeword writes the ring of viewer v into dst, len(dst) = Words(): the bit of
// code position i is bit i&63 of word i>>6. It does not allocate.
func (b *Book) Codeword(dst []uint64, v uint64) {
	s := b.newScratch()
	s.fill(b.heads, s.stream[:64], v, 4)
	s.fill(b.tails, s.stream[64:], v, uint64(b.blocks))
	b.assemble(dst, s.stream[:64], s.stream[64:])
	scratches.Put(s)
}

// newScratch returns room for one viewer of the book.
func (b *Book) newScratch() *scratch {
	s := scratches.Get().(*scratch)
	n := 64 + b.blocks*aes.BlockSize
	if cap(s.stream) < n {
		s.stream = make([]byte, n)
	}
	s.stream = s.stream[:n]
	return s
}

// fill writes the keystream of viewer v, n blocks long.
func (s *scratch) fill(c cipher.Block, dst []byte, v, n uint64) {
	hi, lo := bits.Mul64(v, n)
	for i := 0; i < len(dst); i += aes.BlockSize {
		binary.BigEndian.PutUint64(s.counter[:8], hi)
		binary.BigEndian.PutUint64(s.counter[8:], lo)
		c.Encrypt(dst[i:i+aes.BlockSize], s.counter[:])
		if lo++; lo == 0 {
			hi++
		}
	}
}

// assemble makes the words out of a viewer's two stretches of keystream.
func (b *Book) assemble(dst []uint64, head, tail []byte) {
	b.combine(dst, b.signs, head, tail)
}

// combine makes words with any sign words. Words of one depth stand together, so
// each depth has a loop of its own without a branch inside.
func (b *Book) combine(dst, signs []uint64, head, tail []byte) {
	dst = dst[:len(signs)]
	for i := range b.prefix {
		dst[i] = binary.LittleEndian.Uint64(head[8*i:]) ^ signs[i]
	}
	i := b.prefix
	for d, n := range b.counts {
		size := 8 * (d + 1)
		for ; n > 0; n-- {
			t := tail[:size:size]
			w := binary.LittleEndian.Uint64(t)
			for j := 8; j < len(t); j += 8 {
				w &= binary.LittleEndian.Uint64(t[j:])
			}
			dst[i] = w ^ signs[i]
			i++
			tail = tail[size:]
		}
	}
}
