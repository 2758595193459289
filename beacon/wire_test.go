package beacon_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/canary"
)

// Nothing is answered before the hit is durable: a crash between the two would lose it.
func TestDNSRecordsBeforeItAnswers(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := startDNSWith(t, beacon.DNSConfig{Zone: zone, Record: func(context.Context, beacon.Hit) error {
		close(entered)
		select {
		case <-release:
		case <-time.After(patience):
		}
		return nil
	}})
	c, err := dns.Dial("udp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMsg(query(s.name(1), dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-entered:
	case <-time.After(patience):
		t.Fatal("the query reached no recorder")
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if a, err := c.ReadMsg(); err == nil {
		t.Errorf("answered while the recorder was still at it:\n%v", a)
	}
	close(release)
	c.SetReadDeadline(time.Now().Add(patience))
	if a, err := c.ReadMsg(); err != nil || len(a.Answer) != 1 {
		t.Errorf("no answer after the recorder was done: %v\n%v", err, a)
	}
}

// The client subnet that a resolver passes on is kept; the address is the resolver's own.
func TestDNSKeepsTheClientSubnet(t *testing.T) {
	s := startDNS(t)
	for _, c := range []struct {
		want   string
		subnet dns.EDNS0_SUBNET
	}{
		{"198.51.100.0/24", dns.EDNS0_SUBNET{Family: 1, SourceNetmask: 24, Address: net.IPv4(198, 51, 100, 0)}},
		{"2001:db8::/32", dns.EDNS0_SUBNET{Family: 2, SourceNetmask: 32, Address: net.ParseIP("2001:db8::")}},
		{"0.0.0.0/0", dns.EDNS0_SUBNET{Family: 1, Address: net.IPv4zero}},
	} {
		q := query(s.name(5), dns.TypeA)
		q.SetEdns0(4096, true)
		c.subnet.Code = dns.EDNS0SUBNET
		opt := q.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}, &c.subnet)
		a := s.must(t, "udp", q)
		if reply := a.IsEdns0(); reply == nil || reply.Version() != 0 || !reply.Do() || reply.UDPSize() != 1232 {
			t.Errorf("EDNS of the answer: %v", reply)
		}
		if h := s.one(t); h.Subnet != c.want || !strings.HasPrefix(h.Addr, "127.0.0.1:") {
			t.Errorf("subnet %q from %s, want %q", h.Subnet, h.Addr, c.want)
		}
	}
	if a := s.must(t, "udp", query(s.name(5), dns.TypeA)); a.IsEdns0() != nil || s.one(t).Subnet != "" {
		t.Errorf("a plain query got EDNS, or a subnet was invented:\n%v", a)
	}
}

// Answers that do not fit say so, and come whole by TCP.
func TestDNSLongAnswersAreTruncated(t *testing.T) {
	var many []netip.Addr
	for i := range 100 {
		many = append(many, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	s := startDNSWith(t, beacon.DNSConfig{Zone: zone, A: many})
	large := query(s.name(1), dns.TypeA)
	large.SetEdns0(65535, false)
	for q, limit := range map[*dns.Msg]int{query(s.name(1), dns.TypeA): 512, large: 1232} {
		a := s.must(t, "udp", q)
		a.Compress = true // as it was sent
		if !a.Truncated || a.Len() > limit || len(a.Answer) == 0 {
			t.Errorf("%d bytes, truncated %v, want at most %d", a.Len(), a.Truncated, limit)
		}
		if a := s.must(t, "tcp", q); a.Truncated || len(a.Answer) != 100 {
			t.Errorf("by TCP: %d answers, truncated %v", len(a.Answer), a.Truncated)
		}
	}
}

// What we do not speak gets the answer its standard asks for, and no hit.
func TestDNSUnsupported(t *testing.T) {
	s := startDNS(t)
	newer := query(s.name(1), dns.TypeA)
	newer.SetEdns0(1232, false)
	newer.IsEdns0().SetVersion(1)
	twice := query(s.name(1), dns.TypeA)
	twice.SetEdns0(1232, false)
	twice.Extra = append(twice.Extra, twice.Extra[0])
	two := query(s.name(1), dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	for _, c := range []struct {
		q     *dns.Msg
		rcode int
	}{
		{newer, dns.RcodeBadVers},
		{new(dns.Msg).SetNotify(zone + "."), dns.RcodeNotImplemented},
		{twice, dns.RcodeFormatError},
		{two, dns.RcodeFormatError},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if a := s.must(t, network, c.q); a.Rcode != c.rcode || len(a.Answer) != 0 {
				t.Errorf("%s, want %s:\n%v", network, dns.RcodeToString[c.rcode], a)
			}
		}
	}
	s.none(t, "what we do not speak")
	if u, m := s.stats.DNS.Count(beacon.Unsupported), s.stats.DNS.Count(beacon.Malformed); u != 4 || m != 4 {
		t.Errorf("%d unsupported and %d malformed, want 4 and 4", u, m)
	}
	sum(t, &s.stats.DNS)
}

// pack writes a message as it goes over the wire.
func pack(t testing.TB, q *dns.Msg) []byte {
	t.Helper()
	m, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rubbish is what no resolver sends, with what becomes of it.
func rubbish(good []byte) []packet {
	change := func(at int, b ...byte) []byte {
		m := slices.Clone(good)
		copy(m[at:], b)
		return m
	}
	return []packet{
		{"empty", nil, beacon.Malformed, false},
		{"half a header", good[:7], beacon.Malformed, false},
		{"a header that announces a question", good[:12], beacon.Malformed, true}, // was the end of the whole process
		{"cut name", good[:30], beacon.Malformed, true},
		{"cut name and odd flags", change(3, 0xa0)[:30], beacon.Malformed, true},
		{"name that points at itself", change(12, 0xc0, 12), beacon.Malformed, true},
		{"label of 65 bytes", change(12, 65), beacon.Malformed, true},
		{"no question", change(4, 0, 0), beacon.Malformed, true},
		{"thousands of records", change(10, 0xff, 0xff), beacon.Malformed, true},
		{"zeros", make([]byte, 600), beacon.Malformed, true},
		{"an answer", change(2, 0x81), beacon.Dropped, false},
		{"an update", change(2, 0x28), beacon.Unsupported, true},
	}
}

type packet struct {
	name    string
	m       []byte
	outcome beacon.Outcome
	answer  bool
}

// Rubbish is counted and survived, never answered at length, and answers sent
// to us start no conversation.
func TestDNSSurvivesRubbish(t *testing.T) {
	s := startDNS(t)
	c, err := net.Dial("udp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 4096)
	for i, p := range rubbish(pack(t, query(s.name(1), dns.TypeA))) {
		was := s.stats.DNS.Count(p.outcome)
		if _, err := c.Write(p.m); err != nil {
			t.Fatal(err)
		}
		eventually(t, p.name, func() bool {
			return s.stats.DNS.Received() == uint64(i+1) && s.stats.DNS.Count(p.outcome) == was+1
		})
		if !p.answer {
			continue
		}
		c.SetReadDeadline(time.Now().Add(patience))
		size, err := c.Read(buf)
		if err != nil || size < 12 || size > len(p.m) || buf[2]&0x80 == 0 || buf[3]&0xa0 != 0 {
			t.Errorf("%s: answer %x: %v", p.name, buf[:size], err)
		}
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if size, err := c.Read(buf); err == nil {
		t.Errorf("one answer too many: %x", buf[:size])
	}
	s.none(t, "rubbish")
	sum(t, &s.stats.DNS)
}

// By TCP a bad message does not spoil the next one.
func TestDNSSurvivesRubbishInAStream(t *testing.T) {
	s := startDNS(t)
	c, err := net.DialTimeout("tcp", s.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	good := pack(t, query(s.name(1), dns.TypeA))
	for _, m := range [][]byte{good[:3], good[:12], good[:20], good} {
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)); err != nil {
			t.Fatal(err)
		}
	}
	for _, rcode := range []int{dns.RcodeFormatError, dns.RcodeFormatError, dns.RcodeSuccess} {
		var size uint16
		if err := binary.Read(c, binary.BigEndian, &size); err != nil {
			t.Fatal(err)
		}
		m := make([]byte, size)
		if _, err := io.ReadFull(c, m); err != nil || int(m[3]&15) != rcode {
			t.Errorf("%x, want %s: %v", m, dns.RcodeToString[rcode], err)
		}
	}
	s.one(t)
}

// Whatever is asked is answered in a form that can be sent, and a hit is
// recorded if and only if a label of the question is a token of ours.
func FuzzDNS(f *testing.F) {
	s := startDNS(f)
	for _, p := range rubbish(pack(f, query(s.name(1), dns.TypeA))) {
		f.Add(p.m)
	}
	for _, name := range []string{s.name(1), "www." + s.name(2), forged(f) + "." + zone + ".", zone + ".", ".", `\000\255.` + zone + "."} {
		f.Add(pack(f, query(name, dns.TypeA)))
		f.Add(pack(f, query(name, dns.TypeANY).SetEdns0(512, true)))
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		out := s.Datagram(m)
		q, answer := new(dns.Msg), new(dns.Msg)
		if q.Unpack(m) != nil || q.Response {
			return
		}
		if len(out) == 0 || len(out) > 1232 || answer.Unpack(out) != nil {
			t.Fatalf("answer of %d bytes to %v", len(out), q)
		}
		token := false
		if len(q.Question) == 1 {
			for _, label := range dns.SplitDomainName(q.Question[0].Name) {
				_, ok := beacon.TokenIn(s.keys, label)
				token = token || ok && len(label) == canary.TokenLength
			}
		}
		if hits := s.take(); len(hits) > 1 || len(hits) == 1 && !token {
			t.Errorf("recorded %+v", hits)
		} else if len(hits) == 0 && len(answer.Answer) > 0 && token {
			t.Errorf("a canary name was answered without a hit:\n%v", answer)
		}
	})
}

// The whole answer but for the socket.
func BenchmarkDNSAnswer(b *testing.B) {
	for name, label := range map[string]func(s *nameServer) string{
		"token":  func(s *nameServer) string { return s.name(70000) },
		"forged": func(*nameServer) string { return forged(b) + "." + zone + "." },
	} {
		b.Run(name, func(b *testing.B) {
			s := startDNSWith(b, beacon.DNSConfig{Zone: zone, Record: func(context.Context, beacon.Hit) error { return nil }})
			m := pack(b, query(label(s), dns.TypeA))
			b.ReportAllocs()
			for b.Loop() {
				s.Datagram(m)
			}
		})
	}
}
