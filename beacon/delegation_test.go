package beacon_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
)

// parentServer answers as the zone above would, with the records given.
func parentServer(t *testing.T, rcode int, records ...string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var rrs []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		a.Rcode = rcode
		for _, rr := range rrs {
			switch rr.Header().Rrtype {
			case dns.TypeNS:
				a.Ns = append(a.Ns, rr)
			case dns.TypeA, dns.TypeAAAA:
				a.Extra = append(a.Extra, rr)
			case dns.TypeDS:
				if q.Question[0].Qtype == dns.TypeDS {
					a.Answer = append(a.Answer, rr)
				}
			default:
				a.Answer = append(a.Answer, rr)
			}
		}
		_ = w.WriteMsg(a)
	})}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	return conn.LocalAddr().String()
}

const (
	nsA   = "t.example.net. NS ns1.t.example.net."
	nsB   = "t.example.net. NS ns2.t.example.net."
	glueA = "ns1.t.example.net. A 127.0.0.1"
	glueB = "ns2.t.example.net. A 127.0.0.2"
)

// Each mistake people make at the parent is told by its name, with what mends it.
func TestDelegationMistakes(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	config := beacon.DNSConfig{Zone: zone, NSAddrs: addrs, A: addrs[:1], Serial: 1}
	serve := func(c beacon.DNSConfig) string { // on all loopback addresses
		c.Addr, c.Keyring, c.Record = "0.0.0.0:0", keyring(t), new(recorder).record
		d, err := beacon.ServeDNS(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		_, port, err := net.SplitHostPort(d.Addr())
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	good := serve(config)
	elsewhere := config
	elsewhere.Zone = "another.example"
	lame := serve(elsewhere)
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, nobody, err := net.SplitHostPort(free.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for name, c := range map[string]struct {
		parent        string
		port          string
		problem, fix  string // of some mistake; "": there is none
		alsoOtherwise bool   // other mistakes may follow from it
	}{
		"right":            {parentServer(t, 0, nsA, nsB, glueA, glueB), good, "", "", false},
		"unknown":          {parentServer(t, dns.RcodeNameError), good, "knows nothing of", "t.example.net. NS ns1.t.example.net.; ns1.t.example.net. A 127.0.0.1", false},
		"no NS":            {parentServer(t, 0), good, "no NS records", "add there", false},
		"alias":            {parentServer(t, 0, "t.example.net. CNAME x.example."), good, "CNAME", "remove the CNAME", false},
		"wrong parent":     {parentServer(t, dns.RcodeRefused), good, "none of the zone above", "name a server", false},
		"one server":       {parentServer(t, 0, nsA, glueA), good, "lacks the name server ns2", "t.example.net. NS ns2.t.example.net.", true},
		"stranger":         {parentServer(t, 0, nsA, nsB, "t.example.net. NS ns3.t.example.net.", glueA, glueB, "ns3.t.example.net. A 127.0.0.3"), good, "our own NS records do not name", "--dns-ns ns3", false},
		"no glue":          {parentServer(t, 0, nsA, nsB, glueA), good, "glue of ns2.t.example.net. is missing", "ns2.t.example.net. A 127.0.0.2", false},
		"child as parent":  {"127.0.0.1:" + good, good, "answers for t.example.net. itself", "zone above", false},
		"wrong glue":       {parentServer(t, 0, nsA, nsB, glueA, "ns2.t.example.net. A 127.0.0.5"), good, "is 127.0.0.5, our own record says 127.0.0.2", "ns2.t.example.net. A 127.0.0.2", false},
		"shared address":   {parentServer(t, 0, nsA, nsB, glueA, "ns2.t.example.net. A 127.0.0.1"), good, "share the address", "address of its own", true},
		"signed":           {parentServer(t, 0, nsA, nsB, glueA, glueB, "t.example.net. DS 1 13 2 "+strings.Repeat("00", 32)), good, "DS records", "remove the DS", false},
		"lame":             {parentServer(t, 0, nsA, nsB, glueA, glueB), lame, "lame", "--zone t.example.net", true},
		"nobody there":     {parentServer(t, 0, nsA, nsB, glueA, glueB), nobody, "no answer by udp", "firewall", true},
		"parent is silent": {"127.0.0.1:" + nobody, good, "does not answer", "can this machine reach it", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mistakes, err := beacon.DelegationCheck{
				Config: config, Parents: []string{c.parent}, Port: c.port, Resolver: "127.0.0.1:" + nobody, Timeout: 500 * time.Millisecond,
			}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			told := false
			for _, m := range mistakes {
				told = told || c.problem != "" && strings.Contains(m.Problem, c.problem) && strings.Contains(m.Fix, c.fix)
			}
			if told != (c.problem != "") || !c.alsoOtherwise && len(mistakes) > 1 || c.problem == "" && len(mistakes) > 0 {
				t.Errorf("want %q and %q, got %+v", c.problem, c.fix, mistakes)
			}
		})
	}
}

// A name server outside the zone may not be an alias, whatever it leads to.
func TestDelegationToAnAlias(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	config := beacon.DNSConfig{Zone: zone, NS: []string{"ns1.t.example.net", "other.example"}, NSAddrs: addrs[:1], A: addrs[:1], Serial: 1}
	served := config
	served.Addr, served.Keyring, served.Record = "0.0.0.0:0", keyring(t), new(recorder).record
	d, err := beacon.ServeDNS(t.Context(), served)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, port, err := net.SplitHostPort(d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	mistakes, err := beacon.DelegationCheck{
		Config: config, Parents: []string{parentServer(t, 0, nsA, "t.example.net. NS other.example.", glueA)}, Port: port,
		Resolver: resolverOf(t, "other.example. CNAME real.example.", "real.example. A 127.0.0.2"), Timeout: 500 * time.Millisecond,
	}.Run(t.Context())
	if err != nil || len(mistakes) != 1 || mistakes[0].Server != "other.example." || !strings.Contains(mistakes[0].Problem, "alias") {
		t.Errorf("%+v, %v", mistakes, err)
	}
}

// resolverOf answers every question for addresses with the records given.
func resolverOf(t *testing.T, records ...string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				t.Error(err)
				return
			}
			if kind := rr.Header().Rrtype; kind == dns.TypeCNAME || kind == q.Question[0].Qtype {
				a.Answer = append(a.Answer, rr)
			}
		}
		_ = w.WriteMsg(a)
	})}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	return conn.LocalAddr().String()
}

func TestParentRecords(t *testing.T) {
	got, err := beacon.ParentRecords(beacon.DNSConfig{Zone: zone, NSAddrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1")}})
	want := []string{
		"t.example.net. 3600 IN NS ns1.t.example.net.", "t.example.net. 3600 IN NS ns2.t.example.net.",
		"ns1.t.example.net. 3600 IN A 192.0.2.1", "ns1.t.example.net. 3600 IN AAAA 2001:db8::1",
		"ns2.t.example.net. 3600 IN A 192.0.2.2", "ns2.t.example.net. 3600 IN AAAA 2001:db8::1",
	}
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%v\n%s", err, strings.Join(got, "\n"))
	}
}
