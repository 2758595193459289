package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/beacon/visit"
	"birdring/canary"
	"birdring/registry"
)

// crawlerNames is a name server for one true crawler, 203.0.113.1.
func crawlerNames(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	records := map[string]string{
		"1.113.0.203.in-addr.arpa.": "1.113.0.203.in-addr.arpa. 60 IN PTR crawl-1.googlebot.com.",
		"crawl-1.googlebot.com.":    "crawl-1.googlebot.com. 60 IN A 203.0.113.1",
	}
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		a := new(dns.Msg).SetReply(m)
		a.Rcode = dns.RcodeNameError
		if rr, err := dns.NewRR(records[m.Question[0].Name]); err == nil && rr != nil {
			if a.Rcode = dns.RcodeSuccess; rr.Header().Rrtype == m.Question[0].Qtype {
				a.Answer = []dns.RR{rr}
			}
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

// Hits that call themselves a crawler wait until its name is asked for; a false one
// loses its class. What a hit's time looks like is told beside it.
func TestConfirmHits(t *testing.T) {
	r, _, d := oneDecoy(t)
	offered := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	copies, err := r.Expose(t.Context(), []registry.Exposure{{Account: "alice", Decoy: d.ID, Surface: "profile", Kind: registry.Offered, At: offered}})
	if err != nil {
		t.Fatal(err)
	}
	link := canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: copies[0].Viewer}
	for i, h := range []struct {
		kind, agent, addr string
		after             time.Duration
	}{
		{beacon.KindLink, "Googlebot/2.1", "203.0.113.1:80", time.Second},
		{beacon.KindLink, "Googlebot/2.1", "203.0.113.2:80", time.Hour},
		{beacon.KindLink, "curl/8.1", "203.0.113.3:80", time.Hour},
		{beacon.KindDNS, "", "203.0.113.4:53", 25 * time.Hour},
	} {
		one := hit(i, h.kind, link)
		one.UserAgent, one.Addr, one.At = h.agent, h.addr, offered.Add(h.after)
		if err := r.ReportHit(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	names := crawlerNames(t)
	if n, err := r.ConfirmHits(t.Context(), names); err != nil || n != 2 {
		t.Fatalf("%d hits looked at, want 2: %v", n, err)
	}
	if n, err := r.ConfirmHits(t.Context(), names); err != nil || n != 0 {
		t.Fatalf("%d hits looked at again: %v", n, err)
	}
	said := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	want := []string{"search yes prompt 1", "unknown no - 3600", "scraper - - 3600", "resolver - echo 90000"}
	for i, h := range rows[registry.HitRow](t, r, "hits", time.Time{}, 0) {
		if h.After == nil {
			t.Fatalf("hit %d has no time since it was handed out", i)
		}
		got := fmt.Sprint(said(h.Class), " ", said(h.Confirmed), " ", said(h.Timing), " ", *h.After)
		if got != want[i] {
			t.Errorf("hit %d: %s, want %s (%s)", i, got, want[i], said(h.Reason))
		}
	}
}

// Files in MaxMind's format are read when hits are taken in, and what they say is
// stored with each.
func TestHitsHavePlaces(t *testing.T) {
	rules := visit.Default()
	if err := rules.Locate(testPlaces(t)); err != nil {
		t.Fatal(err)
	}
	_, dir, d := oneDecoy(t)
	again := open(t, dir, registry.Options{Visit: rules})
	for i, addr := range []string{"203.0.113.1:80", "192.0.2.1:80"} {
		one := hit(i, beacon.KindLink, canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: canary.FirstViewer})
		one.Addr = addr
		if err := again.ReportHit(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	hits := rows[registry.HitRow](t, again, "hits", time.Time{}, 0)
	if h := hits[0]; h.Country == nil || *h.Country != "GB" || h.ASN == nil || *h.ASN != 64500 || h.Network == nil || *h.Network != "Example Net" || h.City != nil {
		t.Errorf("%+v", h)
	}
	if h := hits[1]; h.Country != nil || h.ASN != nil || h.Network != nil {
		t.Errorf("an address of no file: %+v", h)
	}
}

// testPlaces writes two files about 203.0.113.0/24.
func testPlaces(t *testing.T) (geo, asn string) {
	t.Helper()
	_, network, err := net.ParseCIDR("203.0.113.0/24")
	if err != nil {
		t.Fatal(err)
	}
	write := func(kind string, record mmdbtype.Map) string {
		tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, Description: map[string]string{"en": "of a test"}, IncludeReservedNetworks: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(network, record); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := tree.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), kind)
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("GeoLite2-Country", mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("GB")}}),
		write("GeoLite2-ASN", mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": mmdbtype.String("Example Net")})
}
