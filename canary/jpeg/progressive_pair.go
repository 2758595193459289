package jpeg

// A progressive file has a segment's coefficients in many places, so a mark that
// touched them all would have to agree on lengths in every scan. It is kept to few
// scans instead: the first and the last one of luma's DC, and the last one of every
// luma AC coefficient, which brings its lowest bit. All that other scans carry - the
// high bits of AC and their signs - both variants share, chosen so that each still
// comes near to what it should be; those scans are then the same in every rendition.
// In a scan that differs a segment has one piece or, where luma is alone and its blocks
// go row by row, one in every row of blocks. Every piece is brought to the same length
// on its own, and its last bits, which go into the next piece's first byte, to the same
// values.

// planter writes a marked picture in both variants.
type planter struct {
	m       *Marked
	as      [2]*Frame
	weights [64]float32
	low     []bool // luma blocks of which the variants may differ in the lowest DC bit; nil: none
	more    [64]surplus
	given   []piece // in which the variants were made the same because no equal length was found
}

// piece is what a segment has in one scan that differs.
type piece struct {
	blocks       []int // luma blocks in the scan's order
	mx0, mx1, my int   // its MCUs
}

// carries says whether the variants may differ in a scan.
func (s *scan) carries() bool {
	return s.comps[0] == 0 && (s.ss == 0 && s.ah == 0 || s.ss > 0 && s.al == 0)
}

// writeProgressive is Write in a progressive dialect. Scans that differ have
// Huffman tables for both variants together, the others their own best ones.
func (m *Marked) writeProgressive() *Pair {
	e := &planter{m: m}
	for z, q := range m.Plain.Quant[0] {
		e.weights[z] = float32(q) * float32(q)
	}
	for v := range e.as {
		f := *m.Plain
		f.Luma.Blocks = append([]Block(nil), m.Plain.Luma.Blocks...)
		e.as[v] = &f
	}
	scans := m.Plain.scans
	planted := make([]*planted, len(scans))
	low := newLowBits(m)
	if low != nil {
		e.low = low.free(m)
	}
	e.round()
	for i := range scans {
		switch s := &scans[i]; {
		case s.carries():
			planted[i] = e.plant(s)
		case low != nil && low.s == s:
			planted[i] = low.plant(e.as)
		}
	}
	p := &Pair{As: e.as, Given: len(e.given)}
	for v := range p.Files {
		p.Files[v] = m.Plain.header()
	}
	for i := range scans {
		p.add(&scans[i], planted[i])
	}
	p.Off = append(p.Off, len(p.Files[0]))
	for v := range p.Files {
		p.Files[v] = append(p.Files[v], 0xff, 0xd9)
	}
	p.Bare = e.bare()
	return p
}

// planted is a scan that differs.
type planted struct {
	s    *scan // with its tables
	data [2][]byte
	off  []int // where its pieces begin in data
}

// add appends a scan to both files.
func (p *Pair) add(s *scan, of *planted) {
	f := p.As[0]
	if of != nil {
		head := of.s.header(nil)
		for v := range p.Files {
			p.Files[v] = append(p.Files[v], head...)
		}
		for _, at := range of.off {
			p.Off = append(p.Off, len(p.Files[0])+at)
		}
		p.Passes = append(p.Passes, uint8(f.split(s)))
		for v := range p.Files {
			p.Files[v] = append(p.Files[v], of.data[v]...)
		}
		return
	}
	s = s.settled(s.counts(f))
	c := newCoder(s)
	c.w.buf = s.header(nil)
	c.frame(f)
	for v := range p.Files {
		p.Files[v] = append(p.Files[v], c.w.buf...)
	}
}

// split is how many pieces of a scan that differs a row of segments is split into.
func (f *Frame) split(s *scan) int {
	if len(s.comps) > 1 {
		return 1
	}
	return f.Down
}

// pieces cuts a scan into them.
func (m *Marked) pieces(s *scan) []piece {
	var out []piece
	f := m.Plain
	cols, rows := f.MCUs()
	w, h := f.blocks(0)
	split := f.split(s)
	for row := range rows * split {
		for mx := 0; mx < cols; mx += m.Run {
			p := piece{mx0: mx, mx1: min(mx+m.Run, cols), my: row / split}
			switch {
			case len(s.comps) > 1:
				for i := range f.Across * f.Down * (p.mx1 - mx) {
					x, y := f.lumaAt(mx, p.my, i)
					p.blocks = append(p.blocks, y*f.Luma.W+x)
				}
			case row < h:
				for x := f.Across * mx; x < min(w, f.Across*p.mx1); x++ {
					p.blocks = append(p.blocks, row*f.Luma.W+x)
				}
			default: // a row of blocks below the picture is not in the scan
				continue
			}
			out = append(out, p)
		}
	}
	return out
}

func (m *Marked) real(at int) bool { return m.Plain.Real(at%m.Plain.Luma.W, at/m.Plain.Luma.W) }

// ideal is what variant v should have as coefficient z of block at.
func (m *Marked) ideal(v, at, z int) float32 {
	return Snap(m.Base[at][z]+float32(2*v-1)*m.Bump[at][z], m.Plain.Quant[0][z])
}

// round gives both variants the coefficients nearest to what they should have
// among those that share what other scans carry.
func (e *planter) round() {
	var shared [64]bool // coefficients of which only the lowest bit may differ
	scans := e.m.Plain.scans
	for i := range scans {
		s := &scans[i]
		if !s.carries() {
			continue
		}
		if s.ss == 0 {
			e.roundDC(s)
		}
		for z := max(1, s.ss); z <= s.se; z++ {
			shared[z] = s.ah > 0
		}
	}
	for at := range e.as[0].Luma.Blocks {
		if !e.m.real(at) {
			continue
		}
		a, b := &e.as[0].Luma.Blocks[at], &e.as[1].Luma.Blocks[at]
		for z := 1; z < 64; z++ {
			i0, i1 := e.m.ideal(0, at, z), e.m.ideal(1, at, z)
			r0, r1 := round(i0), round(i1)
			plain := e.m.Plain.Luma.Blocks[at][z]
			if r0 == plain && r1 == plain {
				a[z], b[z] = r0, r1
				continue
			}
			if shared[z] {
				r0, r1 = e.share(z, i0, i1, r0, r1)
			}
			a[z], b[z] = r0, r1
			*e.more[z].of(r0)++
			*e.more[z].of(r1)++
			*e.more[z].of(plain) -= 2
		}
	}
}

// share moves two coefficients to where they differ in the lowest bit only: in
// magnitude if there is more to them than that, otherwise to -1, 0 and 1. Small
// values are more frequent than large ones, so the nearest choice would be the odd
// value below the border more often than the even one above it, and files would have
// visibly many of those: what the variants have too many of costs more.
func (e *planter) share(z int, i0, i1 float32, r0, r1 int16) (int16, int16) {
	more := &e.more[z]
	best, b0, b1 := dear, r0, r1
	for up := above(min(r0, r1), 1); up <= above(max(r0, r1), 1); up++ {
		lo, hi := 2*up, 2*up+1
		switch {
		case up == 0:
			lo = -1
		case up < 0:
			lo, hi = 2*up-1, 2*up
		}
		c0, c1 := max(lo, min(hi, r0)), max(lo, min(hi, r1))
		d0, d1 := i0-float32(c0), i1-float32(c1)
		if cost := d0*d0 + d1*d1 + tooMany*(*more.of(c0)+*more.of(c1)); cost < best {
			best, b0, b1 = cost, c0, c1
		}
	}
	return b0, b1
}

// tooMany is what each coefficient too many of a value costs there, in squared steps.
const tooMany = float32(0.1)

// surplus is how often magnitudes occur in both variants beyond the unringed picture;
// large ones are not told apart.
type surplus [17]float32

func (s *surplus) of(v int16) *float32 { return &s[min(max(v, -v), int16(len(s)-1))] }

// plant writes a scan in both variants.
func (e *planter) plant(s *scan) *planted {
	pieces := e.m.pieces(s)
	if s.ss > 0 {
		h := newHarmony(e, s)
		for _, p := range pieces {
			h.piece(p)
		}
	}
	s = s.settled(e.counts(s))
	out := &planted{s: s}
	var w [2]*coder
	for v := range w {
		w[v] = newCoder(s)
	}
	if s.ss == 0 {
		d := newDCPlanter(e, w)
		for _, p := range pieces {
			out.off = append(out.off, len(w[0].w.buf))
			d.piece(p)
		}
		for _, f := range e.as {
			f.FillDummies()
		}
	} else {
		a := newACPlanter(e, w)
		for _, p := range pieces {
			out.off = append(out.off, len(w[0].w.buf))
			a.piece(p)
		}
	}
	for v := range w {
		w[v].finish()
		out.data[v] = w[v].w.buf
	}
	return out
}

// counts is how often symbols occur in both variants; those of the unringed DC,
// which pieces fall back to, occur at least once.
func (e *planter) counts(s *scan) map[byte]*histogram {
	all := s.counts(e.as[0])
	add := func(f *Frame, present bool) {
		for id, h := range s.counts(f) {
			for v, n := range h {
				switch {
				case !present:
					all[id][v] += n
				case n > 0:
					all[id][v] = max(all[id][v], 1)
				}
			}
		}
	}
	add(e.as[1], false)
	if s.ss == 0 {
		add(e.m.Plain, true)
	}
	return all
}

// bare counts the segments in which the variants were made the same and do not
// differ elsewhere.
func (e *planter) bare() (n int) {
	f := e.m.Plain
	seen := map[[2]int]bool{}
	for _, p := range e.given {
		if at := [2]int{p.mx0, p.my}; seen[at] {
			continue
		} else {
			seen[at] = true
		}
		same := true
		for i := range f.Across * f.Down * (p.mx1 - p.mx0) {
			x, y := f.lumaAt(p.mx0, p.my, i)
			same = same && *e.as[0].Luma.At(x, y) == *e.as[1].Luma.At(x, y)
		}
		if same {
			n++
		}
	}
	return n
}

// end is where a piece's bits end: pieces can be exchanged where it is the same.
type end struct {
	bytes int
	acc   uint64
	n     uint
	run   int
	fix   uint64 // hash of the correction bits that wait
}

// end returns where the coder stands, with from bytes before the piece.
func (c *coder) at(from int) end {
	h := uint64(14695981039346656037)
	for _, b := range c.fix {
		h = (h ^ uint64(b+1)) * 1099511628211
	}
	return end{len(c.w.buf) - from, c.w.acc, c.w.n, c.run, h}
}
