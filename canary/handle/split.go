package handle

import "math"

// splitFrom is how many handles words are learnt from.
const splitFrom = 200_000

// splitter cuts runs of letters into words: the cut that is shortest to write down
// with a list of words, in which each costs as much as it is rare, and any other
// stretch is spelled sign by sign (after Creutz and Lagus 2002).
type splitter struct {
	cost  map[string]float64 // bits of a word of the list
	pairs [27][27]float64    // bits of a letter after another; 26 is the edge
	fresh float64            // bits of saying that a stretch is not in the list
}

// longestWord is that of the list in letters.
const longestWord = 14

func newSplitter(handles []string) *splitter {
	s := &splitter{}
	var all []string
	for _, h := range handles {
		runs(Shape(h), func(from, to int, digit bool) {
			if !digit {
				all = append(all, h[from:to])
			}
		})
	}
	s.learnPairs(all)
	counts := map[string]int{}
	for _, r := range all {
		counts[r]++
	}
	for range splitRounds {
		s.price(counts)
		counts = map[string]int{}
		for _, r := range all {
			from := 0
			for i, cut := range s.split(r) {
				if cut {
					counts[r[from:i]]++
					from = i
				}
			}
			counts[r[from:]]++
		}
	}
	s.price(counts)
	return s
}

// splitRounds of counting the words of the best cuts are enough to settle.
const splitRounds = 4

// learnPairs makes the cost of spelling.
func (s *splitter) learnPairs(all []string) {
	var n [27][27]float64
	for _, r := range all {
		last := 26
		for _, c := range []byte(r) {
			n[last][c-'a']++
			last = int(c - 'a')
		}
		n[last][26]++
	}
	for i := range n {
		total := 0.0
		for _, v := range n[i] {
			total += v + 0.5
		}
		for j, v := range n[i] {
			s.pairs[i][j] = math.Log2(total / (v + 0.5))
		}
	}
}

// price makes the list of words: those met often enough.
func (s *splitter) price(counts map[string]int) {
	const often = 3
	total, rare := 0.0, 0.0
	for w, n := range counts {
		total += float64(n)
		if n < often || len(w) > longestWord {
			rare += float64(n)
		}
	}
	s.cost = map[string]float64{}
	for w, n := range counts {
		if n >= often && len(w) <= longestWord {
			s.cost[w] = math.Log2((total + 2) / float64(n))
		}
	}
	s.fresh = math.Log2((total + 2) / (rare + 1))
}

// split says before which letters of a run a word begins anew; never before the first.
func (s *splitter) split(run string) []bool {
	var best [maxSigns + 1]float64
	var from [maxSigns + 1]int
	for to := 1; to <= len(run); to++ {
		best[to] = math.Inf(1)
		spelled := 0.0
		for i := to - 1; i >= 0; i-- {
			c := run[i] - 'a'
			if i+1 < to {
				spelled += s.pairs[c][run[i+1]-'a']
			} else {
				spelled += s.pairs[c][26]
			}
			cost := s.fresh + spelled + s.pairs[26][c]
			if to-i <= longestWord {
				if v, ok := s.cost[run[i:to]]; ok {
					cost = min(cost, v)
				}
			}
			if v := best[i] + cost; v < best[to] {
				best[to], from[to] = v, i
			}
		}
	}
	cuts := make([]bool, len(run))
	for at := from[len(run)]; at > 0; at = from[at] {
		cuts[at] = true
	}
	return cuts
}
