package beacon_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/canary"
)

// nameServer is a running server with what it records.
type nameServer struct {
	*beacon.DNS
	recorder
	stats beacon.Stats
	keys  *canary.Keyring
}

const zone = "t.example.net"

func startDNS(t testing.TB) *nameServer {
	t.Helper()
	return startDNSWith(t, beacon.DNSConfig{
		Zone: zone + ", other.example",
		A:    []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")},
	})
}

// startDNSWith fills in what every server here has alike.
func startDNSWith(t testing.TB, c beacon.DNSConfig) *nameServer {
	t.Helper()
	s := &nameServer{keys: keyring(t)}
	c.Addr, c.Keyring, c.Stats = "127.0.0.1:0", s.keys, &s.stats
	if c.Record == nil {
		c.Record = s.record
	}
	d, err := beacon.ServeDNS(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s.DNS = d
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a query and returns the answer; an error if none comes.
func (s *nameServer) ask(network string, q *dns.Msg) (*dns.Msg, error) {
	c := dns.Client{Net: network, Timeout: patience}
	a, _, err := c.Exchange(q, s.Addr())
	return a, err
}

func query(name string, qtype uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, qtype) }

func TestDNSRecordsThenAnswers(t *testing.T) {
	s := startDNS(t)
	token := canary.Token{Kind: canary.KindLink, Object: 12, Viewer: canary.FirstViewer + 5}
	label := s.keys.Seal(token)
	for _, network := range []string{"udp", "tcp"} {
		name := "Www." + strings.ToUpper(label) + "." + zone + "."
		q := query(name, dns.TypeA)
		q.SetEdns0(4096, false)
		q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(198, 51, 100, 0).To4(),
		})
		a, err := s.ask(network, q)
		if err != nil {
			t.Fatal(err)
		}
		if a.Rcode != dns.RcodeSuccess || !a.Authoritative || a.RecursionAvailable || len(a.Answer) != 1 {
			t.Fatalf("%s: %v", network, a)
		}
		rr := a.Answer[0].(*dns.A)
		if rr.A.String() != "192.0.2.7" || rr.Hdr.Ttl == 0 || rr.Hdr.Ttl > 60 || rr.Hdr.Name != name || a.Question[0].Name != name {
			t.Errorf("%s: %v", network, a)
		}
		hits := s.take()
		if len(hits) != 1 {
			t.Fatalf("%s: %d hits", network, len(hits))
		}
		h := hits[0]
		if h.Token != token || h.Kind != beacon.KindDNS || h.Name != strings.TrimSuffix(name, ".") || h.QType != "A" ||
			h.Subnet != "198.51.100.0/24" || !strings.HasPrefix(h.Addr, "127.0.0.1:") || time.Since(h.At) > time.Minute || h.ID == "" {
			t.Errorf("%s: %+v", network, h)
		}
	}
	sum(t, &s.stats.DNS)
}

// Every type of query for a canary name is a hit, also those without data.
func TestDNSEveryTypeIsAHit(t *testing.T) {
	s := startDNS(t)
	name := s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000}) + "." + zone + "."
	for qtype, answers := range map[uint16]int{
		dns.TypeAAAA: 1, dns.TypeTXT: 0, dns.TypeMX: 0, dns.TypeHTTPS: 0, dns.TypeANY: 1, 65280: 0,
	} {
		a, err := s.ask("udp", query(name, qtype))
		if err != nil {
			t.Fatal(err)
		}
		if a.Rcode != dns.RcodeSuccess || len(a.Answer) != answers || answers == 0 && (len(a.Ns) != 1 || a.Ns[0].Header().Rrtype != dns.TypeSOA) {
			t.Errorf("type %d: %v", qtype, a)
		}
		if hits := s.take(); len(hits) != 1 || hits[0].QType != dns.Type(qtype).String() {
			t.Errorf("type %d: hits %+v", qtype, hits)
		}
	}
}

// What is no canary name is answered without anything being written.
func TestDNSWritesNothingForOthers(t *testing.T) {
	s := startDNS(t)
	for _, c := range []struct {
		name    string
		qtype   uint16
		rcode   int
		outcome beacon.Outcome
	}{
		{forged(t) + "." + zone + ".", dns.TypeA, dns.RcodeNameError, beacon.Forged},
		{"www." + zone + ".", dns.TypeA, dns.RcodeNameError, beacon.Forged},
		{strings.Repeat("a", 63) + "." + zone + ".", dns.TypeA, dns.RcodeNameError, beacon.Forged},
		{zone + ".", dns.TypeSOA, dns.RcodeSuccess, beacon.Own},
		{strings.ToUpper(zone) + ".", dns.TypeNS, dns.RcodeSuccess, beacon.Own},
		{zone + ".", dns.TypeA, dns.RcodeSuccess, beacon.Own},
		{"ns1." + zone + ".", dns.TypeA, dns.RcodeSuccess, beacon.Own},
		{"ns2.other.example.", dns.TypeAAAA, dns.RcodeSuccess, beacon.Own},
		{"www.google.com.", dns.TypeA, dns.RcodeRefused, beacon.Refused},
		{"x" + zone + ".", dns.TypeA, dns.RcodeRefused, beacon.Refused},
		{zone + ".", dns.TypeAXFR, dns.RcodeRefused, beacon.Refused},
		{".", dns.TypeNS, dns.RcodeRefused, beacon.Refused},
	} {
		before := s.stats.DNS.Count(c.outcome)
		a, err := s.ask("udp", query(c.name, c.qtype))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if a.Rcode != c.rcode || s.stats.DNS.Count(c.outcome) != before+1 {
			t.Errorf("%s: %s, outcomes %v", c.name, dns.RcodeToString[a.Rcode], s.stats.DNS.Snapshot())
		}
		if c.rcode == dns.RcodeNameError && (len(a.Ns) != 1 || a.Ns[0].Header().Ttl > 60 || !a.Authoritative) {
			t.Errorf("%s: negative answer without its SOA: %v", c.name, a)
		}
	}
	chaos := query("version.bind.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if a, err := s.ask("udp", chaos); err != nil || a.Rcode != dns.RcodeRefused {
		t.Errorf("chaos: %v %v", a, err)
	}
	if hits := s.take(); len(hits) != 0 {
		t.Errorf("recorded %+v", hits)
	}
	sum(t, &s.stats.DNS)
}

// A hit that cannot be written down is not answered, and Stats says why until it works again.
func TestDNSIsSilentWhenNothingCanBeRecorded(t *testing.T) {
	s := startDNS(t)
	name := s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000}) + "." + zone + "."
	s.failing(true)
	c, err := dns.Dial("udp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	apex := query(zone+".", dns.TypeSOA)
	if err := c.WriteMsg(query(name, dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the query is counted as lost", func() bool { return s.stats.DNS.Count(beacon.Lost) == 1 })
	if err := c.WriteMsg(apex); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	if a, err := c.ReadMsg(); err != nil || a.Id != apex.Id {
		t.Errorf("the lost query was answered, or nothing was: %v\n%v", err, a)
	}
	if err := s.stats.Err(); err == nil || !strings.Contains(err.Error(), "disk full") || !strings.Contains(err.Error(), "1 refused") {
		t.Errorf("error %v, outcomes %v", err, s.stats.DNS.Snapshot())
	}
	s.failing(false)
	if _, err := s.ask("udp", query(name, dns.TypeA)); err != nil || s.stats.Err() != nil {
		t.Errorf("after it works again: %v, %v", err, s.stats.Err())
	}
}

func TestDNSRefusesBadConfigurations(t *testing.T) {
	s := startDNS(t)
	for _, c := range []beacon.DNSConfig{
		{Addr: s.Addr(), Zone: zone},
		{Addr: "127.0.0.1:0", Zone: ""},
		{Addr: "127.0.0.1:0", Zone: "a..b"},
		{Addr: "127.0.0.1:0", Zone: zone, TTL: 3600},
		{Addr: "nonsense", Zone: zone},
		{Addr: "127.0.0.1:0", Zone: zone, NS: []string{""}},
	} {
		d, err := beacon.ServeDNS(t.Context(), c)
		if err == nil {
			d.Close()
			t.Errorf("%+v was taken", c)
			continue
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("not one line: %v", err)
		}
	}
}

func BenchmarkDNS(b *testing.B) {
	s := startDNS(b)
	conn, err := dns.Dial("udp", s.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	q := query(s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000})+"."+zone+".", dns.TypeA)
	b.ReportAllocs()
	for b.Loop() {
		if err := conn.WriteMsg(q); err != nil {
			b.Fatal(err)
		}
		if _, err := conn.ReadMsg(); err != nil {
			b.Fatal(err)
		}
	}
}
