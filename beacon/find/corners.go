package find

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
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
		// Eight pixels at a time; the last eight may have been looked at before.
		for x := margin; x < w-margin; x += 8 {
			at := y*w + min(x, w-margin-8)
			for m := fast8(l.pix, at, w, &offset); m != 0; m &= m - 1 {
				i := at + bits.TrailingZeros64(m)/8
				if differs[i] == 0 {
					differs[i] = difference(l.pix, i, &offset)
					found = append(found, int32(i))
				}
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

// Of eight pixels the even ones stand in the four lanes of one word and the odd ones in
// those of another, 16 bits each; tops are the lanes' topmost bits, where the sign
// of a comparison lies.
const (
	tops  = 0x8000800080008000
	steps = tops - (fastThreshold+1)*0x0001000100010001
)

// fast8 is the segment test of the eight pixels from at on: 9 neighbouring circle pixels
// all brighter, or all darker, than the pixel by the threshold. It returns a word
// with the topmost bit of each byte set whose pixel passes.
func fast8(pix []byte, at, w int, offset *[16]int) uint64 {
	load := func(i int) (even, odd uint64) {
		v := binary.LittleEndian.Uint64(pix[i:])
		return v & evens, v >> 8 & evens
	}
	c0, c1 := load(at)
	up0, up1 := load(at - 3*w)
	down0, down1 := load(at + 3*w)
	right0, right1 := load(at + 3)
	left0, left1 := load(at - 3)
	// A lane of v+light has its top bit where v is brighter, one of dark-v where it is darker.
	light0, light1, dark0, dark1 := steps-c0, steps-c1, steps+c0, steps+c1
	// Any 9 in a row hold at least one of each opposite pair.
	maybe0 := ((up0+light0)|(down0+light0))&((right0+light0)|(left0+light0)) |
		((dark0-up0)|(dark0-down0))&((dark0-right0)|(dark0-left0))
	maybe1 := ((up1+light1)|(down1+light1))&((right1+light1)|(left1+light1)) |
		((dark1-up1)|(dark1-down1))&((dark1-right1)|(dark1-left1))
	if (maybe0|maybe1)&tops == 0 {
		return 0
	}
	var above0, above1, below0, below1 uint64
	for _, o := range offset {
		v0, v1 := load(at + o)
		above0 = above0>>1 | (v0+light0)&tops
		above1 = above1>>1 | (v1+light1)&tops
		below0 = below0>>1 | (dark0-v0)&tops
		below1 = below1>>1 | (dark1-v1)&tops
	}
	return (nine(above0)|nine(below0))>>8 | nine(above1) | nine(below1)
}

// nine sets the topmost bit of each lane that has 9 neighbouring bits, around the corner.
func nine(m uint64) uint64 {
	if m == 0 {
		return 0
	}
	both := m & turnLanes(m, 1)
	four := both & turnLanes(both, 2)
	eight := four & turnLanes(four, 4)
	all := eight & turnLanes(m, 8)
	// Any bit of a lane to its top: the sum of the lower ones reaches it, or it is there.
	return (all&^tops + (tops - 0x0001000100010001) | all) & tops
}

// turnLanes turns the bits of each lane by n to the right.
func turnLanes(m uint64, n uint) uint64 {
	low := uint64(1)<<n - 1
	low *= 0x0001000100010001
	return m>>n&^(low<<(16-n)) | m&low<<(16-n)
}

// difference is how much the circle differs from its centre.
func difference(pix []byte, at int, offset *[16]int) uint16 {
	c, sum := int32(pix[at]), int32(0)
	for _, o := range offset {
		v := int32(pix[at+o])
		sum += max(v-c, c-v)
	}
	return uint16(sum) // 16 * 255 at most
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
