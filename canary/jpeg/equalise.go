package jpeg

// equaliser brings the two variants of one segment after another to the same length.
type equaliser struct {
	m       *Marked
	per     int // luma blocks of an MCU
	codes   *codes
	lengths *lengths
	weights [64]float32 // squared quantiser steps: what a step costs in pixels
	side    [2]side
	scratch []byte // what measure writes into
	missing int    // stuffed bytes, of both variants, that the unringed picture has more so far
}

// side is one variant of the segment at hand.
type side struct {
	blocks []Block         // rounded, as they would be without equalising
	ideal  [][64]float32   // what they were rounded from
	real   []bool          // covers pixels
	opts   [][optSpan]edit // per block: the cheapest way to change its length by so many bits
	cost   [][span]float32 // cost[i][D]: blocks 0..i changed by D bits in all
	choice [][span]int8    // the last block's share of D
	work   []Block         // as they would be written
	bits   int             // length of blocks before equalising, without stuffing
}

const (
	most    = 20 // bits that a single block may grow or shrink
	optSpan = 2*most + 1
	reach   = 48 // bits that a segment may
	span    = 2*reach + 1
	dear    = float32(1e30)
)

// edit changes one coefficient by one step.
type edit struct {
	cost float32
	z    uint8 // 0: no change
	to   int16
}

func newEqualiser(m *Marked) *equaliser {
	c := newCodes(&m.Plain.specs)
	e := &equaliser{m: m, per: m.Plain.Across * m.Plain.Down, codes: c, lengths: newLengths(&c[lumaAC])}
	for z, q := range m.Plain.Quant[0] {
		e.weights[z] = float32(q) * float32(q)
	}
	for v := range e.side {
		n := e.per * m.Run
		e.side[v] = side{
			blocks: make([]Block, n), ideal: make([][64]float32, n), real: make([]bool, n), opts: make([][optSpan]edit, n),
			cost: make([][span]float32, n), choice: make([][span]int8, n), work: make([]Block, n),
		}
	}
	return e
}

// run writes the segment of MCUs mx0..mx1-1 in row my to both writers and stores
// the coefficients written in as. It reports whether the segment carries the mark.
func (e *equaliser) run(mx0, mx1, my int, d *dcs, w *[2]writer, as [2]*Frame) bool {
	e.bare(mx0, mx1, my)
	_, plain := e.measure(0, mx0, mx1, my, *d, &w[0])
	before := w[0].stuffed + w[1].stuffed
	defer func() { e.missing += 2*plain/8 - (w[0].stuffed + w[1].stuffed - before) }()
	for v := range e.side {
		e.load(v, mx0, mx1, my)
	}
	marked := e.equalise(mx0, mx1, my, *d, w) && e.both(mx0, mx1, my, d, w)
	if !marked {
		e.bare(mx0, mx1, my)
		e.both(mx0, mx1, my, d, w)
	}
	for v := range e.side {
		e.store(v, e.side[v].work, as[v], mx0, mx1, my)
	}
	return marked
}

// both writes both variants. It writes nothing and reports false if their last
// bits, which go into the next segment's first byte, differ: chroma can be so
// short only with tables of very short codes.
func (e *equaliser) both(mx0, mx1, my int, d *dcs, w *[2]writer) bool {
	before, start := *d, *w
	for v := range w {
		*d = before
		e.write(&w[v], e.side[v].work[:e.per*(mx1-mx0)], mx0, mx1, my, d)
	}
	if w[0].n != w[1].n || w[0].acc != w[1].acc || len(w[0].buf) != len(w[1].buf) {
		*d, *w = before, start
		return false
	}
	return true
}

// store puts variant v's blocks of a segment into a frame.
func (e *equaliser) store(v int, blocks []Block, f *Frame, mx0, mx1, my int) {
	for i := range e.per * (mx1 - mx0) {
		*f.Luma.At(f.lumaAt(mx0, my, i)) = blocks[i]
	}
}

// load rounds variant v of the segment. The DC of the last real luma block is
// the unringed picture's in both variants, so that the next segment's first DC
// difference does not depend on the choice made here.
func (e *equaliser) load(v, mx0, mx1, my int) {
	s := &e.side[v]
	sign := float32(2*v - 1)
	quant := &e.m.Plain.Quant[0]
	last := 0
	for i := range e.per * (mx1 - mx0) {
		x, y := e.m.Plain.lumaAt(mx0, my, i)
		s.real[i] = e.m.Plain.Real(x, y)
		if !s.real[i] {
			continue
		}
		last = i
		at := y*e.m.Plain.Luma.W + x
		base, bump := &e.m.Base[at], &e.m.Bump[at]
		for z := range 64 {
			f := Snap(base[z]+sign*bump[z], quant[z])
			s.ideal[i][z] = outward(f, quant[z])
			s.blocks[i][z] = round(f)
		}
	}
	s.blocks[last][0] = e.m.Plain.Luma.At(e.m.Plain.lumaAt(mx0, my, last))[0]
	s.dummies(s.blocks, e.per*(mx1-mx0))
}

// Snap brings a coefficient in steps of quantiser q to the eighths of a grey
// level that libjpeg's integer transform knows: halves of a step, which it rounds
// away from zero, are then as frequent as in an ordinary file.
func Snap(f float32, q uint16) float32 {
	step := 8 * float32(q)
	n := max(-1<<20, min(1<<20, f*step))
	if n < 0 {
		return float32(int32(n-0.5)) / step
	}
	return float32(int32(n+0.5)) / step
}

// outward is half an eighth of a grey level away from zero: seen from there, the
// last value rounded down and the first rounded up are equally near to the other
// side, and equalising does not favour smaller coefficients.
func outward(f float32, q uint16) float32 {
	switch half := 0.5 / (8 * float32(q)); {
	case f > 0:
		return f + half
	case f < 0:
		return f - half
	}
	return f
}

// dummies fills the blocks that cover no pixels.
func (s *side) dummies(blocks []Block, n int) {
	for i := range n {
		if !s.real[i] {
			blocks[i] = Block{}
			blocks[i][0] = blocks[i-1][0]
		}
	}
}

// round rounds to the nearest coefficient that baseline coding can carry.
func round(f float32) int16 {
	if f < 0 {
		return int16(max(-1023, f-0.5))
	}
	return int16(min(1023, f+0.5))
}

// bare gives both variants the unringed coefficients.
func (e *equaliser) bare(mx0, mx1, my int) {
	for v := range e.side {
		for i := range e.per * (mx1 - mx0) {
			e.side[v].work[i] = *e.m.Plain.Luma.At(e.m.Plain.lumaAt(mx0, my, i))
		}
	}
}

// write appends the segment and moves the DC values on.
func (e *equaliser) write(w *writer, luma []Block, mx0, mx1, my int, d *dcs) {
	for mx := mx0; mx < mx1; mx++ {
		for i := range e.per {
			b := &luma[e.per*(mx-mx0)+i]
			w.block(b, d[0], lumaDC, lumaAC)
			d[0] = b[0]
		}
		w.chroma(e.m.Plain, mx, my, d)
	}
}

// measure returns the length of the segment's work blocks in bits, and how many
// of them are stuffing.
func (e *equaliser) measure(v, mx0, mx1, my int, d dcs, start *writer) (all, stuffing int) {
	w := writer{buf: e.scratch[:0], codes: e.codes, acc: start.acc, n: start.n}
	e.write(&w, e.side[v].work[:e.per*(mx1-mx0)], mx0, mx1, my, &d)
	e.scratch = w.buf
	return 8*len(w.buf) + int(w.n) - int(start.n), 8 * w.stuffed
}

// equalise edits the work blocks until both variants have the same length.
func (e *equaliser) equalise(mx0, mx1, my int, d dcs, w *[2]writer) bool {
	n := e.per * (mx1 - mx0)
	var all, stuffing [2]int
	for v := range e.side {
		s := &e.side[v]
		copy(s.work, s.blocks[:n])
		all[v], stuffing[v] = e.measure(v, mx0, mx1, my, d, &w[v])
		s.bits = all[v] - stuffing[v]
	}
	scarce := e.missing > 0
	if all[0] == all[1] && !scarce {
		return true
	}
	for v := range e.side {
		e.plan(&e.side[v], n)
	}
	if scarce && e.exhaust(n, mx0, mx1, my, d, w, search{stuffBits, stuffWorth}) {
		return true
	}
	for range 6 {
		var by [2]int
		if by[0], by[1] = e.cheapest(n, stuffing); by[0] > reach {
			break
		}
		for v := range e.side {
			e.side[v].apply(n, by[v])
			all[v], stuffing[v] = e.measure(v, mx0, mx1, my, d, &w[v])
		}
		if all[0] == all[1] {
			return true
		}
	}
	return e.exhaust(n, mx0, mx1, my, d, w, search{reach, 0})
}

// Segments that contain stuffed bytes find equal lengths less often, and files
// would have visibly few of them. So wherever some are missing against the
// unringed picture, changes that bring one are preferred.
const (
	stuffBits  = 14          // bits that may be looked at for it
	stuffWorth = float32(12) // squared error that a stuffed byte may cost
)

// search bounds exhaust.
type search struct {
	most  int     // bits that a variant may change by
	worth float32 // cost that every stuffed byte makes up for
}

// cheapest finds the changes in length that make both variants equally long at
// the least cost, for the stuffing last seen.
func (e *equaliser) cheapest(n int, stuffing [2]int) (by0, by1 int) {
	a, b := &e.side[0], &e.side[1]
	shift := a.bits + stuffing[0] - b.bits - stuffing[1]
	best := dear
	by0 = reach + 1
	for d0 := -reach; d0 <= reach; d0++ {
		d1 := d0 + shift
		if d1 < -reach || d1 > reach {
			continue
		}
		if c := a.cost[n-1][d0+reach] + b.cost[n-1][d1+reach]; c < best {
			best, by0, by1 = c, d0, d1
		}
	}
	return by0, by1
}

// exhaust tries every change of both variants: stuffing can jump by several
// bytes at once, and then the guess of cheapest runs in circles.
func (e *equaliser) exhaust(n, mx0, mx1, my int, d dcs, w *[2]writer, s search) bool {
	var lengths [2][span]int
	var worth [2][span]float32
	for v := range e.side {
		for by := -s.most; by <= s.most; by++ {
			if e.side[v].cost[n-1][by+reach] >= dear {
				continue
			}
			e.side[v].apply(n, by)
			all, stuffing := e.measure(v, mx0, mx1, my, d, &w[v])
			lengths[v][by+reach], worth[v][by+reach] = all, s.worth*float32(stuffing/8)
		}
	}
	best, at := dear, [2]int{}
	for i, l0 := range lengths[0] {
		for j, l1 := range lengths[1] {
			if l0 == 0 || l0 != l1 {
				continue
			}
			if c := e.side[0].cost[n-1][i] + e.side[1].cost[n-1][j] - worth[0][i] - worth[1][j]; c < best {
				best, at = c, [2]int{i, j}
			}
		}
	}
	if best >= dear {
		return false
	}
	for v := range e.side {
		e.side[v].apply(n, at[v]-reach)
	}
	return true
}

// plan finds the cheapest edits for every change in length: per block by
// looking at each coefficient, over the blocks by min-plus convolution.
func (e *equaliser) plan(s *side, n int) {
	for i := range n {
		for k := range s.opts[i] {
			s.opts[i][k] = edit{cost: dear}
		}
		s.opts[i][most] = edit{}
		if s.real[i] {
			e.edits(&s.blocks[i], &s.ideal[i], &s.opts[i])
		}
	}
	s.convolve(n)
}

// convolve adds up what the blocks' changes cost.
func (s *side) convolve(n int) {
	for i := range n {
		row, from := &s.cost[i], s.choice[i][:]
		for k := range row {
			row[k] = dear
		}
		for k, o := range s.opts[i] {
			if o.cost >= dear {
				continue
			}
			by := k - most
			if i == 0 {
				row[by+reach], from[by+reach] = o.cost, int8(by)
				continue
			}
			before := &s.cost[i-1]
			for j := max(0, by); j < min(span, span+by); j++ {
				if c := before[j-by] + o.cost; c < row[j] {
					row[j], from[j] = c, int8(by)
				}
			}
		}
	}
}

// apply writes the blocks changed by so many bits in all into work.
func (s *side) apply(n, by int) {
	copy(s.work, s.blocks[:n])
	for i := n - 1; i >= 0; i-- {
		share := int(s.choice[i][by+reach])
		if o := s.opts[i][share+most]; o.z > 0 {
			s.work[i][o.z] = o.to
		}
		by -= share
	}
}

// edits fills opts with the cheapest change of one AC coefficient by one step
// for every change in the block's length. The cost is what the change adds to
// the squared error against the ideal picture.
func (e *equaliser) edits(b *Block, ideal *[64]float32, opts *[optSpan]edit) {
	var next [65]uint8 // next nonzero at or after z, 64 if none
	next[64] = 64
	for z := 63; z >= 1; z-- {
		next[z] = next[z+1]
		if b[z] != 0 {
			next[z] = uint8(z)
		}
	}
	prev := 0
	for z := 1; z < 64; z++ {
		after := int(next[z+1])
		for _, to := range [2]int16{b[z] - 1, b[z] + 1} {
			by := e.length(b, prev, z, after, to) - e.length(b, prev, z, after, b[z])
			if by < -most || by > most || to < -1023 || to > 1023 {
				continue
			}
			was, is := ideal[z]-float32(b[z]), ideal[z]-float32(to)
			if c := e.weights[z] * (is*is - was*was); c < opts[by+most].cost {
				opts[by+most] = edit{c, uint8(z), to}
			}
		}
		if b[z] != 0 {
			prev = z
		}
	}
}

// length is the bits of what lies after coefficient prev up to and with
// coefficient after (64: the end of the block), if coefficient z were v.
func (e *equaliser) length(b *Block, prev, z, after int, v int16) int {
	l := e.lengths
	n := int32(0)
	if v != 0 {
		n = l.of[(z-prev-1)&63][category(v)&15]
		prev = z
	}
	switch {
	case after < 64:
		n += l.of[(after-prev-1)&63][category(b[after])&15]
	case prev < 63:
		n += l.eob
	}
	return int(n)
}
