package ledger_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"birdring/internal/testkit"
	"birdring/registry/ledger"
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

// authority is a time stamp authority by openssl, with keys of a kind.
func authority(t *testing.T, algorithm ...string) (url string, roots *x509.CertPool) {
	t.Helper()
	openssl, dir := testkit.Tool(t, "openssl"), t.TempDir()
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
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return s.URL, roots
}

// An authority's stamp is of this head alone, by the certificate that its root
// vouches for.
func TestStampByOpenssl(t *testing.T) {
	for name, algorithm := range map[string][]string{
		"rsa":   {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"ecdsa": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
	} {
		t.Run(name, func(t *testing.T) {
			url, roots := authority(t, algorithm...)
			head := []byte("a signed head\n")
			data, stamp, err := ledger.Stamped(t.Context(), http.DefaultClient, url, head)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(stamp.At); d < -time.Minute || d > time.Hour || stamp.By != "CN=test clock" {
				t.Errorf("%+v", stamp)
			}
			if err := stamp.Trusted(roots); err != nil {
				t.Error(err)
			}
			if err := stamp.Trusted(x509.NewCertPool()); err == nil {
				t.Error("trusted without a root")
			}
			if _, err := ledger.OpenStamp(data, []byte("another head\n")); !errors.Is(err, ledger.ErrStamp) {
				t.Errorf("it stamps another head too: %v", err)
			}
			for i := range data { // whatever is changed: no other time, no other head
				changed := bytes.Clone(data)
				changed[i] ^= 1
				if s, err := ledger.OpenStamp(changed, head); err == nil && !s.At.Equal(stamp.At) {
					t.Fatalf("byte %d changed: the time is %s", i, s.At)
				}
			}
		})
	}
}

func TestStampOfAnAuthorityThatFails(t *testing.T) {
	for _, answer := range []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) },
		func(w http.ResponseWriter) { io.WriteString(w, "no stamp") },
		func(w http.ResponseWriter) { w.Write([]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02}) }, // rejection
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
		if _, _, err := ledger.Stamped(context.Background(), http.DefaultClient, s.URL, []byte("head")); err == nil {
			t.Error("that was taken for a stamp")
		}
		s.Close()
	}
}

func FuzzOpenStamp(f *testing.F) {
	f.Add([]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ledger.OpenStamp(data, []byte("head")); err == nil || !errors.Is(err, ledger.ErrStamp) {
			t.Errorf("%v", err)
		}
	})
}
