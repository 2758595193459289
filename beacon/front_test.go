package beacon_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"birdring/beacon"
	"birdring/canary"
)

// fronted is a front with a server behind it, and the same server alone.
type fronted struct {
	front, plain string // addresses
	running      *beacon.Front
	rec          [2]recorder
	stats        [2]beacon.Stats
	keys         *canary.Keyring
}

func startFront(t testing.TB, config *tls.Config) *fronted {
	t.Helper()
	s := &fronted{keys: keyring(t)}
	for i, addr := range []*string{&s.front, &s.plain} {
		h := beacon.NewHTTP(beacon.HTTPConfig{
			Keyring: s.keys, Rendition: smallCopy, Record: s.rec[i].record, Stats: &s.stats[i],
			Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")},
		})
		all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				io.WriteString(w, "console")
				return
			}
			h.ServeHTTP(w, r)
		})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*addr = l.Addr().String()
		web := beacon.NewServer(all)
		if i == 1 {
			go web.Serve(l)
			t.Cleanup(func() { web.Close() })
			continue
		}
		f, err := beacon.NewFront(h, web, config)
		if err != nil {
			t.Fatal(err)
		}
		s.running = f
		go f.Serve(l)
		t.Cleanup(func() {
			l.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			f.Shutdown(ctx)
		})
	}
	return s
}

// response is an answer without what differs from one moment to the next.
type response struct {
	status string
	header http.Header
	body   string
}

func read(t testing.TB, r *bufio.Reader, method string) response {
	t.Helper()
	a, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(http.TimeFormat, a.Header.Get("Date")); err != nil && a.StatusCode != http.StatusBadRequest {
		t.Errorf("date: %v", err)
	}
	a.Header.Del("Date")
	return response{a.Status, a.Header, string(body)}
}

// Whatever is asked, the front answers and records as the server behind it does.
func TestFrontAnswersAsTheServerBehindIt(t *testing.T) {
	s := startFront(t, nil)
	link := beacon.LinkPath + s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000})
	picture := beacon.PicturePath + s.keys.Seal(canary.Token{Kind: canary.KindPicture, Object: 2, Viewer: 70001}) + ".jpg"
	gif := beacon.PixelPath + s.keys.Seal(canary.Token{Kind: canary.KindPixel, Object: 3, Viewer: 70002}) + ".gif"
	for _, c := range []struct{ method, target, header string }{
		{"GET", link, ""},
		{"GET", picture, "User-Agent: Mozilla/5.0 (X)\r\nReferer: https://clone.example/p?x=1\r\nOrigin: https://clone.example\r\nAccept: */*\r\n"},
		{"GET", gif, "connection: Keep-Alive\r\n"},
		{"HEAD", link, ""},
		{"HEAD", picture, ""},
		{"HEAD", gif, "user-agent:  padded \t\r\n"},
		{"GET", strings.ToUpper(picture[3:31]), ""},
		{"GET", picture[:3] + strings.ToUpper(picture[3:31]) + "/more/things.png", ""},
		{"GET", link + "?utm=1", ""},
		{"GET", "/l/%41" + link[4:], ""},
		{"GET", link + "/../x", ""},
		{"GET", "//" + link, ""},
		{"GET", "/l/" + forged(t), ""},
		{"GET", "/m/x.jpg", ""},
		{"GET", "/", ""},
		{"GET", "/nothing", ""},
		{"GET", "/m/" + link[3:], ""},
		{"GET", "/p/" + picture[3:], ""}, // where they do not belong
		{"GET", picture, "Range: bytes=10-19\r\n"},
		{"GET", picture, "Range: bytes=1-2,5-9\r\n"},
		{"GET", picture, "If-None-Match: *\r\n"},
		{"POST", link, "Content-Length: 0\r\n"},
		{"OPTIONS", link, ""},
		{"DELETE", picture, ""},
		{"GET", picture, "X-Forwarded-For: 203.0.113.9\r\n"},
		{"GET", picture, "X-Forwarded-For: 1.2.3.4, 203.0.113.9\r\nx-forwarded-for: 10.1.1.1\r\n"},
		{"GET", picture, "X-Forwarded-For: rubbish\r\n"},
		{"GET", picture, "X-Forwarded-For: [2001:db8::1]:443\r\n"},
		{"GET", picture, "Referer: a\r\nReferer: b\r\n"},
		{"GET", picture, "User-Agent: caf\xc3\xa9\r\n"},
		{"GET", picture, "Referer: " + strings.Repeat("x", 3000) + "\r\n"},
		{"GET", picture, "Content-Length: 3\r\n\r\nabc"},
	} {
		var got [2]response
		var hits [2][]beacon.Hit
		for i, addr := range []string{s.front, s.plain} {
			conn, err := net.DialTimeout("tcp", addr, patience)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: media.example:80\r\n%s\r\n", c.method, c.target, c.header)
			got[i] = read(t, bufio.NewReader(conn), c.method)
			conn.Close()
			hits[i] = s.rec[i].take()
			for k := range hits[i] {
				h := &hits[i][k]
				if h.ID == "" || time.Since(h.At) > time.Minute {
					t.Errorf("%s %s: hit %+v", c.method, c.target, h)
				}
				h.ID, h.At = "", time.Time{}
				for _, a := range []*string{&h.Addr, &h.Via} {
					if host, _, err := net.SplitHostPort(*a); err == nil {
						*a = host
					}
				}
			}
		}
		if strings.Contains(got[0].header.Get("Content-Type"), "multipart") { // boundaries are drawn
			got[0], got[1] = response{status: got[0].status}, response{status: got[1].status}
		}
		if !reflect.DeepEqual(got[0], got[1]) {
			t.Errorf("%s %s %q:\nfront %+v\nplain %+v", c.method, c.target, c.header, got[0], got[1])
		}
		if !reflect.DeepEqual(hits[0], hits[1]) {
			t.Errorf("%s %s %q: hits\nfront %+v\nplain %+v", c.method, c.target, c.header, hits[0], hits[1])
		}
	}
	for i := range s.stats {
		sum(t, &s.stats[i].HTTP)
	}
	if a, b := s.stats[0].HTTP.Snapshot(), s.stats[1].HTTP.Snapshot(); !reflect.DeepEqual(a, b) {
		t.Errorf("counters: front %v, plain %v", a, b)
	}
}

// Requests that come in pieces, several at once, or after one that was handed over.
func TestFrontKeepsConnections(t *testing.T) {
	s := startFront(t, nil)
	picture := beacon.PicturePath + s.keys.Seal(canary.Token{Kind: canary.KindPicture, Object: 2, Viewer: 70001})
	conn, err := net.DialTimeout("tcp", s.front, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	one := "GET " + picture + " HTTP/1.1\r\nHost: x\r\n\r\n"
	want, _ := smallCopy(nil, 2, 70001)
	ask := func(text string, pieces, answers int, body string) {
		t.Helper()
		step := max(1, len(text)/pieces)
		for len(text) > 0 {
			n := min(step, len(text))
			if _, err := io.WriteString(conn, text[:n]); err != nil {
				t.Fatal(err)
			}
			text = text[n:]
			if pieces > 1 {
				time.Sleep(time.Millisecond)
			}
		}
		for range answers {
			if a := read(t, r, "GET"); a.body != body {
				t.Errorf("body %.40q", a.body)
			}
		}
	}
	ask(one, 7, 1, string(want))
	ask(one+one+one, 1, 3, string(want))
	ask(one+one[:20], 1, 1, string(want))
	ask(one[20:], 3, 1, string(want))
	ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1, 1, "console")
	ask(one+one, 1, 2, string(want))
	if hits := s.rec[0].take(); len(hits) != 8 {
		t.Errorf("%d hits, want 8", len(hits))
	}
}

// A header without end, or one that drips in, holds nobody for long; a hit that
// cannot be recorded is refused.
func TestFrontLimits(t *testing.T) {
	s := startFront(t, nil)
	conn, err := net.DialTimeout("tcp", s.front, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * patience))
	go io.Copy(conn, io.LimitReader(zeros{}, 64<<10)) // ends with the connection
	if all, err := io.ReadAll(conn); err != nil && len(all) == 0 && !strings.Contains(err.Error(), "reset") {
		t.Errorf("an endless header: %v", err)
	}
	s.rec[0].failing(true)
	link := beacon.LinkPath + s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000})
	resp, err := http.Get("http://" + s.front + link)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || s.stats[0].Err() == nil || s.stats[0].HTTP.Count(beacon.Lost) != 1 {
		t.Errorf("%s, %v", resp.Status, s.stats[0].Err())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("a"), len(p))), nil }

// With a certificate the front speaks HTTP/1.1 itself and leaves HTTP/2 to the server behind it.
func TestFrontTLS(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	config := &tls.Config{Certificates: cert.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}}
	s := startFront(t, config)
	link := beacon.LinkPath + s.keys.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000})
	for _, h2 := range []bool{true, false} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!h2)
		protocols.SetHTTP2(h2)
		tr := &http.Transport{TLSClientConfig: cert.Client().Transport.(*http.Transport).TLSClientConfig.Clone(), Protocols: protocols}
		defer tr.CloseIdleConnections()
		tr.TLSClientConfig.ServerName = "example.com"
		for range 3 {
			resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("https://" + s.front + link)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || len(body) == 0 || (resp.ProtoMajor == 2) != h2 {
				t.Errorf("HTTP/2 %v: %s by %s: %v", h2, resp.Status, resp.Proto, err)
			}
		}
	}
	if hits := s.rec[0].take(); len(hits) != 6 {
		t.Errorf("%d hits, want 6", len(hits))
	}
}

// It ends with requests under way answered and idle connections closed.
func TestFrontShutsDown(t *testing.T) {
	s := startFront(t, nil)
	idle, err := net.DialTimeout("tcp", s.front, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	time.Sleep(20 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.running.Shutdown(ctx); err != nil && ctx.Err() != nil {
		t.Errorf("an idle connection holds it: %v", err)
	}
	idle.SetDeadline(time.Now().Add(patience))
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection is still served")
	}
}

func FuzzHTTPHit(f *testing.F) {
	h := beacon.Hit{ID: "01910000-0000-7000-8000-000000000000", Kind: beacon.KindFetch, SHA256: strings.Repeat("0a", 32), Status: 200, Path: "/m/x"}
	data, err := h.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var h, again beacon.Hit
		if len(data) == 0 || data[0] != 3 || h.UnmarshalBinary(data) != nil {
			return
		}
		back, err := h.MarshalBinary()
		if err != nil || again.UnmarshalBinary(back) != nil || again != h {
			t.Errorf("%+v came back as %+v: %v", h, again, err)
		}
	})
}
