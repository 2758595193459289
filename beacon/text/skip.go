package text

import (
	"encoding/binary"
	"math/bits"
)

// block is how many bytes are classified at a time.
const block = 64

// skipper finds the next place worth a look: nearly all of a page is words too
// short for a handle, and marks between them.
type skipper struct {
	data     []byte
	shortest int // of a run that matters, at most block/2
	base     int // first byte of the two blocks kept; -1: none yet
	kept     [2]bitmap
}

// bitmap is what 64 bytes are: handle signs, separators among them, and what may
// begin an escape.
type bitmap struct{ runs, separators, starters uint64 }

// next returns the first place from i on, a place where a run may begin, that needs
// a look: a run of at least shortest signs with no escape at its end, which is
// data[at:end] and whose separators are given; or, with end 0, where to look closely.
func (s *skipper) next(i int) (at, end int, separators uint64) {
	for i+2*block <= len(s.data) {
		w := s.window(i)
		stop := bits.TrailingZeros64(w.starters)
		// Nearly every < begins a tag.
		for stop < block && s.data[i+stop] == '<' && tag(s.data, i+stop) {
			w.starters &= w.starters - 1
			s.noStarter(i + stop)
			stop = bits.TrailingZeros64(w.starters)
		}
		long, have := w.runs, 1
		for 2*have <= s.shortest {
			long &= long >> have
			have *= 2
		}
		long &= long >> (s.shortest - have)
		if at := bits.TrailingZeros64(long); at < stop {
			n := bits.TrailingZeros64(^(w.runs >> at))
			switch {
			case at+n == block && at == 0:
				return i, 0, 0 // longer than we see
			case at+n == block:
				i += at // see it whole
				continue
			case at+n == stop:
				return i + at, 0, 0 // an escape may follow
			}
			return i + at, i + at + n, w.separators >> at & (1<<n - 1)
		}
		if stop < block {
			// The run that ends at the escape belongs to it.
			return i + stop - ones(w.runs, stop), 0, 0
		}
		i += block - ones(w.runs, block)
	}
	return i, 0, 0
}

// ones is how many bits right below bit n are set.
func ones(v uint64, n int) int {
	return min(n, bits.LeadingZeros64(^(v << (block - n))))
}

// window returns the bitmap of data[i:i+block].
func (s *skipper) window(i int) bitmap {
	k := i - s.base
	switch {
	case s.base < 0 || k < 0 || k >= 2*block:
		s.base, k = i, 0
		classify(s.data[i:i+block:i+block], &s.kept[0])
		classify(s.data[i+block:i+2*block:i+2*block], &s.kept[1])
	case k >= block:
		s.base, k = s.base+block, k-block
		s.kept[0] = s.kept[1]
		at := s.base + block
		if at+block > len(s.data) {
			s.base, k, at = i, 0, i+block // the last bytes: begin anew, so that both blocks fit
			classify(s.data[i:i+block:i+block], &s.kept[0])
		}
		classify(s.data[at:at+block:at+block], &s.kept[1])
	}
	a, b := &s.kept[0], &s.kept[1]
	return bitmap{
		a.runs>>k | b.runs<<(block-k),
		a.separators>>k | b.separators<<(block-k),
		a.starters>>k | b.starters<<(block-k),
	}
}

// noStarter notes that no escape begins at byte i.
func (s *skipper) noStarter(i int) {
	k := i - s.base
	s.kept[k/block].starters &^= 1 << (k % block)
}

// Eight bytes at a time: lows are their lower seven bits, each in its own byte, so
// that sums do not run over; tops the highest.
const (
	lows   = 0x7f7f7f7f7f7f7f7f
	tops   = 0x8080808080808080
	single = 0x0101010101010101
)

// classify is classes of 64 bytes as bits.
func classify(b []byte, to *bitmap) {
	_ = b[block-1]
	var m bitmap
	for at := 0; at < block; at += 8 {
		x := binary.LittleEndian.Uint64(b[at:])
		y := x & lows
		// A sum's top bit: at least so much; of a difference plus lows: not equal.
		low := y | 0x20*single
		letters := (low + (0x80-'a')*single) &^ (low + (0x80-'z'-1)*single)
		digits := (y + (0x80-'0')*single) &^ (y + (0x80-'9'-1)*single)
		marks := (y+(0x80-'-')*single)&^(y+(0x80-'.'-1)*single) | ^((y ^ '_'*single) + lows)
		marks = marks &^ x & tops
		begin := (y + (0x80-'%')*single) &^ (y + (0x80-'&'-1)*single)
		begin |= ^(((y ^ '\\'*single) + lows) & ((y ^ '<'*single) + lows))
		begin = begin &^ x & tops
		if high := x & tops; high != 0 {
			begin |= high &^ (((y ^ (0xc2-0x80)*single) + lows) & ((y ^ (0xe2-0x80)*single) + lows) & ((y ^ (0xef-0x80)*single) + lows))
		}
		m.runs |= gather((letters|digits)&^x&tops|marks) << at
		if marks != 0 {
			m.separators |= gather(marks) << at
		}
		if begin != 0 {
			m.starters |= gather(begin) << at
		}
	}
	*to = m
}

// gather brings the top bits of eight bytes together.
func gather(m uint64) uint64 { return (m >> 7) * 0x0102040810204080 >> 56 }
