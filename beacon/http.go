package beacon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"birdring/canary"
)

// ErrNoPicture is what HTTPConfig.Rendition wraps when no picture has that number.
var ErrNoPicture = errors.New("no such picture")

// HTTPConfig of NewHTTP.
type HTTPConfig struct {
	Keyring   Opener
	Record    Recorder
	Rendition func(dst []byte, object uint32, v canary.Viewer) ([]byte, error) // appends the viewer's copy to dst
	Landing   []byte                                                           // HTML that links answer with; nil: a plain page
	Self      func(*http.Request) bool                                         // whether a request is one of our own fetches; nil: none is
	Stats     *Stats                                                           // nil: counted nowhere
}

// Paths that NewHTTP answers, each followed by a token.
const (
	LinkPath    = "/l/"
	PicturePath = "/m/" // and ".jpg"
	PixelPath   = "/p/" // and ".gif"
)

// pixel is a transparent GIF of one pixel.
var pixel = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b")

// plainPage says nothing about anybody and refers to nothing.
var plainPage = []byte("<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">" +
	"<title>Not available</title></head>\n<body><h1>Not available</h1><p>This content is not available right now.</p></body>\n</html>\n")

type httpBeacon struct {
	HTTPConfig
	buffers sync.Pool // *[]byte: room for a rendition
}

// NewHTTP answers links (/l/TOKEN), pictures (/m/TOKEN.jpg) and pixels
// (/p/TOKEN.gif). It is the one place that serves a rendition: one body with its
// length, a strong ETag, ranges and conditional requests, never to be kept by a
// shared cache. It never redirects and believes no forwarding header.
//
// Whatever follows the token in the path is ignored, so that a link somebody
// decorated is still a hit.
func NewHTTP(c HTTPConfig) http.Handler {
	if c.Stats == nil {
		c.Stats = &Stats{}
	}
	if c.Landing == nil {
		c.Landing = plainPage
	}
	b := &httpBeacon{HTTPConfig: c}
	b.buffers.New = func() any { return new([]byte) }
	return b
}

// NewServer wraps a handler with every limit set: slow headers, slow bodies,
// slow readers and idle connections end after a time, headers at 16 KiB.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

func (b *httpBeacon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	count := &b.Stats.HTTP
	count.received.Add(1)
	kind, token, ok := b.open(r.URL.Path)
	if !ok {
		count.end(Forged)
		http.NotFound(w, r)
		return
	}
	hit, err := newHit(kind, token)
	if err != nil {
		b.Stats.recorded(err)
		count.end(Lost)
		unavailable(w)
		return
	}
	b.describe(&hit, r)
	rec := &recordingWriter{ResponseWriter: w, record: func(status, length int) error {
		return b.record(r, hit, status, length)
	}}
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	failed := false
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(rec, "method not allowed", http.StatusMethodNotAllowed)
	case kind == KindPicture && token.Kind == canary.KindPicture:
		failed = !b.picture(rec, r, &hit)
	case kind == KindLink && token.Kind == canary.KindLink:
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'")
		whole(rec, r, "text/html; charset=utf-8", b.Landing)
	case kind == KindPixel && token.Kind == canary.KindPixel:
		whole(rec, r, "image/gif", pixel)
	default: // a token of ours in a place where it does not belong
		http.NotFound(rec, r)
	}
	switch {
	case rec.refused:
		count.end(Lost)
	case failed:
		count.end(Failed)
	default:
		count.end(Answered)
	}
	if rec.unsent {
		count.unsent.Add(1)
	}
}

// open finds kind and token in a path and verifies the token.
func (b *httpBeacon) open(path string) (kind string, t canary.Token, ok bool) {
	if len(path) < len(LinkPath) {
		return "", t, false
	}
	switch path[:len(LinkPath)] {
	case LinkPath:
		kind = KindLink
	case PicturePath:
		kind = KindPicture
	case PixelPath:
		kind = KindPixel
	default:
		return "", t, false
	}
	rest := path[len(LinkPath):]
	if len(rest) < canary.TokenLength || len(rest) > canary.TokenLength && alphanumeric(rest[canary.TokenLength]) {
		return "", t, false
	}
	t, err := b.Keyring.OpenToken(rest[:canary.TokenLength])
	return kind, t, err == nil
}

// describe keeps what the requester said about itself, shortened.
func (b *httpBeacon) describe(h *Hit, r *http.Request) {
	h.Method, h.Path, h.Host = cut(r.Method, maxMethod), cut(r.URL.Path, maxPath), cut(r.Host, maxHost)
	h.Addr = r.RemoteAddr
	h.UserAgent, h.Referer, h.Origin = cut(r.UserAgent(), maxHeader), cut(r.Referer(), maxHeader), cut(r.Header.Get("Origin"), maxHeader)
	h.Self = b.Self != nil && b.Self(r)
}

// record makes a hit durable. It is called once, before the first byte of the
// answer. A requester that has gone away meanwhile was there all the same.
func (b *httpBeacon) record(r *http.Request, h Hit, status, length int) error {
	h.Status = status
	if h.Kind == KindPicture && r.Method == http.MethodGet && (status == http.StatusOK || status == http.StatusPartialContent) {
		h.Kind, h.Bytes = KindFetch, length
	}
	err := b.Record(context.WithoutCancel(r.Context()), h)
	b.Stats.recorded(err)
	return err
}

// picture answers with the viewer's rendition. It reports whether there was one.
func (b *httpBeacon) picture(w *recordingWriter, r *http.Request, hit *Hit) bool {
	buf := b.buffers.Get().(*[]byte)
	if !strings.Contains(r.Header.Get("Range"), ",") {
		// Several ranges are read by a goroutine of ServeContent that may outlast it.
		defer b.buffers.Put(buf)
	}
	data, err := b.Rendition((*buf)[:0], hit.Token.Object, hit.Token.Viewer)
	if errors.Is(err, ErrNoPicture) {
		http.NotFound(w, r)
		return true
	}
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return false
	}
	*buf = data[:0]
	sum := sha256.Sum256(data)
	hit.SHA256 = hex.EncodeToString(sum[:])
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("ETag", `"`+hit.SHA256[:32]+`"`)
	body := &body{Reader: bytes.NewReader(data), data: data}
	http.ServeContent(w, ranged(r), "", time.Time{}, body)
	return true
}

// ranged is the request without a Range header that must be ignored: ranges are
// defined for GET alone, and units other than bytes are not known (RFC 9110, 14.2).
func ranged(r *http.Request) *http.Request {
	unit, _, ok := strings.Cut(r.Header.Get("Range"), "=")
	if r.Header.Get("Range") == "" || r.Method == http.MethodGet && ok && strings.EqualFold(unit, "bytes") {
		return r
	}
	plain := *r
	plain.Header = r.Header.Clone()
	plain.Header.Del("Range")
	return &plain
}

// whole answers with a fixed body.
func whole(w http.ResponseWriter, r *http.Request, contentType string, data []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(data) // counted by the writer
	}
}

func unavailable(w http.ResponseWriter) {
	h := w.Header()
	clear(h)
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", "5")
	http.Error(w, "try again later", http.StatusServiceUnavailable)
}

// body is a rendition whose stretches can be sent without copying.
type body struct {
	*bytes.Reader
	data []byte
}

// recordingWriter records the hit when the status is known and nothing is sent
// yet. If that fails, the answer is 503 and the intended body goes nowhere.
type recordingWriter struct {
	http.ResponseWriter
	record  func(status, length int) error
	begun   bool
	refused bool // the hit could not be recorded
	unsent  bool // the network did not take the answer
}

// WriteHeader records, then sends the header.
func (w *recordingWriter) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	length, err := strconv.Atoi(w.Header().Get("Content-Length"))
	if err != nil {
		length = 0 // error pages only
	}
	if err := w.record(status, length); err != nil {
		w.refused = true
		unavailable(w.ResponseWriter)
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (w *recordingWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.refused {
		return len(p), nil
	}
	n, err := w.ResponseWriter.Write(p)
	w.unsent = w.unsent || err != nil
	return n, err
}

// ReadFrom sends a stretch of a rendition as one contiguous write.
func (w *recordingWriter) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(writerOnly{w}, r)
	}
	b, ok := limited.R.(*body)
	if !ok {
		return io.Copy(writerOnly{w}, r)
	}
	from := len(b.data) - b.Len()
	n, err := w.Write(b.data[from:][:min(limited.N, int64(b.Len()))])
	if _, seekErr := b.Seek(int64(n), io.SeekCurrent); seekErr != nil {
		err = errors.Join(err, seekErr)
	}
	limited.N -= int64(n)
	return int64(n), err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recordingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writerOnly hides ReadFrom from io.Copy.
type writerOnly struct{ io.Writer }
