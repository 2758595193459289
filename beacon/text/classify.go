package text

// placed are the classes of bytes by the byte's place among eight: a bit for handle
// signs, one for separators, one for starters, each in a byte of its own. Eight of
// them put together are eight bits of a bitmap's three words; that is a third less
// work than comparing eight bytes at a time in one word.
var placed = func() (t [8][256]uint32) {
	for place := range t {
		for c, class := range classes {
			v := uint32(0)
			if class&(alnum|separator) != 0 {
				v = 1
			}
			if class == separator {
				v |= 1 << 8
			}
			if class == starter {
				v |= 1 << 16
			}
			t[place][c] = v << place
		}
	}
	return t
}()

// classify is classes of 64 bytes as bits.
func classify(b []byte, to *bitmap) {
	_ = b[block-1]
	t := &placed
	var m bitmap
	for at := 0; at < block; at += 8 {
		c := b[at : at+8 : at+8]
		v := t[0][c[0]] | t[1][c[1]] | t[2][c[2]] | t[3][c[3]] | t[4][c[4]] | t[5][c[5]] | t[6][c[6]] | t[7][c[7]]
		m.runs |= uint64(v&255) << at
		m.separators |= uint64(v>>8&255) << at
		m.starters |= uint64(v>>16) << at
	}
	*to = m
}
