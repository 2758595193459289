package crawl_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"birdring/beacon/crawl"
)

func TestAllowIsChecked(t *testing.T) {
	for _, s := range []string{"10.0.0.0/8:*", "[fd00::/8]:443", "127.0.0.0/8:*", "127.0.0.1:8080", "[::1]:*", "10.1.2.3/8:65535"} {
		if err := crawl.CheckAllow([]string{s}); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "10.0.0.0/8", "10.0.0.0/8:", "10.0.0.0/33:80", "fd00::/8:443", "[fd00::/8]", "[fd00::/8", "host:80", "10.0.0.0/8:0", "10.0.0.0/8:70000", "10.0.0.0/8:-", ":80", "[::ffff:10.0.0.0/104]:1", "[fe80::1%eth0]:1"} {
		err := crawl.CheckAllow([]string{s})
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want a one-line error", s, err)
		}
	}
}

func FuzzAllow(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8:*", "[fd00::/8]:443", "x", "[", "]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if crawl.CheckAllow([]string{s}) != nil {
			return
		}
		if !strings.Contains(s, ":") {
			t.Errorf("%q has no port and was taken", s)
		}
	})
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("was called") }))
	defer srv.Close()
	port := srv.URL[strings.LastIndex(srv.URL, ":")+1:]
	f := fetcher(t, crawl.Config{Rate: 1000})
	for _, u := range []string{
		srv.URL, "http://localhost:" + port + "/", "http://127.1:" + port + "/", "http://2130706433:" + port + "/", "http://0x7f000001:" + port,
		"http://0.0.0.0:" + port, "http://[::1]:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://[::]:" + port,
		"http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://192.168.1.1/", "http://100.64.0.1/",
		"http://[fd00::1]/", "http://[fe80::1]/", "http://[64:ff9b::7f00:1]/",
	} {
		_, err := f.Fetch(t.Context(), u)
		if err == nil {
			t.Errorf("%s was fetched", u)
			continue
		}
		// A spelling that only some resolvers take for an address may also fail to resolve.
		if !errors.Is(err, crawl.ErrRefused) && !strings.Contains(err.Error(), "lookup") {
			t.Errorf("%s: %v, want ErrRefused", u, err)
		}
	}
}

func TestAllowOpensNothingElse(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }))
	defer srv.Close()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("was called") }))
	defer other.Close()
	f := fetcher(t, crawl.Config{Allow: []string{strings.TrimPrefix(srv.URL, "http://")}})
	r, err := f.Fetch(t.Context(), srv.URL)
	if err != nil || string(r.Body) != "hello" {
		t.Fatalf("allowed: %v", err)
	}
	if _, err := f.Fetch(t.Context(), other.URL); !errors.Is(err, crawl.ErrRefused) {
		t.Errorf("another port: %v, want ErrRefused", err)
	}
}

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was called") }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	f := fetcher(t, crawl.Config{Allow: []string{"127.0.0.0/8:*"}, Rate: 1000})
	if _, err := f.Fetch(t.Context(), "http://10.0.0.1/"); !errors.Is(err, crawl.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
}
