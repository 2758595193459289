package text

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Matcher holds planted handles. Scan never waits; Add may run beside it. Besides
// their signs it takes 12 to 25 bytes a handle.
type Matcher struct {
	mu    sync.Mutex // held by Add
	table atomic.Pointer[table]
	store store
	// What a scan can pass over, whatever the text: they only ever widen.
	shortest, longest, separators atomic.Int64
}

// table is a set of handles: a Bloom filter with one 64-bit block a key (Putze,
// Sanders and Singler 2007) in front of an open-addressed table of 32 hash bits
// and a place. Written under the matcher's lock, read without one; a grown set is a new table.
type table struct {
	filter []atomic.Uint64 // 11 bits a handle when full
	slots  []atomic.Uint64 // high half: hash, low half: place in the store; 0: free. Three quarters full at most
	store  *store
	n      int // handles in use, guarded by mu
}

// store keeps handles one behind the other, each after its length, in chunks that
// never move. Place 0 is not used. What stands at a place is written before the
// slot that names it.
type store struct {
	chunks [maxChunks]*[chunk]byte
	end    uint32 // first free place, guarded by the matcher's lock
}

// A place is chunk and byte: 4 GB, some two hundred million handles.
const (
	chunk     = 1 << 20
	maxChunks = 1 << 12
)

// put appends a handle; false if the store is full.
func (s *store) put(handle string) (place uint32, ok bool) {
	if s.end%chunk == 0 || s.end%chunk+uint32(len(handle))+1 > chunk {
		next := (s.end + chunk - 1) / chunk
		if next >= maxChunks {
			return 0, false
		}
		s.chunks[next] = new([chunk]byte)
		if s.end = next * chunk; next == 0 {
			s.end = 1
		}
	}
	place = s.end
	c := s.chunks[place/chunk]
	c[place%chunk] = byte(len(handle))
	copy(c[place%chunk+1:], handle)
	s.end += uint32(len(handle)) + 1
	return place, true
}

// at is the handle at a place. It is never written again.
func (s *store) at(place uint32) []byte {
	c, i := s.chunks[place/chunk], place%chunk
	return c[i+1 : i+1+uint32(c[i])]
}

// each visits all places.
func (s *store) each(visit func(place uint32)) {
	for place := uint32(1); place < s.end; {
		c := s.chunks[place/chunk]
		if place%chunk == chunk-1 || c[place%chunk] == 0 { // nothing more in this chunk
			place = (place/chunk + 1) * chunk
			continue
		}
		visit(place)
		place += uint32(c[place%chunk]) + 1
	}
}

// firstSize is the number of slots of the first table.
const firstSize = 1 << 10

// NewMatcher returns a matcher without handles.
func NewMatcher() *Matcher { return &Matcher{} }

// Len is the number of handles.
func (m *Matcher) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.table.Load(); t != nil {
		return t.n
	}
	return 0
}

// Overhead is the memory of the set in bytes besides the handles' signs.
func (m *Matcher) Overhead() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.table.Load()
	if t == nil {
		return 0
	}
	return 8*len(t.filter) + 8*len(t.slots) + t.n
}

// Add plants a handle of letters, digits and . _ -, at least one of them no
// separator. Others and lengths outside 3..40 are ignored, because no text could be
// said to hold them, and so is what comes after 4 GB. It is safe for concurrent use, also beside Scan.
func (m *Matcher) Add(handle string) {
	separators, ok := plantable(handle)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.table.Load()
	if t != nil {
		if _, known := t.find([]byte(handle), 0, len(handle)); known {
			return
		}
	}
	// The bounds first: a scan that sees the handle must not pass over it.
	if v := m.shortest.Load(); v == 0 || int64(len(handle)) < v {
		m.shortest.Store(int64(len(handle)))
	}
	m.longest.Store(max(m.longest.Load(), int64(len(handle))))
	m.separators.Store(max(m.separators.Load(), int64(separators)))
	place, ok := m.store.put(handle)
	if !ok {
		return
	}
	switch {
	case t == nil:
		t = newTable(firstSize, &m.store)
		t.add(place)
		m.table.Store(t)
	case 4*(t.n+1) > 3*len(t.slots):
		grown := newTable(2*len(t.slots), &m.store)
		m.store.each(grown.add)
		m.table.Store(grown)
	default:
		t.add(place)
	}
}

func plantable(handle string) (separators int, ok bool) {
	for i := range len(handle) {
		switch classes[handle[i]] {
		case separator:
			separators++
		case alnum:
		default:
			return 0, false
		}
	}
	return separators, len(handle) >= minHandle && len(handle) <= maxHandle && separators < len(handle)
}

// newTable has size slots, a power of two.
func newTable(size int, store *store) *table {
	return &table{filter: make([]atomic.Uint64, size/8), slots: make([]atomic.Uint64, size), store: store}
}

func (t *table) add(place uint32) {
	handle := t.store.at(place)
	h := hash(handle, 0, len(handle))
	t.n++
	i := int(h) & (len(t.slots) - 1)
	for t.slots[i].Load() != 0 {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i].Store(h>>32<<32 | uint64(place))
	t.filter[t.block(h)].Or(key(h))
}

// block is the filter's word of a hash.
func (t *table) block(h uint64) int { return int(h>>8) & (len(t.filter) - 1) }

// key is the four bits of a hash in its word.
func key(h uint64) uint64 {
	return 1<<(h>>40&63) | 1<<(h>>46&63) | 1<<(h>>52&63) | 1<<(h>>58)
}

// find looks the n signs at signs[from] up, in any case.
func (t *table) find(signs []byte, from, n int) (string, bool) {
	h := hash(signs, from, n)
	if k := key(h); t.filter[t.block(h)].Load()&k != k {
		return "", false
	}
	for i := int(h) & (len(t.slots) - 1); ; i = (i + 1) & (len(t.slots) - 1) {
		slot := t.slots[i].Load()
		if slot == 0 {
			return "", false
		}
		if slot>>32 != h>>32 {
			continue
		}
		if handle := t.store.at(uint32(slot)); alike(handle, signs[from:from+n]) {
			// What is stored is never written again, so the string may share it.
			return unsafe.String(&handle[0], len(handle)), true
		}
	}
}

func alike(handle, signs []byte) bool {
	if len(handle) != len(signs) {
		return false
	}
	for i, c := range signs {
		if folded(c) != folded(handle[i]) {
			return false
		}
	}
	return true
}

// lowered sets the bit of folded in eight signs.
const lowered = 0x2020202020202020

// Odd constants of the hash.
const (
	oddA = 0x9e3779b97f4a7c15
	oddB = 0xbf58476d1ce4e5b9
	oddC = 0x94d049bb133111eb
)

// hash is a hash of n folded signs: the first eight and the last, which may overlap,
// and what lies between, mixed by wide products (after Wang Yi's wyhash, 2019).
func hash(signs []byte, from, n int) uint64 {
	var first, last uint64
	if n >= 8 {
		first, last = binary.LittleEndian.Uint64(signs[from:])|lowered, binary.LittleEndian.Uint64(signs[from+n-8:])|lowered
		for i := 8; i < n-8; i += 8 {
			first = bits.RotateLeft64((first^oddC)*oddB, 29) ^ (binary.LittleEndian.Uint64(signs[from+i:]) | lowered)
		}
	} else {
		for i := range n {
			first |= uint64(folded(signs[from+i])) << (8 * i)
		}
	}
	high, low := bits.Mul64(first^oddA, last^uint64(n)*oddB)
	h := (high ^ low) * oddC
	return h ^ h>>32
}
