package beacon_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"birdring/beacon"
	"birdring/canary"
)

// smallCopy is a short rendition that says on every line whose it is.
func smallCopy(dst []byte, object uint32, v canary.Viewer) ([]byte, error) {
	line := fmt.Sprintf("picture %d of viewer %d\n", object, v)
	return append(dst, strings.Repeat(line, 100)...), nil
}

// Not a byte leaves before the hit is durable, the status line included.
func TestHTTPRecordsBeforeItAnswers(t *testing.T) {
	keys := keyring(t)
	for _, path := range []string{
		beacon.LinkPath + keys.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000}),
		beacon.PicturePath + keys.Seal(canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: 70000}) + ".jpg",
	} {
		entered, release := make(chan struct{}), make(chan struct{})
		srv := httptest.NewServer(beacon.NewHTTP(beacon.HTTPConfig{Keyring: keys, Rendition: smallCopy, Record: func(context.Context, beacon.Hit) error {
			close(entered)
			select {
			case <-release:
			case <-time.After(patience):
			}
			return nil
		}}))
		defer srv.Close()
		c, err := net.DialTimeout("tcp", srv.Listener.Addr().String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path)
		select {
		case <-entered:
		case <-time.After(patience):
			t.Fatalf("%s reached no recorder", path)
		}
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("%s: answered while the recorder was still at it", path)
		}
		close(release)
		c.SetReadDeadline(time.Now().Add(patience))
		if all, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(all, []byte("HTTP/1.1 200 ")) {
			t.Errorf("%s: after the recorder was done: %.40q %v", path, all, err)
		}
	}
}

// A requester that hangs up while its hit is written down was there all the same.
func TestHTTPRecordsWhoeverLeavesEarly(t *testing.T) {
	keys := keyring(t)
	alive := make(chan error, 1)
	h := beacon.NewHTTP(beacon.HTTPConfig{Keyring: keys, Rendition: smallCopy, Record: func(ctx context.Context, _ beacon.Hit) error {
		alive <- ctx.Err()
		return nil
	}})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	path := beacon.LinkPath + keys.Seal(canary.Token{Kind: canary.KindLink, Viewer: 70000})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, "GET", path, nil))
	select {
	case err := <-alive:
		if err != nil {
			t.Errorf("the recorder was told to stop: %v", err)
		}
	default:
		t.Error("not recorded")
	}
}

// No answer may be kept by a cache, indexed, or tell what software this is.
func TestHTTPAnswersGiveNothingAway(t *testing.T) {
	s := startHTTP(t)
	link := s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 5, Viewer: 70000})
	for _, c := range []struct{ method, url, headers string }{
		{"GET", s.picture(1, 70000), ""},
		{"HEAD", s.picture(1, 70000), ""},
		{"POST", s.picture(1, 70000), ""},
		{"GET", s.picture(1, 70000), "bytes=1-2"},
		{"GET", s.picture(1, 70000), "bytes=1-2,5-6"},
		{"GET", s.picture(2, 70000), ""},
		{"GET", s.picture(3, 70000), ""},
		{"GET", s.base + beacon.LinkPath + link, ""},
		{"GET", s.base + beacon.PixelPath + link + ".gif", ""},
	} {
		resp, body := s.get(t, c.method, c.url, "Range", c.headers)
		h := resp.Header
		if h.Get("Cache-Control") != "private, no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Robots-Tag") != "noindex" {
			t.Errorf("%s %s %s: %v", c.method, c.url, c.headers, h)
		}
		for _, name := range []string{"Server", "X-Powered-By", "Via", "Set-Cookie", "Location", "Last-Modified", "Vary"} {
			if h.Get(name) != "" {
				t.Errorf("%s %s: %s: %s", c.method, c.url, name, h.Get(name))
			}
		}
		if c.method != "HEAD" && h.Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("%s %s: length %q, sent %d", c.method, c.url, h.Get("Content-Length"), len(body))
		}
	}
	resp, body := s.get(t, "GET", s.base+beacon.LinkPath+link)
	if resp.Header.Get("Referrer-Policy") != "no-referrer" || resp.Header.Get("Content-Security-Policy") != "default-src 'none'" || bytes.Contains(body, []byte("http")) {
		t.Errorf("landing page: %v\n%s", resp.Header, body)
	}
}

// Whatever part of a picture is asked for, nothing of it is sent without a record.
func TestHTTPNoPartWithoutARecord(t *testing.T) {
	s := startHTTP(t)
	etag := `"` + strings.Repeat("0", 32) + `"`
	s.failing(true)
	n := uint64(0)
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for _, headers := range [][]string{nil, {"Range", "bytes=0-9"}, {"Range", "bytes=0-9,20-29"}, {"Range", "bytes=x"}, {"If-None-Match", "*"}, {"If-None-Match", etag}} {
			resp, body := s.get(t, method, s.picture(1, 70000), headers...)
			n++
			if resp.StatusCode != 503 || len(body) > 100 || bytes.Contains(body, copyOf(70000)[:10]) || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s %v: %s, %d bytes", method, headers, resp.Status, len(body))
			}
			for _, name := range []string{"ETag", "Accept-Ranges", "Content-Range", "X-Robots-Tag", "Allow"} {
				if resp.Header.Get(name) != "" {
					t.Errorf("%s %v: %s: %s", method, headers, name, resp.Header.Get(name))
				}
			}
		}
	}
	eventually(t, "all are counted as lost", func() bool { return s.stats.HTTP.Count(beacon.Lost) == n })
}

// Buffers are lent again and again, also to requesters that leave in the middle:
// nobody ever gets a byte of another viewer's copy. Run with -race.
func TestHTTPNeverMixesCopiesAtOnce(t *testing.T) {
	keys := keyring(t)
	var rec recorder
	srv := httptest.NewServer(beacon.NewHTTP(beacon.HTTPConfig{Keyring: keys, Rendition: smallCopy, Record: rec.record}))
	defer srv.Close()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 40 {
				v := canary.Viewer(70000 + 100*worker + i)
				path := beacon.PicturePath + keys.Seal(canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: v}) + ".jpg"
				if i%4 == 3 { // two ranges, and gone before they come
					c, err := net.DialTimeout("tcp", srv.Listener.Addr().String(), patience)
					if err != nil {
						t.Error(err)
						return
					}
					fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=0-900,1000-1900\r\n\r\n", path)
					c.Close()
					continue
				}
				resp, err := http.Get(srv.URL + path)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				want, _ := smallCopy(nil, 1, v)
				if err != nil || !bytes.Equal(body, want) {
					t.Errorf("viewer %d got %.60q: %v", v, body, err)
				}
			}
		})
	}
	wg.Wait()
	for _, h := range rec.take() {
		want, _ := smallCopy(nil, h.Token.Object, h.Token.Viewer)
		if sum := sha256.Sum256(want); h.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("recorded %+v, not what was sent", h)
		}
	}
}

// gone is a requester that hangs up after the first part of the body.
type gone struct {
	discard
	parts int
}

func (g *gone) Write(p []byte) (int, error) {
	if g.parts++; g.parts > 1 {
		return 0, net.ErrClosed
	}
	return len(p), nil
}

// Several ranges are read beside the handler, which may end first: the next
// request must not write into what is still being read. Fails only with -race.
func TestHTTPKeepsWhatIsStillRead(t *testing.T) {
	keys, data := keyring(t), make([]byte, pictureSize)
	var stats beacon.Stats
	h := beacon.NewHTTP(beacon.HTTPConfig{
		Keyring: keys, Stats: &stats,
		Record: func(context.Context, beacon.Hit) error { return nil },
		Rendition: func(dst []byte, _ uint32, _ canary.Viewer) ([]byte, error) {
			return append(dst, data...), nil // at once: a slow one would hide the race
		},
	})
	whole := httptest.NewRequest("GET", beacon.PicturePath+keys.Seal(canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: 70000})+".jpg", nil)
	several := whole.Clone(t.Context())
	several.Header.Set("Range", "bytes=0-49999,50001-99999")
	const rounds = 200
	for range rounds {
		h.ServeHTTP(&gone{discard: discard{http.Header{}}}, several)
		h.ServeHTTP(discard{http.Header{}}, whole)
	}
	if n := stats.HTTP.Unsent(); n != rounds {
		t.Errorf("%d answers counted as unsent, want %d", n, rounds)
	}
}

// What follows the token is kept short, and fit for any database.
func TestHTTPPathsAreCut(t *testing.T) {
	s := startHTTP(t)
	link := s.base + beacon.LinkPath + s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 5, Viewer: 70000})
	s.get(t, "GET", link+"/a%00b%ffc%F0%9F")
	if h := s.take()[0]; !strings.HasSuffix(h.Path, "/a\uFFFDb\uFFFDc\uFFFD") {
		t.Errorf("path %q", h.Path)
	}
	s.get(t, "GET", link+"/"+strings.Repeat("x", 8000))
	if h := s.take()[0]; len(h.Path) != 512 {
		t.Errorf("path of %d bytes", len(h.Path))
	}
	for _, letter := range []string{"%00", "%C3%BC", "%ff", "%E2%82%AC"} {
		s.get(t, "GET", link+"/"+strings.Repeat(letter, 1000))
		if h := s.take()[0]; len(h.Path) > 512 || !utf8.ValidString(h.Path) {
			t.Errorf("%s: path of %d bytes", letter, len(h.Path))
		}
	}
}

// The server that NewServer makes refuses headers without end.
func TestServerLimitsHeaders(t *testing.T) {
	s := startHTTP(t)
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = beacon.NewServer(s.h)
	srv.Start()
	defer srv.Close()
	path := strings.TrimPrefix(s.picture(1, 70000), s.base)
	if resp, _ := s.get(t, "GET", srv.URL+path, "Referer", strings.Repeat("x", 64<<10)); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: %s", resp.Status)
	}
	if resp, body := s.get(t, "GET", srv.URL+path); resp.StatusCode != 200 || len(body) != pictureSize {
		t.Errorf("a plain request: %s", resp.Status)
	}
	c := srv.Config
	if c.ReadHeaderTimeout <= 0 || c.ReadTimeout <= 0 || c.WriteTimeout <= 0 || c.IdleTimeout <= 0 {
		t.Errorf("a time without end: %+v", c)
	}
	s.one(t)
}

// Whatever is asked for in whatever way: one hit for each valid token, and a
// body sent with 200 is the viewer's copy, whole.
func FuzzHTTPRequest(f *testing.F) {
	keys := keyring(f)
	var rec recorder
	h := beacon.NewHTTP(beacon.HTTPConfig{Keyring: keys, Rendition: smallCopy, Record: rec.record})
	want, _ := smallCopy(nil, 1, 70000)
	picture := beacon.PicturePath + keys.Seal(canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: 70000})
	for _, header := range []string{"", "bytes=0-1", "bytes=0-1,5-9", "bytes=-1", "bytes=9-1", "bytes=0-,0-,0-", "bytes=99999999999999999999-"} {
		f.Add("GET", ".jpg", header, `"x"`)
		f.Add("HEAD", ".jpg/%2e", header, "*")
		f.Add("PUT", "", header, `W/"x", "`)
	}
	f.Fuzz(func(t *testing.T, method, tail, ranges, match string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL = method, &url.URL{Path: picture + tail}
		r.Header.Set("Range", ranges)
		r.Header.Set("If-None-Match", match)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		hits := rec.take()
		if tail != "" && regexp.MustCompile(`^[0-9A-Za-z]`).MatchString(tail) {
			if w.Code != 404 || len(hits) != 0 {
				t.Errorf("%q after the token: status %d, hits %+v", tail, w.Code, hits)
			}
			return
		}
		if len(hits) != 1 || hits[0].Status != w.Code || len(hits[0].Path) > 512 || len(hits[0].Method) > 16 {
			t.Fatalf("status %d, recorded %+v", w.Code, hits)
		}
		sent := w.Code == 200 || w.Code == 206
		if (hits[0].Kind == beacon.KindFetch) != (sent && method == "GET") {
			t.Errorf("%s with status %d recorded as %s", method, w.Code, hits[0].Kind)
		}
		if w.Code == 200 && method == "GET" && !bytes.Equal(w.Body.Bytes(), want) || sent && method == "GET" && hits[0].Bytes != w.Body.Len() {
			t.Errorf("sent %d bytes, recorded %d", w.Body.Len(), hits[0].Bytes)
		}
	})
}

// The scanner for tokens agrees with the plain way to say it.
func FuzzTokens(f *testing.F) {
	keys := keyring(f)
	token := keys.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000})
	for _, s := range []string{"", token, token + token, "x" + token, token + ".jpg", "ü" + token + "ü", strings.ToUpper(token) + " " + token, token[:27]} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		s := before + token + after
		var got, want []string
		tried := beacon.Tokens(keys, []byte(s), func(f beacon.Found) { got = append(got, s[f.Start:f.End]) })
		if tried < len(got) {
			t.Errorf("%d tokens among %d token-like strings", len(got), tried)
		}
		for rest := s; rest != ""; {
			n := min(len(rest), canary.TokenLength)
			if _, err := keys.OpenToken(rest[:n]); err == nil {
				want = append(want, rest[:n])
				rest = rest[n:]
				continue
			}
			rest = rest[1:]
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("in %q found %q, want %q", s, got, want)
		}
		if _, ok := beacon.TokenIn(keys, s); ok != (len(want) > 0) {
			t.Errorf("in %q: TokenIn says %v", s, ok)
		}
	})
}

// Whatever the template and the handle, only the host that was read is asked,
// and the handle never leaves its place.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"http://x/{handle}", "https://x:1/?q={handle}&{handle}#{handle}", "http://x{handle}/", "http://x\\{handle}", "http:/{handle}", "http://[::1]/{handle}", "http://u@x/{handle}", "//x/{handle}"} {
		for _, h := range []string{"a_b.c", "../..", "@evil", "?#/\\", "\x00\n", "{handle}", ".."} {
			f.Add(s, h)
		}
	}
	f.Fuzz(func(t *testing.T, s, handle string) {
		tpl, err := beacon.ParseTemplate(s)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("not one line: %q", err)
			}
			return
		}
		u, err := url.Parse(tpl.URL(handle))
		if err != nil || u.Host != tpl.Host() || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			t.Fatalf("%q with %q asks %q, not %q: %v", s, handle, tpl.URL(handle), tpl.Host(), err)
		}
		plain, err := url.Parse(tpl.URL("h"))
		if err != nil || strings.Count(u.EscapedPath(), "/") != strings.Count(plain.EscapedPath(), "/") || len(u.Query()) > len(plain.Query()) {
			t.Errorf("%q with %q asks %q: %v", s, handle, tpl.URL(handle), err)
		}
	})
}
