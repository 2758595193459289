package cert_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
	"birdring/internal/cert"
	"birdring/internal/testkit/acme"
)

const zone = "t.example.net"

// nameServer is ours, on a free port.
func nameServer(t *testing.T) *beacon.DNS {
	t.Helper()
	keys, err := canary.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, err := beacon.ServeDNS(t.Context(), beacon.DNSConfig{
		Addr: "127.0.0.1:0", Zone: zone, A: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Keyring: keys, Journal: j,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.Close(), j.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// keep runs Keep until the test or stop ends, behind a listener.
func keep(t *testing.T, c cert.Config) (addr string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	config, err := cert.Keep(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake() // the other side says how it went
			_ = conn.Close()
		}
	}()
	var once bool
	stop = func() {
		if once {
			return
		}
		once = true
		_ = l.Close()
		<-ended
		cancel()
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// shown is the certificate that a server shows for a name.
func shown(addr, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{ServerName: name, RootCAs: roots}}
	c, err := dialer.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// A certificate for the zone and everything one label below it comes from an ACME
// server that sees our name server's answers, and outlives both.
func TestKeep(t *testing.T) {
	dns := nameServer(t)
	authority := acme.Serve(t)
	authority.Ask(dns.Addr())
	issuer, trusted := authority.Roots, x509.NewCertPool()
	trusted.AddCert(authority.Server)
	var said strings.Builder
	c := cert.Config{
		Dir: filepath.Join(t.TempDir(), "certs"), Zones: []string{zone}, DNS: dns, CA: authority.Directory, Roots: trusted,
		Log: slog.New(slog.NewTextHandler(&said, nil)),
	}
	addr, stop := keep(t, c)
	var apex, below *x509.Certificate
	var err error
	for deadline := time.Now().Add(time.Minute); apex == nil || below == nil; time.Sleep(50 * time.Millisecond) {
		if apex, err = shown(addr, zone, issuer); err == nil {
			below, err = shown(addr, "media."+zone, issuer)
		}
		if time.Now().After(deadline) {
			stop()
			t.Fatalf("no certificate: %v; log: %s", err, said.String())
		}
	}
	if !slices.Contains(apex.DNSNames, zone) || !slices.Contains(below.DNSNames, "*."+zone) {
		t.Errorf("certificates for %v and %v", apex.DNSNames, below.DNSNames)
	}
	if _, err := shown(addr, "a.b."+zone, issuer); err == nil {
		t.Error("a name two labels below the zone was certified")
	}
	stop()
	if left := dns.Challenge("_acme-challenge." + zone); len(left) > 0 {
		t.Errorf("values left behind: %q", left)
	}
	if strings.Count(said.String(), "certificate obtained") != 2 {
		t.Errorf("log: %s", said.String())
	}
	onlyOwner(t, c.Dir)

	// Without the authority, what is in the folder is shown at once.
	authority.Close()
	addr, _ = keep(t, c)
	if again, err := shown(addr, zone, issuer); err != nil || !again.Equal(apex) {
		t.Errorf("after a restart: %v", err)
	}
}

// onlyOwner checks that nobody else can read keys.
func onlyOwner(t *testing.T, dir string) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if filepath.Ext(path) == ".key" {
			keys++
		}
		return err
	})
	if err != nil || keys < 2 {
		t.Errorf("%d keys, %v", keys, err)
	}
}

// What cannot work is said at once.
func TestKeepNeedsZoneAndServer(t *testing.T) {
	if _, err := cert.Keep(t.Context(), cert.Config{Dir: t.TempDir(), Zones: []string{zone}}); err == nil || !strings.Contains(err.Error(), "--zone") {
		t.Errorf("without a name server: %v", err)
	}
}
