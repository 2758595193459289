package canary

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"birdring/canary/jpeg"
	"birdring/canary/ring"
)

// splice is the plain way to join two variants: a copy of every segment in the
// variant that the word chooses. Renderer must do the same.
func splice(files [2][]byte, starts []uint32, word []uint64, order []uint32) []byte {
	out := bytes.Clone(files[0])
	for k, pos := range order {
		file := files[word[pos>>6]>>(pos&63)&1]
		copy(out[starts[k]:starts[k+1]], file[starts[k]:starts[k+1]])
	}
	return out
}

// segmented makes a picture of random bytes whose segments have lengths drawn by length.
func segmented(rng *rand.Rand, m int, length func() int) (*Picture, [2][]byte) {
	p := &Picture{ID: "p", Code: ring.D, MCU: [2]int{16, 16}, Run: 1}
	at := flipBytes + rng.IntN(700)
	for range m {
		p.starts = append(p.starts, uint32(at))
		at += max(1, length())
	}
	p.starts = append(p.starts, uint32(at))
	p.size = at + 2 + rng.IntN(3)
	files := [2][]byte{make([]byte, p.size), make([]byte, p.size)}
	for i := range files[0] {
		files[0][i] = byte(rng.Uint32())
	}
	copy(files[1], files[0])
	for i := p.starts[0]; i < p.starts[m]; i++ {
		files[1][i] ^= byte(1 + rng.IntN(255))
	}
	p.forms = p.plainForms(files)
	return p, files
}

// Whatever the lengths of segments, a rendition is what plain splicing gives.
func TestRenditionsAreSplices(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for name, length := range map[string]func() int{
		"one byte":    func() int { return 1 },
		"a few bytes": func() int { return 1 + rng.IntN(9) },
		"flat":        func() int { return 4 + rng.IntN(40) },
		"long":        func() int { return 40 + rng.IntN(300) },
		"mixed": func() int {
			if rng.IntN(9) == 0 {
				return rng.IntN(500)
			}
			return rng.IntN(12)
		},
	} {
		for _, m := range []int{1, 2, 63, 64, 65, 500, 3000} {
			p, files := segmented(rng, m, length)
			for v := range files {
				if !bytes.Equal(p.variant(v), files[v]) {
					t.Fatalf("%s, %d segments: variant %d is not put together again", name, m, v)
				}
			}
			r, err := NewRenderer(p, bytes.Repeat([]byte{1}, 32))
			if err != nil {
				t.Fatal(err)
			}
			word := make([]uint64, r.book.Words())
			for v := FirstViewer; v < FirstViewer+5; v++ {
				r.book.Codeword(word, uint64(v))
				if !bytes.Equal(r.Append(nil, v), splice(files, p.starts, word, r.book.Order())) {
					t.Fatalf("%s, %d segments: a rendition is not the splice", name, m)
				}
			}
		}
	}
}

// A segment may lie in several pieces, as in a progressive file.
func TestRenditionsOfPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	p, files := segmented(rng, 900, func() int { return 1 + rng.IntN(150) })
	order := make([]uint32, 900)
	for k := range order {
		order[k] = uint32(rng.IntN(128))
	}
	f := newForms(files, p.starts, order, []uint64{rng.Uint64(), rng.Uint64()})
	for range 9 {
		word := []uint64{rng.Uint64(), rng.Uint64()}
		out := make([]byte, p.size)
		s := newScratch(len(word))
		copy(s.word, word)
		f.render(out, s)
		scratches.Put(s)
		if !bytes.Equal(out, splice(files, p.starts, word, order)) {
			t.Fatal("a rendition is not the splice")
		}
	}
}

// The way this processor lays flips is the plain way.
func TestLay(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	flips, chosen := make([]flip, 50), []uint32{}
	plain := make([]byte, 700)
	for i := range flips {
		flips[i].to = uint32(4 + rng.IntN(len(plain)-flipBytes-3))
		for k := range flips[i].data {
			flips[i].data[k] = byte(rng.Uint32())
		}
		if i%3 > 0 {
			chosen = append(chosen, uint32(i))
		}
	}
	flips[1].to, flips[2].to = 4, uint32(len(plain)-flipBytes)
	fast := bytes.Clone(plain)
	lay(fast, flips, chosen)
	layPlain(plain, flips, chosen)
	if !bytes.Equal(fast, plain) {
		t.Error("flips are laid otherwise")
	}
}

// A stored picture is put together again however long a segment is, and refused
// where its header leaves no room for laying flips.
func TestStoredSegmentsCanBeRendered(t *testing.T) {
	for _, c := range []struct {
		header, segment int
		ok              bool
	}{{flipRoom, 9, true}, {flipRoom - 1, 9, false}, {flipRoom, 300 * flipBytes, true}} {
		p := &Picture{W: 16, H: 16, MCU: [2]int{16, 16}, Run: 1}
		rest := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(c.header)), uint64(c.segment))
		size := c.header + c.segment + flipBytes
		rest = append(rest, bytes.Repeat([]byte{1}, size)...)
		ones := bytes.Repeat([]byte{2}, c.segment)
		err := p.unmarshalFiles(append(rest, ones...), int64(size))
		if (err == nil) != c.ok {
			t.Errorf("%d bytes before a segment of %d: %v", c.header, c.segment, err)
		}
		if err == nil && !bytes.Equal(p.variant(1)[c.header:][:c.segment], ones) {
			t.Errorf("a segment of %d bytes is not put together again", c.segment)
		}
	}
}

// FuzzFlips cuts at arbitrary places.
func FuzzFlips(f *testing.F) {
	f.Add([]byte{1, 1, 1, 1, 1, 60, 3, 200}, uint64(1))
	f.Add(bytes.Repeat([]byte{5}, 300), uint64(2))
	f.Fuzz(func(t *testing.T, lengths []byte, seed uint64) {
		if len(lengths) == 0 || len(lengths) > 4000 {
			return
		}
		i := -1
		p, files := segmented(rand.New(rand.NewPCG(seed, 1)), len(lengths), func() int { i++; return int(lengths[i]) })
		r, err := NewRenderer(p, bytes.Repeat([]byte{1}, 32))
		if err != nil {
			t.Fatal(err)
		}
		word := make([]uint64, r.book.Words())
		r.book.Codeword(word, 70000)
		if !bytes.Equal(r.Append(nil, 70000), splice(files, p.starts, word, r.book.Order())) {
			t.Fatal("a rendition is not the splice")
		}
	})
}

// Every size that Prepare takes has few enough segments to be rendered, in every
// subsampling, and short ones are made longer only where enough are left.
func TestGridsFitTheRenderer(t *testing.T) {
	for _, mcu := range [][2]int{{2, 2}, {2, 1}, {1, 2}, {1, 1}} {
		d := jpeg.Default(90)
		d.Across, d.Down = mcu[0], mcu[1]
		f := &jpeg.Frame{W: maxSide, H: maxSide, Dialect: d}
		if g := gridFor(f, 1<<30); g.Segments() > mostSegments || g.Segments() < mostSegments/3 {
			t.Errorf("MCUs of %v blocks: %d segments", mcu, g.Segments())
		}
		f.W, f.H = 400, 400
		if g := gridFor(f, 100); g.MCU*g.Row*g.Run != segmentArea {
			t.Errorf("MCUs of %v blocks: a small picture has segments of %d pixels", mcu, g.MCU*g.Row*g.Run)
		}
	}
}
