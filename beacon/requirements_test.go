package beacon_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/canary"
	"birdring/internal/testkit"
)

// The requirements of a correct canary zone, each over real sockets. What other
// tests hold already is not said again.

const ownRecords = `
@ 3600 IN MX 10 mail.example.org.
@ 3600 IN TXT "v=spf1 -all"
@ 3600 IN CAA 0 issue "letsencrypt.org"
@ 3600 IN NS ns-a
@ 3600 IN NS ns-b
ns-a 3600 IN A 192.0.2.1
ns-a 3600 IN AAAA 2001:db8::1
ns-b 3600 IN A 192.0.2.2
www.deep 300 IN A 192.0.2.80
`

func startOwn(t *testing.T) *nameServer {
	t.Helper()
	return startDNSWith(t, beacon.DNSConfig{
		Zone: zone, A: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Records: ownRecords, Serial: 7,
	})
}

// R1: authoritative inside, refused outside, never recursive.
func TestR1OutsideIsRefused(t *testing.T) {
	s := startOwn(t)
	for _, network := range []string{"udp", "tcp"} {
		for _, name := range []string{"example.net.", "com.", ".", "t.example.net.evil.example.", s.name(1)[29:]} {
			a := s.must(t, network, query(name, dns.TypeA))
			inside := name == zone+"."
			if a.RecursionAvailable || a.Authoritative != inside || !inside && (a.Rcode != dns.RcodeRefused || len(a.Answer)+len(a.Ns)+len(a.Extra) != 0) {
				t.Errorf("%s by %s:\n%v", name, network, a)
			}
		}
		bind := query("version.bind.", dns.TypeTXT)
		bind.Question[0].Qclass = dns.ClassCHAOS
		if a := s.must(t, network, bind); a.Rcode != dns.RcodeRefused || len(a.Answer) != 0 {
			t.Errorf("version.bind by %s:\n%v", network, a)
		}
		if a := s.must(t, network, &dns.Msg{MsgHdr: dns.MsgHdr{Id: 1, Opcode: dns.OpcodeUpdate}, Question: query(zone+".", dns.TypeSOA).Question}); a.Rcode != dns.RcodeNotImplemented {
			t.Errorf("update by %s:\n%v", network, a)
		}
	}
	s.none(t, "outside")
}

// R2: what a parent and a checker of delegations want to see at the apex.
func TestR2Apex(t *testing.T) {
	s := startOwn(t)
	a := s.must(t, "udp", query(zone+".", dns.TypeSOA))
	soa := a.Answer[0].(*dns.SOA)
	if soa.Serial != 7 || soa.Refresh < 4*3600 || soa.Retry >= soa.Refresh || soa.Expire < 7*24*3600 || soa.Minttl < 60 || soa.Minttl > 300 || soa.Ns != "ns-a."+zone+"." {
		t.Errorf("SOA %v", soa)
	}
	a = s.must(t, "udp", query(zone+".", dns.TypeNS))
	var glue []string
	for _, rr := range a.Extra {
		switch rr := rr.(type) {
		case *dns.A:
			glue = append(glue, rr.Hdr.Name+" "+rr.A.String())
		case *dns.AAAA:
			glue = append(glue, rr.Hdr.Name+" "+rr.AAAA.String())
		}
	}
	want := []string{"ns-a." + zone + ". 192.0.2.1", "ns-a." + zone + ". 2001:db8::1", "ns-b." + zone + ". 192.0.2.2"}
	if len(a.Answer) != 2 || !slices.Equal(glue, want) {
		t.Errorf("NS:\n%v", a)
	}
	for _, rr := range a.Extra { // the glue is served authoritatively too
		b := s.must(t, "udp", query(rr.Header().Name, rr.Header().Rrtype))
		if !b.Authoritative || len(b.Answer) != 1 || !dns.IsDuplicate(rr, b.Answer[0]) {
			t.Errorf("glue %v:\n%v", rr, b)
		}
	}
	for qtype, rdata := range map[uint16]string{dns.TypeMX: "10 mail.example.org.", dns.TypeTXT: `"v=spf1 -all"`, dns.TypeCAA: `0 issue "letsencrypt.org"`} {
		if a := s.must(t, "udp", query(zone+".", qtype)); len(a.Answer) != 1 || !strings.HasSuffix(a.Answer[0].String(), rdata) {
			t.Errorf("want %s:\n%v", rdata, a)
		}
	}
	negative(t, s.must(t, "udp", query("deep."+zone+".", dns.TypeA)), dns.RcodeSuccess) // an empty non-terminal
	for _, bad := range []string{
		"x IN CNAME y", "sub IN NS a.b.", "www.elsewhere.example. IN A 192.0.2.1", "@ IN SOA a. b. 1 2 3 4 5", "no record",
		strings.Repeat("q", canary.TokenLength) + " IN A 192.0.2.1", "$INCLUDE /etc/passwd",
	} {
		d, err := beacon.ServeDNS(t.Context(), beacon.DNSConfig{Addr: "127.0.0.1:0", Zone: zone, Records: bad, Keyring: s.keys, Record: s.record})
		if err == nil {
			d.Close()
			t.Errorf("own record %q was taken", bad)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: not one line: %v", bad, err)
		}
	}
}

// R3: the same answer by UDP and TCP, in upper, lower and mixed case.
func TestR3SameAnswerHoweverAsked(t *testing.T) {
	s := startOwn(t)
	for _, name := range []string{s.name(3), "a.b." + s.name(3), forged(t) + "." + zone + ".", "nothing." + zone + ".", zone + ".", "deep." + zone + ".", "www.deep." + zone + "."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeSRV, dns.TypeANY, dns.TypeSOA} {
			var want string
			for _, network := range []string{"udp", "tcp"} {
				for _, spell := range []func(string) string{strings.ToLower, strings.ToUpper, mixed} {
					a := s.must(t, network, query(spell(name), qtype))
					if a.Rcode == dns.RcodeNameError || len(a.Answer) == 0 {
						negative(t, lower(a), a.Rcode)
					}
					a.Id = 0
					got := strings.ToLower(a.String())
					if want == "" {
						want = got
					}
					if got != want {
						t.Errorf("%s by %s:\n%s\nbefore:\n%s", name, network, got, want)
					}
				}
			}
		}
	}
}

// mixed writes every other letter in upper case.
func mixed(name string) string {
	b := []byte(name)
	for i := 0; i < len(b); i += 2 {
		b[i] = strings.ToUpper(string(b[i]))[0]
	}
	return string(b)
}

// lower writes the names of the authority section in lower case, for comparison.
func lower(a *dns.Msg) *dns.Msg {
	for _, rr := range a.Ns {
		rr.Header().Name = strings.ToLower(rr.Header().Name)
	}
	return a
}

// R4: every type is a hit, also the steps of a resolver that asks label by label.
func TestR4EveryTypeIsRecorded(t *testing.T) {
	s := startOwn(t)
	for _, qtype := range []uint16{
		dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeTXT, dns.TypeMX, dns.TypeCAA, dns.TypeNS, dns.TypeANY, dns.TypeDS, 65280,
	} {
		for _, network := range []string{"udp", "tcp"} {
			name := "WwW." + s.name(9)
			a := s.must(t, network, query(name, qtype))
			h := s.one(t)
			if a.Question[0].Name != name || h.Name+"." != name || h.QType != dns.Type(qtype).String() || h.Token.Viewer != 9 || h.Proto != network {
				t.Errorf("%s by %s: %+v\n%v", dns.Type(qtype), network, h, a)
			}
		}
	}
}

// R5: EDNS as RFC 6891 wants it; several queries on one connection.
func TestR5EDNS(t *testing.T) {
	s := startOwn(t)
	q := query(s.name(1), dns.TypeA)
	q.SetEdns0(4096, true)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")}, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
	if o := s.must(t, "udp", q).IsEdns0(); o == nil || o.UDPSize() != 1232 || !o.Do() || len(o.Option) != 0 {
		t.Errorf("OPT %v, want 1232 bytes, DO and no option", o)
	}
	q.IsEdns0().SetVersion(3)
	if a := s.must(t, "udp", q); a.Rcode != dns.RcodeBadVers || a.IsEdns0() == nil || a.IsEdns0().Version() != 0 {
		t.Errorf("version 3:\n%v", a)
	}
	s.take()
	c, err := dns.DialTimeout("tcp", s.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	for i := range 20 {
		if err := c.WriteMsg(query(s.name(canary.Viewer(i)), dns.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		if a, err := c.ReadMsg(); err != nil || len(a.Answer) != 1 {
			t.Fatalf("on one connection: %v\n%v", err, a)
		}
	}
	if hits := s.take(); len(hits) != 20 || !hits[0].Proved {
		t.Errorf("%d hits", len(hits))
	}
}

// R6: a cookie of ours proves the address; a client subnet is kept and comes back with scope 0.
func TestR6CookiesAndSubnet(t *testing.T) {
	s := startOwn(t)
	ask := func(cookie string) (string, beacon.Hit) {
		t.Helper()
		q := query(s.name(1), dns.TypeA)
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{
			&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie},
			&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(198, 51, 100, 0)},
		}
		a := s.must(t, "udp", q)
		if len(a.IsEdns0().Option) != 2 {
			t.Fatalf("OPT %v", a.IsEdns0())
		}
		if ecs := a.IsEdns0().Option[1].(*dns.EDNS0_SUBNET); ecs.SourceScope != 0 || ecs.SourceNetmask != 24 || !ecs.Address.Equal(net.IPv4(198, 51, 100, 0)) {
			t.Errorf("subnet %v", ecs)
		}
		return a.IsEdns0().Option[0].(*dns.EDNS0_COOKIE).Cookie, s.one(t)
	}
	const client = "0123456789abcdef"
	full, h := ask(client)
	if !strings.HasPrefix(full, client) || len(full) != 48 || h.Cookie != client || h.Proved || h.Subnet != "198.51.100.0/24" {
		t.Errorf("cookie %s, hit %+v", full, h)
	}
	if _, h := ask(full); !h.Proved || h.Cookie != client {
		t.Errorf("our own cookie proves nothing: %+v", h)
	}
	for _, bad := range []string{full[:46] + "00", "1123456789abcdef" + full[16:], full[:40]} {
		if _, h := ask(bad); h.Proved {
			t.Errorf("cookie %s proves the address", bad)
		}
	}
	for _, impossible := range []string{"01", client + "00", strings.Repeat("00", 41)} {
		q := query(s.name(1), dns.TypeA)
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: impossible}}
		if a := s.must(t, "udp", q); a.Rcode != dns.RcodeFormatError {
			t.Errorf("cookie of %d bytes: %s", len(impossible)/2, dns.RcodeToString[a.Rcode])
		}
	}
	s.none(t, "malformed cookies")
}

// R7: nothing is worth being forged for: small answers, no transfers, a limit
// that keeps no hit from being recorded.
func TestR7NoAmplification(t *testing.T) {
	s := startDNSWith(t, beacon.DNSConfig{
		Zone: zone, A: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Limit: beacon.RateLimit{PerSecond: 20},
	})
	for _, name := range []string{s.name(1), forged(t) + "." + zone + "."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeANY} {
			m := pack(t, query(name, qtype))
			a := s.must(t, "udp", query(name, qtype))
			a.Compress = true
			if len(pack(t, a)) > 2*len(m) {
				t.Errorf("%s: %d bytes for %d", dns.Type(qtype), len(pack(t, a)), len(m))
			}
		}
	}
	s.take()
	c, err := dns.Dial("udp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const asked = 400
	m := pack(t, query(s.name(1), dns.TypeA))
	for range asked {
		if _, err := c.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are counted", func() bool {
		return s.stats.DNS.Count(beacon.Answered)+s.stats.DNS.Count(beacon.Limited) >= asked
	})
	if got := len(s.take()); got != asked || s.stats.DNS.Count(beacon.Limited) < asked/2 {
		t.Errorf("%d of %d recorded, outcomes %v", got, asked, s.stats.DNS.Snapshot())
	}
	sum(t, &s.stats.DNS)
	if a := s.must(t, "tcp", query(s.name(1), dns.TypeA)); len(a.Answer) != 1 {
		t.Errorf("by TCP:\n%v", a)
	}
}

// R8: proofs for a certificate authority, two at one name at once.
func TestR8Challenges(t *testing.T) {
	s := startOwn(t)
	name := "_acme-challenge." + zone + "."
	negative(t, s.must(t, "udp", query(name, dns.TypeTXT)), dns.RcodeSuccess)
	if err := s.SetChallenge(name, []string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp", "tcp"} {
		a := s.must(t, network, query("_ACME-Challenge."+zone+".", dns.TypeTXT))
		if len(a.Answer) != 2 || a.Answer[0].(*dns.TXT).Txt[0] != "one" || a.Answer[1].(*dns.TXT).Txt[0] != "two" || a.Answer[0].Header().Ttl > 60 {
			t.Errorf("by %s:\n%v", network, a)
		}
	}
	negative(t, s.must(t, "udp", query(name, dns.TypeCAA)), dns.RcodeSuccess)
	if err := s.SetChallenge(name, nil); err != nil {
		t.Fatal(err)
	}
	negative(t, s.must(t, "udp", query(name, dns.TypeTXT)), dns.RcodeSuccess)
	if err := s.SetChallenge("_acme-challenge.elsewhere.example.", []string{"x"}); err == nil {
		t.Error("a challenge outside our zones was taken")
	}
	s.none(t, "challenges")
}

// R9: canary names are not kept long, the apex is.
func TestR9TimesToLive(t *testing.T) {
	s := startOwn(t)
	if ttl := s.must(t, "udp", query(s.name(1), dns.TypeA)).Answer[0].Header().Ttl; ttl < 1 || ttl > 60 {
		t.Errorf("canary name: %d s", ttl)
	}
	if ttl := s.must(t, "udp", query(zone+".", dns.TypeNS)).Answer[0].Header().Ttl; ttl < 600 {
		t.Errorf("apex: %d s", ttl)
	}
	negative(t, s.must(t, "udp", query(zone+".", dns.TypeDNSKEY)), dns.RcodeSuccess) // unsigned
}

// R10: whatever comes has one outcome, and hits are counted as written.
func TestR10Counters(t *testing.T) {
	s := startOwn(t)
	for range 50 {
		s.must(t, "udp", query(s.name(1), dns.TypeA))
		s.must(t, "udp", query(forged(t)+"."+zone+".", dns.TypeA))
		s.must(t, "tcp", query("example.com.", dns.TypeA))
	}
	sum(t, &s.stats.DNS)
	if n := s.stats.Journaled(); n != 50 || s.stats.DNS.Received() != 150 || s.stats.DNS.Count(beacon.Forged) != 50 {
		t.Errorf("%d journaled, outcomes %v", n, s.stats.DNS.Snapshot())
	}
}

// What the server does not take in time is counted by the system, and told.
func TestR10KernelDrops(t *testing.T) {
	hold := make(chan struct{})
	s := startDNSWith(t, beacon.DNSConfig{Zone: zone, Sockets: 1, Record: func(context.Context, beacon.Hit) error {
		<-hold
		return nil
	}})
	defer close(hold)
	c, err := net.Dial("udp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := append(pack(t, query(s.name(1), dns.TypeA)), make([]byte, 1400)...)
	for n := 0; s.stats.KernelDrops() == 0; n++ {
		if n > 200_000 {
			testkit.Lack(t, "this system does not tell what it drops")
		}
		if _, err := c.Write(m); err != nil {
			t.Fatal(err)
		}
	}
}

// An answer comes from the address that was asked, also if the server hears all.
func TestAnswersComeFromTheAddressAsked(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", "[::]:0"} {
		keys := keyring(t)
		rec := new(recorder)
		d, err := beacon.ServeDNS(t.Context(), beacon.DNSConfig{
			Addr: listen, Zone: zone, A: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Keyring: keys, Record: rec.record,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(d.Addr())
		if err != nil {
			t.Fatal(err)
		}
		s := &nameServer{DNS: d, keys: keys}
		for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.9.9.9"} {
			c := dns.Client{Timeout: patience}
			a, _, err := c.Exchange(query(s.name(1), dns.TypeA), net.JoinHostPort(host, port))
			if err != nil || len(a.Answer) != 1 {
				t.Errorf("%s at %s: %v", host, listen, err)
			}
		}
		if hits := rec.take(); len(hits) != 3 || !strings.HasPrefix(hits[0].Addr, "127.0.0.1:") {
			t.Errorf("hits %+v", hits)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
