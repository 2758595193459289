package jpeg

import "math/bits"

// coder writes the blocks of one progressive scan, or counts their symbols, as
// libjpeg does (T.81 G.1.2, jcphuff.c).
type coder struct {
	s      *scan
	w      writer
	tables []coding // of the scan's components
	before []int16  // their DC values
	run    int      // blocks that have ended without their end being written: EOBRUN
	fix    []byte   // correction bits of those blocks
	bad    bool     // a symbol had no code
}

// coding is one table in use: codes, or counts to be made.
type coding struct {
	codes *[256]code
	count *histogram
}

const (
	mostRun = 0x7fff
	mostFix = 1000 - 63 // correction bits beyond which a run of ends is written: libjpeg's buffer has room for 1000
)

// newCoder prepares for a scan; tables are the scan's own where they are known.
func newCoder(s *scan) *coder {
	c := &coder{s: s, tables: make([]coding, len(s.comps)), before: make([]int16, len(s.comps))}
	if !s.coded() {
		return c
	}
	for i := range s.comps {
		if t := s.spec(s.uses(i)); t != nil && len(t.values) > 0 {
			c.tables[i].codes = &newCodes(&[4]spec{*t})[0]
		}
	}
	return c
}

// frame writes the whole scan and fills its last byte.
func (c *coder) frame(f *Frame) {
	_ = f.each(c.s, func(i int, b *Block) error {
		c.block(i, b)
		return nil
	})
	c.finish()
}

func (c *coder) finish() {
	if c.s.ss > 0 {
		c.end(len(c.fix))
	}
	c.w.finish()
}

// block writes a block of the scan's i-th component.
func (c *coder) block(i int, b *Block) {
	switch s := c.s; {
	case s.ss == 0 && s.ah == 0:
		c.dc(i, b[0]>>s.al)
	case s.ss == 0:
		c.bits(uint32(b[0]>>s.al)&1, 1)
	case s.ah == 0:
		c.first(b)
	default:
		c.refine(b)
	}
}

func (c *coder) symbol(i, v int) {
	t := &c.tables[i]
	if t.count != nil {
		t.count[v]++
		return
	}
	code := t.codes[v]
	c.bad = c.bad || code.n == 0
	c.w.put(uint32(code.bits), uint(code.n))
}

func (c *coder) bits(v uint32, n uint) {
	if c.tables[0].count == nil {
		c.w.put(v, n)
	}
}

// dc writes a DC value as what it differs from the one before.
func (c *coder) dc(i int, v int16) {
	diff := int32(v) - int32(c.before[i])
	c.before[i] = v
	n := bits.Len32(uint32(max(diff, -diff)))
	c.symbol(i, n)
	c.magnitude(diff, n)
}

func (c *coder) magnitude(v int32, n int) {
	if v < 0 {
		v += 1<<n - 1
	}
	c.bits(uint32(v)&(1<<n-1), uint(n))
}

// above is a coefficient without its lowest al bits, cut towards zero.
func above(v int16, al int) int16 {
	if v < 0 {
		return -(-v >> al)
	}
	return v >> al
}

// first writes a band for the first time (jcphuff.c, encode_mcu_AC_first).
func (c *coder) first(b *Block) {
	r := 0
	for z := c.s.ss; z <= c.s.se; z++ {
		v := above(b[z], c.s.al)
		if v == 0 {
			r++
			continue
		}
		c.end(0)
		for ; r > 15; r -= 16 {
			c.symbol(0, 0xf0)
		}
		n := category(v)
		c.symbol(0, r<<4|n)
		c.magnitude(int32(v), n)
		r = 0
	}
	if r > 0 {
		if c.run++; c.run == mostRun {
			c.end(0)
		}
	}
}

// refine writes one more bit of a band (encode_mcu_AC_refine): coefficients that
// become 1 as symbols, and behind each the bits of those on the way to it that
// were not zero before.
func (c *coder) refine(b *Block) {
	s := c.s
	last := lastNew(b, s) // beyond it, zeros belong to the block's end
	r, from := 0, len(c.fix)
	for z := s.ss; z <= s.se; z++ {
		v := above(b[z], s.al)
		if v == 0 {
			r++
			continue
		}
		for ; r > 15 && z <= last; r -= 16 {
			from = c.end(from)
			c.symbol(0, 0xf0)
			c.corrections(len(c.fix))
		}
		if v != 1 && v != -1 {
			c.fix = append(c.fix, byte(v&1))
			continue
		}
		from = c.end(from)
		c.symbol(0, r<<4|1)
		c.bits(uint32(v+1)>>1, 1)
		c.corrections(len(c.fix))
		r = 0
	}
	if r > 0 || len(c.fix) > from {
		if c.run++; c.run == mostRun || len(c.fix) > mostFix {
			c.end(len(c.fix))
		}
	}
}

// lastNew is where a block's last coefficient lies that becomes 1 in a refining scan; 0: nowhere.
func lastNew(b *Block, s *scan) int {
	for z := s.se; z >= s.ss; z-- {
		if v := above(b[z], s.al); v == 1 || v == -1 {
			return z
		}
	}
	return 0
}

// end writes the end of the blocks that wait for it with the first n correction
// bits, which are theirs. It returns how many of those are left: none.
func (c *coder) end(n int) int {
	if c.run == 0 {
		return n
	}
	k := bits.Len(uint(c.run)) - 1
	c.symbol(0, k<<4)
	c.bits(uint32(c.run)&(1<<k-1), uint(k))
	c.run = 0
	c.corrections(n)
	return 0
}

// corrections writes and forgets the first n correction bits.
func (c *coder) corrections(n int) {
	for _, b := range c.fix[:n] {
		c.bits(uint32(b), 1)
	}
	c.fix = c.fix[:copy(c.fix, c.fix[n:])]
}
