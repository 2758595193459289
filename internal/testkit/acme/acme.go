// Package acme is an authority of certificates for tests: Pebble, Let's Encrypt's own
// ACME server for tests, on loopback.
package acme

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Authority is one that listens.
type Authority struct {
	Directory string            // URL of its directory
	Server    *x509.Certificate // that its own server is believed by
	Roots     *x509.CertPool    // that the certificates it gives are believed by
	Close     func()            // at the latest at the test's end

	ask func(dns string)
}

// Serve starts an authority. It answers nobody until it knows whom to Ask.
func Serve(t testing.TB) *Authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "default", ValidityPeriod: 90 * 24 * 3600}})
	var front http.Handler
	known := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-known:
			front.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	a := &Authority{Directory: server.URL + wfe.DirectoryPath, Server: server.Certificate(), Roots: x509.NewCertPool(), Close: server.Close}
	if !a.Roots.AppendCertsFromPEM(authority.GetRootCert(0).PEM()) {
		t.Fatal("the authority has no root")
	}
	a.ask = func(dns string) {
		pages := wfe.New(quiet, store, va.New(quiet, 1, 1, true, dns, store), authority, []string{"pebble.example"}, true, false, 1, 1)
		front = pages.Handler()
		close(known)
	}
	return a
}

// Ask makes it validate names by the name server at an address. It is called once.
func (a *Authority) Ask(dns string) { a.ask(dns) }
