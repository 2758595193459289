package visit_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/beacon/visit"
)

// nameServer answers with the records given, fails for names under "broken" and says
// of others that they do not exist.
func nameServer(t *testing.T, records ...string) *net.Resolver {
	t.Helper()
	answers := map[dns.Question][]dns.RR{}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		q := dns.Question{Name: rr.Header().Name, Qtype: rr.Header().Rrtype, Qclass: dns.ClassINET}
		answers[q] = append(answers[q], rr)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		a := new(dns.Msg).SetReply(m)
		q := m.Question[0]
		a.Answer = answers[q]
		switch {
		case dns.IsSubDomain("broken.", q.Name) || q.Name == "66.113.0.203.in-addr.arpa.":
			a.Rcode = dns.RcodeServerFailure
		case len(a.Answer) == 0:
			a.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(a) // the asker says what it got
	})}
	go func() { _ = server.ActivateAndServe() }() // ends with the test
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// An address is who it calls itself if its name lies in the maker's domain and has
// that address; neither half is enough.
func TestConfirm(t *testing.T) {
	from := nameServer(t,
		"1.113.0.203.in-addr.arpa. 60 IN PTR crawl-1.googlebot.com.", "crawl-1.googlebot.com. 60 IN A 203.0.113.1",
		"2.113.0.203.in-addr.arpa. 60 IN PTR crawl-1.googlebot.com.", // lies: the name has another address
		"3.113.0.203.in-addr.arpa. 60 IN PTR googlebot.com.clone.example.", "googlebot.com.clone.example. 60 IN A 203.0.113.3",
		"4.113.0.203.in-addr.arpa. 60 IN PTR evilgooglebot.com.", "evilgooglebot.com. 60 IN A 203.0.113.4",
		"5.113.0.203.in-addr.arpa. 60 IN PTR other.example.", "5.113.0.203.in-addr.arpa. 60 IN PTR Crawl-5.GoogleBot.com.", "crawl-5.googlebot.com. 60 IN A 203.0.113.5",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 IN PTR six.googlebot.com.", "six.googlebot.com. 60 IN AAAA 2001:db8::1",
	)
	const bot = "Mozilla/5.0 (compatible; Googlebot/2.1)"
	rules := visit.Default()
	for addr, want := range map[string]string{
		"203.0.113.1:80": visit.Confirmed, "203.0.113.1": visit.Confirmed, "203.0.113.2:80": visit.Refuted, "203.0.113.3:80": visit.Refuted,
		"203.0.113.4:80": visit.Refuted, "203.0.113.5:80": visit.Confirmed, "203.0.113.9:80": visit.Refuted, "203.0.113.66:80": visit.Unconfirmed,
		"[2001:db8::1]:80": visit.Confirmed, "nowhere": "",
	} {
		if got, reason := rules.Confirm(t.Context(), from, beacon.Hit{Addr: addr, UserAgent: bot}); got != want || (reason == "") != (want == "") {
			t.Errorf("%s: %q (%s), want %q", addr, got, reason, want)
		}
	}
	if got, _ := rules.Confirm(t.Context(), from, beacon.Hit{Addr: "203.0.113.1:80", UserAgent: "curl/8.1"}); got != "" {
		t.Errorf("an agent whose maker names no domain: %q", got)
	}
}

func TestTiming(t *testing.T) {
	for _, c := range []struct {
		kind  string
		since time.Duration
		want  string
	}{
		{beacon.KindLink, 0, visit.Prompt},
		{beacon.KindLink, 2 * time.Second, visit.Prompt},
		{beacon.KindLink, 3 * time.Second, ""},
		{beacon.KindFetch, 0, ""}, // the viewer's own client shows the page at once
		{beacon.KindDNS, time.Second, ""},
		{beacon.KindDNS, 24 * time.Hour, visit.Echo},
		{beacon.KindLink, 48 * time.Hour, ""},
		{beacon.KindLink, -time.Second, ""},
	} {
		if got := visit.Timing(c.kind, c.since); got != c.want {
			t.Errorf("%s after %v: %q, want %q", c.kind, c.since, got, c.want)
		}
	}
}

func TestAgentRulesNeedASource(t *testing.T) {
	rules := visit.Default()
	if err := rules.Agents("mine.tsv", "# mine\n\nsandbox\tOurSandbox\thttps://intranet.example/sandbox\r\ntranslator\tTranslate-It\thttps://x.example/\ttranslate.example\n"); err != nil {
		t.Fatal(err)
	}
	if g := rules.Classify(beacon.Hit{Kind: beacon.KindLink, UserAgent: "oursandbox/1"}); g.Class != visit.Sandbox || g.Confirm {
		t.Errorf("%+v", g)
	}
	if g := rules.Classify(beacon.Hit{Kind: beacon.KindLink, UserAgent: "Translate-It/1"}); g.Class != visit.Translator || !g.Confirm {
		t.Errorf("%+v", g)
	}
	for _, bad := range []string{"sandbox\tX", "sandbox\tX\tsomewhere", "birds\tX\thttps://x.example/", "sandbox\t \thttps://x.example/"} {
		if rules.Agents("bad.tsv", bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
