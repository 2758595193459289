package text

// window holds the signs of a run in which something is escaped, with where
// each of them stands in the data. It is emptied as it fills, so that a page of
// nothing but escapes costs no memory.
type window struct {
	signs      []byte
	start, end []int // bytes in data
	// from is the next place to look for a handle, or, when skipping, for the
	// separator before it.
	from     int
	skipping bool
}

// windowSize is the number of signs at which a window is searched and emptied.
const windowSize = 512

func (w *window) add(sign byte, start, end int) {
	w.signs = append(w.signs, sign)
	w.start = append(w.start, start)
	w.end = append(w.end, end)
}

// decoded searches the run that begins at byte i, decoding its escapes, and
// returns where it ends.
func (s *scanner) decoded(i int) int {
	w := &s.window
	w.cut(len(w.signs))
	w.from, w.skipping = 0, false
	for i < len(s.data) {
		c := s.data[i]
		sign, n := rune(c), 1
		switch classes[c] {
		case other:
			n = 0
		case starter:
			if sign, n = escape(s.data[i:]); n > 0 && !inRun(sign) {
				n = 0
			}
		}
		if n == 0 {
			break
		}
		if sign != invisible {
			w.add(byte(sign), i, i+n)
		}
		i += n
		if len(w.signs) >= windowSize {
			s.search(len(w.signs) - maxHandle - 1)
			w.cut(w.from)
		}
	}
	s.search(len(w.signs))
	return i
}

// search looks for handles that begin before the sign number limit. All signs
// that one of them could reach are there.
func (s *scanner) search(limit int) {
	w := &s.window
	for w.from < limit {
		if w.skipping {
			w.skipping = classes[w.signs[w.from]] != separator
			w.from++
			continue
		}
		if h, n := s.at(w.signs, w.from, len(w.signs)); n > 0 {
			s.visit(Match{h, w.start[w.from], w.end[w.from+n-1]})
			w.from += n
		}
		w.skipping = true
	}
}

// cut forgets the first n signs.
func (w *window) cut(n int) {
	w.signs = w.signs[:copy(w.signs, w.signs[n:])]
	w.start = w.start[:copy(w.start, w.start[n:])]
	w.end = w.end[:copy(w.end, w.end[n:])]
	w.from -= n
}
