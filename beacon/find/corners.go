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

// corners finds the FAST-9 corners of a level that are the strongest, by Harris
// response, among their 8 neighbours.
func (l *level) corners() []corner {
	var offset [16]int
	for i, c := range circle {
		offset[i] = c[1]*l.w + c[0]
	}
	scores := make([]float32, l.w*l.h)
	var found []corner
	for y := margin; y < l.h-margin; y++ {
		for x := margin; x < l.w-margin; x++ {
			at := y*l.w + x
			if !fast(l.pix, at, &offset) {
				continue
			}
			if s := harris(l.pix, at, l.w); s > 0 {
				scores[at] = s
				found = append(found, corner{x, y, s})
			}
		}
	}
	return slices.DeleteFunc(found, func(c corner) bool {
		at := c.y*l.w + c.x
		for _, n := range [4]int{-l.w - 1, -l.w, -l.w + 1, -1} {
			if scores[at+n] >= c.score || scores[at-n] > c.score {
				return true
			}
		}
		return false
	})
}

// fast is the segment test: 9 neighbouring circle pixels all brighter, or all
// darker, than the centre by the threshold.
func fast(pix []byte, at int, offset *[16]int) bool {
	c := int(pix[at])
	hi, lo := c+fastThreshold, c-fastThreshold
	// Any 9 in a row hold at least one of each opposite pair.
	a, b := int(pix[at+offset[0]]), int(pix[at+offset[8]])
	up, down := a > hi || b > hi, a < lo || b < lo
	if !up && !down {
		return false
	}
	a, b = int(pix[at+offset[4]]), int(pix[at+offset[12]])
	up, down = up && (a > hi || b > hi), down && (a < lo || b < lo)
	if !up && !down {
		return false
	}
	var above, below uint32
	for i, o := range offset {
		v := int(pix[at+o])
		if v > hi {
			above |= 1 << i
		} else if v < lo {
			below |= 1 << i
		}
	}
	return nineInARow[above] || nineInARow[below]
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
