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

// Whole User-Agents as their sources print them: a rule's part stands in them, and no
// rule before it takes them.
func TestPublishedAgents(t *testing.T) {
	rules, seen := visit.Default(), map[string]bool{}
	for agent, want := range map[string]string{
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": visit.Search,
		"Google-Safety": visit.Sandbox,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.182 Safari/537.36 (compatible; Google-Safety; +http://www.google.com/bot.html)": visit.Sandbox,
		"Mozilla/5.0 (compatible; URLertBot/1.0; +https://urlert.com/bot)":                                                                                           visit.Sandbox,
		"Mozilla/5.0 (compatible; YandexUserproxy; robot; +http://yandex.com/bots)":                                                                                  visit.Translator,
		"Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/81.0.4044.268":                               visit.Search,
		"Mozilla/5.0 (Windows NT 6.1; WOW64; rv:12.0) Gecko/20100101 Firefox/12.0,gzip(gfe) (via translate.google.com)":                                              visit.Translator,
		"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)":                                                                  visit.Mail,
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; MicrosoftPreview/2.0; +https://aka.ms/MicrosoftPreview) Chrome/116.0.0.0 Safari/537.36":      visit.Preview,
		"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b":                                                                  visit.Preview,
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.0.0 Safari/537.36 Edg/116.0.0.0": visit.Search,
		"Mozilla/5.0 (compatible; Applebot/0.3; +http://www.apple.com/go/applebot)":                                                                                  visit.Search,
		"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)":                                                                                  visit.Preview,
		"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)":                                                                                                 visit.Preview,
		"Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/archive.org_bot) Zeno/62be009 warc/v0.8.85":                                            visit.Archive,
		"python-requests/2.32.3": visit.Scraper,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36": visit.Unknown,
	} {
		g := rules.Classify(beacon.Hit{Kind: beacon.KindLink, UserAgent: agent})
		if g.Class != want {
			t.Errorf("%s: %+v, want %s", agent, g, want)
		}
		seen[g.Class] = true
	}
	for _, class := range []string{visit.Search, visit.Preview, visit.Mail, visit.Sandbox, visit.Translator, visit.Archive, visit.Scraper} {
		if !seen[class] {
			t.Errorf("no agent is %s", class)
		}
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
