package canary

import (
	"fmt"
	"sync"

	"birdring/canary/ring"
)

// Renderer makes renditions of one picture. It is safe for concurrent use.
type Renderer struct {
	picture *Picture
	book    *ring.Book
	order   []uint32
	pool    sync.Pool // *[]uint64: room for a codeword
}

// NewRenderer binds a picture to its codebook; key is its 32-byte picture key.
func NewRenderer(p *Picture, key []byte) (*Renderer, error) {
	book, err := ring.NewBook(key, p.Code, p.Segments())
	if err != nil {
		return nil, fmt.Errorf("picture %s: %w", p.ID, err)
	}
	r := &Renderer{picture: p, book: book, order: book.Order()}
	r.pool.New = func() any { w := make([]uint64, book.Words()); return &w }
	return r, nil
}

// Book is the picture's codebook.
func (r *Renderer) Book() *ring.Book { return r.book }

// Picture is the prepared picture.
func (r *Renderer) Picture() *Picture { return r.picture }

// Append appends viewer v's rendition to dst: a copy of every segment in the
// variant that the ring chooses. It allocates nothing if dst has room for Size more bytes.
func (r *Renderer) Append(dst []byte, v Viewer) []byte {
	word := r.pool.Get().(*[]uint64)
	r.book.Codeword(*word, uint64(v))
	dst = r.picture.splice(dst, *word, r.order)
	r.pool.Put(word)
	return dst
}

// splice joins the variants: bit order[k] of word chooses segment k.
func (p *Picture) splice(dst []byte, word []uint64, order []uint32) []byte {
	from, n := len(dst), p.Size()
	if cap(dst)-from < n {
		grown := make([]byte, from, from+n)
		copy(grown, dst)
		dst = grown
	}
	dst = dst[:from+n]
	out := dst[from:]
	// Header and end are the same in both files.
	begin := p.starts[0]
	copy(out[:begin], p.files[0])
	for k, pos := range order {
		end := p.starts[k+1]
		file := p.files[word[pos>>6]>>(pos&63)&1]
		copy(out[begin:end], file[begin:end])
		begin = end
	}
	copy(out[begin:], p.files[0][begin:])
	return dst
}
