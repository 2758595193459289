package canary

// A rendition has a fixed length and every byte of it belongs to one segment.
// So it is cut on a fixed grid into lines of 64 bytes, as caches and copies like
// them, and each line is kept in every form it can take: 2^n where n segments
// meet in it. A viewer's copy is then one unconditional copy a line, out of a
// place that the ring chooses; how long segments are does not matter. Where more
// than mostBits segments meet in a line, forms of its quarters are kept and
// written over it, of words in those, in the worst case of single bytes.
const (
	lineBytes    = 64
	quarterBytes = 16
	wordBytes    = 4
	mostBits     = 3
)

// forms is a picture in pieces: 3 to 4.5 times its file, most for flat photos
// with short segments. It does not change once made.
type forms struct {
	lines    [][lineBytes]byte
	quarters [][quarterBytes]byte
	words    [][wordBytes]byte
	bytes    [][1]byte
}

// place says where a piece goes and which form it takes.
type place struct {
	to   uint32 // where it begins in a rendition
	form uint32 // index of its first form
	seg  uint32 // the first segment that it depends on
	n    uint8  // how many there are
}

// places are the pieces of a picture by size, each in order of position. The
// lines cover the whole rendition.
type places struct{ lines, quarters, words, bytes []place }

// cut plans the pieces of a rendition of size bytes whose segments begin at
// starts[k]; starts[m] is where the last one ends.
func cut(starts []uint32, size int) (out places) {
	c := cutter{starts: starts}
	for at := 0; at < size; at += lineBytes {
		if c.piece(&out.lines, at, lineBytes) {
			continue
		}
		for q := at; q < min(at+lineBytes, size); q += quarterBytes {
			if c.piece(&out.quarters, q, quarterBytes) {
				continue
			}
			for w := q; w < min(q+quarterBytes, size); w += wordBytes {
				if c.piece(&out.words, w, wordBytes) {
					continue
				}
				for b := w; b < min(w+wordBytes, size); b++ {
					c.piece(&out.bytes, b, 1)
				}
			}
		}
	}
	return out
}

// cutter walks along the segments.
type cutter struct {
	starts []uint32
	seg    int // no segment before it reaches the position looked at
}

// piece plans the n bytes from at on as one piece and reports whether no more
// segments meet in it than may. A line gets a place in any case: what is written
// over later.
func (c *cutter) piece(to *[]place, at, n int) bool {
	m := len(c.starts) - 1
	for c.seg < m && int(c.starts[c.seg+1]) <= at {
		c.seg++
	}
	end := c.seg
	for end < m && int(c.starts[end]) < at+n && end-c.seg <= mostBits {
		end++
	}
	fits := end-c.seg <= mostBits
	if !fits && n != lineBytes {
		return false
	}
	p := place{to: uint32(at), form: uint32(formsOf(*to)), seg: uint32(c.seg)}
	if fits {
		p.n = uint8(end - c.seg)
	}
	*to = append(*to, p)
	return fits
}

// formsOf is the number of forms that pieces take.
func formsOf(p []place) int {
	if len(p) == 0 {
		return 0
	}
	last := p[len(p)-1]
	return int(last.form) + 1<<last.n
}

// newForms cuts the two variants of a picture into pieces.
func newForms(files [2][]byte, starts []uint32) *forms {
	c := cut(starts, len(files[0]))
	f := &forms{
		lines:    make([][lineBytes]byte, formsOf(c.lines)),
		quarters: make([][quarterBytes]byte, formsOf(c.quarters)),
		words:    make([][wordBytes]byte, formsOf(c.words)),
		bytes:    make([][1]byte, formsOf(c.bytes)),
	}
	fill := func(all []place, n int, form func(uint32) []byte) {
		for _, p := range all {
			for v := range uint32(1) << p.n {
				p.write(form(p.form+v), v, n, files, starts)
			}
		}
	}
	fill(c.lines, lineBytes, func(i uint32) []byte { return f.lines[i][:] })
	fill(c.quarters, quarterBytes, func(i uint32) []byte { return f.quarters[i][:] })
	fill(c.words, wordBytes, func(i uint32) []byte { return f.words[i][:] })
	fill(c.bytes, 1, func(i uint32) []byte { return f.bytes[i][:] })
	return f
}

// write makes form v of a piece of n bytes: bit i chooses the variant of its i-th segment.
func (p place) write(dst []byte, v uint32, n int, files [2][]byte, starts []uint32) {
	from, end := int(p.to), min(int(p.to)+n, len(files[0]))
	copy(dst, files[0][from:end])
	for i := range int(p.n) {
		if v>>i&1 == 1 {
			a, b := max(from, int(starts[int(p.seg)+i])), min(end, int(starts[int(p.seg)+i+1]))
			copy(dst[a-from:], files[1][a:b])
		}
	}
}

// variant puts the rendition of zeros only (v 0) or ones only (v 1) together again.
func (f *forms) variant(v int, starts []uint32, size int) []byte {
	c := cut(starts, size)
	out := make([]byte, size)
	form := func(p place) int { return int(p.form) + v*(1<<p.n-1) }
	for _, p := range c.lines {
		copy(out[p.to:], f.lines[form(p)][:])
	}
	for _, p := range c.quarters {
		copy(out[p.to:], f.quarters[form(p)][:])
	}
	for _, p := range c.words {
		copy(out[p.to:], f.words[form(p)][:])
	}
	for _, p := range c.bytes {
		copy(out[p.to:], f.bytes[form(p)][:])
	}
	return out
}

// memory is what the pieces take, in bytes.
func (f *forms) memory() int {
	return len(f.lines)*lineBytes + len(f.quarters)*quarterBytes + len(f.words)*wordBytes + len(f.bytes)
}
