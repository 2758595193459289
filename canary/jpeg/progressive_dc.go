package jpeg

import "math/bits"

// roundDC chooses the DC of both variants: the low bits, which other scans carry,
// in common, all but the lowest where that is free; the rest one by one. The last block of every piece keeps the
// unringed DC, so that the next piece's first difference does not depend on the
// choice made here.
func (e *planter) roundDC(s *scan) {
	for _, p := range e.m.pieces(s) {
		last := e.m.lastReal(p)
		for i, at := range p.blocks {
			if i >= last || !e.m.real(at) {
				continue
			}
			best, step := dear, int16(1)
			if e.free(at) {
				step = 2
			}
			for low := int16(0); low < 1<<s.al; low += step {
				var to [2]int16
				cost := float32(0)
				for v := range to {
					ideal := e.m.ideal(v, at, 0)
					to[v] = nearestDC(ideal, low, s.al)
					if step == 2 {
						to[v] = nearer(ideal, to[v], nearestDC(ideal, low+1, s.al))
					}
					d := ideal - float32(to[v])
					cost += d * d
				}
				if cost < best {
					best = cost
					e.as[0].Luma.Blocks[at][0], e.as[1].Luma.Blocks[at][0] = to[0], to[1]
				}
			}
		}
	}
	for _, f := range e.as {
		f.FillDummies()
	}
}

// free says whether the variants may differ in the lowest bit of a block's DC.
func (e *planter) free(at int) bool { return e.low != nil && e.low[at] }

// nearer is the one of two values that is.
func nearer(ideal float32, a, b int16) int16 {
	x, y := ideal-float32(a), ideal-float32(b)
	if y*y < x*x {
		return b
	}
	return a
}

// lastReal is the index of a piece's last block that covers pixels.
func (m *Marked) lastReal(p piece) int {
	last := len(p.blocks) - 1
	for !m.real(p.blocks[last]) {
		last--
	}
	return last
}

// nearestDC is the value with these low bits that is nearest.
func nearestDC(ideal float32, low int16, al int) int16 {
	step := int16(1) << al
	v := round((ideal-float32(low))/float32(step))<<al + low
	switch {
	case v > 1023:
		return v - step
	case v < -1023:
		return v + step
	}
	return v
}

const (
	dcTries = 4   // values of a block that are looked at
	dcMost  = 27  // bits that a block can take
	dcSpan  = 256 // bits of the blocks of a piece that are looked at
)

// dcPlanter writes the pieces of a DC scan.
type dcPlanter struct {
	e    *planter
	w    [2]*coder
	s    *scan
	try  coder // where ends are tried
	luma []int16
	// For every block, tried value and length so far: the least cost, and the value
	// of the block before.
	cost [][dcTries][dcSpan]float32
	from [][dcTries][dcSpan]uint8
	vals [][dcTries]int16
}

func newDCPlanter(e *planter, w [2]*coder) *dcPlanter {
	n := e.m.Plain.Across * e.m.Plain.Down * e.m.Run
	return &dcPlanter{
		e: e, w: w, s: w[0].s, try: *newCoder(w[0].s), luma: make([]int16, n),
		cost: make([][dcTries][dcSpan]float32, n), from: make([][dcTries][dcSpan]uint8, n), vals: make([][dcTries]int16, n),
	}
}

// dcChoice is one way to write a piece.
type dcChoice struct {
	cost float32
	luma []int16 // without low bits
	end  end
}

// piece writes a piece in both variants, or the unringed one twice.
func (d *dcPlanter) piece(p piece) {
	var found [2][]dcChoice
	for v := range found {
		found[v] = d.choices(p, v)
	}
	best := dear
	var at [2]*dcChoice
	for i := range found[0] {
		for j := range found[1] {
			if a, b := &found[0][i], &found[1][j]; a.cost+b.cost < best && a.end == b.end {
				best, at = a.cost+b.cost, [2]*dcChoice{a, b}
			}
		}
	}
	if best >= dear {
		d.e.given = append(d.e.given, p)
		for v, f := range d.e.as {
			for i, k := range p.blocks {
				f.Luma.Blocks[k][0] = d.e.m.Plain.Luma.Blocks[k][0]
				d.luma[i] = f.Luma.Blocks[k][0] >> d.s.al
			}
			d.write(d.w[v], p, d.luma)
		}
		return
	}
	for v, f := range d.e.as {
		for i, k := range p.blocks {
			f.Luma.Blocks[k][0] = d.whole(k, v, at[v].luma[i])
		}
		d.write(d.w[v], p, at[v].luma)
	}
}

// write appends a piece with this luma.
func (d *dcPlanter) write(c *coder, p piece, luma []int16) {
	f := d.e.m.Plain
	if len(d.s.comps) == 1 {
		for _, v := range luma[:len(p.blocks)] {
			c.dc(0, v)
		}
		return
	}
	per := f.Across * f.Down
	for mx := p.mx0; mx < p.mx1; mx++ {
		for _, v := range luma[per*(mx-p.mx0):][:per] {
			c.dc(0, v)
		}
		for i, comp := range d.s.comps[1:] {
			c.dc(i+1, f.grid(comp).At(mx, p.my)[0]>>d.s.al)
		}
	}
}

// size is the length of a DC difference in bits, noCode if the table has none.
func (d *dcPlanter) size(diff int) int {
	n := bits.Len(uint(max(diff, -diff)))
	if n > 11 {
		return noCode
	}
	c := d.w[0].tables[0].codes[n]
	if c.n == 0 {
		return noCode
	}
	return int(c.n) + n
}

// choices are the cheapest ways to write variant v of a piece, one for every
// length and every value of the last block that may change.
func (d *dcPlanter) choices(p piece, v int) []dcChoice {
	last := d.e.m.lastReal(p)
	d.values(p, v, last)
	for i := range last {
		for c := range d.cost[i] {
			for n := range d.cost[i][c] {
				d.cost[i][c][n] = dear
			}
		}
		for c := range dcTries {
			own := d.price(p.blocks[i], v, d.vals[i][c])
			if i == 0 {
				if n := d.size(int(d.vals[0][c]) - int(d.w[v].before[0])); n < dcSpan {
					d.cost[0][c][n] = own
				}
				continue
			}
			for b := range dcTries {
				if !d.e.m.real(p.blocks[i]) && b != c {
					continue // what covers no pixels is as the block before
				}
				by := d.size(int(d.vals[i][c]) - int(d.vals[i-1][b]))
				for n := by; n < min(dcSpan, (i+1)*dcMost); n++ {
					if cost := d.cost[i-1][b][n-by] + own; cost < d.cost[i][c][n] {
						d.cost[i][c][n], d.from[i][c][n] = cost, uint8(b)
					}
				}
			}
		}
	}
	if last == 0 {
		return []dcChoice{d.choice(p, v, last, 0, 0, 0)}
	}
	var out []dcChoice
	for c := range dcTries {
		if d.size(int(d.vals[last][0])-int(d.vals[last-1][c])) == noCode {
			continue
		}
		for n, cost := range d.cost[last-1][c] {
			if cost < dear {
				out = append(out, d.choice(p, v, last, c, n, cost))
			}
		}
	}
	return out
}

// values lists what every block may be, the likeliest first.
func (d *dcPlanter) values(p piece, v, last int) {
	for i, at := range p.blocks {
		k := d.e.as[v].Luma.Blocks[at][0] >> d.s.al
		switch {
		case i >= last:
			d.vals[i][0] = k
		case !d.e.m.real(at):
			d.vals[i] = d.vals[i-1]
		default:
			d.vals[i] = [dcTries]int16{k, k + 1, k - 1, k + 2}
			if d.e.m.ideal(v, at, 0) < float32(d.e.as[v].Luma.Blocks[at][0]) {
				d.vals[i][3] = k - 2
			}
		}
	}
}

// price is the squared error of a value against what it should be, beyond the least one.
func (d *dcPlanter) price(at, v int, k int16) float32 {
	if !d.e.m.real(at) {
		return 0
	}
	was, to := d.e.as[v].Luma.Blocks[at][0], d.whole(at, v, k)
	if to < -1023 || to > 1023 {
		return dear
	}
	ideal := outward(d.e.m.ideal(v, at, 0), d.e.m.Plain.Quant[0][0])
	a, b := ideal-float32(to), ideal-float32(was)
	return d.e.weights[0] * (a*a - b*b)
}

// whole is a value of variant v with its low bits.
func (d *dcPlanter) whole(at, v int, k int16) int16 {
	to := k<<d.s.al | d.e.as[v].Luma.Blocks[at][0]&(1<<d.s.al-1)
	if d.e.free(at) {
		return nearer(d.e.m.ideal(v, at, 0), to&^1, to|1)
	}
	return to
}

// choice goes back from value c of the block before the last one and n bits.
func (d *dcPlanter) choice(p piece, v, last, c, n int, cost float32) dcChoice {
	out := dcChoice{cost: cost, luma: make([]int16, len(p.blocks))}
	for i := last - 1; i >= 0; i-- {
		out.luma[i] = d.vals[i][c]
		if i > 0 {
			b := int(d.from[i][c][n])
			n -= d.size(int(d.vals[i][c]) - int(d.vals[i-1][b]))
			c = b
		}
	}
	for i := last; i < len(p.blocks); i++ {
		out.luma[i] = d.vals[last][0]
	}
	t, w := &d.try, d.w[v]
	copy(t.before, w.before)
	t.w = writer{buf: t.w.buf[:0], acc: w.w.acc, n: w.w.n}
	d.write(t, p, out.luma)
	out.end = t.at(0)
	return out
}
