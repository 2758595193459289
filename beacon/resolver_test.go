package beacon_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/canary"
	"birdring/internal/testkit"
)

// A real resolver at its strictest - label by label, random case, no names below
// NXDOMAIN - finds every kind of token, and each of them is a hit.
func TestUnboundResolvesEveryToken(t *testing.T) {
	unbound := testkit.Tool(t, "unbound")
	s := startDNSWith(t, beacon.DNSConfig{
		Zone: zone, A: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")},
		NSAddrs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")},
	})
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	listen := startUnbound(t, unbound, port)
	ask := func(name string, qtype uint16) (*dns.Msg, error) {
		c := dns.Client{Timeout: 2 * time.Second}
		a, _, err := c.Exchange(query(name, qtype), net.JoinHostPort("127.0.0.1", listen))
		return a, err
	}
	eventually(t, "unbound answers", func() bool { _, err := ask(zone+".", dns.TypeSOA); return err == nil })
	s.take()
	viewer := canary.Viewer(70000)
	for _, kind := range []canary.TokenKind{canary.KindLink, canary.KindPicture, canary.KindPass, canary.KindPixel} {
		for _, before := range []string{"", "www.", "a.b.c."} {
			for qtype, answers := range map[uint16]int{dns.TypeA: 1, dns.TypeAAAA: 1, dns.TypeTXT: 0, dns.TypeMX: 0, dns.TypeHTTPS: 0} {
				viewer++
				name := before + s.keys.Seal(canary.Token{Kind: kind, Object: 3, Viewer: viewer}) + "." + zone + "."
				a, err := ask(name, qtype)
				if err != nil || a.Rcode != dns.RcodeSuccess || len(a.Answer) != answers {
					t.Fatalf("%s %s: %v\n%v", name, dns.Type(qtype), err, a)
				}
				hits := s.take()
				if len(hits) == 0 {
					t.Fatalf("%s %s: no hit", name, dns.Type(qtype))
				}
				for _, h := range hits {
					if h.Token.Viewer != viewer || h.Token.Kind != kind {
						t.Errorf("%s: hit %+v", name, h)
					}
				}
			}
		}
	}
	// What does not exist does not, and hides nothing that does.
	if a, err := ask(forged(t)+"."+zone+".", dns.TypeA); err != nil || a.Rcode != dns.RcodeNameError {
		t.Errorf("a forged name: %v\n%v", err, a)
	}
	if a, err := ask("ns2."+zone+".", dns.TypeA); err != nil || len(a.Answer) != 1 {
		t.Errorf("a name server: %v\n%v", err, a)
	}
}

// startUnbound starts a resolver that asks port for our zone, and returns the port
// it listens on. A port that was free a moment ago may be somebody else's by the
// time unbound wants it, by UDP or by TCP: then it ends and another is tried.
func startUnbound(t *testing.T, unbound, port string) (listen string) {
	t.Helper()
	dir := t.TempDir()
	for range 10 {
		listen = freePort(t)
		conf := filepath.Join(dir, "unbound.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, strictUnbound, listen, listen, dir, zone, port), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(unbound, "-d", "-c", conf)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			t.Logf("unbound on port %s: %v", listen, err)
			continue
		case <-time.After(time.Second):
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // it runs for ever otherwise
			<-ended
		})
		return listen
	}
	t.Fatal("unbound does not stay up")
	return ""
}

// freePort is a port that nobody listens on by UDP or TCP.
func freePort(t *testing.T) string {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_, port, err := net.SplitHostPort(udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	if tcp, err := net.Listen("tcp", udp.LocalAddr().String()); err == nil {
		tcp.Close()
		return port
	}
	return freePort(t)
}

const strictUnbound = `server:
  interface: 127.0.0.1@%s
  port: %s
  do-daemonize: no
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  use-syslog: no
  do-ip6: no
  do-not-query-localhost: no
  module-config: "iterator"
  qname-minimisation: yes
  qname-minimisation-strict: yes
  use-caps-for-id: yes
  harden-below-nxdomain: yes
  harden-referral-path: no
stub-zone:
  name: %q
  stub-addr: 127.0.0.1@%s
`
