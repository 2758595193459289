package find

import (
	"cmp"
	"math"
	"slices"
)

// corner is a place worth describing on one level.
type corner struct {
	x, y  int
	score float32 // Harris response
}

// fastThreshold is the brightness step a FAST corner needs on its circle.
const fastThreshold = 10

// circle lists the 16 offsets of the FAST circle of radius 3, clockwise.
var circle = [16][2]int{
	{0, -3},
	{1, -3},
	{2, -2},
	{3, -1},
	{3, 0},
	{3, 1},
	{2, 2},
	{1, 3},
	{0, 3},
	{-1, 3},
	{-2, 2},
	{-3, 1},
	{-3, 0},
	{-3, -1},
	{-2, -2},
	{-1, -3},
}

// nineInARow says for every 16-bit mask whether 9 neighbouring bits (around the
// corner) are set.
var nineInARow = func() *[1 << 16]bool {
	table := new([1 << 16]bool)
	for m := range table {
		both := uint32(m) | uint32(m)<<16
		run := both
		for range 8 {
			run &= both >> 1
			both >>= 1
		}
		table[m] = run&0xffff != 0
	}
	return table
}()

// corners finds the FAST-9 corners of a level that differ most from their circle
// among their 8 neighbours.
func (l *level) corners() []corner {
	var offset [16]int
	for i, c := range circle {
		offset[i] = c[1]*l.w + c[0]
	}
	differs := make([]uint16, l.w*l.h)
	found := make([]int32, 0, l.w*l.h/16)
	w := l.w
	for y := margin; y < l.h-margin; y++ {
		row := y * w
		mid := l.pix[row : row+w]
		up, down := l.pix[row-3*w:][:w], l.pix[row+3*w:][:w]
		for x := margin; x < w-margin; x++ {
			// Any 9 in a row hold at least one of each opposite pair.
			c := int(mid[x])
			hi, lo := c+fastThreshold, c-fastThreshold
			a, b := int(up[x]), int(down[x])
			light, dark := a > hi || b > hi, a < lo || b < lo
			if !light && !dark {
				continue
			}
			a, b = int(mid[x+3]), int(mid[x-3])
			if !(light && (a > hi || b > hi)) && !(dark && (a < lo || b < lo)) {
				continue
			}
			if d := fast(l.pix, row+x, &offset); d > 0 {
				differs[row+x] = d
				found = append(found, int32(row+x))
			}
		}
	}
	var kept []corner
	for _, i := range found {
		at := int(i)
		d, weaker := differs[at], false
		for _, n := range [4]int{-w - 1, -w, -w + 1, -1} {
			weaker = weaker || differs[at+n] >= d || differs[at-n] > d
		}
		if weaker {
			continue
		}
		if score := harris(l.pix, at, w); score > 0 {
			kept = append(kept, corner{x: at % w, y: at / w, score: score})
		}
	}
	return kept
}

// fast is the segment test: 9 neighbouring circle pixels all brighter, or all
// darker, than the centre by the threshold. It returns how much the circle differs, 0
// where the test fails.
func fast(pix []byte, at int, offset *[16]int) uint16 {
	c := int32(pix[at])
	hi, lo := c+fastThreshold, c-fastThreshold
	var above, below uint32
	var sum int32
	for i, o := range offset {
		// Without branches: which way one goes is anybody's guess.
		v := int32(pix[at+o])
		above |= uint32(hi-v) >> 31 << i
		below |= uint32(v-lo) >> 31 << i
		sum += max(v-c, c-v)
	}
	if nineInARow[above] || nineInARow[below] {
		return uint16(sum) // 16 * 255 at most
	}
	return 0
}

// harris is the corner response over a block of 7 x 7 pixels.
func harris(pix []byte, at, w int) float32 {
	var xx, yy, xy int
	for dy := -3; dy <= 3; dy++ {
		row := at + dy*w
		up, mid, low := pix[row-w-4:row-w+5], pix[row-4:row+5], pix[row+w-4:row+w+5]
		for x := 1; x <= 7; x++ {
			gx := 2*(int(mid[x+1])-int(mid[x-1])) + int(up[x+1]) - int(up[x-1]) + int(low[x+1]) - int(low[x-1])
			gy := 2*(int(low[x])-int(up[x])) + int(low[x+1]) - int(up[x+1]) + int(low[x-1]) - int(up[x-1])
			xx += gx * gx
			yy += gy * gy
			xy += gx * gy
		}
	}
	const scale = 1.0 / (4 * 7 * 255)
	a, b, c := float32(xx)*scale*scale, float32(yy)*scale*scale, float32(xy)*scale*scale
	return a*b - c*c - 0.04*(a+b)*(a+b)
}

// spread keeps at most n corners, spread over the level: the cells of a grid
// take turns to give their best, and the last round takes the strongest.
func spread(all []corner, w, h, n int) []corner {
	if len(all) <= n || n <= 0 {
		return all[:min(len(all), max(n, 0))]
	}
	side := max(8, int(math.Sqrt(float64(w*h)/float64(n)*3)))
	across := w/side + 1
	cells := make([][]corner, across*(h/side+1))
	room, from := make([]corner, len(all)), 0
	count := make([]int, len(cells))
	for _, c := range all {
		count[c.y/side*across+c.x/side]++
	}
	for i, n := range count {
		cells[i] = room[from : from : from+n]
		from += n
	}
	for _, c := range all {
		cell := c.y/side*across + c.x/side
		cells[cell] = append(cells[cell], c)
	}
	stronger := func(a, b corner) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.y, b.y), cmp.Compare(a.x, b.x))
	}
	for _, c := range cells {
		slices.SortFunc(c, stronger)
	}
	kept := make([]corner, 0, n)
	for round := 0; len(kept) < n; round++ {
		var now []corner
		for _, c := range cells {
			if round < len(c) {
				now = append(now, c[round])
			}
		}
		slices.SortFunc(now, stronger)
		kept = append(kept, now[:min(len(now), n-len(kept))]...)
	}
	return kept
}
