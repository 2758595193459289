package jpeg

// lowBits is a scan that brings the lowest bit of luma's DC, beside chroma's. The
// bits stand there as they are, six to an MCU of 4:2:0, so a byte holds those of
// several segments; it may differ for one of them only, its owner. Of a segment that
// owns too little both variants share the lowest bits.
type lowBits struct {
	s      *scan
	pieces []piece
	at     [][]int // where every piece's luma bits lie
	owner  []int   // of every byte: the piece
	n      int     // bits
}

// newLowBits looks for such a scan behind a first one of the same MCUs; nil: there is none.
func newLowBits(m *Marked) *lowBits {
	together := false
	for i := range m.Plain.scans {
		s := &m.Plain.scans[i]
		if s.ss > 0 || s.comps[0] > 0 || len(s.comps) == 1 {
			continue
		}
		together = together || s.ah == 0
		if s.ah != 1 || !together {
			continue
		}
		l := &lowBits{s: s, pieces: m.pieces(s)}
		per := m.Plain.Across * m.Plain.Down
		for _, p := range l.pieces {
			var at []int
			for i := range p.blocks {
				if i > 0 && i%per == 0 {
					l.n += len(s.comps) - 1
				}
				at = append(at, l.n)
				l.n++
			}
			l.n += len(s.comps) - 1
			l.at = append(l.at, at)
		}
		l.own(m)
		return l
	}
	return nil
}

// own gives every byte to the piece that has most bits in it, of those that may differ.
func (l *lowBits) own(m *Marked) {
	l.owner = make([]int, (l.n+7)/8)
	most := make([]int, len(l.owner))
	for k, p := range l.pieces {
		bits := map[int]int{}
		for i := range m.lastReal(p) {
			bits[l.at[k][i]/8]++
		}
		for b, n := range bits {
			if n > most[b] {
				most[b], l.owner[b] = n, k
			}
		}
	}
	for b := 1; b < len(l.owner); b++ {
		l.owner[b] = max(l.owner[b], l.owner[b-1]) // a byte of chroma
	}
}

// free says of every luma block whether its lowest DC bit may differ.
func (l *lowBits) free(m *Marked) []bool {
	out := make([]bool, len(m.Plain.Luma.Blocks))
	for k, p := range l.pieces {
		for i := range m.lastReal(p) {
			out[p.blocks[i]] = m.real(p.blocks[i]) && l.owns(m, k, i)
		}
	}
	return out
}

// owns says whether piece k owns the bits of its i-th block and of those after it
// that cover no pixels and so are the same.
func (l *lowBits) owns(m *Marked, k, i int) bool {
	p := l.pieces[k]
	for j := i; j < len(p.blocks) && (j == i || !m.real(p.blocks[j])); j++ {
		if l.owner[l.at[k][j]/8] != k {
			return false
		}
	}
	return true
}

// plant writes the scan in both variants, once their DC is chosen. Bytes of ones
// only take another one behind them: where that is so in one variant, it loses a bit.
func (l *lowBits) plant(as [2]*Frame) *planted {
	out := &planted{s: l.s}
	data := [2][]byte{l.bits(as[0]), l.bits(as[1])}
	for again := true; again; {
		again = false
		for k, p := range l.pieces {
			for i, pos := range l.at[k] {
				b, mask := pos/8, byte(0x80)>>(pos%8)
				for v, f := range as {
					if data[v][b] != 0xff || data[1-v][b]&mask != 0 {
						continue
					}
					from := i
					for !f.Real(p.blocks[from]%f.Luma.W, p.blocks[from]/f.Luma.W) {
						from-- // what covers no pixels is as the block before
					}
					f.Luma.Blocks[p.blocks[from]][0] &^= 1
					again = true
				}
			}
		}
		if again {
			for v, f := range as {
				f.FillDummies()
				data[v] = l.bits(f)
			}
		}
	}
	for v := range data {
		w := writer{}
		for b, x := range data[v] {
			for v == 0 && len(out.off) < len(l.pieces) && len(out.off) <= l.owner[b] {
				out.off = append(out.off, len(w.buf))
			}
			w.put(uint32(x), 8)
		}
		for v == 0 && len(out.off) < len(l.pieces) {
			out.off = append(out.off, len(w.buf))
		}
		out.data[v] = w.buf
	}
	return out
}

// bits are the scan's bytes, nothing stuffed.
func (l *lowBits) bits(f *Frame) []byte {
	c := newCoder(l.s)
	c.frame(f)
	out := c.w.buf[:0]
	for i := 0; i < len(c.w.buf); i++ {
		b := c.w.buf[i]
		out = append(out, b)
		if b == 0xff {
			i++
		}
	}
	return out
}
