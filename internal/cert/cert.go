// Package cert keeps certificates of the beacons' zones: for each zone one of its
// name and all names one label below it, so that no canary's name is ever written
// into a public log of certificates.
//
// An ACME authority (RFC 8555) is asked, and sees that the zone is ours by the TXT
// records that our own name server answers with at _acme-challenge (DNS-01). It may
// ask every name server of the zone, from several places: if the zone has others
// than this process, they must answer with the same records.
//
// Keys and certificates lie in a folder that only the owner can enter, are used
// again after a restart, and are renewed when a third of their time is left.
package cert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"birdring/beacon"
)

// Config of Keep.
type Config struct {
	Dir   string         // folder of keys and certificates
	Zones []string       // whose certificates are wanted
	DNS   *beacon.DNS    // our name server, which answers for all of them
	CA    string         // URL of the authority's directory; "": Let's Encrypt
	Roots *x509.CertPool // by which the authority's own server is believed; nil: the system's
	Email string         // which the authority may write to; "": none
	Log   *slog.Logger
}

// Keep gets certificates and renews them until ctx ends. It does not wait for the
// first one: until that is there, and when none can be had, TLS connections are
// refused, the reason is logged and it is tried again, first after a minute and
// then less and less often.
func Keep(ctx context.Context, c Config) (*tls.Config, error) {
	if len(c.Zones) == 0 || c.DNS == nil {
		return nil, errors.New("certificates need a zone and a name server of ours that answers for it: give --zone and --dns")
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of certificates: %w", err)
	}
	// Also one that was there before.
	if err := os.Chmod(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of certificates: %w", err)
	}
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		Logger:           zap.NewNop(), // the events below say what matters
	})
	context.AfterFunc(ctx, cache.Stop)
	magic = certmagic.New(cache, certmagic.Config{
		Storage:           &certmagic.FileStorage{Path: c.Dir},
		DefaultServerName: c.Zones[0], // for clients that name nobody
		OnEvent:           c.event,
		Logger:            zap.NewNop(),
		OCSP:              certmagic.OCSPConfig{DisableStapling: true}, // asks servers that fewer and fewer authorities run
	})
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{
		CA: c.CA, TestCA: c.CA, Email: c.Email, Agreed: true, TrustedRoots: c.Roots, Logger: zap.NewNop(),
		DNS01Solver: &solver{dns: c.DNS}, DisableHTTPChallenge: true, DisableTLSALPNChallenge: true,
	})}
	var names []string
	for _, zone := range c.Zones {
		zone = strings.TrimSuffix(zone, ".")
		names = append(names, zone, "*."+zone)
	}
	for _, name := range names { // what is there already, before the first connection
		if _, err := magic.CacheManagedCertificate(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.Log.WarnContext(ctx, "certificate in the folder not used, another one is asked for", "name", name, "error", err)
		}
	}
	if err := magic.ManageAsync(ctx, names); err != nil {
		return nil, fmt.Errorf("certificates of %s: %w", strings.Join(c.Zones, ", "), err)
	}
	return &tls.Config{GetCertificate: magic.GetCertificate, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}, nil
}

// event logs what happens to certificates.
func (c *Config) event(ctx context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		c.Log.InfoContext(ctx, "certificate obtained", "name", data["identifier"], "renewal", data["renewal"])
	case "cert_failed":
		c.Log.ErrorContext(ctx, "certificate not obtained, will try again; is the zone delegated to this server (birdring zone --check)?",
			"name", data["identifier"], "renewal", data["renewal"], "error", data["error"])
	}
	return nil
}

// solver shows the authority that a zone is ours. A zone and the names below it are
// proved at the same name, at the same time.
type solver struct {
	dns *beacon.DNS
	mu  sync.Mutex // held from reading the values to setting them
}

// Present adds a value.
func (s *solver) Present(_ context.Context, c acme.Challenge) error {
	return s.change(c, func(values []string) []string { return append(values, c.DNS01KeyAuthorization()) })
}

// CleanUp removes it.
func (s *solver) CleanUp(_ context.Context, c acme.Challenge) error {
	return s.change(c, func(values []string) []string {
		return slices.DeleteFunc(values, func(v string) bool { return v == c.DNS01KeyAuthorization() })
	})
}

func (s *solver) change(c acme.Challenge, to func([]string) []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := c.DNS01TXTRecordName()
	return s.dns.SetChallenge(name, to(slices.Clone(s.dns.Challenge(name))))
}
