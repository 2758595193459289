package beacon_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"birdring/beacon"
	"birdring/canary"
)

// webServer serves one picture whose copies are told apart by their first bytes.
type webServer struct {
	recorder
	stats beacon.Stats
	keys  *canary.Keyring
	base  string
	h     http.Handler
}

const pictureSize = 100_000

// copyOf is the viewer's copy of the test picture.
func copyOf(v canary.Viewer) []byte {
	data := make([]byte, pictureSize)
	rng := rand.New(rand.NewPCG(uint64(v), 1))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

func startHTTP(t testing.TB) *webServer {
	t.Helper()
	s := &webServer{keys: keyring(t)}
	s.h = beacon.NewHTTP(beacon.HTTPConfig{
		Keyring: s.keys, Record: s.record, Stats: &s.stats,
		Rendition: func(dst []byte, object uint32, v canary.Viewer) ([]byte, error) {
			switch object {
			case 1:
				return append(dst, copyOf(v)...), nil
			case 2:
				return nil, fmt.Errorf("read picture: input/output error")
			}
			return nil, fmt.Errorf("picture %d: %w", object, beacon.ErrNoPicture)
		},
		Self: func(r *http.Request) bool { return r.Header.Get("X-Ours") != "" },
	})
	srv := httptest.NewServer(s.h)
	t.Cleanup(srv.Close)
	s.base = srv.URL
	return s
}

func (s *webServer) picture(object uint32, v canary.Viewer) string {
	return s.base + beacon.PicturePath + s.keys.Seal(canary.Token{Kind: canary.KindPicture, Object: object, Viewer: v}) + ".jpg"
}

// get sends a request with headers, given as name and value by turns.
func (s *webServer) get(t testing.TB, method, url string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestHTTPServesTheViewersCopyAndRecordsIt(t *testing.T) {
	s := startHTTP(t)
	v := canary.FirstViewer + 3
	resp, body := s.get(t, "GET", s.picture(1, v), "User-Agent", "bot/1", "Referer", "http://clone.example/x", "Origin", "http://clone.example")
	if resp.StatusCode != 200 || !bytes.Equal(body, copyOf(v)) || resp.ContentLength != pictureSize || resp.Header.Get("Content-Type") != "image/jpeg" {
		t.Fatalf("%s, %d bytes", resp.Status, len(body))
	}
	if cc := resp.Header.Get("Cache-Control"); !strings.Contains(cc, "private") || !strings.Contains(cc, "no-store") {
		t.Errorf("Cache-Control %q: a shared cache could give one viewer's copy to another", cc)
	}
	digest := sha256.Sum256(body)
	hits := s.take()
	if len(hits) != 1 {
		t.Fatalf("%d hits", len(hits))
	}
	h := hits[0]
	if h.Kind != beacon.KindFetch || h.Token.Viewer != v || h.Token.Object != 1 || h.SHA256 != hex.EncodeToString(digest[:]) || h.Bytes != pictureSize ||
		h.UserAgent != "bot/1" || h.Referer != "http://clone.example/x" || h.Origin != "http://clone.example" || h.Status != 200 || h.Self ||
		!strings.HasPrefix(h.Addr, "127.0.0.1:") {
		t.Errorf("%+v", h)
	}
	other, _ := s.get(t, "GET", s.picture(1, v+1), "X-Ours", "yes")
	if other.Header.Get("ETag") == resp.Header.Get("ETag") || resp.Header.Get("ETag") == "" {
		t.Error("the copies of two viewers have one ETag")
	}
	if hits := s.take(); len(hits) != 1 || !hits[0].Self {
		t.Errorf("our own fetch is not marked: %+v", hits)
	}
	sum(t, &s.stats.HTTP)
}

func TestHTTPRangesAndConditions(t *testing.T) {
	s := startHTTP(t)
	v := canary.FirstViewer
	url, whole := s.picture(1, v), copyOf(v)
	first, _ := s.get(t, "GET", url)
	etag := first.Header.Get("ETag")
	s.take()
	for _, c := range []struct {
		method  string
		headers []string
		status  int
		body    []byte
		kind    string
	}{
		{"HEAD", nil, 200, nil, beacon.KindPicture},
		{"GET", []string{"Range", "bytes=10-19"}, 206, whole[10:20], beacon.KindFetch},
		{"GET", []string{"Range", "bytes=-5"}, 206, whole[pictureSize-5:], beacon.KindFetch},
		{"GET", []string{"Range", "bytes=99990-"}, 206, whole[99990:], beacon.KindFetch},
		{"GET", []string{"Range", "bytes=10-19", "If-Range", etag}, 206, whole[10:20], beacon.KindFetch},
		{"GET", []string{"Range", "bytes=10-19", "If-Range", `"old"`}, 200, whole, beacon.KindFetch},
		{"GET", []string{"Range", "nonsense"}, 200, whole, beacon.KindFetch},
		{"GET", []string{"Range", "pages=1-2"}, 200, whole, beacon.KindFetch},
		{"GET", []string{"Range", "bytes=x"}, 416, nil, beacon.KindPicture},
		{"HEAD", []string{"Range", "bytes=10-19"}, 200, nil, beacon.KindPicture},
		{"HEAD", []string{"If-None-Match", etag}, 304, nil, beacon.KindPicture},
		{"GET", []string{"If-None-Match", `"other", W/` + etag}, 304, nil, beacon.KindPicture},
		{"GET", []string{"If-None-Match", `"other"`}, 200, whole, beacon.KindFetch},
		{"GET", []string{"If-Match", etag}, 200, whole, beacon.KindFetch},
		{"GET", []string{"If-None-Match", etag, "Range", "bytes=0-1"}, 304, nil, beacon.KindPicture},
		{"GET", []string{"Range", "bytes=0-"}, 206, whole, beacon.KindFetch},
		{"GET", []string{"Range", "bytes=200000-"}, 416, nil, beacon.KindPicture},
		{"GET", []string{"If-None-Match", etag}, 304, nil, beacon.KindPicture},
		{"GET", []string{"If-None-Match", "*"}, 304, nil, beacon.KindPicture},
		{"GET", []string{"If-Match", `"old"`}, 412, nil, beacon.KindPicture},
		{"POST", nil, 405, nil, beacon.KindPicture},
		{"DELETE", nil, 405, nil, beacon.KindPicture},
	} {
		resp, body := s.get(t, c.method, url, c.headers...)
		if resp.StatusCode != c.status || c.body != nil && !bytes.Equal(body, c.body) {
			t.Errorf("%s %v: %s, %d bytes", c.method, c.headers, resp.Status, len(body))
		}
		if c.method == "HEAD" && c.status == 200 && (len(body) != 0 || resp.ContentLength != pictureSize || resp.Header.Get("ETag") != etag) {
			t.Errorf("HEAD: %v", resp.Header)
		}
		if hits := s.take(); len(hits) != 1 || hits[0].Kind != c.kind || hits[0].Status != c.status {
			t.Errorf("%s %v: hits %+v", c.method, c.headers, hits)
		}
	}
	resp, body := s.get(t, "GET", url, "Range", "bytes=0-1,5-6")
	if resp.StatusCode != 206 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "multipart/byteranges") || !bytes.Contains(body, whole[5:7]) {
		t.Errorf("two ranges: %s", resp.Status)
	}
	sum(t, &s.stats.HTTP)
}

func TestHTTPLinksAndPixels(t *testing.T) {
	s := startHTTP(t)
	link := s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 5, Viewer: 70000})
	for path, kind := range map[string]string{
		beacon.LinkPath + link: beacon.KindLink, beacon.LinkPath + strings.ToUpper(link) + "/more?x=1": beacon.KindLink,
		beacon.PixelPath + s.keys.Seal(canary.Token{Kind: canary.KindPixel, Object: 5, Viewer: 70000}) + ".gif": beacon.KindPixel,
	} {
		resp, body := s.get(t, "GET", s.base+path)
		if resp.StatusCode != 200 || len(body) == 0 {
			t.Errorf("%s: %s", path, resp.Status)
		}
		if hits := s.take(); len(hits) != 1 || hits[0].Kind != kind || hits[0].Token.Object != 5 {
			t.Errorf("%s: %+v", path, hits)
		}
	}
	// A valid token in the wrong place is a hit all the same, and shows nothing.
	if resp, _ := s.get(t, "GET", s.base+beacon.PicturePath+link+".jpg"); resp.StatusCode != 404 || len(s.take()) != 1 {
		t.Errorf("a link's token as a picture: %s", resp.Status)
	}
}

// A forged token looks like any path that does not exist, and nothing is written.
func TestHTTPForgedTokensCostNothing(t *testing.T) {
	s := startHTTP(t)
	nothing, page := s.get(t, "GET", s.base+"/nothing")
	for _, path := range []string{
		beacon.PicturePath + forged(t) + ".jpg", beacon.LinkPath + forged(t), beacon.LinkPath, "/l", "/", beacon.LinkPath + "short",
		beacon.LinkPath + s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 5, Viewer: 70000}) + "x",
		beacon.LinkPath + strings.Repeat("a", 8000), beacon.LinkPath + "%00%ff", "//l//x",
	} {
		resp, body := s.get(t, "GET", s.base+path)
		if resp.StatusCode != 404 || !bytes.Equal(body, page) || len(resp.Header) != len(nothing.Header) {
			t.Errorf("%.40s: %s, told apart from a path that is not there", path, resp.Status)
		}
	}
	sum(t, &s.stats.HTTP)
	if hits := s.take(); len(hits) != 0 || s.stats.HTTP.Count(beacon.Forged) != 11 {
		t.Errorf("%d hits, outcomes %v", len(hits), s.stats.HTTP.Snapshot())
	}
}

// Not a byte of a picture leaves without its record.
func TestHTTPSendsNothingThatCannotBeRecorded(t *testing.T) {
	s := startHTTP(t)
	s.failing(true)
	for _, url := range []string{s.picture(1, 70000), s.base + beacon.LinkPath + s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 5, Viewer: 70000})} {
		resp, body := s.get(t, "GET", url)
		if resp.StatusCode != 503 || resp.Header.Get("ETag") != "" || len(body) > 100 {
			t.Errorf("%s: %s, %d bytes, %v", url, resp.Status, len(body), resp.Header)
		}
	}
	eventually(t, "both are counted as lost", func() bool { return s.stats.HTTP.Count(beacon.Lost) == 2 })
	if s.stats.Err() == nil {
		t.Error("health says nothing")
	}
	s.failing(false)
	if resp, _ := s.get(t, "GET", s.picture(1, 70000)); resp.StatusCode != 200 || s.stats.Err() != nil {
		t.Errorf("after it works again: %s, %v", resp.Status, s.stats.Err())
	}
	sum(t, &s.stats.HTTP)
}

func TestHTTPPicturesThatCannotBeMade(t *testing.T) {
	s := startHTTP(t)
	for object, status := range map[uint32]int{2: 500, 3: 404} {
		resp, body := s.get(t, "GET", s.picture(object, 70000))
		if resp.StatusCode != status || bytes.Contains(body, []byte("input/output")) {
			t.Errorf("picture %d: %s %q", object, resp.Status, body)
		}
		if hits := s.take(); len(hits) != 1 || hits[0].Kind != beacon.KindPicture || hits[0].SHA256 != "" {
			t.Errorf("picture %d: %+v", object, hits)
		}
	}
}

// What a requester writes is kept short and readable.
func TestHTTPHeadersAreCut(t *testing.T) {
	s := startHTTP(t)
	s.get(t, "GET", s.picture(1, 70000), "User-Agent", strings.Repeat("ü", 4000), "Referer", "http://x/\xff")
	h := s.take()[0]
	if len(h.UserAgent) > 512 || !strings.HasPrefix(h.UserAgent, "üü") || strings.Contains(h.Referer, "\xff") {
		t.Errorf("agent of %d bytes, referer %q", len(h.UserAgent), h.Referer)
	}
}

func FuzzHTTPPath(f *testing.F) {
	s := startHTTP(f)
	f.Add("/l/aaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Add("/m/" + s.keys.Seal(canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: 70000}) + ".jpg")
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if hits := s.take(); w.Code != 404 && len(hits) != 1 {
			t.Errorf("%q: status %d without a record", path, w.Code)
		}
	})
}

func BenchmarkHTTPPicture(b *testing.B) {
	s := startHTTP(b)
	data := copyOf(70000)
	h := beacon.NewHTTP(beacon.HTTPConfig{Keyring: s.keys, Record: s.record, Rendition: func(dst []byte, _ uint32, _ canary.Viewer) ([]byte, error) {
		return append(dst, data...), nil
	}})
	r := httptest.NewRequest("GET", strings.TrimPrefix(s.picture(1, 70000), s.base), nil)
	b.SetBytes(pictureSize)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(discard{http.Header{}}, r)
		s.take()
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
