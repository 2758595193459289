package testkit

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const authorityConf = `[tsa]
default_tsa = own
[own]
serial = %[1]s/serial
crypto_device = builtin
signer_cert = %[1]s/tsa.pem
certs = %[1]s/ca.pem
signer_key = %[1]s/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
[req]
distinguished_name = dn
[dn]
[ext]
extendedKeyUsage = critical,timeStamping
`

// Authority is a time stamp authority (RFC 3161).
type Authority struct {
	URL   string
	File  string // certificate of its root, PEM
	Roots *x509.CertPool
}

// StartAuthority starts one by openssl, with keys of a kind: arguments of openssl
// genpkey. It answers until the test ends.
func StartAuthority(t testing.TB, algorithm ...string) Authority {
	t.Helper()
	openssl, dir := Tool(t, "openssl"), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command(openssl, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return out
	}
	if err := os.WriteFile(file("conf"), fmt.Appendf(nil, authorityConf, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("serial"), []byte("01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca", "tsa"} {
		run(append([]string{"genpkey", "-out", file(name + ".key")}, algorithm...)...)
	}
	run("req", "-x509", "-new", "-key", file("ca.key"), "-out", file("ca.pem"), "-days", "2", "-subj", "/CN=test root", "-config", file("conf"))
	run("req", "-new", "-key", file("tsa.key"), "-out", file("tsa.csr"), "-subj", "/CN=test clock", "-config", file("conf"))
	run("x509", "-req", "-in", file("tsa.csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", file("conf"), "-extensions", "ext", "-out", file("tsa.pem"))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ask, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(file("query"), ask, 0o600)
		}
		if err == nil {
			err = exec.Command(openssl, "ts", "-reply", "-config", file("conf"), "-queryfile", file("query"), "-out", file("reply")).Run()
		}
		var reply []byte
		if err == nil {
			reply, err = os.ReadFile(file("reply"))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(reply)
	}))
	t.Cleanup(s.Close)
	pem, err := os.ReadFile(file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	a := Authority{s.URL, file("ca.pem"), x509.NewCertPool()}
	a.Roots.AppendCertsFromPEM(pem)
	return a
}
