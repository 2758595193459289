package text_test

import (
	"fmt"
	"strings"
	"testing"

	"birdring/beacon/text"
)

func found(m *text.Matcher, data string) []string {
	var out []string
	m.Scan([]byte(data), func(f text.Match) { out = append(out, f.Handle) })
	return out
}

func matcher(handles ...string) *text.Matcher {
	m := text.NewMatcher()
	for _, h := range handles {
		m.Add(h)
	}
	return m
}

// spellings of anna.kowal_93 as pages carry them.
var spellings = []string{
	"anna.kowal_93", "@anna.kowal_93", "ANNA.Kowal_93", "see anna.kowal_93.", "(anna.kowal_93)", "anna.kowal_93, and",
	"https://x.example/anna.kowal_93/", "/p/anna.kowal_93?x=1", "anna.kowal_93.jpg", "anna.kowal_93_1847_n.jpg",
	`{"u":"anna.kowal_93"}`, `"\nanna.kowal_93"`, `anna\u002ekowal_93`, `\u0040anna.kowal_93`, "<title>anna.kowal_93</title>",
	`content="(&#064;anna.kowal_93)"`, "anna%2Ekowal%5F93", "%40anna.kowal_93%2F", "%2Fanna.kowal_93%2F",
	"%61%6e%6e%61%2e%6b%6f%77%61%6c%5f%39%33", "anna&#46;kowal&#95;93", "anna&#x2e;kowal&#x5F;93",
	"&#97;&#110;&#110;&#97;&#46;&#107;&#111;&#119;&#97;&#108;&#95;&#57;&#51;", "&commat;anna&period;kowal&lowbar;93",
	"&nbsp;anna.kowal_93&nbsp;", "anna.ko\u200bwal_93", "anna.<wbr>kowal_93", "anna.<wbr/>kowal_93", "anna%252Ekowal_93",
	"&amp;#64;anna.kowal_93", "an\u00adna.kowal_93", "anna.kowal_93-stories-viewer", "anna.kow%E2%80%8Bal_93", "anna.kowal\\u200b_93",
	`\\\\u0040anna.kowal_93`, `anna\x2ekowal_93`, "anna.kowal&ZeroWidthSpace;_93", "anna.<WBR></WBR>kowal_93", "anna.kowal_93\u200b",
}

func TestEverySpellingIsFound(t *testing.T) {
	m := matcher("anna.kowal_93", "somebody.else")
	for _, s := range spellings {
		for _, around := range []string{"*", "x * y", "<p>*</p>", "\n*\n"} {
			data := strings.ReplaceAll(around, "*", s)
			if got := found(m, data); len(got) != 1 || got[0] != "anna.kowal_93" {
				t.Errorf("%q: found %q", data, got)
			}
		}
	}
}

func TestWhatIsNoHandleIsNotFound(t *testing.T) {
	m := matcher("annakowal93")
	for _, s := range []string{"xannakowal93", "annakowal93yy", "annakowal9", "anna kowal93", "annakowal%39%33x", "anna&lt;kowal93", "", "%", "&", "\\", "<", "&#", "\\u", "%2"} {
		if got := found(m, s); len(got) != 0 {
			t.Errorf("%q: found %q", s, got)
		}
	}
}

// Where planted handles overlap the longest wins, and every occurrence counts.
func TestLongestWins(t *testing.T) {
	m := matcher("ollinmil", "ollinmil.x", "x_ray")
	if got := found(m, "ollinmil.x ollinmil ollinmil.x_ray"); fmt.Sprint(got) != "[ollinmil.x ollinmil ollinmil.x]" && fmt.Sprint(got) != "[ollinmil.x ollinmil ollinmil x_ray]" {
		t.Errorf("found %q", got)
	}
}

func TestMatchSaysWhere(t *testing.T) {
	m := matcher("anna.kowal")
	data := "<a>anna%2Ekowal</a>"
	m.Scan([]byte(data), func(f text.Match) {
		if data[f.Start:f.End] != "anna%2Ekowal" {
			t.Errorf("range %q", data[f.Start:f.End])
		}
	})
}

func TestHandlesMayBeAddedWhileScanning(t *testing.T) {
	m := text.NewMatcher()
	page := []byte(strings.Repeat("lorem handle0500 ipsum ", 200))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 3000 {
			m.Add(fmt.Sprintf("handle%04d", i))
		}
	}()
	for range 200 {
		m.Scan(page, func(text.Match) {})
	}
	<-done
	if m.Len() != 3000 {
		t.Errorf("%d handles, want 3000", m.Len())
	}
	n := 0
	m.Scan(page, func(text.Match) { n++ })
	if n != 200 {
		t.Errorf("found %d, want 200", n)
	}
}
