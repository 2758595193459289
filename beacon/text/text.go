// Package text finds planted handles in bytes of any kind: HTML, JSON, URLs,
// plain text. It sees through the spellings that sites and encoders use: case,
// an @ in front, URL paths and file names, JSON \u escapes, percent and entity
// encoding (also twice), signs nobody sees and <wbr> inside.
//
//	m := text.NewMatcher()
//	m.Add("anna.kowal_93")
//	m.Scan(page, func(hit text.Match) { ... })
//
// A handle counts where both its ends are the end of a run of handle signs
// (letters, digits, . _ -) or touch a separator (. _ -) outside the handle:
// annakowal93 is found in annakowal93_1847_n.jpg but not in xannakowal93yy.
// Matches do not overlap: the earliest start wins, and of one start the longest.
// What lies deeper - look-alike letters, cut or masked handles - is not seen.
//
// Bytes that are no ASCII end a run, so UTF-8 and every charset that keeps ASCII
// in its place can be scanned as they are; UTF-16 has to be converted first.
package text

import "math/bits"

// bounds of planted handles in signs.
const (
	minHandle = 3
	maxHandle = 40
)

// Match is one planted handle in the scanned bytes.
type Match struct {
	Handle     string // as planted
	Start, End int    // byte range in data, escapes included
}

// class of a byte.
const (
	other     = 0
	alnum     = 1 // letter or digit
	separator = 2 // . _ -
	starter   = 4 // may begin an escape
)

// classes gives each byte its class.
var classes = func() (t [256]uint8) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = alnum, alnum
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = alnum
	}
	for _, c := range []byte("._-") {
		t[c] = separator
	}
	for _, c := range []byte{'%', '&', '\\', '<', 0xc2, 0xe2, 0xef} {
		t[c] = starter
	}
	return t
}()

// folded is the one spelling of a handle sign: letters in lower case, and 0x5f
// (_) as 0x7f, which is no handle sign. Setting one bit does it for eight signs at a time.
func folded(c byte) byte { return c | 0x20 }

// Scan visits the planted handles in data in order of their start. It takes
// time linear in len(data), nearly the same for a thousand handles and a million.
// Handles that others add meanwhile may be found or not.
func (m *Matcher) Scan(data []byte, visit func(Match)) {
	t := m.table.Load()
	if t == nil {
		return
	}
	s := scanner{table: t, data: data, visit: visit, least: int(m.shortest.Load()), longest: int(m.longest.Load()), separators: int(m.separators.Load())}
	s.scan()
}

// scanner is one Scan.
type scanner struct {
	table *table
	data  []byte
	visit func(Match)
	// What the planted handles need: lengths and number of separators.
	least, longest, separators int
	window                     window
	batch                      batch
}

// clear searches the run data[from:end], of at most a block, in which nothing is
// escaped; separators are its bits.
func (s *scanner) clear(from, end int, separators uint64) {
	if separators == 0 {
		if n := end - from; n <= s.longest {
			if h, ok := s.table.find(s.data, from, n); ok {
				s.visit(Match{h, from, end})
			}
		}
		return
	}
	base, ends := from, separators|1<<(end-from) // where a handle may end
	for from < end {
		handle, found, seen := "", 0, 0
		for left := ends >> (from - base); left != 0; left &= left - 1 {
			n := bits.TrailingZeros64(left)
			if n > s.longest {
				break
			}
			if n >= s.least {
				if h, ok := s.table.find(s.data, from, n); ok {
					handle, found = h, n
				}
			}
			if seen++; seen > s.separators {
				break
			}
		}
		if found > 0 {
			s.visit(Match{handle, from, from + found})
			from += found
		}
		from += bits.TrailingZeros64(ends>>(from-base)) + 1
	}
}

// plain searches the run data[from:end], in which nothing is escaped.
func (s *scanner) plain(from, end int) {
	for from < end {
		if h, n := s.at(s.data, from, end); n > 0 {
			s.visit(Match{h, from, from + n})
			from += n
		}
		for from < end && classes[s.data[from]] != separator {
			from++
		}
		from++
	}
}

// at finds the longest planted handle that begins at from in the run that ends at end.
func (s *scanner) at(signs []byte, from, end int) (handle string, n int) {
	seen := 0
	for at := from; at <= min(end, from+s.longest); at++ {
		if at < end && classes[signs[at]] != separator {
			continue
		}
		if length := at - from; length >= s.least {
			if h, ok := s.table.find(signs, from, length); ok {
				handle, n = h, length
			}
		}
		if seen++; seen > s.separators {
			break
		}
	}
	return handle, n
}
