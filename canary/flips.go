package canary

import (
	"encoding/binary"
	"sync"
)

// A rendition has a fixed length and every byte of it belongs to one segment. So
// one rendition, the base, is kept whole, and beside it every segment's other
// variant in flips of 60 bytes. Most bits of a codeword are the likelier ones of
// their position: a base made of those is right in 72 % of the segments under
// code D. A viewer's copy is then a plain copy of the base, at the speed of memory,
// with a quarter of the flips written over it.
//
// Flips are written from front to back, and whole: what one covers beyond its
// segment is as in the base, and whatever differs there is written later.

const (
	flipBytes  = 60  // with where they go, a cache line
	blockFlips = 256 // chosen at a time: the part of a rendition that they go to stays in the nearest cache
)

// flip is a stretch of the base with one segment's other variant in it.
type flip struct {
	to   uint32 // where it goes
	data [flipBytes]byte
}

// rest is what no flip can hold because it would reach beyond the rendition's end.
type rest struct {
	slot uint16
	to   uint32
	data []byte
}

// forms is a picture in all its renditions, 2.2 to 2.5 times its file, 3.3 to 4.6 times
// if that is progressive: segments lie in more places then, with less in each. It does
// not change once made.
type forms struct {
	base  []byte
	ones  []uint64 // bit by slot: the base has the segment's variant 1
	flips []flip   // from front to back
	slots []uint16 // of their segments
	rests []rest
}

// newForms makes the forms of two variants whose pieces begin at starts[k]: segments,
// or parts of them. Piece k has slot order[k] of 64 len(ones); ones says which variant
// the base has.
func newForms(files [2][]byte, starts, order []uint32, ones []uint64) *forms {
	f := &forms{base: append([]byte(nil), files[0]...), ones: ones}
	for k, slot := range order {
		if f.one(slot) {
			copy(f.base[starts[k]:starts[k+1]], files[1][starts[k]:starts[k+1]])
		}
	}
	n := 0
	for k := range order {
		n += differing(files, starts[k], starts[k+1], func(uint32, uint32) {})
	}
	f.flips, f.slots = make([]flip, 0, n), make([]uint16, 0, n)
	for k, slot := range order {
		other := files[1]
		if f.one(slot) {
			other = files[0]
		}
		differing(files, starts[k], starts[k+1], func(from, end uint32) { f.add(uint16(slot), other, from, end) })
	}
	return f
}

// differing visits stretches of at most flipBytes that hold every byte between
// from and end in which the files differ, and returns how many there are.
func differing(files [2][]byte, from, end uint32, visit func(from, end uint32)) (n int) {
	for at := from; at < end; at++ {
		if files[0][at] == files[1][at] {
			continue
		}
		last := min(at+flipBytes, end)
		visit(at, last)
		n++
		at = last - 1
	}
	return n
}

// add appends a flip of the bytes of other from from to end.
func (f *forms) add(slot uint16, other []byte, from, end uint32) {
	if int(from)+flipBytes > len(f.base) {
		f.rests = append(f.rests, rest{slot, from, append([]byte(nil), other[from:end]...)})
		return
	}
	p := flip{to: from}
	copy(p.data[:], f.base[from:])
	copy(p.data[:], other[from:end])
	f.flips, f.slots = append(f.flips, p), append(f.slots, slot)
}

func (f *forms) one(slot uint32) bool { return f.ones[slot>>6]>>(slot&63)&1 == 1 }

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
// out, as long as the base. While a block is written the next one's flips are on
// their way: chosen ones lie too far apart for a processor to foresee them.
func (f *forms) render(out []byte, s *scratch) {
	s.unpack(f.ones)
	copied := 0
	next := s.choose(f, 0)
	for at := 0; at < len(f.flips); at += blockFlips {
		chosen := next
		next = s.choose(f, at+blockFlips)
		flips := f.flips[at:min(at+blockFlips, len(f.flips))]
		to := int(flips[len(flips)-1].to) + flipBytes
		copied += copy(out[copied:to], f.base[copied:to])
		write(out, flips, chosen)
	}
	copy(out[copied:], f.base[copied:])
	for i := range f.rests {
		if r := &f.rests[i]; s.bits[r.slot] != 0 {
			copy(out[r.to:], r.data)
		}
	}
}

// scratch is room for making one rendition.
type scratch struct {
	word   []uint64
	bits   [1 << 16]byte             // by slot: 1 where the word differs from the base's
	lists  [2][blockFlips + 1]uint16 // flips chosen in a block, by turns
	loaded uint32                    // what keeps load from being left out
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

// spread[b] are the bits of b, one a byte, the lowest first.
var spread = func() (t [256]uint64) {
	for b := range t {
		for i := range 8 {
			t[b] |= uint64(b>>i&1) << (8 * i)
		}
	}
	return t
}()

// unpack writes the bits in which the word differs from ones.
func (s *scratch) unpack(ones []uint64) {
	for i, w := range s.word {
		w ^= ones[i]
		dst := s.bits[64*i:][:64]
		for k := 0; k < 64; k += 8 {
			binary.LittleEndian.PutUint64(dst[k:], spread[w>>k&255])
		}
	}
}

// choose lists the flips of the block that begins with flip at whose slots have
// their bit set, and begins to load them.
func (s *scratch) choose(f *forms, at int) []uint16 {
	if at >= len(f.flips) {
		return nil
	}
	end := min(at+blockFlips, len(f.flips))
	list := &s.lists[at/blockFlips&1]
	chosen := list[:pick(list, f.slots[at:end], &s.bits)]
	s.loaded += load(f.flips[at:end], chosen)
	return chosen
}

// pick lists the slots that have their bit set, without a branch that nobody can
// predict. It, load and write are functions of their own because the compiler then
// keeps everything in registers.
//
//go:noinline
func pick(list *[blockFlips + 1]uint16, slots []uint16, bits *[1 << 16]byte) (n int) {
	for i, slot := range slots {
		list[n] = uint16(i)
		n += int(bits[slot])
	}
	return n
}

// load touches the chosen flips, waiting for none.
//
//go:noinline
func load(flips []flip, chosen []uint16) (sum uint32) {
	for _, i := range chosen {
		sum += flips[i].to
	}
	return sum
}

// write writes the chosen flips: in pieces of 16 bytes, the widest that the
// compiler moves without a call.
//
//go:noinline
func write(out []byte, flips []flip, chosen []uint16) {
	for _, i := range chosen {
		p := &flips[i]
		to := (*[flipBytes]byte)(out[p.to:])
		*(*[16]byte)(to[:]) = *(*[16]byte)(p.data[:])
		*(*[16]byte)(to[16:]) = *(*[16]byte)(p.data[16:])
		*(*[16]byte)(to[32:]) = *(*[16]byte)(p.data[32:])
		*(*[16]byte)(to[44:]) = *(*[16]byte)(p.data[44:])
	}
}

// memory is what the forms take, in bytes.
func (f *forms) memory() int {
	n := cap(f.base) + 8*len(f.ones) + (4+flipBytes)*cap(f.flips) + 2*cap(f.slots)
	for _, r := range f.rests {
		n += 40 + len(r.data)
	}
	return n
}
