// Package crawl fetches what external sites publish, some of them hostile, and
// finds pictures, links and text in their pages.
//
// Every outgoing connection is guarded where it is made: private, loopback,
// link-local and other special addresses are refused whatever name or redirect
// led there, unless the caller opened them (Config.Allow). Bodies, headers,
// compression, redirects, time and memory are bounded. Nothing is sent that says
// where we came from: no Referer, no cookies.
//
// Sites are asked politely: robots.txt is honoured and requests are spaced, except
// at addresses that the caller opened, which are the caller's own.
//
// Our own canary links are never fetched (Config.Ours): a scanner that followed
// them would report itself.
//
// What the package does not do: run JavaScript, log in, or take video apart.
package crawl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Why something is not fetched. Errors of this package wrap them.
var (
	ErrRefused    = errors.New("address refused")
	ErrRobots     = errors.New("disallowed by the site's robots.txt")
	ErrOurs       = errors.New("one of our own links, not fetched")
	ErrTooLarge   = errors.New("too large")
	ErrRedirects  = errors.New("too many redirects")
	ErrBadAddress = errors.New("not an address that can be fetched")
)

// Bounds of what is read.
const (
	MaxPage      = 4 << 20  // bytes of a page after decompression; the rest is cut off
	MaxPicture   = 20 << 20 // bytes of a picture
	maxRobots    = 512 << 10
	maxRatio     = 100 // decompressed bytes for each compressed one
	ratioSlack   = 64 << 10
	maxRedirects = 5
	maxHeader    = 64 << 10
	maxURL       = 4096
	maxHosts     = 2048 // remembered rates and robots.txt
)

// defaultAgent is a plain name: it says what it does, not who sent it.
const defaultAgent = "Mozilla/5.0 (compatible; pagecheck/1.0)"

// Config of New. Zero values are the defaults.
type Config struct {
	Allow     []string                    // CIDR:PORT, such as 10.0.0.0/8:* or [fd00::/8]:443: addresses that are yours
	Rate      float64                     // requests per second and host; 0: 1
	MaxPages  int                         // requests for pages per site and walk; 0: 200
	UserAgent string                      // "": a plain one
	Ours      func(rawURL string) bool    // whether a URL is one of our canary links; nil: none is
	OnError   func(url string, err error) // told of pages that Walk could not read; nil: nobody
	Timeouts  Timeouts
}

// Timeouts of one request; zero values are the defaults.
type Timeouts struct {
	Connect time.Duration // to a connection, and again to its encryption; 0: 10 s
	Header  time.Duration // from request to the end of the answer's header; 0: 15 s
	Idle    time.Duration // between two pieces of the body; 0: 15 s
	Total   time.Duration // for everything after the wait for our turn; 0: 60 s
}

// Fetcher fetches. It is safe for concurrent use.
type Fetcher struct {
	Config
	allow     allowList
	transport *http.Transport

	mu    sync.Mutex // guards hosts
	hosts map[string]*host
}

// Response is what a site answered, after redirects.
type Response struct {
	URL         string // where the answer came from
	Status      int
	Header      http.Header
	ContentType string // media type without parameters, lower case; guessed if the site named none
	Body        []byte // decompressed
	Truncated   bool   // the page was longer than MaxPage
	At          time.Time
	SHA256      string // of Body, lower-case hex
}

// New makes a Fetcher. It fails only for an entry of Allow that cannot be read.
func New(c Config) (*Fetcher, error) {
	allow, err := parseAllow(c.Allow)
	if err != nil {
		return nil, err
	}
	if c.Rate <= 0 {
		c.Rate = 1
	}
	if c.MaxPages <= 0 {
		c.MaxPages = 200
	}
	if c.UserAgent == "" {
		c.UserAgent = defaultAgent
	}
	if c.Ours == nil {
		c.Ours = func(string) bool { return false }
	}
	if c.OnError == nil {
		c.OnError = func(string, error) {}
	}
	c.Timeouts = c.Timeouts.withDefaults()
	f := &Fetcher{Config: c, allow: allow, hosts: map[string]*host{}}
	dialer := &net.Dialer{Timeout: c.Timeouts.Connect, Control: newGuard(allow).control}
	// Not a client: redirects are followed step by step, each checked like a new address.
	f.transport = &http.Transport{
		// A proxy from the environment would be checked in place of the site.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    c.Timeouts.Connect,
		ResponseHeaderTimeout:  c.Timeouts.Header,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // we decompress, behind a limit
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxConnsPerHost:        4,
		IdleConnTimeout:        20 * time.Second,
	}
	return f, nil
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		set *time.Duration
		or  time.Duration
	}{{&t.Connect, 10 * time.Second}, {&t.Header, 15 * time.Second}, {&t.Idle, 15 * time.Second}, {&t.Total, time.Minute}} {
		if *d.set <= 0 {
			*d.set = d.or
		}
	}
	return t
}

// Close ends idle connections.
func (f *Fetcher) Close() { f.transport.CloseIdleConnections() }

// Fetch fetches a page or any other file. Text is cut off at MaxPage
// (Response.Truncated); anything else longer than MaxPicture is ErrTooLarge. A
// status other than 200 is no error.
func (f *Fetcher) Fetch(ctx context.Context, rawURL string) (*Response, error) {
	return f.fetch(ctx, rawURL, purpose{accept: acceptAny, limit: limitByType})
}

// FetchImage fetches a picture of at most MaxPicture bytes.
func (f *Fetcher) FetchImage(ctx context.Context, rawURL string) (*Response, error) {
	return f.fetch(ctx, rawURL, purpose{accept: acceptPicture, limit: func(string) limit { return limit{bytes: MaxPicture} }})
}

// What requests say they want.
const (
	acceptAny     = "text/html,application/xhtml+xml,*/*;q=0.8"
	acceptPicture = "image/webp,image/png,image/jpeg,image/*;q=0.9,*/*;q=0.5"
)

// limit says how much of a body is read.
type limit struct {
	bytes int64
	cut   bool // cut off what is longer instead of failing
	skip  bool // do not read the body at all
}

// purpose is what a fetch is for.
type purpose struct {
	accept   string
	limit    func(contentType string) limit
	isRobots bool
}

func limitByType(contentType string) limit {
	if isText(contentType) {
		return limit{bytes: MaxPage, cut: true}
	}
	return limit{bytes: MaxPicture}
}

// isText reports whether a media type is one that pages and data come in.
func isText(contentType string) bool {
	switch {
	case strings.HasPrefix(contentType, "text/"), strings.HasSuffix(contentType, "+xml"), strings.HasSuffix(contentType, "+json"):
		return contentType != "image/svg+xml"
	}
	switch contentType {
	case "application/json", "application/xml", "application/javascript", "application/x-javascript", "application/ld+json":
		return true
	}
	return false
}

// checkURL refuses what cannot be fetched and removes what must not be sent:
// passwords and the part behind #.
func checkURL(rawURL string) (*url.URL, error) {
	if len(rawURL) > maxURL {
		return nil, fmt.Errorf("%w: it has %d characters, at most %d", ErrBadAddress, len(rawURL), maxURL)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadAddress, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: %q is neither http nor https", ErrBadAddress, u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%w: it names no host", ErrBadAddress)
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	u.Host = strings.ToLower(u.Host)
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}
