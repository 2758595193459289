package jpeg

import "math/bits"

// histogram counts the symbols of one Huffman table.
type histogram [256]int

// counts are the histograms of lumaDC, lumaAC, chromaDC, chromaAC.
type counts [4]histogram

// frame counts what Encode writes for a frame.
func (c *counts) frame(f *Frame) {
	cols, rows := f.MCUs()
	var d dcs
	for my := range rows {
		for mx := range cols {
			for i := range f.Across * f.Down {
				b := f.Luma.At(f.lumaAt(mx, my, i))
				c.block(b, d[0], lumaDC, lumaAC)
				d[0] = b[0]
			}
			for i, g := range []*Grid{&f.Cb, &f.Cr} {
				b := g.At(mx, my)
				c.block(b, d[i+1], chromaDC, chromaAC)
				d[i+1] = b[0]
			}
		}
	}
}

// block counts the symbols of one block after a block with DC value before.
func (c *counts) block(b *Block, before int16, dc, ac int) {
	diff := int32(b[0]) - int32(before)
	c[dc][bits.Len32(uint32(max(diff, -diff)))]++
	run := 0
	for z := 1; z < 64; z++ {
		if b[z] == 0 {
			run++
			continue
		}
		for ; run > 15; run -= 16 {
			c[ac][0xf0]++
		}
		c[ac][run<<4|category(b[z])]++
		run = 0
	}
	if run > 0 {
		c[ac][0]++
	}
}

// add adds the counts of o; present only makes sure that its symbols are there.
func (c *counts) add(o *counts, present bool) {
	for t := range c {
		for i, n := range o[t] {
			switch {
			case !present:
				c[t][i] += n
			case n > 0:
				c[t][i] = max(c[t][i], 1)
			}
		}
	}
}

// merge adds up the counts of tables that are one and the same in a file.
func (c *counts) merge(ids [4]byte) {
	for i := range 2 {
		if ids[i] == ids[i+2] {
			for v := range c[i] {
				c[i][v] += c[i+2][v]
			}
			c[i+2] = c[i]
		}
	}
}

// spec is the table of least total length for the counts, codes of at most 16
// bits and none of ones only, exactly as libjpeg makes it (jchuff.c,
// jpeg_gen_optimal_table, after T.81 K.2).
func (h *histogram) spec() spec {
	var freq [257]int
	copy(freq[:], h[:])
	freq[256] = 1 // takes the code of ones only
	var size, next [257]int
	for i := range next {
		next[i] = -1
	}
	// least is the symbol of smallest count, the largest of several.
	least := func(but int) int {
		at := -1
		for i, f := range freq {
			if f > 0 && i != but && (at < 0 || f <= freq[at]) {
				at = i
			}
		}
		return at
	}
	for {
		a := least(-1)
		b := least(a)
		if b < 0 {
			break
		}
		freq[a] += freq[b]
		freq[b] = 0
		for size[a]++; next[a] >= 0; size[a]++ {
			a = next[a]
		}
		next[a] = b
		for size[b]++; next[b] >= 0; size[b]++ {
			b = next[b]
		}
	}
	return limited(&size)
}

// limited makes a table out of code sizes, none above 16 (T.81 figure K.3).
func limited(size *[257]int) (s spec) {
	var n [258]int
	longest := 16
	for _, k := range size {
		n[k]++
		longest = max(longest, k)
	}
	for i := longest; i > 16; i-- {
		for n[i] > 0 {
			j := i - 2
			for n[j] == 0 {
				j--
			}
			n[i] -= 2
			n[i-1]++
			n[j+1] += 2
			n[j]--
		}
	}
	i := 16
	for i > 1 && n[i] == 0 {
		i--
	}
	n[i]-- // the code of ones only
	for i := range s.counts {
		s.counts[i] = uint8(n[i+1])
	}
	for k := 1; k <= longest; k++ {
		for v := range 256 {
			if size[v] == k {
				s.values = append(s.values, uint8(v))
			}
		}
	}
	return s
}
