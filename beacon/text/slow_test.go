package text_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"birdring/beacon/text"
)

// The slow obvious matcher: decode everything, then look for every handle at every place.

// unit is one sign of the decoded text, 0 where no handle sign stands.
type unit struct {
	sign       byte
	start, end int
}

const percentByte = `%(?:25){0,4}([0-9a-fA-F]{2})`

var (
	slowPercent  = regexp.MustCompile(`^` + percentByte)
	slowPercents = regexp.MustCompile(`^(?:` + percentByte + `){2,3}`)
	slowOne      = regexp.MustCompile(percentByte)
	slowNumeric  = regexp.MustCompile(`^&(?:amp;){0,2}#(?:([0-9]+)|[xX]([0-9a-fA-F]+));?`)
	slowNamed    = regexp.MustCompile(`^&(?:amp;){0,2}(commat|period|lowbar|UnderBar|hyphen|dash|nbsp|shy|zwnj|zwj|ZeroWidthSpace|quot|lt|gt|sol|apos);`)
	slowAmp      = regexp.MustCompile(`^&(?:amp;){1,2}`)
	slowBlank    = regexp.MustCompile(`^\\{1,4}[nrtbf/"]`)
	slowUnicode  = regexp.MustCompile(`^\\{1,4}(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))`)
	slowBreak    = regexp.MustCompile(`^(?i:</?wbr)[ /]{0,3}>`)
)

func slowHides(r rune) bool {
	return slices.Contains([]rune("\u00ad\ufeff\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064"), r) || r >= 0xfe00 && r <= 0xfe0f
}

// slowEscape decodes what stands at the start of s: n = 0 if it is no escape.
func slowEscape(s string) (r rune, n int, hidden bool) {
	s = s[:min(len(s), 32)]
	// Percent-encoded UTF-8 that hides, the shortest first.
	if all := slowPercents.FindString(s); all != "" {
		var raw []byte
		end := 0
		for _, m := range slowOne.FindAllStringSubmatchIndex(all, -1) {
			v, _ := strconv.ParseUint(all[m[2]:m[3]], 16, 8)
			raw = append(raw, byte(v))
			end = m[1]
			if r, size := utf8.DecodeRune(raw); size == len(raw) && size > 1 && slowHides(r) {
				return 0, end, true
			}
		}
	}
	if m := slowPercent.FindStringSubmatch(s); m != nil {
		v, _ := strconv.ParseUint(m[1], 16, 8)
		if v >= 128 {
			v = utf8.RuneError
		}
		return rune(v), len(m[0]), false
	}
	if m := slowNumeric.FindStringSubmatch(s); m != nil {
		v, err := strconv.ParseUint(m[1]+m[2], map[bool]int{true: 10, false: 16}[m[1] != ""], 64)
		if err != nil || v > utf8.MaxRune {
			v = utf8.RuneError
		}
		return rune(v), len(m[0]), slowHides(rune(v))
	}
	if m := slowNamed.FindStringSubmatch(s); m != nil {
		sign, ok := map[string]rune{"commat": '@', "period": '.', "lowbar": '_', "UnderBar": '_', "hyphen": '-', "dash": '-'}[m[1]]
		if !ok {
			sign = ' '
		}
		return sign, len(m[0]), slices.Contains(strings.Fields("shy zwnj zwj ZeroWidthSpace"), m[1])
	}
	if m := slowAmp.FindString(s); m != "" {
		return '&', len(m), false
	}
	if m := slowBlank.FindString(s); m != "" {
		return ' ', len(m), false
	}
	if m := slowUnicode.FindStringSubmatch(s); m != nil {
		v, _ := strconv.ParseUint(m[1]+m[2], 16, 32)
		return rune(v), len(m[0]), slowHides(rune(v))
	}
	if m := slowBreak.FindString(s); m != "" {
		return 0, len(m), true
	}
	if r, size := utf8.DecodeRuneInString(s); size > 1 && slowHides(r) {
		return 0, size, true
	}
	return 0, 0, false
}

func slowScan(data []byte, handles []string) (out []text.Match) {
	var units []unit
	for i := 0; i < len(data); {
		r, n, hidden := rune(data[i]), 1, false
		if strings.IndexByte("%&\\<\xc2\xe2\xef", data[i]) >= 0 {
			if r, n, hidden = slowEscape(string(data[i:min(len(data), i+40)])); n == 0 {
				r, n = 0, 1
			}
		}
		if !hidden {
			u := unit{0, i, i + n}
			if r < 128 && strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", rune(strings.ToLower(string(r))[0])) && r != 0 {
				u.sign = strings.ToLower(string(r))[0]
			}
			units = append(units, u)
		}
		i += n
	}
	outside := func(i int) bool {
		return i < 0 || i >= len(units) || strings.IndexByte("\x00._-", units[i].sign) >= 0
	}
	for i, free := 0, 0; i < len(units); i++ {
		if i < free || !outside(i-1) || units[i].sign == 0 {
			continue
		}
		best := ""
		for _, h := range handles {
			if len(h) <= len(best) || !outside(i+len(h)) || i+len(h) > len(units) {
				continue
			}
			same := true
			for j := range len(h) {
				same = same && units[i+j].sign == strings.ToLower(h)[j]
			}
			if same {
				best = h
			}
		}
		if best != "" {
			end := i + len(best)
			out = append(out, text.Match{Handle: best, Start: units[i].start, End: units[end-1].end})
			free = end + 1 // the sign behind a handle bounds it and is no part of the next
		}
	}
	return out
}

var fuzzHandles = []string{"anna.kowal_93", "abc", "x.y", "a_b_c_d", "Ann_", "_ann", "anna", "b-c", "abcdefgh", "abcdefghi", "kowal", strings.Repeat("q", 40), "93_anna"}

// longHandles are those of eight signs and more.
var longHandles = slices.DeleteFunc(slices.Clone(fuzzHandles), func(h string) bool { return len(h) < 8 })

func compare(t *testing.T, m *text.Matcher, data []byte) {
	t.Helper()
	handles := fuzzHandles
	if m.Len() == len(longHandles) {
		handles = longHandles
	}
	var got []text.Match
	m.Scan(data, func(g text.Match) { got = append(got, g) })
	if want := slowScan(data, handles); !slices.Equal(got, want) {
		t.Fatalf("in %q:\nfound %v\nwant  %v", data, got, want)
	}
}

// pieces are what the differential test builds its texts of.
var pieces = append([]string{
	"a", "b", "_", ".", "-", "x", "y", "anna", ".kowal_93", "abc", "abcdefgh", "i", "q", "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
	" ", "/", "@", "%2E", "%5f", "%61", "%25", "%252E", "%", "%2", "%E2%80%8B", "%E2%80", "%c2%ad", "%E2%40%8b", "&#46;", "&#x5F", "&#97;", "&amp;", "&amp;#95;",
	"&lowbar;", "&period;", "&nbsp;", "&shy;", "&", "&#", "&#x", "&#99999999999;", "&lt;", "\\u002e", "\\u0061", "\\n", "\\", "\\\\u005f", "\\x61", "<wbr>", "<wbr/>", "</wbr>", "<w", "<",
	"\u200b", "\u00ad", "\ufeff", "\xe2", "\xe2\x40\x8b", "\xc2", "é", "日", "\x7f", "A", "ANNA", "\ufe0f",
}, spellings...)

// rounds is how often a test tries at random: with -short, as the race detector runs,
// a twentieth, since one goroutine that scans races with nobody.
func rounds(n int) int {
	if testing.Short() {
		return n / 20
	}
	return n
}

func TestScanAgreesWithTheSlowMatcher(t *testing.T) {
	m := matcher(fuzzHandles...)
	// Handles of eight signs and more: short runs are passed over.
	long := matcher(longHandles...)
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 0))
	for range rounds(30000) {
		var b strings.Builder
		for range 1 + rng.IntN(14) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		compare(t, m, []byte(b.String()))
	}
	// Long enough for whole blocks, and handles in the clear among words.
	words := append([]string{"lorem", "ipsum-dolor", " the ", "\n", "cdn.example.net/", "x_y_z.", "=\"", "anna.kowal_93", "abcdefghi", "_ann", "a_b_c_d"}, fuzzHandles...)
	for range rounds(2500) {
		var b strings.Builder
		for range 20 + rng.IntN(80) {
			if rng.IntN(3) == 0 {
				b.WriteString(pieces[rng.IntN(len(pieces))])
			} else {
				b.WriteString(words[rng.IntN(len(words))] + []string{" ", "", ">", "."}[rng.IntN(4)])
			}
		}
		compare(t, m, []byte(b.String()))
		compare(t, long, []byte(b.String()))
	}
	// Windows that fill: hundreds of signs of one run, escapes among them.
	for range rounds(300) {
		b := []byte("%61")
		for len(b) < 2500 {
			b = append(b, strings.Trim(pieces[rng.IntN(20)], " /@")...)
		}
		compare(t, m, b)
	}
}

// Wherever a spelling lies, it is found, and cut anywhere it does no harm.
func TestEveryOffset(t *testing.T) {
	m := matcher(fuzzHandles...)
	for _, s := range spellings {
		for cut := range len(s) {
			compare(t, m, []byte(s[:cut]))
			compare(t, m, []byte(s[cut:]))
		}
		for pad := range 70 {
			compare(t, m, []byte(strings.Repeat("z", pad)+" "+s))
			compare(t, m, []byte(s+" "+strings.Repeat("-", pad)))
		}
	}
	// Across the edge of the window.
	for pad := 440; pad < 540; pad++ {
		compare(t, m, []byte("%61"+strings.Repeat("z", pad)+"_anna%2Ekowal_93_z"))
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range spellings {
		f.Add([]byte(s), false)
	}
	f.Add([]byte(strings.Repeat("._-", 300)), false)
	f.Add([]byte{0, 1, 2, 7, 8, 20}, true)
	m, long := matcher(fuzzHandles...), matcher(longHandles...)
	f.Fuzz(func(t *testing.T, data []byte, inPieces bool) {
		if inPieces {
			var b strings.Builder
			for _, c := range data {
				b.WriteString(pieces[int(c)%len(pieces)])
			}
			data = []byte(b.String())
		}
		compare(t, m, data)
		compare(t, long, data)
		// Again where whole blocks are looked at.
		padded := append([]byte(strings.Repeat("some words ", 1+len(data)%7)), data...)
		compare(t, long, append(padded, strings.Repeat(" and more of them", 12)...))
	})
}

func TestAddRefusesWhatCannotBeFound(t *testing.T) {
	m := matcher("", "ab", "...", "a b", "é-é-é", strings.Repeat("a", 41), "Abc", "abc", "ABC")
	if m.Len() != 1 {
		t.Errorf("%d handles, want 1", m.Len())
	}
}

// A grown set forgets nothing and invents nothing.
func TestManyHandles(t *testing.T) {
	m := text.NewMatcher()
	all := rounds(50_000)
	for i := range all {
		m.Add(fmt.Sprintf("user_%d", i*7))
	}
	for i := range 2 * all {
		h := fmt.Sprintf("user_%d", i)
		n := 0
		m.Scan([]byte(h), func(g text.Match) { n++ })
		if want := i%7 == 0; (n == 1) != want {
			t.Fatalf("%s found %d times", h, n)
		}
	}
}

// Handles that fill the store's chunks to the last byte.
func TestFullChunks(t *testing.T) {
	const each = 1<<20/16 - 1 // in a chunk: fifteen signs and their number
	all := 2*each + 20_000
	if testing.Short() {
		all = each + 1000
	}
	m := text.NewMatcher()
	for i := range all {
		m.Add(fmt.Sprintf("account_%07d", i))
	}
	if m.Len() != all {
		t.Errorf("%d handles", m.Len())
	}
	for i := 0; i < all; i += 37 {
		h := fmt.Sprintf("account_%07d", i)
		if got := found(m, "x "+h+" y"); len(got) != 1 || got[0] != h {
			t.Fatalf("%s: found %q", h, got)
		}
	}
}

// Besides their signs handles take 32 bytes at most, whatever their number.
func TestMemoryOfHandles(t *testing.T) {
	sizes := []int{50_000, 200_000, 500_000}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		handles := make([]string, n)
		signs := 0
		for i := range handles {
			handles[i] = handleNo(i)
			signs += len(handles[i])
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := matcher(handles...)
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := float64(int(after.HeapAlloc)-int(before.HeapAlloc)-signs) / float64(n)
		t.Logf("%d handles: %.1f bytes each besides their signs", n, each)
		if each > 32 {
			t.Errorf("%d handles take %.1f bytes each", n, each)
		}
		if m.Len() != n {
			t.Errorf("%d handles", m.Len())
		}
		runtime.KeepAlive(handles)
	}
}
