package text

import "math/bits"

// block is how many bytes are classified at a time.
const block = 64

// bitmap is what 64 bytes are: handle signs, separators among them, and what may
// begin an escape.
type bitmap struct{ runs, separators, starters uint64 }

// scan walks the data block by block. Nearly all of it is words too short for a
// handle, and marks between them; what is long enough goes into the batch, and only
// where an escape begins is there a closer look.
func (s *scanner) scan() {
	done := 0 // what lies before it is searched
	if len(s.data) >= 2*block {
		var maps [2]bitmap // of the block at base, and of the one behind it
		s.look(0, &maps[0])
		s.look(block, &maps[1])
		base := 0
		for i := 0; ; i ^= 1 {
			if done < base+block {
				done = s.block(base, done, maps[i], &maps[i^1])
			}
			if base += block; base+2*block > len(s.data) {
				break
			}
			s.look(base+block, &maps[i])
		}
		done = s.begin(max(done, base), done)
	}
	for done < len(s.data) {
		done = s.closely(done)
	}
	s.flush()
}

// look makes the bitmap of the block at base.
func (s *scanner) look(base int, m *bitmap) {
	classify(s.data[base:base+block:base+block], m)
	// Nearly every < begins a tag other than <wbr>.
	for left := m.starters; left != 0; left &= left - 1 {
		if i := base + bits.TrailingZeros64(left); s.data[i] == '<' && tag(s.data, i) {
			m.starters &^= left & -left
		}
	}
}

// begin is where the run begins that ends at i, not before done.
func (s *scanner) begin(i, done int) int {
	for i > done && classes[s.data[i-1]]&(alnum|separator) != 0 {
		i--
	}
	return i
}

// block searches what begins in the block at base, from done on, and returns up to
// where all is searched then. A run that reaches into the block from before it either
// is searched already or is too short.
func (s *scanner) block(base, done int, now bitmap, next *bitmap) int {
	for {
		if done > base {
			now.runs &= ^uint64(0) << (done - base)
			now.starters &= ^uint64(0) << (done - base)
		}
		stop := bits.TrailingZeros64(now.starters)
		closer := -1 // where a closer look has to begin
		for starts := s.long(now.runs, next.runs) &^ (now.runs << 1) & (1<<stop - 1); starts != 0; starts &= starts - 1 {
			at := bits.TrailingZeros64(starts)
			n := bits.TrailingZeros64(^(now.runs >> (at & 63)))
			end := at + n
			escapes := end == stop
			if end >= block {
				n += bits.TrailingZeros64(^next.runs)
				end = at + n
				escapes = n >= block || next.starters>>(end&63)&1 != 0
			}
			if escapes {
				closer = base + at
				break
			}
			s.later(base+at, base+end, (now.separators>>(at&63)|next.separators<<(block-at))&(1<<n-1))
			done = base + end
		}
		if closer < 0 {
			if stop == block {
				return done
			}
			closer = s.begin(base+stop, done)
		}
		if done = s.closely(closer); done >= base+block {
			return done
		}
	}
}

// long are the places from which on as many handle signs follow as a handle has at
// least, in the block whose runs are given with those of the next.
func (s *scanner) long(runs, next uint64) uint64 {
	have := 1
	for ; 2*have <= s.least; have *= 2 {
		runs &= runs>>(have&63) | next<<(-have&63)
		next &= next >> (have & 63)
	}
	if more := s.least - have; more > 0 {
		runs &= runs>>(more&63) | next<<(-more&63)
	}
	return runs
}

// closely searches the run at i, or passes over what stands there, and returns where
// to go on. What is escaped there is decoded.
func (s *scanner) closely(i int) int {
	data := s.data
	switch classes[data[i]] {
	case other:
		return i + 1
	case starter:
		if data[i] == '<' && tag(data, i) {
			return i + 1
		}
		switch sign, n := escape(data[i:]); {
		case n == 0:
			return i + 1
		case !inRun(sign):
			return i + n
		}
		s.flush() // matches are told in order
		return s.decoded(i)
	}
	end, separators := i, uint64(0)
	for ; end < len(data); end++ {
		c := classes[data[end]]
		if c&(alnum|separator) == 0 {
			break
		}
		separators |= uint64(c&separator) / separator << (end - i)
	}
	if end < len(data) && classes[data[end]] == starter && !(data[end] == '<' && tag(data, end)) {
		if sign, n := escape(data[end:]); n > 0 && inRun(sign) {
			s.flush()
			return s.decoded(i)
		}
	}
	switch n := end - i; {
	case n < s.least:
	case n < block:
		s.later(i, end, separators)
	default:
		s.flush()
		s.plain(i, end)
	}
	return end
}

// inRun says whether an escaped sign continues a run.
func inRun(sign rune) bool {
	return sign == invisible || sign < 128 && classes[sign]&(alnum|separator) != 0
}
