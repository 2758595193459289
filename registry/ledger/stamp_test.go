package ledger_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"birdring/internal/testkit"
	"birdring/registry/ledger"
)

// An authority's stamp is of this head alone, by the certificate that its root
// vouches for.
func TestStampByOpenssl(t *testing.T) {
	for name, algorithm := range map[string][]string{
		"rsa":   {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"ecdsa": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
	} {
		t.Run(name, func(t *testing.T) {
			tsa := testkit.StartAuthority(t, algorithm...)
			url, roots := tsa.URL, tsa.Roots
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
