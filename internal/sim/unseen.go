package main

import (
	"fmt"
	"sync/atomic"

	"birdring/registry"
)

// unseenTable: how often the interval of the unseen accounts holds the truth, for
// pools whose accounts are used alike, and for pools where the k-th is used 1/k as often.
func unseenTable(e effort, tell func(row)) {
	for _, c := range []struct {
		pool, events int
		skewed       bool
	}{{5, 10, false}, {20, 20, false}, {20, 40, false}, {50, 50, false}, {50, 100, false}, {20, 40, true}, {50, 100, true}} {
		n := max(500, e.runs(2000)) // cheap, and a share of 20 runs says nothing
		weights := make([]float64, c.pool)
		total := 0.
		for i := range weights {
			weights[i] = 1
			if c.skewed {
				weights[i] = 1 / float64(i+1)
			}
			total += weights[i]
		}
		var holds, atMost atomic.Int64
		each(n, func(i int) {
			rng := random(uint64(c.pool), uint64(i))
			counts := make([]int, c.pool)
			for range c.events {
				u := rng.Float64() * total
				k := 0
				for u > weights[k] && k < c.pool-1 {
					u -= weights[k]
					k++
				}
				counts[k]++
			}
			est := registry.Chao1(counts)
			truth := float64(c.pool - est.Seen)
			if est.Low-.5 <= truth && truth <= est.High+.5 {
				holds.Add(1)
			}
			if est.Low-.5 <= truth {
				atMost.Add(1)
			}
		})
		use, want, least := "used alike", "95 % interval holds the truth in .85 or more", .85
		got := float64(holds.Load()) / float64(n)
		if c.skewed {
			use, want, least = "the k-th used 1/k as often", "its lower end below the truth in .95 or more (it is a lower bound)", .95
			got = float64(atMost.Load()) / float64(n)
		}
		tell(row{
			Case: fmt.Sprintf("Chao1, pool of %d accounts %s, %d events", c.pool, use, c.events), Want: want,
			Got: fmt.Sprintf("%.3f (interval %.3f)", got, float64(holds.Load())/float64(n)), OK: got >= least, Runs: n,
		})
	}
}
