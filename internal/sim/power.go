package main

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"birdring/canary/ring"
)

// power says whether a share of successes is .99 within two standard errors.
func power(hits, n int) bool {
	return float64(hits) >= float64(n)*.99-2*math.Sqrt(.99*.01*float64(n))
}

// positionsTable: one leaker, hard bits of unknown reliability, code U, 64 bits (section 3).
func positionsTable(e effort, tell func(row)) {
	for _, c := range []struct {
		ber float64
		m   int
	}{{0, 69}, {.05, 128}, {.1, 179}, {.2, 359}, {.3, 862}, {.35, 1569}, {.4, 3614}, {.45, 15150}} {
		n := e.runs(600)
		if c.m > 3000 {
			n = e.runs(200)
		}
		m := int(math.Ceil(1.05 * float64(c.m)))
		var hits atomic.Int64
		each(n, func(i int) {
			rng := random(uint64(c.m), uint64(i))
			b := newBook(ring.U, m, uint64(i))
			v := uint64(100_000 + i)
			if siteBits(newReading(b, hard(bitsOf(b, v), c.ber, rng)).Score(v)) >= ring.AttributedMillibits {
				hits.Add(1)
			}
		})
		tell(row{
			Case: fmt.Sprintf("U, bit error rate %.2f, %d positions (1.05 x %d)", c.ber, m, c.m), Want: "power .99 at 64 bits",
			Got: fmt.Sprintf("%.4f", float64(hits.Load())/float64(n)), OK: power(int(hits.Load()), n), Runs: n,
		})
	}
}

// collusionTable: first colluder caught at n = 1e6, alpha = 1e-6 (section 6).
func collusionTable(e effort, tell func(row)) {
	line := int64(math.Ceil(math.Log2(1e12) * 1000))
	gauss := map[int]int{2: 545, 4: 2182, 8: 8727, 16: 34907}
	for _, c := range []struct{ c, m, n int }{{1, 90, 400}, {2, 400, 400}, {4, 1980, 300}, {8, 6126, 200}, {16, 18415, 100}} {
		m := int(1.15 * float64(c.m))
		kinds := attacks
		if c.c == 1 {
			kinds = attacks[:1]
		}
		for _, a := range kinds {
			n := e.few(c.n)
			var hits atomic.Int64
			each(n, func(i int) {
				rng := random(uint64(c.m), uint64(i))
				b := newBook(ring.D, m, uint64(i))
				members := membersOf(c.c, i)
				r := newReading(b, mixed(b, members, a, rng))
				for _, v := range members {
					if siteBits(r.Score(v)) >= line {
						hits.Add(1)
						return
					}
				}
			})
			tell(row{
				Case: fmt.Sprintf("D, c = %d, %s, %d positions (1.15 x %d; Skoric-Gauss %d)", c.c, a.name, m, c.m, gauss[c.c]), Want: "power .99",
				Got: fmt.Sprintf("%.4f", float64(hits.Load())/float64(n)), OK: power(int(hits.Load()), n), Runs: n,
			})
		}
	}
}

func membersOf(c, seed int) []uint64 {
	out := make([]uint64, c)
	for i := range out {
		out[i] = uint64(100_000 + 64*seed + i)
	}
	return out
}

// averagingTable: median positions until the first of c whose pixels were averaged (section 6).
func averagingTable(e effort, tell func(row)) {
	line := int64(math.Ceil(math.Log2(1e12) * 1000))
	for _, c := range []struct {
		code  ring.Code
		c, m  int
		noise float64
	}{{ring.U, 2, 142, .5}, {ring.U, 4, 362, .5}, {ring.U, 8, 1020, .5}, {ring.U, 16, 2682, .5}, {ring.U, 4, 1956, 1.5}, {ring.D, 4, 1980, .5}, {ring.D, 8, 6126, .5}} {
		n := e.runs(100)
		m := int(1.15 * float64(c.m))
		want, least := "half caught (median)", .5
		if c.code == ring.D {
			want, least = "half caught at 1.15 x the interleaving length", .5
		}
		var hits atomic.Int64
		each(n, func(i int) {
			rng := random(uint64(c.m), uint64(i))
			b := newBook(c.code, m, uint64(i))
			members := membersOf(c.c, i)
			r := newReading(b, averaged(b, members, c.noise, rng))
			for _, v := range members {
				if siteBits(r.Score(v)) >= line {
					hits.Add(1)
					return
				}
			}
		})
		got := float64(hits.Load()) / float64(n)
		tell(row{
			Case: fmt.Sprintf("%s, mean of %d copies, noise %.1f, %d positions (1.15 x %d)", c.code, c.c, c.noise, m, c.m), Want: want,
			Got: fmt.Sprintf("%.3f", got), OK: got >= least-2*math.Sqrt(.25/float64(n)), Runs: n,
		})
	}
}

// splicesTable: a quarter of the picture, in one piece, is the viewer's.
func splicesTable(e effort, tell func(row)) {
	n := e.runs(200)
	var with, all atomic.Int64
	each(n, func(i int) {
		rng := random(77, uint64(i))
		b := newBook(ring.D, 1024, uint64(i))
		mine, other := bitsOf(b, 100_000), bitsOf(b, 200_000)
		at := rng.IntN(4) * 256
		copy(other[at:at+256], mine[at:at+256])
		r := newReading(b, soft(other, 1.645, rng))
		s := r.Score(100_000)
		if s.Alone() >= ring.AttributedMillibits {
			with.Add(1)
		}
		if r.Score(200_000).Alone() >= ring.AttributedMillibits {
			all.Add(1)
		}
	})
	tell(row{
		Case: "D, 1024 soft positions at bit error rate .05, 256 in one piece from one account, the rest from another", Want: "both attributed",
		Got: fmt.Sprintf("the quarter %.3f, the rest %.3f", float64(with.Load())/float64(n), float64(all.Load())/float64(n)),
		OK:  with.Load()*100 >= int64(n)*95 && all.Load()*100 >= int64(n)*99, Runs: n,
	})
}

// picturesTable: pictures until the first of c accounts is attributed, each
// picture one random account's copy in soft values (section 4).
func picturesTable(e effort, tell func(row)) {
	for _, c := range []struct {
		code     ring.Code
		m        int
		ber      float64
		c        int
		med, p90 int
		n        int
		most     int // 0: 1.2 times the median
	}{
		{ring.U, 1000, .20, 1, 1, 1, 60, 0},
		{ring.D, 1000, .20, 1, 1, 1, 60, 0},
		{ring.U, 600, .40, 1, 3, 4, 100, 0},
		{ring.U, 600, .40, 4, 7, 9, 100, 0},
		{ring.U, 600, .40, 16, 14, 19, 200, 17},
		{ring.D, 600, .40, 1, 5, 5, 100, 0},
		{ring.D, 600, .40, 4, 12, 16, 80, 0},
		{ring.D, 600, .40, 16, 35, 51, 40, 42},
		{ring.U, 300, .44, 1, 16, 20, 60, 0},
		{ring.U, 300, .44, 4, 72, 81, 30, 0},
		{ring.D, 300, .44, 1, 22, 27, 60, 0},
		{ring.D, 300, .44, 4, 136, 165, 20, 0},
		{ring.U, 1000, .35, 64, 1, 1, 40, 0},
		{ring.D, 1000, .35, 64, 4, 5, 40, 0},
	} {
		n := e.runs(c.n)
		if c.med < 10 {
			n = max(n, 40)
		} else if c.med > 50 {
			n = e.few(c.n)
		}
		used := make([]int, n)
		each(n, func(i int) { used[i] = picturesNeeded(c.code, c.m, c.ber, c.c, uint64(i)) })
		most := c.most
		if most == 0 {
			most = int(math.Floor(1.2 * float64(c.med)))
		}
		med := quantile(used, .5)
		tell(row{
			Case: fmt.Sprintf("%s %d positions, bit error rate %.2f, farm of %d", c.code, c.m, c.ber, c.c), Want: fmt.Sprintf("median %d (%d), .9 in %d", c.med, most, c.p90),
			Got: fmt.Sprintf("median %d, .9 in %d", med, quantile(used, .9)), OK: med <= most, Runs: n,
		})
	}
}

func picturesNeeded(code ring.Code, m int, ber float64, c int, seed uint64) int {
	rng := random(seed, uint64(m*c))
	sums := make([]ring.Sums, c)
	unit := ring.Unit("")
	for d := 1; ; d++ {
		b := newBook(code, m, seed<<20|uint64(d))
		who := uint64(100_000 + rng.IntN(c))
		r := newReading(b, soft(bitsOf(b, who), math.Sqrt2*math.Erfinv(1-2*ber), rng))
		for j := range sums {
			var seen ring.Sightings
			seen.See(r.Score(uint64(100_000 + j)))
			f := seen.Factor("")
			sums[j].Swap(&unit, &f)
			if ring.Passes(sums[j:j+1]).Millibits() >= ring.AttributedMillibits {
				return d
			}
		}
		if d > 1000 {
			return d
		}
	}
}

// informedTable: share of a coalition that is accused, in one pass and with the
// rings of those accused before (section 6), and how innocents fare in it.
func informedTable(e effort, tell func(row)) {
	line := int64(math.Ceil(math.Log2(1e12) * 1000))
	for _, s := range []struct {
		c, m   int
		attack int
		before float64
		n      int
	}{{4, 1400, 0, .69, 60}, {4, 2200, 2, .71, 60}, {8, 5000, 0, .67, 30}, {8, 8000, 2, .91, 20}} {
		n := e.few(s.n)
		var mu sync.Mutex
		var first, last, innocents, accused int
		each(n, func(i int) {
			rng := random(uint64(s.m), uint64(i))
			b := newBook(ring.D, s.m, uint64(i))
			members := membersOf(s.c, i)
			r := newReading(b, mixed(b, members, attacks[s.attack], rng))
			one, all, scored, wrong := informed(r, members, line, e.runs(100_000/(4*n)))
			mu.Lock()
			defer mu.Unlock()
			first, last, innocents, accused = first+one, last+all, innocents+scored, accused+wrong
		})
		total := float64(n * s.c)
		tell(row{
			Case: fmt.Sprintf("D %d positions, c = %d, %s", s.m, s.c, attacks[s.attack].name), Want: fmt.Sprintf("%.2f in one pass, .95 or more informed, no innocent", s.before),
			Got: fmt.Sprintf("%.3f in one pass, %.3f informed, %d of %d innocents", float64(first)/total, float64(last)/total, accused, innocents),
			OK:  float64(last)/total >= .95 && accused == 0, Runs: n,
		})
	}
}

// informed accuses pass by pass.
func informed(r *ring.Reading, members []uint64, line int64, innocents int) (first, last, scored, wrong int) {
	unit := ring.Unit("")
	evidence := map[uint64][]ring.Sums{}
	pool := append([]uint64{}, members...)
	for i := range innocents {
		pool = append(pool, uint64(1<<30+i))
	}
	add := func(v uint64, s ring.Score) {
		var seen ring.Sightings
		seen.See(s)
		f := seen.Factor("")
		var sums ring.Sums
		sums.Swap(&unit, &f)
		evidence[v] = append(evidence[v], sums)
	}
	for _, v := range pool {
		add(v, r.Score(v))
	}
	known := []uint64{}
	for pass := 1; ; pass++ {
		var over []uint64
		for _, v := range pool {
			if ring.Passes(evidence[v]).Millibits() >= line {
				over = append(over, v)
			}
		}
		if pass == 1 {
			first = min(len(over), len(members))
		}
		if len(over) <= len(known) || pass > 8 {
			for _, v := range over {
				if v >= 1<<30 {
					wrong++
				} else {
					last++
				}
			}
			return first, last, innocents, wrong
		}
		known = over
		given := r.Given(known)
		for _, v := range pool {
			if !containsViewer(known, v) {
				add(v, given.Score(v))
			}
		}
	}
}

func containsViewer(all []uint64, v uint64) bool {
	for _, x := range all {
		if x == v {
			return true
		}
	}
	return false
}
