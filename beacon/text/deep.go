package text

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"birdring/canary/handle"
)

// How says in what way a Guess was spelled.
type How string

// The ways. Masked and Cut show a part of a handle: partial evidence, which adds to
// a picture or another handle and is worth about half a whole one. It never stands
// alone.
const (
	LookAlike How = "look-alike" // other letters that look the same, accents, full width, 0 for o
	Joined    How = "joined"     // separators dropped or others in their place
	Cut       How = "cut"        // emma_lars...
	Masked    How = "masked"     // em***_la
)

// Partial says whether only a part of the handle was seen.
func (h How) Partial() bool { return h == Cut || h == Masked }

// Guess is a planted handle that something in the scanned bytes may stand for.
type Guess struct {
	Handle     string // as planted
	How        How
	Shown      int // signs of it that were seen
	Rivals     int // planted handles, this one among them, that it may stand for
	Start, End int // byte range in data
}

// Deep finds planted handles that are spelled unlike: what Matcher cannot see. It is
// slower by far, for the pages of a site that is suspected, not for a crawl. It is not
// changed after it was made.
type Deep struct {
	folded map[string][]string // by handle.Fold
	sorted []string            // in lower case
	spelt  map[string]string   // lower case -> as planted
}

// What a part of a handle has to show, and how many it may stand for.
const (
	leastShown  = 4
	leastPrefix = 2
	mostRivals  = 8
	longestDeep = 120 // signs of a token, marks and hidden ones among them
)

// NewDeep makes a Deep of planted handles; those that Matcher ignores are ignored.
func NewDeep(handles []string) *Deep {
	d := &Deep{map[string][]string{}, nil, map[string]string{}}
	for _, h := range handles {
		if _, ok := plantable(h); !ok {
			continue
		}
		low := strings.ToLower(h)
		if _, known := d.spelt[low]; known {
			continue
		}
		d.spelt[low] = h
		d.sorted = append(d.sorted, low)
		f := handle.Fold(h)
		d.folded[f] = append(d.folded[f], low)
	}
	slices.Sort(d.sorted)
	return d
}

// alikes gives the handle sign that a sign looks like.
var alikes = func() map[rune]rune {
	m := map[rune]rune{}
	for _, row := range lookAlikes {
		sign, size := utf8.DecodeRuneInString(row)
		for _, r := range row[size:] {
			m[r] = sign
		}
	}
	return m
}()

// token is a stretch of text without anything that bounds a handle.
type token struct {
	signs      []rune
	start, end int
	strange    bool // something in it is no plain handle sign
}

// Scan visits what may stand for planted handles in UTF-8 text or a page. What
// Matcher finds is not visited again.
func (d *Deep) Scan(data []byte, visit func(Guess)) {
	if len(d.sorted) == 0 {
		return
	}
	var t token
	for i := 0; i <= len(data); {
		r, n := rune(0), 1
		if i < len(data) {
			r, n = signAt(data[i:])
		}
		switch {
		case r == invisible:
			t.strange = true
		case i < len(data) && tokenSign(r):
			if len(t.signs) == 0 {
				t.start = i
			}
			t.signs = append(t.signs, r)
			t.strange = t.strange || r > 127
			t.end = i + n
		default:
			if len(t.signs) >= leastShown && len(t.signs) <= longestDeep {
				d.token(t, visit)
			}
			t = token{signs: t.signs[:0]}
		}
		i += n
	}
}

// signAt decodes one sign: an escape, or UTF-8.
func signAt(data []byte) (r rune, n int) {
	if classes[data[0]] == starter {
		if data[0] != '<' || !tag(data, 0) {
			if r, n = escape(data); n > 0 {
				return r, n
			}
		}
	}
	return utf8.DecodeRune(data)
}

// tokenSign says whether a sign may stand within a disguised handle.
func tokenSign(r rune) bool {
	if r < 128 {
		return classes[r]&(alnum|separator) != 0 || r == '*'
	}
	if r == '…' || r == '•' || alikes[r] != 0 {
		return true
	}
	return r != utf8.RuneError && (unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.Cf) || r >= 0x1f100 && r < 0x1f200 || r > 0xff00 && r < 0xff5f)
}

func (d *Deep) token(t token, visit func(Guess)) {
	masked := slices.ContainsFunc(t.signs, func(r rune) bool { return r == '*' || r == '•' })
	if masked {
		d.masked(t, visit)
		return
	}
	if signs := uncut(t.signs); len(signs) < len(t.signs) {
		d.cut(t, signs, visit)
	}
	seen := map[string]bool{}
	for _, lowerFirst := range []bool{false, true} {
		d.alike(t, skeleton(t.signs, lowerFirst), seen, visit)
		if !t.strange {
			break
		}
	}
}

// uncut takes what says "and so on" off the end.
func uncut(signs []rune) []rune {
	if n := len(signs); n > 0 && signs[n-1] == '…' {
		return signs[:n-1]
	}
	n := len(signs)
	for n > 0 && signs[n-1] == '.' {
		n--
	}
	if len(signs)-n < 2 {
		return signs
	}
	return signs[:n]
}

// skeleton is what signs look like (UTS #39), in lower case: accents and hidden
// signs dropped, look-alikes replaced. What looks like no handle sign becomes a space.
// Small letters may look like other signs than their capitals, so both are tried.
func skeleton(signs []rune, lowerFirst bool) string {
	var b strings.Builder
	for _, r := range signs {
		if lowerFirst {
			r = unicode.ToLower(r)
		}
		if a := alikes[r]; a != 0 {
			b.WriteRune(a)
			continue
		}
		for _, q := range norm.NFKD.String(string(r)) {
			if blank(q) {
				continue
			}
			if a := alikes[q]; a != 0 {
				q = a
			}
			if q = unicode.ToLower(q); alikes[q] != 0 {
				q = alikes[q]
			}
			if q > 127 || classes[q]&(alnum|separator) == 0 {
				q = ' '
			}
			b.WriteRune(q)
		}
	}
	return b.String()
}

// blank says whether a sign shows nothing of its own.
func blank(r rune) bool {
	switch r {
	case 0x115f, 0x1160, 0x2800, 0x3164, 0xffa0:
		return true
	}
	return r > 127 && unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc)
}

// alike looks the parts of a skeleton up that separators bound, the longest first.
func (d *Deep) alike(t token, skel string, seen map[string]bool, visit func(Guess)) {
	for part := range strings.FieldsSeq(skel) {
		type span struct{ from, to int }
		var spans []span
		for from := range part {
			if from > 0 && !isSeparator(part[from-1]) || isSeparator(part[from]) {
				continue
			}
			for to := from + 1; to <= len(part); to++ {
				if !isSeparator(part[to-1]) && (to == len(part) || isSeparator(part[to])) {
					spans = append(spans, span{from, to})
				}
			}
		}
		slices.SortStableFunc(spans, func(a, b span) int { return (b.to - b.from) - (a.to - a.from) })
		taken := make([]bool, len(part))
		for _, s := range spans {
			found := d.folded[handle.Fold(part[s.from:s.to])]
			if len(found) == 0 || slices.Contains(taken[s.from:s.to], true) {
				continue
			}
			for i := s.from; i < s.to; i++ {
				taken[i] = true
			}
			for _, h := range found {
				if seen[h] || !t.strange && strings.Contains(part, h) {
					continue // told already, or spelled as it is
				}
				seen[h] = true
				visit(Guess{d.spelt[h], howAlike(h, part[s.from:s.to]), len(h), len(found), t.start, t.end})
			}
		}
	}
}

func isSeparator(c byte) bool { return classes[c] == separator }

// howAlike says whether only separators differ.
func howAlike(h, seen string) How {
	drop := strings.NewReplacer(".", "", "_", "", "-", "")
	if h != seen && drop.Replace(h) == drop.Replace(seen) {
		return Joined
	}
	return LookAlike
}

// cut looks for the handles that begin with what is shown.
func (d *Deep) cut(t token, signs []rune, visit func(Guess)) {
	shown := skeleton(signs, false)
	if len(shown) < leastShown || strings.Contains(shown, " ") {
		return
	}
	d.guess(t, Cut, len(shown), d.between(shown, "", len(shown)+1), visit)
}

// masked looks for the handles of which stars leave a beginning and an end.
func (d *Deep) masked(t token, visit func(Guess)) {
	star := func(r rune) bool { return r == '*' || r == '•' }
	from := slices.IndexFunc(t.signs, star)
	to := from
	for to < len(t.signs) && star(t.signs[to]) {
		to++
	}
	if to-from < 2 || slices.ContainsFunc(t.signs[to:], star) {
		return
	}
	head, tail := skeleton(t.signs[:from], false), skeleton(t.signs[to:], false)
	if len(head) < leastPrefix || len(head)+len(tail) < leastShown || strings.Contains(head+tail, " ") {
		return
	}
	found := d.between(head, tail, len(head)+len(tail)+1)
	d.guess(t, Masked, len(head)+len(tail), found, visit)
}

func (d *Deep) guess(t token, how How, shown int, found []string, visit func(Guess)) {
	if len(found) > mostRivals {
		return
	}
	for _, h := range found {
		visit(Guess{d.spelt[h], how, shown, len(found), t.start, t.end})
	}
}

// between are the handles of a beginning, an end and a least length; one more than
// mostRivals at most.
func (d *Deep) between(head, tail string, least int) (found []string) {
	at, _ := slices.BinarySearch(d.sorted, head)
	for ; at < len(d.sorted) && strings.HasPrefix(d.sorted[at], head) && len(found) <= mostRivals; at++ {
		if h := d.sorted[at]; len(h) >= least && strings.HasSuffix(h, tail) {
			found = append(found, h)
		}
	}
	return found
}
