// Package text finds planted handles in bytes of any kind: HTML, JSON, URLs,
// plain text. It sees through the spellings that sites and encoders use: case,
// an @ in front, URL paths and file names, JSON \u escapes, percent and entity
// encoding (also twice), signs nobody sees and <wbr> inside.
//
// A handle counts where it stands between signs that cannot belong to one, or
// between separators (. _ -): annakowal93 is found in annakowal93_1847_n.jpg but
// not in xannakowal93yy. Where several planted handles overlap, the longest is
// reported. What lies deeper - look-alike letters, cut or masked handles - is
// not seen.
package text

import "sync/atomic"

// bounds of planted handles in bytes.
const (
	minHandle = 3
	maxHandle = 40
	// maxSpans bounds the separators looked at from one start, so that a run of
	// dots cannot make the search quadratic.
	maxSpans = 12
)

// Match is one planted handle in the scanned bytes.
type Match struct {
	Handle     string // as planted
	Start, End int    // byte range in data, escapes included
}

// Matcher holds planted handles. Scan may run while Add adds: readers see the
// set as it was when they began.
type Matcher struct {
	set    atomic.Pointer[set]
	filter filter
}

// filter is a Bloom filter (Bloom 1970, two bits a key) in front of the set:
// nearly all candidates end here, for two reads of half a megabyte. Bits are only ever set.
type filter [1 << 17]atomic.Uint32

// mix finishes the running hash of a candidate (multiply-xorshift).
func mix(h uint64) uint64 {
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

const hashPrime = 0x100000001b3

func (f *filter) add(low string) {
	var h uint64
	for i := range len(low) {
		h = (h ^ uint64(low[i])) * hashPrime
	}
	h = mix(h)
	f[h>>5&(1<<17-1)].Or(1 << (h & 31))
	f[h>>40&(1<<17-1)].Or(1 << (h >> 35 & 31))
}

func (f *filter) may(h uint64) bool {
	h = mix(h)
	return f[h>>5&(1<<17-1)].Load()>>(h&31)&1 == 1 && f[h>>40&(1<<17-1)].Load()>>(h>>35&31)&1 == 1
}

// set is never changed once published: Add layers small sets over big ones and
// merges them as they grow, so that adding costs amortised log n.
type set struct {
	handles map[string]string // lower case -> as planted
	below   *set
}

// NewMatcher returns a matcher without handles.
func NewMatcher() *Matcher { return &Matcher{} }

// Len is the number of handles.
func (m *Matcher) Len() int {
	n := 0
	for s := m.set.Load(); s != nil; s = s.below {
		n += len(s.handles)
	}
	return n
}

// Add plants a handle of letters, digits and . _ -; others and lengths outside
// 3..40 are ignored, because the matcher could not find them. It is safe for concurrent use.
func (m *Matcher) Add(handle string) {
	low, ok := lower(handle)
	if !ok {
		return
	}
	for {
		top := m.set.Load()
		if _, known := top.find([]byte(low)); known {
			return
		}
		s := &set{handles: map[string]string{low: handle}, below: top}
		for s.below != nil && len(s.below.handles) <= 2*len(s.handles) {
			merged := make(map[string]string, len(s.handles)+len(s.below.handles))
			for _, layer := range []*set{s, s.below} {
				for k, v := range layer.handles {
					merged[k] = v
				}
			}
			s = &set{handles: merged, below: s.below.below}
		}
		m.filter.add(low) // before the set is published: a reader of the set sees its bits
		if m.set.CompareAndSwap(top, s) {
			return
		}
	}
}

func (s *set) find(low []byte) (string, bool) {
	for ; s != nil; s = s.below {
		if h, ok := s.handles[string(low)]; ok {
			return h, true
		}
	}
	return "", false
}

func lower(handle string) (string, bool) {
	if len(handle) < minHandle || len(handle) > maxHandle {
		return "", false
	}
	b := []byte(handle)
	for i, c := range b {
		if b[i] = fold[c]; b[i] == 0 {
			return "", false
		}
	}
	return string(b), true
}

// fold gives every sign that can stand in a handle in lower case, 0 for others.
var fold = func() (t [256]byte) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = byte(c), byte(c)
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = byte(c)
	}
	t['.'], t['_'], t['-'] = '.', '_', '-'
	return t
}()

// starter marks bytes that may begin an escape.
var starter = [256]bool{'%': true, '&': true, '\\': true, '<': true, 0xc2: true, 0xe2: true, 0xef: true}

func separator(c byte) bool { return c == '.' || c == '_' || c == '-' }

// run is a stretch of handle signs with where each of them stands in the data.
type run struct {
	signs      []byte
	start, end []int32
}

func (r *run) add(c byte, start, end int) {
	r.signs = append(r.signs, c)
	r.start = append(r.start, int32(start))
	r.end = append(r.end, int32(end))
}

func (r *run) reset() { r.signs, r.start, r.end = r.signs[:0], r.start[:0], r.end[:0] }

// Scan visits the planted handles in data (less than 2 GiB), in order of their
// start. Cost is linear in the data and does not depend on the number of handles
// but for the cache misses of one look-up per candidate.
func (m *Matcher) Scan(data []byte, visit func(Match)) {
	s := m.set.Load()
	if s == nil {
		return
	}
	var r run
	for i := 0; i < len(data); {
		c := data[i]
		if f := fold[c]; f != 0 {
			r.add(f, i, i+1)
			i++
			continue
		}
		if starter[c] {
			sign, n := escape(data[i:])
			switch {
			case n > 0 && sign == invisible:
				i += n
				continue
			case n > 0 && sign < 128 && fold[sign] != 0:
				r.add(fold[sign], i, i+n)
				i += n
				continue
			case n > 0:
				m.search(s, &r, visit)
				r.reset()
				i += n
				continue
			}
		}
		if len(r.signs) > 0 {
			m.search(s, &r, visit)
			r.reset()
		}
		i++
	}
	m.search(s, &r, visit)
}

// search looks every span between separators of a run up.
func (m *Matcher) search(s *set, r *run, visit func(Match)) {
	n := len(r.signs)
	if n < minHandle {
		return
	}
	for from := 0; from < n; {
		if taken := m.longest(s, r, from, visit); taken > 0 {
			from += taken
		}
		// The next start: behind the next separator.
		for from < n && !separator(r.signs[from]) {
			from++
		}
		from++
	}
}

// longest reports the longest planted handle that starts at sign from, or just
// behind separators there, and returns how many signs it took.
func (m *Matcher) longest(s *set, r *run, from int, visit func(Match)) int {
	signs := r.signs[from:min(len(r.signs), from+maxHandle+1)]
	rest := len(r.signs) - from
	best, handle := 0, ""
	spans := 0
	var hash uint64
	for end := 1; end <= len(signs) && spans < maxSpans; end++ {
		hash = (hash ^ uint64(signs[end-1])) * hashPrime
		if end < rest && !separator(r.signs[from+end]) && !separator(signs[end-1]) {
			continue
		}
		spans++
		if end < minHandle || end > maxHandle || !m.filter.may(hash) {
			continue
		}
		if h, ok := s.find(signs[:end]); ok {
			best, handle = end, h
		}
	}
	if best > 0 {
		visit(Match{Handle: handle, Start: int(r.start[from]), End: int(r.end[from+best-1])})
	}
	return best
}
