package main

import (
	"fmt"
	"math"

	"birdring/canary/ring"
)

// must stops on what cannot happen in a simulation.
func must(err error) {
	if err != nil {
		panic("sim: internal error: " + err.Error())
	}
}

// coinsTable: found decoys until the coins of the first of a farm say 64 bits (section 5d),
// and the coins of innocents.
func coinsTable(e effort, tell func(row)) {
	for _, c := range []struct {
		share float64
		c     int
		want  int
		n     int
	}{{.1, 1, 21, 200}, {.1, 4, 314, 60}, {.02, 1, 12, 200}, {.02, 4, 75, 100}, {.02, 16, 891, 20}} {
		n := e.runs(c.n)
		used := make([]int, n)
		each(n, func(i int) {
			rng := random(uint64(c.c), uint64(i))
			ledgers := make([]ring.Ledger, c.c)
			for d := 1; ; d++ {
				heads := make([]bool, c.c) // of the farm, given that one of them met the decoy
				for met := false; !met; {
					for j := range heads {
						heads[j] = rng.Float64() < c.share
						met = met || heads[j]
					}
				}
				for j := range ledgers {
					must(ledgers[j].Coin(fmt.Sprint(d), c.share, heads[j]))
					if ledgers[j].Parts().Coins >= ring.AttributedMillibits || d > 5000 {
						used[i] = d
						return
					}
				}
			}
		})
		med := quantile(used, .5)
		tell(row{
			Case: fmt.Sprintf("share %.2f, farm of %d", c.share, c.c), Want: fmt.Sprintf("median %d found decoys (1.2 x)", c.want),
			Got: fmt.Sprintf("median %d", med), OK: float64(med) <= 1.2*float64(c.want), Runs: n,
		})
	}
	var x errors
	each(e.runs(20_000), func(i int) {
		rng := random(9, uint64(i))
		var l ring.Ledger
		most := int64(math.MinInt64)
		for d := range 60 {
			must(l.Coin(fmt.Sprint(d), .1, rng.Float64() < .1))
			most = max(most, l.Parts().Coins)
		}
		x.add(most)
	})
	tell(x.row("innocents, share .1, largest over 60 found decoys"))
}

// probesTable: accounts that look up handles at random come first for a dark
// decoy by chance as seldom as its e-value says; and what a site's pool shows.
func probesTable(e effort, tell func(row)) {
	const bits, lookups, probes = 10, 16, 12
	var x errors
	each(e.runs(200_000), func(i int) {
		rng := random(4, uint64(i))
		var l ring.Ledger
		most := int64(math.MinInt64)
		for d := range probes {
			hit := false
			for range lookups { // all in the window, none of them because of us
				hit = hit || rng.IntN(1<<bits) == 0
			}
			if hit {
				must(l.Probe(ring.Probe(fmt.Sprint(d), bits*1000, lookups)))
			} else {
				must(l.Missing(ring.KindProbe, fmt.Sprint(d)))
			}
			most = max(most, l.Millibits())
		}
		x.add(most)
	})
	tell(x.row(fmt.Sprintf("innocents looking up %d random handles in each of %d windows", lookups, probes)))
	for _, pool := range []int{1, 5, 20} {
		n := e.runs(200)
		used := make([]int, n)
		each(n, func(i int) {
			rng := random(uint64(pool), uint64(i))
			ledgers := make([]ring.Ledger, pool)
			for d := 1; ; d++ {
				who := rng.IntN(pool)
				for j := range ledgers {
					name := fmt.Sprint(d)
					if j == who {
						must(ledgers[j].Probe(ring.Probe(name, 41_000, 1024)))
					} else {
						must(ledgers[j].Missing(ring.KindProbe, name))
					}
				}
				if ledgers[who].Millibits() >= ring.AttributedMillibits || d > 1000 {
					used[i] = d
					return
				}
			}
		})
		tell(row{
			Case: fmt.Sprintf("41-bit handles, 1024 look-ups a window, pool of %d", pool), Want: "first account attributed by probes alone, not before three",
			Got: fmt.Sprintf("median %d probes", quantile(used, .5)), OK: quantile(used, 0) >= 3 && quantile(used, .5) < 100, Runs: n,
		})
	}
}
