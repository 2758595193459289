package text_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"birdring/beacon/text"
)

func guesses(d *text.Deep, data string) (out []string) {
	d.Scan([]byte(data), func(g text.Guess) {
		if g.Start < 0 || g.End > len(data) || g.Start >= g.End {
			panic(fmt.Sprint("range ", g))
		}
		out = append(out, fmt.Sprintf("%s %s", g.Handle, g.How))
	})
	slices.Sort(out)
	return out
}

var deepHandles = []string{"anna.kowal_93", "Emma_Lars", "emma_larsson", "bob00", "mirnov", "hello-moin"}

func TestDisguises(t *testing.T) {
	d := text.NewDeep(deepHandles)
	for _, c := range []struct{ data, want string }{
		{"ａｎｎａ．ｋｏｗａｌ＿９３", "anna.kowal_93 look-alike"},
		{"𝐚𝐧𝐧𝐚.𝐤𝐨𝐰𝐚𝐥_𝟗𝟑", "anna.kowal_93 look-alike"},
		{"𝓪𝓷𝓷𝓪.kowal_93", "anna.kowal_93 look-alike"},
		{"аnnа.kоwаl_93", "anna.kowal_93 look-alike"}, // Cyrillic a and o
		{"АNNА.KOWAL_93", "anna.kowal_93 look-alike"},
		{"ánna.kowál_93", "anna.kowal_93 look-alike"},
		{"a\u0301nna.kowal_93", "anna.kowal_93 look-alike"},
		{"anna.kowal\ufe0f_93\u3164", "anna.kowal_93 look-alike"},
		{"annakowal93", "anna.kowal_93 joined"},
		{"anna_kowal.93", "anna.kowal_93 joined"},
		{"photo of annakowal93, yesterday", "anna.kowal_93 joined"},
		{"EMMALARS", "Emma_Lars joined"},
		{"anna.kowa1_93", "anna.kowal_93 look-alike"},
		{"b0boo", "bob00 look-alike"},
		{"rnirnov", "mirnov look-alike"},
		{"МІRNОV", "mirnov look-alike"}, // capital Cyrillic M, I and O
		{"hello‐moin", "hello-moin look-alike"},
		{"%C3%A1nna.kowal_93", ""}, // percent-encoded letters beyond ASCII are not decoded
		{"emma_lars...", "emma_larsson cut"},
		{"emma_larss…", "emma_larsson cut"},
		{"anna.ko…", "anna.kowal_93 cut"},
		{"ann...", ""},
		{"em***_lars", "Emma_Lars masked"},
		{"em***ars", "Emma_Lars masked"},
		{"an******93", "anna.kowal_93 masked"},
		{"a***93", ""},
		{"**anna**", ""},
		{"em*_*ars", ""},
		{"anna.kowal_93", ""}, // Matcher's
		{"ANNA.kowal_93.jpg", ""},
		{"xannakowal93", ""},
		{"annakowal93yy", ""},
		{"", ""},
	} {
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, "|")
		}
		for _, around := range []string{"*", "(*)", "<p>*</p>"} {
			data := around
			if c.data != "" {
				data = strings.ReplaceAll(around, "*", c.data)
			}
			if got := guesses(d, data); !slices.Equal(got, want) {
				t.Errorf("%q: %q, want %q", data, got, want)
			}
		}
	}
}

// What stands for too many says nothing.
func TestTooManyRivals(t *testing.T) {
	var all []string
	for i := range 30 {
		all = append(all, fmt.Sprintf("maria_%02d", i))
	}
	d := text.NewDeep(all)
	if got := guesses(d, "maria_... and mar***1"); len(got) != 3 {
		t.Errorf("%q", got)
	}
	for _, h := range []text.How{text.Cut, text.Masked} {
		if !h.Partial() {
			t.Errorf("%s is whole", h)
		}
	}
}

func FuzzDeep(f *testing.F) {
	for _, s := range spellings {
		f.Add([]byte(s))
	}
	f.Add([]byte("ａｎｎａ．ｋｏｗａｌ em***_lars emma_la… \xff\xfe•"))
	d := text.NewDeep(deepHandles)
	f.Fuzz(func(t *testing.T, data []byte) {
		d.Scan(data, func(g text.Guess) {
			if g.Start < 0 || g.End > len(data) || g.Start >= g.End || !slices.Contains(deepHandles, g.Handle) {
				t.Fatalf("%+v in %d bytes", g, len(data))
			}
		})
	})
}
