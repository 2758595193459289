package beacon_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/canary"
)

// name seals a token for a viewer and writes it as a canary name.
func (s *nameServer) name(v canary.Viewer) string {
	return s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 7, Viewer: v}) + "." + zone + "."
}

// must is ask for questions that are answered.
func (s *nameServer) must(t testing.TB, network string, q *dns.Msg) *dns.Msg {
	t.Helper()
	a, err := s.ask(network, q)
	if err != nil {
		t.Fatalf("%s by %s: %v", q.Question[0].String(), network, err)
	}
	return a
}

// one returns the only hit since the last look.
func (r *recorder) one(t testing.TB) beacon.Hit {
	t.Helper()
	hits := r.take()
	if len(hits) != 1 {
		t.Fatalf("%d hits were recorded, want 1: %+v", len(hits), hits)
	}
	return hits[0]
}

// none fails the test if anything was recorded.
func (s *nameServer) none(t *testing.T, after string) {
	t.Helper()
	if hits := s.take(); len(hits) > 0 {
		t.Errorf("%s: recorded %+v", after, hits)
	}
}

// negative checks that an answer has no records but our SOA as the reason.
func negative(t *testing.T, a *dns.Msg, rcode int) {
	t.Helper()
	if a.Rcode != rcode || len(a.Answer) != 0 || len(a.Ns) != 1 || !a.Authoritative {
		t.Fatalf("want %s without answers and one SOA:\n%v", dns.RcodeToString[rcode], a)
	}
	soa, ok := a.Ns[0].(*dns.SOA)
	if !ok || soa.Hdr.Name != zone+"." || soa.Hdr.Ttl > 60 || soa.Minttl > 60 {
		t.Errorf("authority %v, want our SOA, held for at most 60 s", a.Ns[0])
	}
}

// A parent zone can delegate to us: the apex names itself, its servers and their addresses.
func TestDNSApex(t *testing.T) {
	s := startDNS(t)
	a := s.must(t, "udp", query(zone+".", dns.TypeSOA))
	if soa, ok := a.Answer[0].(*dns.SOA); !ok || !a.Authoritative || soa.Ns != "ns1."+zone+"." || soa.Mbox != "hostmaster."+zone+"." || soa.Serial == 0 {
		t.Errorf("SOA:\n%v", a)
	}
	a = s.must(t, "udp", query(zone+".", dns.TypeNS))
	if len(a.Answer) != 2 || len(a.Extra) != 4 {
		t.Errorf("want two servers with two addresses each:\n%v", a)
	}
	for _, rr := range a.Answer {
		name := rr.(*dns.NS).Ns
		four, six := s.must(t, "udp", query(name, dns.TypeA)), s.must(t, "udp", query(name, dns.TypeAAAA))
		if len(four.Answer) != 1 || four.Answer[0].(*dns.A).A.String() != "192.0.2.7" || len(six.Answer) != 1 {
			t.Errorf("%s:\n%v\n%v", name, four, six)
		}
		negative(t, s.must(t, "udp", query(name, dns.TypeTXT)), dns.RcodeSuccess)
	}
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeDNSKEY, dns.TypeDS} {
		negative(t, s.must(t, "udp", query(zone+".", qtype)), dns.RcodeSuccess)
	}
	for _, spelling := range []string{zone + ".", strings.ToUpper(zone) + "."} {
		if a := s.must(t, "udp", query(spelling, dns.TypeANY)); len(a.Answer) != 1 || a.Answer[0].Header().Rrtype != dns.TypeHINFO || a.Answer[0].Header().Name != spelling {
			t.Errorf("ANY, want one HINFO (RFC 8482):\n%v", a)
		}
	}
	s.none(t, "questions about our own records")
	if own := s.stats.DNS.Count(beacon.Own); own != s.stats.DNS.Received() {
		t.Errorf("%d of %d counted as our own", own, s.stats.DNS.Received())
	}
}

// A resolver that asks label by label (RFC 9156) must not be told that a name
// does not exist while one below it does (RFC 8020): it would never ask for that.
func TestDNSNamesAboveOurNamesExist(t *testing.T) {
	s := startDNSWith(t, beacon.DNSConfig{
		Zone: "example.net, a.b.example.net," + zone,
		NS:   []string{"x.y." + zone, "example.net", "ns.elsewhere.example"},
		A:    []netip.Addr{netip.MustParseAddr("192.0.2.7")},
	})
	for name, want := range map[string]struct{ rcode, answers int }{
		"y." + zone + ".":     {dns.RcodeSuccess, 0},
		"b.example.net.":      {dns.RcodeSuccess, 0},
		"x.y." + zone + ".":   {dns.RcodeSuccess, 1},
		"example.net.":        {dns.RcodeSuccess, 1},
		"z." + zone + ".":     {dns.RcodeNameError, 0},
		"q.x.y." + zone + ".": {dns.RcodeNameError, 0},
		"c.example.net.":      {dns.RcodeNameError, 0},
		"b.a.example.net.":    {dns.RcodeNameError, 0},
		"y.a.b.example.net.":  {dns.RcodeNameError, 0},
		"elsewhere.example.":  {dns.RcodeRefused, 0},
	} {
		if a := s.must(t, "udp", query(name, dns.TypeA)); a.Rcode != want.rcode || len(a.Answer) != want.answers {
			t.Errorf("%s, want %s and %d answers:\n%v", name, dns.RcodeToString[want.rcode], want.answers, a)
		}
	}
	s.none(t, "steps on the way")
	// The step that reaches the token is the hit, before the whole name is known.
	if a := s.must(t, "udp", query(s.name(9), dns.TypeNS)); a.Rcode != dns.RcodeSuccess || s.one(t).Token.Viewer != 9 {
		t.Errorf("token:\n%v", a)
	}
}

// A flood of made-up names costs one AES block each: nothing reaches the recorder.
func TestDNSForgedNamesCostNothing(t *testing.T) {
	s := startDNS(t)
	valid, _, _ := strings.Cut(s.name(70000), ".")
	flipped := []byte(valid)
	flipped[10] = "ab"[flipped[10]&1] // of another parity, so another letter
	names := []string{
		forged(t), string(flipped), valid[:27], valid + "a", valid[1:] + valid[:1], valid[:14] + "." + valid[14:],
		strings.Repeat("a", 28), `\000` + valid[1:], `\.` + valid[1:], "x" + valid, "*", "_dmarc", strings.Repeat("a.", 60) + "a",
	}
	for _, label := range names {
		negative(t, s.must(t, "udp", query(label+"."+zone+".", dns.TypeA)), dns.RcodeNameError)
	}
	s.none(t, "forged names")
	if got := s.stats.DNS.Count(beacon.Forged); got != uint64(len(names)) {
		t.Errorf("%d counted as forged, want %d", got, len(names))
	}
	// Their neighbours: the same token with labels before it.
	for _, before := range []string{"", "www.", "_acme-challenge.", forged(t) + ".", strings.Repeat("a.", 30)} {
		if a := s.must(t, "udp", query(before+valid+"."+zone+".", dns.TypeA)); len(a.Answer) != 1 {
			t.Errorf("%s:\n%v", before, a)
		}
		if h := s.one(t); h.Token.Viewer != 70000 {
			t.Errorf("%s: recorded %+v", before, h)
		}
	}
}

// Resolvers that randomise case to make forgery hard get their spelling back.
func TestDNSKeepsTheSpellingOfTheQuestion(t *testing.T) {
	s := startDNS(t)
	mixed := []byte(s.name(70001))
	for i := range mixed {
		if i%2 == 0 && 'a' <= mixed[i] && mixed[i] <= 'z' {
			mixed[i] -= 'a' - 'A'
		}
	}
	name := string(mixed)
	a := s.must(t, "udp", query(name, dns.TypeA))
	if a.Question[0].Name != name || len(a.Answer) != 1 || a.Answer[0].Header().Name != name {
		t.Errorf("asked for %s:\n%v", name, a)
	}
	if h := s.one(t); h.Token.Viewer != 70001 || h.Name+"." != name {
		t.Errorf("recorded %+v", h)
	}
}

// We answer for our zones in class IN only and give nothing away in bulk.
func TestDNSRefuses(t *testing.T) {
	s := startDNS(t)
	chaos := query(s.name(1), dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	for _, q := range []*dns.Msg{
		chaos, new(dns.Msg).SetAxfr(zone + "."), new(dns.Msg).SetAxfr(s.name(1)), new(dns.Msg).SetIxfr(zone+".", 1, "a.", "b."),
	} {
		for _, network := range []string{"udp", "tcp"} {
			a := s.must(t, network, q)
			if a.Rcode != dns.RcodeRefused || len(a.Answer)+len(a.Ns) != 0 || a.Authoritative {
				t.Errorf("%s, want REFUSED:\n%v", network, a)
			}
		}
	}
	s.none(t, "refused queries")
	if got := s.stats.DNS.Count(beacon.Refused); got != 8 {
		t.Errorf("%d counted as refused, want 8", got)
	}
}

// Without addresses of its own a server answers with the one it listens on; the
// server ends with its context and frees the port; Close may come again.
func TestDNSEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	keys := keyring(t)
	d, err := beacon.ServeDNS(ctx, beacon.DNSConfig{Addr: "127.0.0.1:0", Zone: zone, Keyring: keys, Record: new(recorder).record})
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{DNS: d, keys: keys}
	if a := s.must(t, "udp", query(s.name(1), dns.TypeA)); len(a.Answer) != 1 || a.Answer[0].(*dns.A).A.String() != "127.0.0.1" {
		t.Errorf("address:\n%v", a)
	}
	cancel()
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- d.Close() }()
	}
	for range 2 {
		select {
		case err := <-ended:
			if err != nil || d.Err() != nil {
				t.Errorf("close: %v, %v", err, d.Err())
			}
		case <-time.After(patience):
			t.Fatal("does not end")
		}
	}
	if c, err := net.DialTimeout("tcp", d.Addr(), patience); err == nil {
		c.Close()
		t.Error("still listens")
	}
}
