package canary

import (
	"encoding/binary"
	"fmt"
	"sync"

	"birdring/canary/ring"
)

// Renderer makes renditions of one picture. It is safe for concurrent use.
type Renderer struct {
	picture *Picture
	book    *ring.Book
	lines   []choice // in order of position
	tail    int      // bytes of the last line, 0 if it is whole
	// Pieces written over lines.
	quarters, words, bytes []patch
	pool                   sync.Pool // *scratch
}

// choice is a piece's first form and the code positions that choose among its forms.
type choice struct {
	form uint32
	bit  [mostBits]uint16
}

// patch is a choice that says where it goes.
type patch struct {
	to uint32
	choice
}

// noBit is the code position that is always 0.
const noBit = 1<<16 - 1

// mostRendered is the most segments a picture can have whose code positions fit below noBit.
const mostRendered = noBit / 64 * 64

// scratch is room for one rendition's ring.
type scratch struct {
	word  []uint64
	bits  [1 << 16]byte // the word's bits, one a byte
	forms [blockLines]uint32
}

// blockLines is how many lines are chosen before they are copied: their forms
// lie close together meanwhile.
const blockLines = 128

// NewRenderer binds a picture to its codebook; key is its 32-byte picture key.
func NewRenderer(p *Picture, key []byte) (*Renderer, error) {
	if p.Segments() > mostRendered {
		return nil, fmt.Errorf("picture %s has %d segments: at most %d can be rendered", p.ID, p.Segments(), mostRendered)
	}
	book, err := ring.NewBook(key, p.Code, p.Segments())
	if err != nil {
		return nil, fmt.Errorf("picture %s: %w", p.ID, err)
	}
	r := &Renderer{picture: p, book: book, tail: p.size % lineBytes}
	c := cut(p.starts, p.size)
	order := book.Order()
	r.lines = make([]choice, len(c.lines))
	for i, q := range c.lines {
		r.lines[i] = q.choice(order)
	}
	r.quarters, r.words, r.bytes = patches(c.quarters, order), patches(c.words, order), patches(c.bytes, order)
	r.pool.New = func() any { return &scratch{word: make([]uint64, book.Words())} }
	return r, nil
}

func (p place) choice(order []uint32) choice {
	c := choice{form: p.form}
	for i := range c.bit {
		c.bit[i] = noBit
		if i < int(p.n) {
			c.bit[i] = uint16(order[int(p.seg)+i])
		}
	}
	return c
}

func patches(all []place, order []uint32) []patch {
	out := make([]patch, len(all))
	for i, p := range all {
		out[i] = patch{p.to, p.choice(order)}
	}
	return out
}

// Book is the picture's codebook.
func (r *Renderer) Book() *ring.Book { return r.book }

// Picture is the prepared picture.
func (r *Renderer) Picture() *Picture { return r.picture }

// Memory is what the picture and its renderer keep in memory, in bytes.
func (r *Renderer) Memory() int {
	p := r.picture
	return p.forms.memory() + 4*len(p.starts) + 12*len(r.lines) + 16*(len(r.quarters)+len(r.words)+len(r.bytes)) + 4*64*r.book.Words()
}

// Append appends viewer v's rendition to dst: every segment in the variant that
// the ring chooses. It allocates nothing if dst has room for Size more bytes.
func (r *Renderer) Append(dst []byte, v Viewer) []byte {
	s := r.pool.Get().(*scratch)
	r.book.Codeword(s.word, uint64(v))
	dst = r.join(dst, s)
	r.pool.Put(s)
	return dst
}

// join appends the rendition that the scratch's codeword chooses.
func (r *Renderer) join(dst []byte, s *scratch) []byte {
	from, n := len(dst), r.picture.size
	if cap(dst)-from < n {
		grown := make([]byte, from, from+n)
		copy(grown, dst)
		dst = grown
	}
	dst = dst[:from+n]
	s.unpack()
	f, out := r.picture.forms, dst[from:]
	whole := n / lineBytes
	for at := 0; at < whole; at += blockLines {
		end := min(at+blockLines, whole)
		s.choose(r.lines[at:end])
		copyLines(out[lineBytes*at:lineBytes*end], f.lines, &s.forms)
	}
	if r.tail > 0 {
		copy(out[n-r.tail:], f.lines[r.lines[whole].index(&s.bits)][:])
	}
	s.copyQuarters(out, f.quarters, r.quarters)
	for i := range r.words {
		p := &r.words[i]
		copy(out[p.to:], f.words[p.index(&s.bits)][:])
	}
	for i := range r.bytes {
		p := &r.bytes[i]
		out[p.to] = f.bytes[p.index(&s.bits)][0]
	}
	return dst
}

// spread[b] are the bits of b, one a byte, the lowest first.
var spread = func() (t [256]uint64) {
	for b := range t {
		for i := range 8 {
			t[b] |= uint64(b>>i&1) << (8 * i)
		}
	}
	return t
}()

// unpack writes the codeword's bits one a byte; that of noBit stays 0.
func (s *scratch) unpack() {
	for i, w := range s.word {
		dst := s.bits[64*i:][:64]
		for k := 0; k < 64; k += 8 {
			binary.LittleEndian.PutUint64(dst[k:], spread[w>>k&255])
		}
	}
}

// index is the form that the bits choose.
func (c *choice) index(bits *[1 << 16]byte) uint32 {
	return c.form + uint32(bits[c.bit[0]]) + uint32(bits[c.bit[1]])<<1 + uint32(bits[c.bit[2]])<<2
}

// choose finds the forms of a block of lines. It and copyLines are functions
// of their own because the compiler then keeps everything in registers.
func (s *scratch) choose(lines []choice) {
	for i := range lines {
		s.forms[i%blockLines] = lines[i].index(&s.bits)
	}
}

// copyLines fills out, whole lines, with the forms chosen.
//
//go:noinline
func copyLines(out []byte, lines [][lineBytes]byte, forms *[blockLines]uint32) {
	for i := uint(0); len(out) >= lineBytes; i++ {
		*(*[lineBytes]byte)(out) = lines[forms[i%blockLines]]
		out = out[lineBytes:]
	}
}

// copyQuarters writes quarters over out. The last one may reach beyond its end.
//
//go:noinline
func (s *scratch) copyQuarters(out []byte, quarters [][quarterBytes]byte, patches []patch) {
	for i := range patches {
		p := &patches[i]
		dst, form := out[p.to:], p.index(&s.bits)
		if len(dst) < quarterBytes {
			copy(dst, quarters[form][:])
			continue
		}
		*(*[quarterBytes]byte)(dst) = quarters[form]
	}
}
