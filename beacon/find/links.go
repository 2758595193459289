package find

import "math/bits"

// Descriptors are looked up by pieces: two that are near agree in some piece
// exactly. Keypoints with the same piece hang in one chain.

const (
	tables    = 8  // pieces looked up
	tableBits = 16 // of a piece while the index is small
	mostBits  = 24
	chainLong = 2 // keypoints a chain on the average, at most, before pieces lengthen
	chainMost = 6 // looked at: longer chains hold what many pictures have and tell little
	noPoint   = ^uint32(0)
)

// linked is a keypoint in the chains of all its pieces: 72 bytes.
type linked struct {
	point
	next [tables]uint32
}

// links holds the keypoints of all prints by number, in blocks, so that the
// index grows without copying.
type links struct {
	blocks [][]linked
	n      int
	bits   int
	head   [tables][]uint32
}

const blockBits = 14

func (l *links) at(i uint32) *linked { return &l.blocks[i>>blockBits][i&(1<<blockBits-1)] }

// piece is the part of a descriptor that table t looks at, so many bits long.
func piece(d *descriptor, t, long int) uint32 {
	return uint32(d[t>>1]>>(t&1*32)) & (1<<long - 1)
}

func (l *links) add(p *point) {
	if l.n >= chainLong<<l.bits && l.bits < mostBits {
		l.resize(l.bits + 1)
	}
	if l.n&(1<<blockBits-1) == 0 {
		l.blocks = append(l.blocks, make([]linked, 1<<blockBits))
	}
	l.n++
	l.at(uint32(l.n - 1)).point = *p
	l.hang(uint32(l.n - 1))
}

// hang puts a keypoint in front of its chains.
func (l *links) hang(i uint32) {
	p := l.at(i)
	for t := range tables {
		slot := &l.head[t][piece(&p.desc, t, l.bits)]
		p.next[t], *slot = *slot, i
	}
}

// resize hangs all keypoints anew in chains of longer pieces.
func (l *links) resize(long int) {
	l.bits = long
	for t := range l.head {
		l.head[t] = make([]uint32, 1<<long)
		for i := range l.head[t] {
			l.head[t][i] = noPoint
		}
	}
	for i := range l.n {
		l.hang(uint32(i))
	}
}

// alike visits the keypoints near d that share a piece with it, some twice.
func (l *links) alike(d *descriptor, visit func(p uint32, distance int)) {
	// All chains side by side: the processor waits for eight places in memory at once.
	var p [tables]uint32
	for t := range p {
		p[t] = l.head[t][piece(d, t, l.bits)]
	}
	for range chainMost {
		more := false
		for t, i := range &p {
			if i == noPoint {
				continue
			}
			k := l.at(i)
			if n := k.desc.distance(d); n <= descMaybe {
				visit(i, n)
			}
			p[t], more = k.next[t], true
		}
		if !more {
			break
		}
	}
}

// batch is how many of a suspect's keypoints are looked up together.
const batch = 8

// load walks the chains of the next few keypoints of a part from i on, as they are
// and in the mirror, so that what alike visits is in the cache: in a large index nothing
// is, and a hundred chains side by side take little longer than one does.
func (l *links) load(q *Query, i int) (sum uint64) {
	var p [2 * batch * tables]uint32
	n := 0
	for k := 0; k < batch && i < len(q.points); k, i = k+1, i+parts {
		for t := range tables {
			p[n+t] = l.head[t][piece(&q.points[i].desc, t, l.bits)]
			p[n+tables+t] = l.head[t][piece(&q.mirrored[i], t, l.bits)]
		}
		n += 2 * tables
	}
	for range chainMost {
		for c, i := range p[:n] {
			if i != noPoint {
				k := l.at(i)
				p[c] = k.next[c%tables]
				sum += k.desc[0]
			}
		}
	}
	return sum
}

// hashLinks holds PDQ hashes by 16 pieces of 16 bits: of two hashes at most 31
// bits apart, some piece differs in one bit or none.
type hashLinks struct {
	head [16][]uint32
	next [][16]uint32
}

func (l *hashLinks) init() {
	for t := range l.head {
		l.head[t] = make([]uint32, 1<<16)
		for i := range l.head[t] {
			l.head[t][i] = noPoint
		}
	}
}

func hashPiece(h *Hash, t int) uint32 { return uint32(h[t>>2] >> (t & 3 * 16) & 0xffff) }

func (l *hashLinks) add(h Hash) {
	i := uint32(len(l.next))
	var next [16]uint32
	for t := range l.head {
		slot := &l.head[t][hashPiece(&h, t)]
		next[t], *slot = *slot, i
	}
	l.next = append(l.next, next)
}

// near visits the prints whose hash may be at most 31 bits off, some repeatedly.
func (l *hashLinks) near(h Hash, visit func(i int32)) {
	if bits.OnesCount64(h[0]|h[1]|h[2]|h[3]) == 0 {
		return // no picture
	}
	for t := range l.head {
		key := hashPiece(&h, t)
		for flip := range 17 {
			for i := l.head[t][key^(1<<flip&0xffff)]; i != noPoint; i = l.next[i][t] {
				visit(int32(i))
			}
		}
	}
}
