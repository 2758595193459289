package crawl

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// fetch follows redirects, each step checked like a new address.
func (f *Fetcher) fetch(ctx context.Context, rawURL string, p purpose) (*Response, error) {
	at := rawURL
	for range maxRedirects + 1 {
		u, err := checkURL(at)
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", printable(at), err)
		}
		r, next, err := f.step(ctx, u, p)
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", printable(at), err)
		}
		if next == nil {
			return r, nil
		}
		at = next.String()
	}
	return nil, fmt.Errorf("fetch %s: %w: more than %d", printable(rawURL), ErrRedirects, maxRedirects)
}

// printable makes an address fit for one line of a terminal.
func printable(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// step makes one request. next is where the answer redirects to, nil if nowhere.
func (f *Fetcher) step(ctx context.Context, u *url.URL, p purpose) (r *Response, next *url.URL, err error) {
	if f.Ours(u.String()) {
		return nil, nil, ErrOurs
	}
	if err := f.turn(ctx, u, p.isRobots); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.Timeouts.Total, fmt.Errorf("not complete after %v", f.Timeouts.Total))
	defer cancel()
	r, next, err = f.request(ctx, u, p)
	return r, next, withCause(ctx, err)
}

// withCause adds why ctx ended to an error that does not say so yet.
func withCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

func (f *Fetcher) request(ctx context.Context, u *url.URL, p purpose) (r *Response, next *url.URL, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("User-Agent", f.UserAgent)
	req.Header.Set("Accept", p.accept)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := f.transport.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if next, err = redirect(u, resp); next != nil || err != nil {
		return nil, next, err
	}
	r = &Response{URL: u.String(), Status: resp.StatusCode, Header: resp.Header, At: time.Now().UTC()}
	r.ContentType = mediaType(resp.Header.Get("Content-Type"))
	lim := p.limit(r.ContentType)
	if lim.skip {
		return r, nil, nil
	}
	body := &idleReader{r: resp.Body, idle: f.Timeouts.Idle}
	body.timer = time.AfterFunc(body.idle, func() { stop(fmt.Errorf("nothing came for %v", body.idle)) })
	defer body.timer.Stop()
	if r.Body, r.Truncated, err = readBody(body, resp, lim); err != nil {
		return nil, nil, withCause(ctx, err)
	}
	if r.ContentType == "" || r.ContentType == "application/octet-stream" {
		r.ContentType = mediaType(http.DetectContentType(r.Body))
	}
	sum := sha256.Sum256(r.Body)
	r.SHA256 = hex.EncodeToString(sum[:])
	return r, nil, nil
}

// redirect returns where an answer sends us, nil if it is an answer.
func redirect(from *url.URL, resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, nil
	}
	to, err := from.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("redirect: %w: %w", ErrBadAddress, err)
	}
	return to, nil
}

func mediaType(header string) string {
	t, _, err := mime.ParseMediaType(header)
	if err != nil {
		t, _, _ = strings.Cut(header, ";")
	}
	return strings.ToLower(strings.TrimSpace(t))
}

// idleReader gives up when nothing comes for a while.
type idleReader struct {
	r     io.Reader
	idle  time.Duration
	timer *time.Timer
	n     int64 // bytes so far
}

func (r *idleReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		r.n += int64(n)
		r.timer.Reset(r.idle)
	}
	return n, err
}

// readBody decompresses and reads up to the limit.
func readBody(raw *idleReader, resp *http.Response, lim limit) (body []byte, truncated bool, err error) {
	var src io.Reader = raw
	compressed := false
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		if resp.ContentLength > lim.bytes && !lim.cut {
			return nil, false, tooLarge(lim)
		}
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(raw)
		if errors.Is(err, io.EOF) {
			return nil, false, nil // an empty body is an empty body
		}
		if err != nil {
			return nil, false, fmt.Errorf("decompress: %w", err)
		}
		src, compressed = z, true
	default:
		return nil, false, fmt.Errorf("the answer is compressed as %q, which was not asked for", printable(encoding))
	}
	buf := make([]byte, 0, 32<<10)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case compressed && int64(len(buf)) > maxRatio*raw.n+ratioSlack:
			return nil, false, fmt.Errorf("%w: decompresses to more than %d times its size", ErrTooLarge, maxRatio)
		case int64(len(buf)) > lim.bytes && lim.cut:
			return buf[:lim.bytes], true, nil
		case int64(len(buf)) > lim.bytes:
			return nil, false, tooLarge(lim)
		case errors.Is(err, io.EOF):
			return buf, false, nil
		case err != nil:
			return nil, false, fmt.Errorf("read body: %w", err)
		}
	}
}

func tooLarge(lim limit) error {
	return fmt.Errorf("%w: more than %d MiB", ErrTooLarge, lim.bytes>>20)
}
