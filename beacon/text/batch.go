package text

import "math/bits"

// batch holds runs in the clear until there are enough of them to ask the filter
// about all at once: among many handles every answer is a cache miss, and misses
// that do not wait for each other cost a fraction.
type batch struct {
	runs   [block]clearRun
	n      int
	hashes [maxHashes]uint64
	of     [maxHashes]uint8 // which run a hash belongs to
	hashed int
	sure   uint64 // runs that are looked at whatever the filter says
}

// maxHashes bounds the candidates of a batch.
const maxHashes = 512

// clearRun is a run in which nothing is escaped, with the bits of its separators.
type clearRun struct {
	from, end  int
	separators uint64
}

// later puts a run into the batch.
func (s *scanner) later(from, end int, separators uint64) {
	b := &s.batch
	i := b.n
	b.runs[i] = clearRun{from, end, separators}
	b.n++
	s.candidates(uint8(i), from, end, separators)
	if b.n == len(b.runs) || b.hashed > maxHashes/2 {
		s.flush()
	}
}

// candidates puts the hashes of all that could be a handle in a run into the batch.
func (s *scanner) candidates(run uint8, from, end int, separators uint64) {
	b := &s.batch
	if separators == 0 {
		if n := end - from; n <= s.longest {
			b.hashes[b.hashed], b.of[b.hashed] = hash(s.data, from, n), run
			b.hashed++
		}
		return
	}
	base, ends := from, separators|1<<(end-from)
	for from < end {
		seen := 0
		for left := ends >> (from - base); left != 0; left &= left - 1 {
			n := bits.TrailingZeros64(left)
			if n > s.longest {
				break
			}
			if n >= s.least {
				if b.hashed == maxHashes {
					b.sure |= 1 << run
					return
				}
				b.hashes[b.hashed], b.of[b.hashed] = hash(s.data, from, n), run
				b.hashed++
			}
			if seen++; seen > s.separators {
				break
			}
		}
		from += bits.TrailingZeros64(ends>>(from-base)) + 1
	}
}

// flush looks at the runs of the batch of which the filter lets something through.
func (s *scanner) flush() {
	b, t := &s.batch, s.table
	hit := b.sure
	for i, h := range b.hashes[:b.hashed] {
		if k := key(h); t.filter[t.block(h)].Load()&k == k {
			hit |= 1 << b.of[i]
		}
	}
	for ; hit != 0; hit &= hit - 1 {
		r := b.runs[bits.TrailingZeros64(hit)]
		s.clear(r.from, r.end, r.separators)
	}
	b.n, b.hashed, b.sure = 0, 0, 0
}
