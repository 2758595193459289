package crawl_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/beacon/crawl"
)

var loopback = []string{"127.0.0.0/8:*", "[::1]:*"}

func fetcher(t *testing.T, c crawl.Config) *crawl.Fetcher {
	t.Helper()
	f, err := crawl.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFetchTellsWhatCame(t *testing.T) {
	var got http.Header
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set("Content-Type", "Text/HTML; charset=utf-8")
		w.Header().Set("Content-Encoding", "gzip")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		w.Write(gzipped(t, []byte("<p>hello")))
	})
	f := fetcher(t, crawl.Config{Allow: loopback, UserAgent: "checker/2"})
	for range 2 {
		r, err := f.Fetch(t.Context(), strings.Replace(url, "://", "://user:pw@", 1)+"/a?b#c")
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte("<p>hello"))
		if string(r.Body) != "<p>hello" || r.ContentType != "text/html" || r.Status != 200 || r.URL != url+"/a?b" || r.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%+v", r)
		}
		if time.Since(r.At) > time.Minute {
			t.Errorf("fetched at %v", r.At)
		}
	}
	for _, h := range []string{"Referer", "Cookie", "Authorization", "X-Forwarded-For"} {
		if got.Get(h) != "" {
			t.Errorf("%s: %s was sent", h, got.Get(h))
		}
	}
	if got.Get("User-Agent") != "checker/2" || got.Get("Accept-Encoding") != "gzip" {
		t.Errorf("sent %v", got)
	}
}

func TestHostileBodies(t *testing.T) {
	zeros := make([]byte, 30<<20)
	bomb := gzipped(t, zeros)
	endless := func(w http.ResponseWriter, contentType string) {
		w.Header().Set("Content-Type", contentType)
		for {
			if _, err := w.Write(zeros[:1<<16]); err != nil {
				return
			}
		}
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "text/html")
			w.Write(bomb)
		case "/endless.jpg":
			endless(w, "image/jpeg")
		case "/endless.html":
			endless(w, "text/html")
		case "/announced":
			w.Header().Set("Content-Type", "image/jpeg")
			w.Header().Set("Content-Length", strconv.Itoa(1<<40))
			w.WriteHeader(200)
		case "/file.gz": // a file that is compressed, not an answer that is
			w.Header().Set("Content-Type", "application/gzip")
			w.Write(bomb)
		case "/brotli":
			w.Header().Set("Content-Encoding", "br")
			w.Write([]byte("x"))
		case "/nogzip":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte("this is not gzip"))
		case "/short":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("x"))
		case "/headers":
			for i := range 3000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 100))
			}
		}
	})
	f := fetcher(t, crawl.Config{Allow: loopback})
	for path, want := range map[string]error{"/bomb": crawl.ErrTooLarge, "/endless.jpg": crawl.ErrTooLarge, "/announced": crawl.ErrTooLarge, "/brotli": nil, "/nogzip": nil, "/short": nil, "/headers": nil} {
		_, err := f.Fetch(t.Context(), url+path)
		if err == nil || want != nil && !errors.Is(err, want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	r, err := f.Fetch(t.Context(), url+"/endless.html")
	if err != nil || !r.Truncated || len(r.Body) != crawl.MaxPage {
		t.Errorf("endless page: %v", err)
	}
	if r, err := f.Fetch(t.Context(), url+"/file.gz"); err != nil || !bytes.Equal(r.Body, bomb) {
		t.Errorf("compressed file: %v", err)
	}
	if _, err := f.FetchImage(t.Context(), url+"/endless.html"); !errors.Is(err, crawl.ErrTooLarge) {
		t.Errorf("endless picture: %v", err)
	}
}

// raw answers each connection with f. When the test ends, ctx does too and every
// connection is closed, so that no f can outlast it for long.
func raw(t *testing.T, f func(ctx context.Context, c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	ctx := t.Context() // ends before the clean-up begins
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer context.AfterFunc(ctx, func() { c.Close() })()
				defer c.Close()
				f(ctx, c)
			})
		}
	})
	return "http://" + l.Addr().String()
}

// drip writes one byte at a time until the other side hangs up.
func drip(ctx context.Context, c net.Conn, every time.Duration, s string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{s[i%len(s)]}); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func TestSlowServersEnd(t *testing.T) {
	short := crawl.Timeouts{Header: 150 * time.Millisecond, Idle: 150 * time.Millisecond, Total: 600 * time.Millisecond}
	for name, answer := range map[string]func(context.Context, net.Conn){
		"silence": func(_ context.Context, c net.Conn) { io.Copy(io.Discard, c) }, // until the other side hangs up
		"slow headers": func(ctx context.Context, c net.Conn) {
			drip(ctx, c, 20*time.Millisecond, "HTTP/1.1 200 OK\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxx")
		},
		"stuck body": func(ctx context.Context, c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\nx")
			<-ctx.Done()
		},
		"slow body": func(ctx context.Context, c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx")
			drip(ctx, c, 20*time.Millisecond, "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := raw(t, answer)
			f := fetcher(t, crawl.Config{Allow: loopback, Timeouts: short})
			begin := time.Now()
			_, err := f.Fetch(t.Context(), url)
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, want a one-line error", err)
			}
			for _, why := range []string{"nothing came", "not complete"} {
				if strings.Count(err.Error(), why) > 1 {
					t.Errorf("says it more than once: %v", err)
				}
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			t.Log(err)
		})
	}
}

func TestRedirects(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("carried over: %v", r.Header)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		to := map[string]string{
			"/loop": "/loop", "/cloud": "http://169.254.169.254/latest/", "/file": "file:///etc/passwd", "/odd": "http://%zz/",
			"/ours": "/canary/x", "/6": "/5", "/5": "/4", "/4": "/3", "/3": "/2", "/2": "/1", "/1": "/end", "/none": "",
		}
		switch next, ok := to[r.URL.Path]; {
		case ok && next != "":
			w.Header().Set("Location", next)
			fallthrough
		case ok:
			w.WriteHeader(http.StatusFound)
		default:
			w.Write([]byte("end"))
		}
	})
	f := fetcher(t, crawl.Config{Allow: loopback, Ours: func(u string) bool { return strings.Contains(u, "/canary/") }})
	for path, want := range map[string]error{
		"/loop": crawl.ErrRedirects, "/6": crawl.ErrRedirects, "/cloud": crawl.ErrRefused, "/file": crawl.ErrBadAddress,
		"/odd": crawl.ErrBadAddress, "/ours": crawl.ErrOurs, "/canary/x": crawl.ErrOurs,
	} {
		if _, err := f.Fetch(t.Context(), url+path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if r, err := f.Fetch(t.Context(), url+"/5"); err != nil || r.URL != url+"/end" || string(r.Body) != "end" {
		t.Errorf("five redirects: %v", err)
	}
	if r, err := f.Fetch(t.Context(), url+"/none"); err != nil || r.Status != 302 {
		t.Errorf("redirect to nowhere: %v", err)
	}
}

func TestBadAddresses(t *testing.T) {
	f := fetcher(t, crawl.Config{Allow: loopback})
	for _, u := range []string{"", "x", "ftp://x/", "http://", "http:///x", "http://[::1", "http://a b/", "http://x/" + strings.Repeat("x", 5000), "http://x/\x00"} {
		if _, err := f.Fetch(t.Context(), u); !errors.Is(err, crawl.ErrBadAddress) || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%.20q: %v, want ErrBadAddress", u, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	url := raw(t, func(ctx context.Context, _ net.Conn) { <-ctx.Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := fetcher(t, crawl.Config{Allow: loopback}).Fetch(ctx, url); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want DeadlineExceeded", err)
	}
}
