package canary

import (
	"math"

	"birdring/canary/mark"
)

// hushed is the mean square, in quantiser steps, that a segment's first
// coefficients need to hide a bump of half the energy. Larger values make files
// harder to tell from ordinary ones and keep SSIM up in even areas, at the cost of
// reading: without it an attacker reached an AUC of .67, at 6 and 8 one of .53 and
// .56, which is within chance of each other (internal/bench/tell), while the
// evidence in a thumbnail (Report.SelfBits) fell by 2 and 3 %.
const hushed = 6

// hush lowers the bumps of segments where the photo itself hardly varies the way
// they do. Noise in a flat sky hides a bump from eyes, but the first horizontal and
// vertical coefficients of its blocks are mostly 0, and fewer zeros than in other
// files are what gives a ringed one away. A bump may add to the variance of either
// coefficient only its share of what is there. A segment is lowered as a whole: its
// bump stays smooth.
func hush(unit, base [][64]float32, across int, g mark.Grid) {
	for k := range g.Segments() {
		var photo, bump [2]float32 // energy of the first coefficients, horizontal and vertical
		n := float32(0)
		eachBlock(g, k, across, func(i int) {
			for d := range photo {
				photo[d] += base[i][1+d] * base[i][1+d]
				bump[d] += unit[i][1+d] * unit[i][1+d]
			}
			n++
		})
		most := max(bump[0], bump[1])
		if most == 0 {
			continue
		}
		need := float32(0)
		for d, b := range bump {
			need = max(need, hushed*(b/most)/max(photo[d]/n, 1e-6))
		}
		by := float32(1 / math.Sqrt(1+float64(need)))
		eachBlock(g, k, across, func(i int) {
			for z := range unit[i] {
				unit[i][z] *= by
			}
		})
	}
}

// eachBlock visits the luma blocks of segment k that cover pixels, in a grid of so many across.
func eachBlock(g mark.Grid, k, across int, visit func(i int)) {
	x0, y0, x1, y1 := g.Rect(k)
	for y := y0 / 8; 8*y < y1; y++ {
		for x := x0 / 8; 8*x < x1; x++ {
			visit(y*across + x)
		}
	}
}
