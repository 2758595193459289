package jpeg

import (
	"errors"
	"fmt"
	"slices"
)

// scan is one scan of a progressive file (T.81 G.1): the band of coefficients
// ss..se of some components, less their lowest al bits; or, if ah is not 0, one
// more bit of what scans before it brought down to ah bits.
type scan struct {
	sos            []byte // body of the scan header
	comps          []int  // 0 luma, 1 Cb, 2 Cr
	ss, se, ah, al int
	dht            [][]table // Huffman tables before the scan, by segment
}

// table is a Huffman table with its class and number, as DHT writes them.
type table struct {
	id   byte
	spec spec // empty where tables are made for each file
}

// mostScans bounds the time that a file can ask for; libjpeg's script has 10.
const mostScans = 64

// newScan reads a scan header in a frame of these component ids.
func newScan(body []byte, ids [3]byte) (*scan, error) {
	if len(body) < 6 || len(body) != 4+2*int(body[0]) {
		return nil, errors.New("jpeg: bad scan header")
	}
	s := &scan{sos: slices.Clone(body)}
	for i := 1; i < len(body)-3; i += 2 {
		c := slices.Index(ids[:], body[i])
		if c < 0 || len(s.comps) > 0 && c <= s.comps[len(s.comps)-1] {
			return nil, errors.New("jpeg: a scan of unknown components")
		}
		s.comps = append(s.comps, c)
	}
	last := body[len(body)-3:]
	s.ss, s.se, s.ah, s.al = int(last[0]), int(last[1]), int(last[2]>>4), int(last[2]&15)
	return s, nil
}

// uses is the class and number of the table of the scan's i-th component.
func (s *scan) uses(i int) byte {
	if both := s.sos[2+2*i]; s.ss > 0 {
		return 0x10 | both&15
	} else {
		return both >> 4
	}
}

// coded says whether the scan has Huffman codes: bits of a DC stand as they are.
func (s *scan) coded() bool { return s.ss > 0 || s.ah == 0 }

// spec is a table that the scan defines, nil if it does not.
func (s *scan) spec(id byte) *spec {
	for _, segment := range s.dht {
		for i := range segment {
			if segment[i].id == id {
				return &segment[i].spec
			}
		}
	}
	return nil
}

// script is the scans of a file in their order.
type script []scan

// check says why a script is not one that brings all coefficients in full, each
// scan with exactly the Huffman tables that it uses in front of it.
func (s script) check() error {
	var level [3][64]int // low bits still missing; -1: all
	for c := range level {
		for z := range level[c] {
			level[c][z] = -1
		}
	}
	for i := range s {
		c := &s[i]
		if c.ss > 0 && (len(c.comps) != 1 || c.se < c.ss || c.se > 63 || level[c.comps[0]][0] < 0) || c.ss == 0 && c.se != 0 || c.al > 10 || c.ah > 0 && c.al != c.ah-1 {
			return fmt.Errorf("jpeg: scan %d is not a progressive one", i+1)
		}
		for _, k := range c.comps {
			for z := c.ss; z <= c.se; z++ {
				if was := level[k][z]; c.ah == 0 && was >= 0 || c.ah > 0 && was != c.ah {
					return fmt.Errorf("jpeg: scan %d does not go on where those before it ended", i+1)
				}
				level[k][z] = c.al
			}
		}
		if err := c.checkTables(); err != nil {
			return fmt.Errorf("jpeg: scan %d: %w", i+1, err)
		}
	}
	for _, l := range level {
		for _, missing := range l {
			if missing != 0 {
				return errMissing
			}
		}
	}
	return nil
}

var errMissing = errors.New("jpeg: the scans do not bring all of the picture")

var errTables = errors.New("its Huffman tables are not the ones in front of it")

func (s *scan) checkTables() error {
	seen := map[byte]bool{}
	for _, segment := range s.dht {
		for _, t := range segment {
			if seen[t.id] {
				return errTables
			}
			seen[t.id] = true
		}
	}
	used := map[byte]bool{}
	for i := range s.comps {
		if s.coded() {
			used[s.uses(i)] = true
			if !seen[s.uses(i)] {
				return errTables
			}
		}
	}
	if len(used) != len(seen) {
		return errTables
	}
	return nil
}

// blocks is the size of a component's grid without what only fills up MCUs, as
// scans of that component alone go through it.
func (f *Frame) blocks(comp int) (w, h int) {
	if comp == 0 {
		return (f.W + 7) / 8, (f.H + 7) / 8
	}
	return f.MCUs()
}

func (f *Frame) grid(comp int) *Grid { return [3]*Grid{&f.Luma, &f.Cb, &f.Cr}[comp] }

// each visits the blocks of a scan in their order, with the scan's component
// that they belong to.
func (f *Frame) each(s *scan, visit func(i int, b *Block) error) error {
	if len(s.comps) == 1 {
		g := f.grid(s.comps[0])
		w, h := f.blocks(s.comps[0])
		for y := range h {
			for x := range w {
				if err := visit(0, g.At(x, y)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	cols, rows := f.MCUs()
	for my := range rows {
		for mx := range cols {
			for i, c := range s.comps {
				if c > 0 {
					if err := visit(i, f.grid(c).At(mx, my)); err != nil {
						return err
					}
					continue
				}
				for k := range f.Across * f.Down {
					if err := visit(i, f.Luma.At(f.lumaAt(mx, my, k))); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// counts is how often the scan's symbols occur in a frame, by class and number of table.
func (s *scan) counts(f *Frame) map[byte]*histogram {
	out := map[byte]*histogram{}
	for i := range s.comps {
		if s.coded() && out[s.uses(i)] == nil {
			out[s.uses(i)] = new(histogram)
		}
	}
	c := newCoder(s)
	for i := range c.tables {
		c.tables[i].count = out[s.uses(i)]
	}
	c.frame(f)
	return out
}

// settled is the scan with Huffman tables made for counts.
func (s *scan) settled(counts map[byte]*histogram) *scan {
	out := *s
	out.dht = make([][]table, len(s.dht))
	for i, segment := range s.dht {
		for _, t := range segment {
			out.dht[i] = append(out.dht[i], table{t.id, counts[t.id].spec()})
		}
	}
	return &out
}

// header is the marker segments in front of the scan's data.
func (s *scan) header(out []byte) []byte {
	for _, tables := range s.dht {
		var body []byte
		for _, t := range tables {
			body = append(body, t.spec.table(t.id)...)
		}
		out = segment(out, dht, body)
	}
	return segment(out, sos, s.sos)
}

// encodeProgressive is Encode in a progressive dialect, as libjpeg does it. Tables
// of the dialect's own that lack a symbol are made anew.
func (f *Frame) encodeProgressive() []byte {
	out := f.header()
	for i := range f.scans {
		s := &f.scans[i]
		if f.Optimal {
			s = s.settled(s.counts(f))
		}
		c := newCoder(s)
		c.w.buf = s.header(out)
		c.frame(f)
		if c.bad {
			s = s.settled(s.counts(f))
			c = newCoder(s)
			c.w.buf = s.header(out)
			c.frame(f)
		}
		out = c.w.buf
	}
	return append(out, 0xff, 0xd9)
}
