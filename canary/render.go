package canary

import (
	"fmt"

	"birdring/canary/ring"
)

// Renderer makes renditions of one picture. It is safe for concurrent use.
type Renderer struct {
	picture *Picture // its forms lie as the codebook likes them
	book    *ring.Book
}

// NewRenderer binds a picture to its codebook; key is its 32-byte picture key.
// The renderer keeps a picture of its own, laid out for the codebook, and not p.
func NewRenderer(p *Picture, key []byte) (*Renderer, error) {
	book, err := ring.NewBook(key, p.Code, p.Segments())
	if err != nil {
		return nil, fmt.Errorf("picture %s: %w", p.ID, err)
	}
	own := *p
	own.forms = newForms([2][]byte{p.variant(0), p.variant(1)}, p.starts, p.pieces(book.Order()), likely(book))
	return &Renderer{&own, book}, nil
}

// likely is the codeword of the likelier bits.
func likely(b *ring.Book) []uint64 {
	out := make([]uint64, b.Words())
	for pos := range 64 * len(out) {
		if b.P(pos) > 0.5 {
			out[pos>>6] |= 1 << (pos & 63)
		}
	}
	return out
}

// Book is the picture's codebook.
func (r *Renderer) Book() *ring.Book { return r.book }

// Picture is the prepared picture. It shares its memory with the renderer.
func (r *Renderer) Picture() *Picture { return r.picture }

// Memory is what the picture and its renderer keep in memory, in bytes.
func (r *Renderer) Memory() int {
	p := r.picture
	return p.forms.memory() + 4*len(p.starts) + 4*64*r.book.Words()
}

// Append appends viewer v's rendition to dst: every segment in the variant that
// the ring chooses. It allocates nothing if dst has room for Size more bytes.
func (r *Renderer) Append(dst []byte, v Viewer) []byte {
	s := newScratch(r.book.Words())
	r.book.Codeword(s.word, uint64(v))
	from, n := len(dst), r.picture.size
	if cap(dst)-from < n {
		grown := make([]byte, from, from+n)
		copy(grown, dst)
		dst = grown
	}
	dst = dst[:from+n]
	r.picture.forms.render(dst[from:], s)
	scratches.Put(s)
	return dst
}
