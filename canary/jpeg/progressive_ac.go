package jpeg

import (
	"bytes"
	"slices"
)

// fresh says whether a coefficient is coded by a symbol in a scan that brings the
// lowest bit: in a refining one only where it becomes 1.
func (s *scan) fresh(v int16) bool {
	if s.ah == 0 {
		return v != 0
	}
	return v == 1 || v == -1
}

// lastFresh is where the last one lies in a block; 0: nowhere.
func (s *scan) lastFresh(b *Block) int {
	for z := s.se; z >= s.ss; z-- {
		if s.fresh(b[z]) {
			return z
		}
	}
	return 0
}

// harmony makes the variants of a piece end in the same state: the ends of blocks
// and the correction bits that wait to be written go into a later piece. So the last
// block with a symbol must be the same one in both, and correction bits after its
// last symbol and in the blocks after it must be equal.
type harmony struct {
	e *planter
	s *scan
}

func newHarmony(e *planter, s *scan) *harmony { return &harmony{e, s} }

func (h *harmony) piece(p piece) {
	for {
		last := [2]int{h.lastBlock(p, 0), h.lastBlock(p, 1)}
		if last[0] == last[1] {
			h.tail(p, last[0])
			return
		}
		v := 0
		if last[1] > last[0] {
			v = 1
		}
		h.settle(p.blocks[last[v]], v)
	}
}

// lastBlock is the index of the last block with a symbol, -1 if there is none.
func (h *harmony) lastBlock(p piece, v int) int {
	for i := len(p.blocks) - 1; i >= 0; i-- {
		if h.s.lastFresh(&h.e.as[v].Luma.Blocks[p.blocks[i]]) > 0 {
			return i
		}
	}
	return -1
}

// settle makes block at agree on whether it has a symbol, which only variant v has:
// the other gets the one that it lacks least, or v loses its own, whatever is nearer.
func (h *harmony) settle(at, v int) {
	has, lacks := &h.e.as[v].Luma.Blocks[at], &h.e.as[1-v].Luma.Blocks[at]
	lose, gain, where, what := float32(0), dear, 0, int16(0)
	for z := h.s.ss; z <= h.s.se; z++ {
		if b := has[z]; h.s.fresh(b) {
			ideal := h.e.m.ideal(v, at, z)
			is := ideal - float32(b)
			lose += h.e.weights[z] * (ideal*ideal - is*is)
		}
		if lacks[z] != 0 {
			continue
		}
		ideal := h.e.m.ideal(1-v, at, z)
		for _, to := range [2]int16{-1, 1} {
			is := ideal - float32(to)
			if c := h.e.weights[z] * (is*is - ideal*ideal); c < gain {
				gain, where, what = c, z, to
			}
		}
	}
	if gain < lose {
		lacks[where] = what
		return
	}
	for z := h.s.ss; z <= h.s.se; z++ {
		if h.s.fresh(has[z]) {
			has[z] = 0
		}
	}
}

// tail makes what follows the last symbol of block last, and the blocks after it,
// the same in both variants as far as it is coded.
func (h *harmony) tail(p piece, last int) {
	for i := max(0, last); i < len(p.blocks); i++ {
		a, b := &h.e.as[0].Luma.Blocks[p.blocks[i]], &h.e.as[1].Luma.Blocks[p.blocks[i]]
		from := h.s.ss
		if i == last {
			za, zb := h.s.lastFresh(a), h.s.lastFresh(b)
			from = max(za, zb) + 1
			if lo := min(za, zb); lo+1 < from && (from > h.s.se || h.corrects(a, lo+1, from-1)) {
				// Another number of correction bits waits, or the end itself does in one only.
				h.level(p.blocks[i:i+1], h.s.ss)
				continue
			}
		}
		if h.s.ah > 0 && h.corrects(a, from, h.s.se) {
			h.level(p.blocks[i:i+1], from)
		}
	}
}

// corrects says whether a block has correction bits for coefficients from..to.
func (h *harmony) corrects(b *Block, from, to int) bool {
	for z := from; z <= to; z++ {
		if h.s.ah > 0 && above(b[z], 1) != 0 {
			return true
		}
	}
	return false
}

// level gives both variants of some blocks the coefficients, from from on, of the
// one nearer to the unringed picture.
func (h *harmony) level(blocks []int, from int) {
	var cost [2]float32
	for v := range cost {
		for _, at := range blocks {
			for z := from; z <= h.s.se; z++ {
				d := float32(h.e.as[v].Luma.Blocks[at][z]) - h.e.m.Base[at][z]
				cost[v] += h.e.weights[z] * d * d
			}
		}
	}
	v := 0
	if cost[1] < cost[0] {
		v = 1
	}
	for _, at := range blocks {
		copy(h.e.as[1-v].Luma.Blocks[at][from:h.s.se+1], h.e.as[v].Luma.Blocks[at][from:h.s.se+1])
	}
}

const (
	acReach = 24 // bits that a piece may grow or shrink
	acTries = 48 // pairs of changes that are tried
)

// acPlanter writes the pieces of an AC scan that brings the lowest bit.
type acPlanter struct {
	e       *planter
	w       [2]*coder
	s       *scan
	lengths *lengths
	side    [2]side
	try     coder         // where ends are tried
	ends    [2][span]end  // by change in length
	tried   [2][span]bool // that they are known
	pairs   []change
}

// change is what both variants' lengths change by.
type change struct {
	cost float32
	by   [2]int
}

func newACPlanter(e *planter, w [2]*coder) *acPlanter {
	a := &acPlanter{e: e, w: w, s: w[0].s, try: *newCoder(w[0].s)}
	a.lengths = newLengths(w[0].tables[0].codes)
	n := e.m.Plain.Across * e.m.Run
	for v := range a.side {
		a.side[v] = side{
			blocks: make([]Block, n), ideal: make([][64]float32, n), opts: make([][optSpan]edit, n),
			cost: make([][span]float32, n), choice: make([][span]int8, n), work: make([]Block, n),
		}
	}
	return a
}

// piece writes a piece in both variants, equally long; if that cannot be done,
// twice in the one nearer to the unringed picture.
func (a *acPlanter) piece(p piece) {
	same := true
	for v := range a.side {
		for i, at := range p.blocks {
			a.side[v].blocks[i] = a.e.as[v].Luma.Blocks[at]
		}
	}
	for i := range p.blocks {
		same = same && a.sameBand(&a.side[0].blocks[i], &a.side[1].blocks[i])
	}
	if !same && !a.equalise(p) {
		a.e.given = append(a.e.given, p)
		h := harmony{a.e, a.s}
		h.level(p.blocks, a.s.ss)
	}
	for v, c := range a.w {
		for _, at := range p.blocks {
			c.block(0, &a.e.as[v].Luma.Blocks[at])
		}
	}
}

func (a *acPlanter) sameBand(b, c *Block) bool {
	return slices.Equal(b[a.s.ss:a.s.se+1], c[a.s.ss:a.s.se+1])
}

// equalise edits both variants until they end alike; it reports whether they do.
func (a *acPlanter) equalise(p piece) bool {
	n := len(p.blocks)
	clear(a.tried[0][:])
	clear(a.tried[1][:])
	for v := range a.side {
		a.plan(p, v)
	}
	zero := [2]end{a.end(0, n, 0), a.end(1, n, 0)}
	if zero[0] == zero[1] {
		return a.commit(p, [2]int{})
	}
	shift := zero[0].length() - zero[1].length()
	a.pairs = a.pairs[:0]
	for by := -acReach; by <= acReach; by++ {
		for _, stuffed := range [3]int{0, 8, -8} {
			to := by + shift + stuffed
			if to < -acReach || to > acReach {
				continue
			}
			if c := a.side[0].cost[n-1][by+reach] + a.side[1].cost[n-1][to+reach]; c < dear {
				a.pairs = append(a.pairs, change{c, [2]int{by, to}})
			}
		}
	}
	slices.SortFunc(a.pairs, func(x, y change) int {
		switch {
		case x.cost < y.cost:
			return -1
		case x.cost > y.cost:
			return 1
		}
		return 0
	})
	for _, c := range a.pairs[:min(acTries, len(a.pairs))] {
		if a.end(0, n, c.by[0]) == a.end(1, n, c.by[1]) {
			return a.commit(p, c.by)
		}
	}
	return false
}

// length is how many bits lie before the end.
func (e end) length() int { return 8*e.bytes + int(e.n) }

// end is where variant v ends with a change in length.
func (a *acPlanter) end(v, n, by int) end {
	if !a.tried[v][by+reach] {
		a.side[v].apply(n, by)
		a.tried[v][by+reach], a.ends[v][by+reach] = true, a.write(v, n)
	}
	return a.ends[v][by+reach]
}

// write tries variant v's work.
func (a *acPlanter) write(v, n int) end {
	t, w := &a.try, a.w[v]
	t.w = writer{buf: t.w.buf[:0], acc: w.w.acc, n: w.w.n}
	t.run, t.fix, t.bad = w.run, append(t.fix[:0], w.fix...), false
	for i := range n {
		t.block(0, &a.side[v].work[i])
	}
	if t.bad {
		return end{bytes: -1 - v} // like no other
	}
	return t.at(0)
}

// commit takes the changes over, if the ends are the same to the last bit.
func (a *acPlanter) commit(p piece, by [2]int) bool {
	n := len(p.blocks)
	var fix [2][]byte
	for v := range a.side {
		a.side[v].apply(n, by[v])
		a.write(v, n)
		fix[v] = a.try.fix
		if v == 0 {
			fix[v] = bytes.Clone(fix[v])
		}
	}
	if !bytes.Equal(fix[0], fix[1]) {
		return false
	}
	for v := range a.side {
		for i, at := range p.blocks {
			b, work := &a.e.as[v].Luma.Blocks[at], &a.side[v].work[i]
			for z := a.s.ss; z <= a.s.se; z++ {
				if b[z] != work[z] {
					*a.e.more[z].of(b[z])--
					*a.e.more[z].of(work[z])++
					b[z] = work[z]
				}
			}
		}
	}
	return true
}

// plan finds the cheapest edits of variant v for every change in length.
func (a *acPlanter) plan(p piece, v int) {
	s := &a.side[v]
	for i, at := range p.blocks {
		for z := a.s.ss; z <= a.s.se; z++ {
			s.ideal[i][z] = outward(a.e.m.ideal(v, at, z), a.e.m.Plain.Quant[0][z])
		}
		for k := range s.opts[i] {
			s.opts[i][k] = edit{cost: dear}
		}
		s.opts[i][most] = edit{}
		a.edits(&s.blocks[i], &s.ideal[i], &s.opts[i])
	}
	s.convolve(len(p.blocks))
}

// edits fills opts with the cheapest change of one coefficient by one step for
// every change in length. Blocks keep their symbols or their lack of any, and the
// correction bits after the last of them: whatever waits to be written stays as it is.
func (a *acPlanter) edits(b *Block, ideal *[64]float32, opts *[optSpan]edit) {
	s := a.s
	var next [65]uint8  // next symbol at or after z, 64 if none
	var zeros [65]uint8 // zeros before z
	next[s.se+1] = 64
	symbols := 0
	for z := s.se; z >= s.ss; z-- {
		next[z] = next[z+1]
		if s.fresh(b[z]) {
			next[z] = uint8(z)
			symbols++
		}
	}
	for z := s.ss; z <= s.se; z++ {
		zeros[z+1] = zeros[z]
		if b[z] == 0 {
			zeros[z+1]++
		}
	}
	if symbols == 0 {
		return
	}
	prev := s.ss - 1
	for z := s.ss; z <= s.se; z++ {
		isFresh := s.fresh(b[z])
		if b[z] != 0 && !isFresh {
			continue
		}
		after := int(next[z+1])
		before, behind := int(zeros[z]-zeros[prev+1]), 0
		if after < 64 {
			behind = int(zeros[after] - zeros[z+1])
		} else if before != z-prev-1 {
			after = -1 // correction bits lie where the last symbol would come or go
		}
		if z == s.se {
			after = -1 // a block that ends with a symbol has no end to be written
		}
		for _, to := range [2]int16{b[z] - 1, b[z] + 1} {
			if after < 0 && (to == 0 || b[z] == 0) || to == 0 && symbols == 1 || to != 0 && !s.fresh(to) || to < -1023 || to > 1023 {
				continue
			}
			by := a.length(b, before, behind, after, to) - a.length(b, before, behind, after, b[z])
			if by < -most || by > most {
				continue
			}
			was, is := ideal[z]-float32(b[z]), ideal[z]-float32(to)
			more := &a.e.more[z]
			if c := a.e.weights[z] * (is*is - was*was + tooMany*(*more.of(to)-*more.of(b[z]))); c < opts[by+most].cost {
				opts[by+most] = edit{c, uint8(z), to}
			}
		}
		if isFresh {
			prev = z
		}
	}
}

// length is the bits of a coefficient v after so many zeros and of the symbol after
// it (at after; 64 or -1: none), which so many zeros separate from it.
func (a *acPlanter) length(b *Block, before, behind, after int, v int16) int {
	n := int32(0)
	if v != 0 {
		n = a.lengths.of[before][category(v)&15]
	} else {
		behind += before + 1
	}
	if after > 0 && after < 64 {
		n += a.lengths.of[behind][category(b[after])&15]
	}
	return int(n)
}
