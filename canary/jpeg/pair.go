package jpeg

// Marked is a picture with a mark to be written in two variants.
type Marked struct {
	Plain *Frame        // the unringed picture, dummies filled
	Base  [][64]float32 // per luma block: the coefficients before rounding in quantiser steps, to an eighth of a grey level, zigzag order
	Bump  [][64]float32 // per luma block: what variant 1 adds and variant 0 takes away, same units
	Run   int           // MCUs per segment; the last segment of a row may be shorter
}

// Pair is one picture in two variants whose segments are exchangeable: bytes
// Off[k]..Off[k+1] of either file are segment k, whatever stands before. In a
// progressive file they are piece k, and a segment has several.
type Pair struct {
	Files  [2][]byte
	Off    []int     // len = pieces + 1; Off[0] is the end of the header
	Passes []uint8   // how the pieces lie, see Owners; nil: each is a segment
	As     [2]*Frame // the coefficients really written
	Bare   int       // segments left without a mark because no equal length was found
	Given  int       // pieces of a progressive file of which the same is true
}

// Owners are the segments that pieces belong to, in a picture of w x h pixels,
// MCUs of mcu pixels and so many MCUs to a segment. A pass is one scan that differs;
// its number says into how many pieces it splits a segment, each with one of that many
// rows of blocks; those below the picture are missing.
func Owners(w, h int, mcu [2]int, run int, passes []uint8) []uint32 {
	out := make([]uint32, 0, Pieces(w, h, mcu, run, passes))
	for _, split := range passes {
		rows, perRow := passSize(w, h, mcu, run, split)
		for row := range rows {
			for k := range perRow {
				out = append(out, uint32(row/int(split)*perRow+k))
			}
		}
	}
	return out
}

// Pieces is how many pieces Owners knows.
func Pieces(w, h int, mcu [2]int, run int, passes []uint8) (n int) {
	for _, split := range passes {
		rows, perRow := passSize(w, h, mcu, run, split)
		n += rows * perRow
	}
	return n
}

func passSize(w, h int, mcu [2]int, run int, split uint8) (rows, perRow int) {
	size := mcu[1] / int(split)
	return (h + size - 1) / size, ((w+mcu[0]-1)/mcu[0] + run - 1) / run
}

// Segments is the number of segments of a picture of cols x rows MCUs.
func Segments(cols, rows, run int) int { return (cols + run - 1) / run * rows }

// Write writes both variants. In a dialect of Huffman tables made for each file
// they are the best for both variants together: no choice of segments is far
// from its own best ones, none has exactly those.
func (m *Marked) Write() *Pair {
	if m.Plain.Progressive() {
		return m.writeProgressive()
	}
	if m.Plain.Optimal {
		m = m.settled()
	}
	cols, rows := m.Plain.MCUs()
	p := &Pair{Off: make([]int, 0, Segments(cols, rows, m.Run)+1)}
	for v := range p.As {
		f := *m.Plain
		f.Luma.Blocks = append([]Block(nil), m.Plain.Luma.Blocks...)
		p.As[v] = &f
	}
	e := newEqualiser(m)
	header := m.Plain.header()
	var w [2]writer
	for v := range w {
		w[v] = writer{buf: append(make([]byte, 0, len(header)+cols*rows*160), header...), codes: e.codes}
	}
	var d dcs
	for my := range rows {
		for mx := 0; mx < cols; mx += m.Run {
			p.Off = append(p.Off, len(w[0].buf))
			if !e.run(mx, min(mx+m.Run, cols), my, &d, &w, p.As) {
				p.Bare++
			}
		}
	}
	for v := range w {
		w[v].finish()
	}
	p.Off = append(p.Off, len(w[0].buf))
	for v := range w {
		p.Files[v] = append(w[v].buf, 0xff, 0xd9)
	}
	return p
}

// settled counts both variants as they are before equalising and fixes the tables.
func (m *Marked) settled() *Marked {
	var all counts
	e := newEqualiser(m)
	cols, rows := m.Plain.MCUs()
	for v := range e.side {
		f := *m.Plain
		f.Luma.Blocks = append([]Block(nil), m.Plain.Luma.Blocks...)
		for my := range rows {
			for mx := 0; mx < cols; mx += m.Run {
				end := min(mx+m.Run, cols)
				e.load(v, mx, end, my)
				e.store(v, e.side[v].blocks, &f, mx, end, my)
			}
		}
		var c counts
		c.frame(&f)
		all.add(&c, false)
	}
	var c counts
	c.frame(m.Plain)
	all.add(&c, true) // for segments left bare
	out := *m
	plain := *m.Plain
	plain.Dialect = m.Plain.settled(&all)
	out.Plain = &plain
	return &out
}
