package beacon

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/miekg/dns"

	"birdring/canary"
)

const fastRecords = `
www 300 IN A 192.0.2.80
@ IN MX 10 mail.example.org.
deep.er 60 IN TXT "own"
`

// fastServers answer without sockets, in several configurations.
func fastServers(t testing.TB) ([]*DNS, *canary.Keyring) {
	t.Helper()
	keys, err := canary.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	var servers []*DNS
	many := make([]netip.Addr, 29) // near the limit of a plain answer, and over it with long names
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
	}
	for _, c := range []DNSConfig{
		{Zone: "t.example.net, other.example, deeper.t.example.net", A: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}, Records: fastRecords},
		{Zone: "t.example.net", A: many, NS: []string{"ns.example.net", "t.example.net"}},
		{Zone: "t.example.net,x.y.other.example", NS: []string{"a.ns.elsewhere.test", "b.ns.elsewhere.test"}},
		{Zone: "t.example.net", NS: []string{"net", "a.b.c.t.example.net"}, A: []netip.Addr{netip.MustParseAddr("2001:db8::7")}},
		{Zone: "t.example.net", NS: []string{"x.hostmaster.t.example.net", "b.example"}},
	} {
		c.Serial, c.Cookies, c.Keyring = 1790000000, []CookieSecret{{1}, {2}}, keys
		zones, err := newZones(c, netip.IPv4Unspecified())
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, &DNS{zones: zones, fast: newFastZones(zones), keys: keys, cookies: c.Cookies, stats: &Stats{}, ctx: context.Background()})
	}
	return servers, keys
}

// questions draws queries of many kinds. They are the corpus of the fuzz test and
// the test without fuzzing.
func questions(rng *rand.Rand, keys *canary.Keyring, forger *canary.Keyring) []byte {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	token := keys.Seal(canary.Token{Kind: canary.TokenKind(1 + rng.IntN(4)), Object: rng.Uint32N(1 << 24), Viewer: canary.Viewer(rng.Uint64N(1 << 36))})
	other := forger.Seal(canary.Token{Kind: 1, Object: 1, Viewer: 70000})
	zone := pick("t.example.net.", "t.example.net.", "t.example.net.", "other.example.", "x.y.other.example.", "deeper.t.example.net.", "example.net.", ".")
	label := pick(token, token, token, token, other, other, "www", "ns1", "hostmaster", "_acme-challenge", "c", "x", strings.Repeat("q", 28), strings.Repeat("z", 63), "a.b", token[:27]+`\.`)
	name := pick("", "", "", "www.", "a.b.c.", other+".", `\000\255.`, strings.Repeat("l.", 60)) + label + "." + zone
	switch {
	case rng.IntN(16) == 0:
		name = zone
	case zone == ".":
		name = label + "."
	}
	if rng.IntN(2) == 0 { // 0x20
		b := []byte(name)
		for i, c := range b {
			if 'a' <= c && c <= 'z' && rng.IntN(2) == 0 {
				b[i] -= 32
			}
		}
		name = string(b)
	}
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeNS, dns.TypeSOA, dns.TypeCAA, dns.TypeANY, dns.TypeDS, dns.TypeAXFR, 0, 41, 65535}
	q := new(dns.Msg).SetQuestion(name, types[rng.IntN(len(types))])
	if rng.IntN(20) == 0 {
		q.Question[0].Qclass = uint16(rng.IntN(5))
	}
	q.RecursionDesired, q.CheckingDisabled, q.AuthenticatedData = rng.IntN(2) == 0, rng.IntN(4) == 0, rng.IntN(4) == 0
	q.Zero, q.Truncated = rng.IntN(9) == 0, rng.IntN(9) == 0
	if rng.IntN(3) > 0 {
		q.SetEdns0([]uint16{0, 512, 600, 1232, 4096, 65535}[rng.IntN(6)], rng.IntN(2) == 0)
		o := q.IsEdns0()
		if rng.IntN(2) == 0 {
			o.Option = append(o.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("0a", []int{8, 8, 8, 24, 16, 40, 7, 41, 9}[rng.IntN(9)])})
		}
		if rng.IntN(2) == 0 {
			s := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(rng.IntN(33)), Address: []byte{198, 51, 100, 77}}
			if rng.IntN(2) == 0 {
				s.Family, s.SourceNetmask, s.Address = 2, uint8(rng.IntN(129)), netip.MustParseAddr("2001:db8:ffff:ffff::ffff").AsSlice()
			}
			if rng.IntN(9) == 0 {
				s.SourceScope = 8
			}
			o.Option = append(o.Option, s)
		}
		if rng.IntN(3) == 0 {
			o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: []uint16{3, 12, 11, 15, 65001}[rng.IntN(5)], Data: make([]byte, rng.IntN(5))})
		}
		if rng.IntN(12) == 0 {
			o.SetVersion(1)
		}
	}
	m, err := q.Pack()
	if err != nil {
		return []byte(name)
	}
	if rng.IntN(8) == 0 {
		m[rng.IntN(len(m))] ^= 1 << rng.IntN(8)
	}
	if rng.IntN(16) == 0 {
		m = m[:rng.IntN(len(m))]
	}
	if rng.IntN(16) == 0 {
		m = append(m, make([]byte, rng.IntN(20))...)
	}
	return m
}

// alike asks both ways and reports whether the fast one took the question.
func alike(t *testing.T, d *DNS, m []byte, from netip.AddrPort) bool {
	t.Helper()
	now := time.Unix(1790000100, 0)
	sent := bytes.Clone(m)
	var hit dnsHit
	fast, fastOutcome, ok := d.fastAnswer(nil, m, from, uint32(now.Unix()), &hit)
	if !bytes.Equal(m, sent) {
		t.Fatalf("%x: the question was written over", sent)
	}
	slow, slowOutcome, slowHit := d.slowAnswer(nil, m, from, now)
	if (slowHit != nil) != (slowOutcome == Answered) {
		t.Fatalf("%x: outcome %s, hit %v", m, slowOutcome, slowHit)
	}
	if !ok {
		return false
	}
	if !bytes.Equal(fast, slow) || fastOutcome != slowOutcome {
		a, b := new(dns.Msg), new(dns.Msg)
		t.Fatalf("%x\nfast %s %x\nslow %s %x\n%v\n%v%v\n%v", m, fastOutcome, fast, slowOutcome, slow, a.Unpack(fast), a, b.Unpack(slow), b)
	}
	if fastOutcome == Answered {
		a, b := hit.append(nil, uuid.UUID{}, now), slowHit.append(nil, uuid.UUID{}, now)
		if !bytes.Equal(a, b) {
			t.Fatalf("%x\nfast hit %x\nslow hit %x", m, a, b)
		}
		var h Hit
		if err := h.UnmarshalBinary(a); err != nil || h.Token != hit.token || h.At != now.UTC() {
			t.Fatalf("%x: hit %+v: %v", m, h, err)
		}
	}
	// R7, for names of a token's length: what is forged in our name gains little.
	// A cookie that a client cannot have yet makes an answer 16 bytes longer.
	if plain := d.zones[0].soa.Ns == "ns1.t.example.net." && len(d.zones[0].addrs) < 3; plain && len(m) >= 60 && len(fast) > 2*len(m)+serverCookieSize {
		t.Errorf("%d bytes for %d: %x", len(fast), len(m), m)
	}
	return true
}

// Whatever both ways can answer they answer alike, byte for byte, and record alike.
func TestFastAndSlowAnswersAreAlike(t *testing.T) {
	servers, keys := fastServers(t)
	forger, err := canary.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(6, 2026))
	took := make([]int, len(servers))
	const n = 30000
	for range n {
		m := questions(rng, keys, forger)
		from := SomeResolver
		if rng.IntN(2) == 0 {
			from = netip.MustParseAddrPort("[2001:db8::53]:5353")
		}
		for i, d := range servers {
			if alike(t, d, m, from) {
				took[i]++
			}
		}
	}
	for i, k := range took[:4] {
		if k < n/8 {
			t.Errorf("configuration %d: the fast way took %d of %d", i, k, n)
		}
	}
}

func FuzzFastAgainstSlow(f *testing.F) {
	servers, keys := fastServers(f)
	forger, err := canary.NewKeyring()
	if err != nil {
		f.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 2026))
	for range 300 {
		f.Add(questions(rng, keys, forger))
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		// A token of the running keys where the fuzzer wrote twenty-eight t's.
		token := keys.Seal(canary.Token{Kind: 1, Object: 7, Viewer: 70000})
		m = bytes.ReplaceAll(m, bytes.Repeat([]byte("t"), len(token)), []byte(token))
		for _, d := range servers {
			alike(t, d, m, SomeResolver)
		}
	})
}

// The plain case is answered fast at all, with and without what resolvers send by default.
func TestFastTakesWhatResolversSend(t *testing.T) {
	servers, keys := fastServers(t)
	token := keys.Seal(canary.Token{Kind: 1, Object: 7, Viewer: 70000})
	for _, zone := range []string{"t.example.net.", "OTHER.example.", "deeper.t.example.net."} {
		for _, edns := range []bool{false, true} {
			q := new(dns.Msg).SetQuestion("www."+token+"."+zone, dns.TypeA)
			if edns {
				q.SetEdns0(1232, true)
				q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
			}
			m, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if !alike(t, servers[0], m, SomeResolver) {
				t.Errorf("%s, EDNS %v: left to the slow way", zone, edns)
			}
		}
	}
}

// The whole way of a query but for the system calls costs no allocation.
func TestFastAnswerDoesNotAllocate(t *testing.T) {
	servers, keys := fastServers(t)
	w := newUDPWorker(servers[0])
	w.d.limit = RateLimit{PerSecond: 1 << 20}.withDefaults()
	q := new(dns.Msg).SetQuestion(keys.Seal(canary.Token{Kind: 1, Object: 7, Viewer: 70000})+".t.example.net.", dns.TypeA)
	q.SetEdns0(1232, true)
	q.IsEdns0().Option = []dns.EDNS0{
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("0a", 24)},
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{198, 51, 100, 0}},
	}
	m, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	dst, now := make([]byte, 0, replySize), time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		w.batch.Reset()
		if out, outcome, hit := w.datagram(dst, m, SomeResolver, now); !hit || outcome != Answered || len(out) == 0 {
			t.Fatal(outcome, hit, len(out))
		}
	}); n != 0 {
		t.Errorf("%v allocations a query", n)
	}
}

// What is over the limit is short, and a hit all the same.
func TestRateLimit(t *testing.T) {
	servers, keys := fastServers(t)
	w := newUDPWorker(servers[0])
	w.d.limit = RateLimit{PerSecond: 10, Slip: 3}
	name := keys.Seal(canary.Token{Kind: 1, Object: 7, Viewer: 70000}) + ".t.example.net."
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	q.SetEdns0(1232, false)
	m, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1790000000, 0)
	ask := func(from string) string {
		t.Helper()
		before := w.batch.Len()
		out, outcome, hit := w.datagram(nil, m, netip.MustParseAddrPort(from), now)
		if !hit || w.batch.Len() != before+1 {
			t.Fatalf("%s, hit %v: not recorded", outcome, hit)
		}
		a := new(dns.Msg)
		switch {
		case outcome == Answered:
			return "answer"
		case outcome == Limited && len(out) == 0:
			return "silence"
		case outcome == Limited && a.Unpack(out) == nil && a.Truncated && len(a.Answer)+len(a.Ns) == 0 &&
			a.Question[0].Name == name && a.IsEdns0() != nil && len(out) <= len(m):
			return "tcp"
		}
		return fmt.Sprint(outcome, a)
	}
	got := map[string]int{}
	for i := range 40 {
		got[ask(fmt.Sprintf("192.0.2.%d:53", i))]++ // one network
	}
	if got["answer"] != 10 || got["tcp"] != 10 || got["silence"] != 20 {
		t.Errorf("of 40 at once: %v, want 10 answers, 10 by TCP, 20 silent", got)
	}
	if a := ask("192.0.3.1:53"); a != "answer" {
		t.Errorf("another network got %s", a)
	}
	if a := ask("[2001:db8::1]:53"); a != "answer" {
		t.Errorf("a network of IPv6 got %s", a)
	}
	now = now.Add(300 * time.Millisecond)
	got = map[string]int{}
	for range 9 {
		got[ask("192.0.2.1:53")]++
	}
	if got["answer"] != 3 {
		t.Errorf("after 0.3 s: %v, want 3 answers", got)
	}
	now = now.Add(-time.Hour) // a clock that is set back must not silence us for an hour
	ask("192.0.2.1:53")
	now = now.Add(time.Second)
	if a := ask("192.0.2.1:53"); a != "answer" {
		t.Errorf("a second after the clock was set back: %s", a)
	}
}

// Two ids are never alike, and they sort by time.
func TestHitIDs(t *testing.T) {
	g, at := newHitIDs(), time.Unix(1790000000, 123456789)
	seen := map[uuid.UUID]bool{}
	last := ""
	for i := range 3000 {
		id := g.next(at)
		if seen[id] || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("id %s", id)
		}
		seen[id] = true
		if ms := int64(binary.BigEndian.Uint64(id[:8]) >> 16); ms != at.UnixMilli() {
			t.Fatalf("id %s says %d", id, ms)
		}
		if i%1000 == 0 {
			if id.String() <= last {
				t.Errorf("%s is not behind %s", id, last)
			}
			last = id.String()
		}
		if i%1000 == 999 {
			at = at.Add(time.Millisecond / 2)
		}
	}
}

func FuzzDNSHit(f *testing.F) {
	h := dnsHit{
		token: canary.Token{Kind: 1, Object: 7, Viewer: 70000}, qtype: 1, from: SomeResolver, name: []byte("\x01a\x00"),
		edns: ednsSeen{cookie: true, subnet: netip.MustParsePrefix("198.51.100.0/24")},
	}
	f.Add(h.append(nil, uuid.UUID{1}, time.Unix(1, 0)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h Hit
		if len(data) > 0 && data[0] == dnsHitFormat && h.UnmarshalBinary(data) == nil {
			if _, err := h.MarshalBinary(); err != nil || len(h.Name) > maxName {
				t.Errorf("%+v: %v", h, err)
			}
		}
	})
}
