package cli_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"birdring/internal/testkit/acme"
)

// serve --tls-auto gets certificates of its zone from an ACME authority that asks
// nobody but it, and answers HTTPS with them: by HTTP/2 where a client can, and a
// forged link like any page that is not there.
func TestServeGetsCertificates(t *testing.T) {
	const zone = "t.example.net"
	authority := acme.Serve(t)
	root := filepath.Join(t.TempDir(), "acme.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Server.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCommands(t, "--data", filepath.Join(t.TempDir(), "data"))
	c.run("init")
	ready, _ := c.start("serve", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--zone", zone, "--dns-answer", "127.0.0.1", "--public-url", "https://media."+zone,
		"--no-worker", "--tls-auto", "--acme", authority.Directory, "--acme-root", root)
	authority.Ask(ready["dns"].(string))
	addr := strings.TrimPrefix(ready["url"].(string), "https://")
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{ServerName: "media." + zone, RootCAs: authority.Roots}, ForceAttemptHTTP2: true,
	}}
	// Two certificates come, one after the other: of the zone and of all names below it.
	var resp *http.Response
	var plain *tls.Conn
	var err error
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if plain, err = tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr, &tls.Config{ServerName: zone, RootCAs: authority.Roots}); err == nil {
			plain.Close()
			if resp, err = client.Get("https://" + addr + "/l/" + strings.Repeat("a", 28)); err == nil {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no certificates: %v", err)
		}
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusNotFound || resp.ProtoMajor != 2 {
		t.Errorf("%s %s, %v", resp.Proto, resp.Status, err)
	}
}
