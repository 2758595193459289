package canary

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// A rendition has a fixed length and every byte of it belongs to one segment. So
// one rendition, the base, is kept whole, and beside it what each segment's other
// variant differs in, in flips of 60 bytes. Most bits of a codeword are the likelier
// ones of their position: a base made of those is right in 72 % of the segments under
// code D. A viewer's copy is then a plain copy of the base, at the speed of memory,
// with a quarter of the flips laid over it.
//
// Flips are differences (exclusive or): it does not matter in which order they are laid
// on, so they lie as the bits of a codeword do, and nobody has to look for them.

const (
	flipBytes = 60  // with where they go, a cache line
	flipRoom  = 4   // bytes of a file before the first segment, at least: lay needs them
	fetched   = 128 // flips asked for at a time, while a part of the base is copied
)

// flip is what a stretch of the base differs in from one segment's other variant.
type flip struct {
	to   uint32 // where it goes
	data [flipBytes]byte
}

// forms is a picture in all its renditions, 2.2 to 2.5 times its file, 3.3 to 4.6 times
// if that is progressive: segments lie in more places then, with less in each. It does
// not change once made.
type forms struct {
	base  []byte
	ones  []uint64 // bit by slot: the base has the segment's variant 1
	flips []flip   // in order of slots
	of    []uint32 // by slot: its first flip; one more number says where the last slot's end
}

// newForms makes the forms of two variants whose pieces begin at starts[k]: segments,
// or parts of them. Piece k has slot order[k] of 64 len(ones); ones says which variant
// the base has.
func newForms(files [2][]byte, starts, order []uint32, ones []uint64) *forms {
	f := &forms{base: append([]byte(nil), files[0]...), ones: ones, of: make([]uint32, 64*len(ones)+1)}
	for k, slot := range order {
		if f.ones[slot>>6]>>(slot&63)&1 == 1 {
			copy(f.base[starts[k]:starts[k+1]], files[1][starts[k]:starts[k+1]])
		}
	}
	for k, slot := range order {
		differing(files, starts[k], starts[k+1], func(uint32, uint32) { f.of[slot+1]++ })
	}
	for slot := range f.of[1:] {
		f.of[slot+1] += f.of[slot]
	}
	f.flips = make([]flip, f.of[len(f.of)-1])
	next := append([]uint32(nil), f.of...) // by slot: where its next flip goes
	for k, slot := range order {
		differing(files, starts[k], starts[k+1], func(from, end uint32) {
			f.flips[next[slot]] = difference(files, from, end)
			next[slot]++
		})
	}
	return f
}

// differing visits stretches of at most flipBytes that hold every byte between
// from and end in which the files differ.
func differing(files [2][]byte, from, end uint32, visit func(from, end uint32)) {
	for at := from; at < end; at++ {
		if files[0][at] == files[1][at] {
			continue
		}
		last := min(at+flipBytes, end)
		visit(at, last)
		at = last - 1
	}
}

// difference is the flip of the bytes from from to end. It begins before them where
// it would reach beyond the file's end.
func difference(files [2][]byte, from, end uint32) flip {
	p := flip{to: min(from, uint32(len(files[0]))-flipBytes)}
	for i := from; i < end; i++ {
		p.data[i-p.to] = files[0][i] ^ files[1][i]
	}
	return p
}

// variant is the rendition of zeros only (v 0) or ones only (v 1).
func (f *forms) variant(v uint64) []byte {
	s := newScratch(len(f.ones))
	defer scratches.Put(s)
	for i := range s.word {
		s.word[i] = -v
	}
	out := make([]byte, len(f.base))
	f.render(out, s)
	return out
}

// render writes the rendition that the scratch's word chooses, bit by slot, to
// out, as long as the base. While a part of the base is copied, chosen flips are on
// their way: they lie too far apart for a processor to foresee them.
func (f *forms) render(out []byte, s *scratch) {
	chosen := s.choose(f)
	copied := 0
	for i := 0; i < len(chosen); i += fetched {
		fetchFlips(f.flips, chosen[i:min(i+fetched, len(chosen))])
		to := min(len(out), len(out)*(i+fetched)/len(chosen))
		copied += copy(out[copied:to], f.base[copied:to])
	}
	copy(out[copied:], f.base[copied:])
	lay(out, f.flips, chosen)
}

// scratch is room for making one rendition.
type scratch struct {
	word   []uint64
	chosen []uint32
}

// scratches is shared by all pictures: what one of them left is in the cache still
// when the next is asked for, while its own, used long ago, is not.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

// newScratch returns room for a word of n.
func newScratch(n int) *scratch {
	s := scratches.Get().(*scratch)
	if cap(s.word) < n {
		s.word = make([]uint64, n)
	}
	s.word = s.word[:n]
	return s
}

// choose lists the flips of the slots whose bit differs from the base's.
func (s *scratch) choose(f *forms) []uint32 {
	if need := len(f.flips) + 4; cap(s.chosen) < need {
		s.chosen = make([]uint32, need)
	}
	list, n := s.chosen[:cap(s.chosen)], 0
	for i, w := range s.word {
		of := (*[65]uint32)(f.of[64*i:])
		for w ^= f.ones[i]; w != 0; w &= w - 1 {
			// Most segments have up to four flips, which are listed whether there are so many or not.
			slot := bits.TrailingZeros64(w) & 63
			first, count := of[slot], int(of[slot+1]-of[slot])
			four := (*[4]uint32)(list[n:])
			four[0], four[1], four[2], four[3] = first, first+1, first+2, first+3
			for k := 4; k < count; k++ {
				list[n+k] = first + uint32(k)
			}
			n += count
		}
	}
	return list[:n]
}

// layPlain lays the chosen flips on out. Where there is a faster way, lay is it.
func layPlain(out []byte, flips []flip, chosen []uint32) {
	for _, i := range chosen {
		p := &flips[i]
		to := (*[flipBytes]byte)(out[p.to:])
		mix(to[:8], p.data[:8])
		mix(to[8:16], p.data[8:16])
		mix(to[16:24], p.data[16:24])
		mix(to[24:32], p.data[24:32])
		mix(to[32:40], p.data[32:40])
		mix(to[40:48], p.data[40:48])
		mix(to[48:56], p.data[48:56])
		binary.LittleEndian.PutUint32(to[56:], binary.LittleEndian.Uint32(to[56:])^binary.LittleEndian.Uint32(p.data[56:]))
	}
}

// mix lays eight bytes on eight others.
func mix(to, by []byte) {
	binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(to)^binary.LittleEndian.Uint64(by))
}

// memory is what the forms take, in bytes.
func (f *forms) memory() int {
	return cap(f.base) + 8*len(f.ones) + (4+flipBytes)*cap(f.flips) + 4*len(f.of)
}
