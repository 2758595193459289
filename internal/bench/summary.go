package main

import (
	"fmt"
	"math"
	"slices"

	"birdring/internal/assay"
)

// spread is the middle and the ends of some values.
type spread struct{ median, least, most float64 }

func spreadOf(v []float64) spread {
	if len(v) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(v))
	return spread{s[len(s)/2], s[0], s[len(s)-1]}
}

// summary is what rows of one change say together.
type summary struct {
	n, right, wrong int
	bits, z, want   spread // want: the z demanded
	root, seconds   spread
}

func summarise(rows []assay.Row) summary {
	var s summary
	var bits, z, want, root, seconds []float64
	for i := range rows {
		r := &rows[i]
		s.n++
		if r.Reaches() {
			s.right++
		}
		if len(r.Wrong) > 0 {
			s.wrong++
		}
		bits, z, root = append(bits, r.Bits), append(z, r.Z), append(root, r.Root())
		want, seconds = append(want, r.Demand*r.Root()), append(seconds, r.Seconds)
	}
	s.bits, s.z, s.want, s.root, s.seconds = spreadOf(bits), spreadOf(z), spreadOf(want), spreadOf(root), spreadOf(seconds)
	return s
}

// cells are the columns of a table that a summary fills.
func (s summary) cells() string {
	if s.n == 0 {
		return "-\t\t\t\t\t\t"
	}
	return fmt.Sprintf("%d\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f %%\t", s.n, s.bits.median, s.bits.least, s.z.median, s.z.least, share(s.right, s.n))
}

// share in percent.
func share(part, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return 100 * float64(part) / float64(whole)
}
