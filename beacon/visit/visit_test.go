package visit_test

import (
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"birdring/beacon"
	"birdring/beacon/visit"
)

// Every built-in rule has a class we know and a source, and fits what it is for.
func TestBuiltInRules(t *testing.T) {
	data, err := os.ReadFile("rules.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rules, n := visit.Default(), 0
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) < 3 || len(f) > 4 || !slices.Contains(visit.Classes, f[0]) {
			t.Fatalf("line %q", line)
		}
		if u, err := url.Parse(f[2]); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			t.Errorf("source %q", f[2])
		}
		h := beacon.Hit{Kind: beacon.KindLink, UserAgent: "Mozilla/5.0 (compatible; " + strings.ToUpper(f[1]) + "1.0)"}
		if g := rules.Classify(h); g.Class != f[0] || !strings.Contains(g.Reason, f[2]) || g.Confirm != (len(f) == 4) {
			t.Errorf("%s: %+v", f[1], g)
		}
		n++
	}
	if n < 15 {
		t.Errorf("%d rules", n)
	}
}

func TestClassify(t *testing.T) {
	rules := visit.Default()
	for _, e := range []string{"192.0.2.0/24", " 2001:db8::1 ", "agent:OurMonitor"} {
		if err := rules.Allow(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := rules.Ranges(visit.Search, "search.json", []byte(`{"creationTime":"x","prefixes":[{"ipv4Prefix":"198.51.100.0/24"},{"ipv6Prefix":"2001:db8:5::/48"}]}`)); err != nil {
		t.Fatal(err)
	}
	const bot, browser = "Mozilla/5.0 (compatible; Googlebot/2.1)", "Mozilla/5.0 (X11; Linux) Firefox/140.0"
	for _, c := range []struct {
		hit  beacon.Hit
		want string
	}{
		{beacon.Hit{Self: true, UserAgent: bot}, visit.Self},
		{beacon.Hit{Addr: "192.0.2.9:443", UserAgent: bot}, visit.Known},
		{beacon.Hit{Addr: "[2001:db8::1]:443"}, visit.Known},
		{beacon.Hit{Addr: "203.0.113.1:1", UserAgent: "ourmonitor/2"}, visit.Known},
		{beacon.Hit{Addr: "198.51.100.7:1", UserAgent: bot}, visit.Search},
		{beacon.Hit{Addr: "[2001:db8:5::7]:1", UserAgent: bot}, visit.Search},
		{beacon.Hit{Addr: "203.0.113.1:1", UserAgent: bot}, visit.Unknown}, // lies
		{beacon.Hit{Addr: "198.51.100.7:1", UserAgent: browser}, visit.Search},
		{beacon.Hit{Addr: "203.0.113.1:1", UserAgent: "Slackbot-LinkExpanding 1.0"}, visit.Preview},
		{beacon.Hit{Kind: beacon.KindDNS, Addr: "203.0.113.1:53"}, visit.NameServer},
		{beacon.Hit{Kind: beacon.KindFetch, Host: "media.platform.example", Referer: "https://clone.example/x", UserAgent: browser}, visit.Hotlink},
		{beacon.Hit{Kind: beacon.KindFetch, Host: "media.platform.example", Referer: "https://www.platform.example/x", UserAgent: browser}, visit.Unknown},
		{beacon.Hit{Kind: beacon.KindLink, Host: "media.platform.example", Referer: "https://clone.example/x", UserAgent: browser}, visit.Unknown},
		{beacon.Hit{Kind: beacon.KindFetch, Host: "h", Referer: "rubbish", UserAgent: "python-requests/2.32"}, visit.Scraper},
		{beacon.Hit{Addr: "no address"}, visit.Unknown},
	} {
		if got := rules.Classify(c.hit); got.Class != c.want || got.Reason == "" {
			t.Errorf("%+v: %+v, want %s", c.hit, got, c.want)
		}
	}
	for _, bad := range []string{"", "agent:", "as", "as0", "as99999999999", "x.example", "300.1.1.1"} {
		if rules.Allow(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, bad := range []string{"", "{}", `{"prefixes":[{"ipv4Prefix":"x"}]}`, `{"prefixes":[{}]}`} {
		if rules.Ranges(visit.Search, "f", []byte(bad)) == nil {
			t.Errorf("list %q was taken", bad)
		}
	}
	if rules.Ranges("birds", "f", []byte(`{"prefixes":[{"ipv4Prefix":"192.0.2.0/24"}]}`)) == nil {
		t.Error("a class we do not know was taken")
	}
}
