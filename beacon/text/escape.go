package text

// invisible is what escape returns for signs that are there but not seen.
const invisible = 0x110000

// maxEscape bounds an escape in bytes.
const maxEscape = 32

// escape decodes the escape at the start of data: the sign it stands for and
// its length in bytes, 0 if there is none. Encoded twice counts as once: the
// inner escape is decoded too.
func escape(data []byte) (sign rune, n int) {
	data = data[:min(len(data), maxEscape)]
	switch data[0] {
	case '%':
		return percent(data)
	case '&':
		return entity(data)
	case '\\':
		return backslash(data)
	case '<':
		return breakTag(data)
	}
	return hidden(data)
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// percent decodes %2E, %252E and percent-encoded zero-width signs.
func percent(data []byte) (rune, int) {
	v, n := percentByte(data)
	if n == 0 {
		return 0, 0
	}
	if v < 128 {
		return rune(v), n
	}
	// A UTF-8 sequence: decode its bytes and see whether it hides.
	raw := []byte{byte(v)}
	at := n
	for len(raw) < 3 && at < len(data) && data[at] == '%' {
		w, k := percentByte(data[at:])
		if k == 0 {
			break
		}
		raw = append(raw, byte(w))
		at += k
		if sign, m := hidden(raw); m == len(raw) {
			return sign, at
		}
	}
	return 0xfffd, n
}

func percentByte(data []byte) (v, n int) {
	n = 1
	for len(data) >= n+2 && data[n] == '2' && data[n+1] == '5' && n < 9 {
		n += 2
	}
	if len(data) < n+2 || hex(data[n]) < 0 || hex(data[n+1]) < 0 {
		if n > 1 {
			return '%', n // %25 alone is a percent sign
		}
		return 0, 0
	}
	return hex(data[n])<<4 | hex(data[n+1]), n + 2
}

// tag says whether the < at data[i] begins what is no <wbr>: nearly every tag
// of a page, and not worth a closer look.
func tag(data []byte, i int) bool {
	if i+2 >= len(data) {
		return true
	}
	c := data[i+1]
	if c == '/' {
		c = data[i+2]
	}
	return c|0x20 != 'w'
}

// named entities that stand in or around handles, and the letters they begin with.
type namedEntity struct {
	name string
	sign rune
}

var named = func() (t [256][]namedEntity) {
	for _, e := range namedEntities {
		t[e.name[0]] = append(t[e.name[0]], e)
	}
	return t
}()

var namedEntities = []namedEntity{
	{"commat;", '@'},
	{"period;", '.'},
	{"lowbar;", '_'},
	{"UnderBar;", '_'},
	{"hyphen;", '-'},
	{"dash;", '-'},
	{"nbsp;", ' '},
	{"shy;", invisible},
	{"zwnj;", invisible},
	{"zwj;", invisible},
	{"ZeroWidthSpace;", invisible},
	{"quot;", '"'},
	{"lt;", '<'},
	{"gt;", '>'},
	{"sol;", '/'},
	{"apos;", '\''},
}

// entity decodes &#64; &#x40; and the named ones, also behind &amp;.
func entity(data []byte) (rune, int) {
	at := 1
	for hasPrefix(data[at:], "amp;") && at < 9 {
		at += 4
	}
	if sign, n := numeric(data[at:]); n > 0 {
		return sign, at + n
	}
	if at < len(data) {
		for _, e := range named[data[at]] {
			if hasPrefix(data[at:], e.name) {
				return e.sign, at + len(e.name)
			}
		}
	}
	if at > 1 {
		return '&', at
	}
	return 0, 0
}

// numeric decodes #64; and #x40; the semicolon may be missing.
func numeric(data []byte) (rune, int) {
	if len(data) < 2 || data[0] != '#' {
		return 0, 0
	}
	i, base := 1, 10
	if data[i]|0x20 == 'x' {
		i, base = 2, 16
	}
	v, first := 0, i
	for ; i < len(data); i++ {
		d := hex(data[i])
		if d < 0 || d >= base {
			break
		}
		v = min(v*base+d, 0x10fffe)
	}
	if i == first {
		return 0, 0
	}
	if i < len(data) && data[i] == ';' {
		i++
	}
	return seen(rune(v)), i
}

// seen is v, or invisible for a sign without width.
func seen(v rune) rune {
	if hides(v) {
		return invisible
	}
	return v
}

// backslash decodes \u002e and \x2e and takes \n and its like for blanks, also
// with the backslash doubled, as JSON within JSON has it.
func backslash(data []byte) (rune, int) {
	n := 1
	for n < len(data) && data[n] == '\\' && n < 4 {
		n++
	}
	if n >= len(data) {
		return 0, 0
	}
	digits := 0
	switch data[n] {
	case 'n', 'r', 't', 'b', 'f', '/', '"':
		return ' ', n + 1
	case 'u':
		digits = 4
	case 'x':
		digits = 2
	default:
		return 0, 0
	}
	if len(data) < n+1+digits {
		return 0, 0
	}
	v := 0
	for _, c := range data[n+1 : n+1+digits] {
		if hex(c) < 0 {
			return 0, 0
		}
		v = v<<4 | hex(c)
	}
	return seen(rune(v)), n + 1 + digits
}

// breakTag takes <wbr>, <wbr/> and </wbr> for nothing.
func breakTag(data []byte) (rune, int) {
	at := 1
	if len(data) > 1 && data[1] == '/' {
		at = 2
	}
	if len(data) < at+4 || data[at]|0x20 != 'w' || data[at+1]|0x20 != 'b' || data[at+2]|0x20 != 'r' {
		return 0, 0
	}
	for i := at + 3; i < min(len(data), at+7); i++ {
		switch data[i] {
		case '>':
			return invisible, i + 1
		case ' ', '/':
		default:
			return 0, 0
		}
	}
	return 0, 0
}

// hidden decodes signs in UTF-8 that nobody sees.
func hidden(data []byte) (rune, int) {
	var v rune
	n := 0
	switch {
	case len(data) >= 2 && data[0] == 0xc2 && data[1]&0xc0 == 0x80:
		v, n = rune(data[0]&0x1f)<<6|rune(data[1]&0x3f), 2
	case len(data) >= 3 && (data[0] == 0xe2 || data[0] == 0xef) && data[1]&0xc0 == 0x80 && data[2]&0xc0 == 0x80:
		v, n = rune(data[0]&0x0f)<<12|rune(data[1]&0x3f)<<6|rune(data[2]&0x3f), 3
	}
	if n > 0 && hides(v) {
		return invisible, n
	}
	return 0, 0
}

// hides says whether a code point has no width: soft hyphen, zero-width space
// and joiners, direction marks, word joiner, variation selectors, byte order mark.
func hides(v rune) bool {
	switch {
	case v == 0xad, v == 0xfeff, v >= 0x200b && v <= 0x200f, v >= 0x202a && v <= 0x202e, v >= 0x2060 && v <= 0x2064, v >= 0xfe00 && v <= 0xfe0f:
		return true
	}
	return false
}

func hasPrefix(data []byte, s string) bool {
	return len(data) >= len(s) && string(data[:len(s)]) == s
}
