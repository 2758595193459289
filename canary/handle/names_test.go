package handle

import (
	"crypto/sha256"
	"testing"
)

func TestParseRules(t *testing.T) {
	for s, want := range map[string]map[string]bool{
		"instagram": {"a.b_c": true, ".ab": false, "ab.": false, "a..b": false, "_ab_": true, "a-b": false},
		"x":         {"abc": true, "ab.c": false, "abcdefghijklmnop": false},
		"tiktok":    {"ab": true, "ab.": false, ".ab": true},
		"mastodon":  {"a-b": true, "-ab": false, "a_": true},
		"github":    {"a-b": true, "a--b": false, "a_b": false},
		"3-8:_.:.":  {"ab.c": true, ".abc": false, "abcdefghi": false, "_abc": true},
	} {
		r, err := ParseRules(s)
		if err != nil {
			t.Fatal(s, err)
		}
		for h, ok := range want {
			if r.Allow(h) != ok {
				t.Errorf("%s: %q allowed: %v", s, h, !ok)
			}
		}
	}
	for _, s := range []string{"", "facebook", "3-8", "8-3:_", "1-8:_", "3-99:_", "3-8:/", "3-8:_:.", "a-b:_", "3-8:_:_:_"} {
		if _, err := ParseRules(s); err == nil {
			t.Errorf("rules %q were understood", s)
		}
	}
}

func TestFold(t *testing.T) {
	for a, b := range map[string]string{"Emma.Lars_93": "emmalars93", "b0b": "bob", "1ily": "lily", "corn": "com", "r_n": "m", "a-b-c": "abc"} {
		if Fold(a) != Fold(b) {
			t.Errorf("%q folds to %q, %q to %q", a, Fold(a), b, Fold(b))
		}
	}
}

func TestGivenClashes(t *testing.T) {
	var g Given
	if g.Clash("anna") {
		t.Error("an empty set clashes")
	}
	g.Add("anna.kowal_93")
	for h, want := range map[string]bool{
		"anna.kowal_93": true, "annakowal93": true, "anna": true, "kowal": true, "kowal_93": true,
		"x_anna.kowal_93": true, "kow": false, "annak": false, "x_anna": false, "anna.kowal_94": false,
	} {
		if g.Clash(h) != want {
			t.Errorf("%q clashes: %v", h, !want)
		}
	}
}

func TestWordsNobodyWants(t *testing.T) {
	for _, h := range []string{"f_u_c_k_me", "5ex4you", "pu7a", "supp0rt_desk", "adm1n"} {
		if !offensive(h) {
			t.Errorf("%q passes", h)
		}
	}
	for _, h := range []string{"cristiano7", "instagrarn", "selena_gomez", "selenagomes", "taylorswft", "n1ke"} {
		if !famous(h) {
			t.Errorf("%q is nobody", h)
		}
	}
	for _, h := range []string{"annaberg", "peacefulgarden", "tina_holm", "lisbeth"} {
		if offensive(h) || famous(h) {
			t.Errorf("%q is refused", h)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small(f).Marshal())
	f.Add(tasting(f).Marshal())
	f.Add([]byte("BRHM\x01"))
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := Parse(reseal(file))
		if err != nil {
			return
		}
		if m.Size() > 64*len(file)+1<<20 {
			t.Errorf("%d bytes became %d", len(file), m.Size())
		}
		p, err := m.Plan(0)
		if err != nil {
			t.Fatal(err)
		}
		next := random(1)
		for range 20 {
			h, _, _, _ := p.Draw(next)
			if b := p.rawBits(h); !(b >= 0) {
				t.Errorf("%q has %v bits", h, b)
			}
		}
	})
}

// reseal gives a changed file its right hash, so that the fuzzer gets past it.
func reseal(file []byte) []byte {
	if len(file) < sha256.Size {
		return file
	}
	body := file[:len(file)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(append([]byte{}, body...), sum[:]...)
}

// small is a model of few handles.
func small(t testing.TB) *Model {
	f := NewFitter(rules(t, "2-24:_"))
	for _, h := range made(300, 1) {
		f.Add(h)
	}
	m, err := f.Model(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
