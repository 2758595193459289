package crawl

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/temoto/robotstxt"
	"golang.org/x/time/rate"
)

// How long what we know about a host is used, and the longest pause between
// requests that a robots.txt can ask for.
const (
	hostAge       = time.Hour
	maxCrawlDelay = 30 * time.Second
)

// host is what we remember about one scheme, name and port.
type host struct {
	limiter *rate.Limiter
	used    time.Time // guarded by Fetcher.mu

	mu     sync.Mutex // guards what follows, held while it is found out
	known  time.Time  // when
	own    bool       // opened by --allow: no rate limit, no robots.txt
	robots *robotstxt.RobotsData
	err    error // why robots.txt could not be read
}

// turn waits until the next request to a host may be made, and refuses what its
// robots.txt disallows.
func (f *Fetcher) turn(ctx context.Context, u *url.URL, isRobots bool) error {
	h := f.host(u)
	if isRobots {
		return h.limiter.Wait(ctx)
	}
	own, robots, err := h.rules(ctx, f, u)
	if err != nil {
		return err
	}
	if own {
		return nil
	}
	if group := robots.FindGroup(f.agentName()); group != nil && !robots.TestAgent(pathOf(u), f.agentName()) {
		return ErrRobots
	}
	return h.limiter.Wait(ctx)
}

func pathOf(u *url.URL) string {
	p := u.EscapedPath()
	if u.RawQuery != "" {
		p += "?" + u.RawQuery
	}
	return p
}

// agentName is the product that robots.txt may name: what identifies us in the
// User-Agent, not what every browser says.
func (f *Fetcher) agentName() string {
	for field := range strings.FieldsFuncSeq(f.UserAgent, func(r rune) bool { return strings.ContainsRune(" ();,", r) }) {
		name, _, _ := strings.Cut(field, "/")
		if name != "" && name != "Mozilla" && name != "compatible" {
			return name
		}
	}
	return f.UserAgent
}

// host finds or makes what we remember. The least recently used of many is forgotten.
func (f *Fetcher) host(u *url.URL) *host {
	key := u.Scheme + "://" + hostPort(u)
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.hosts[key]
	if h == nil {
		if len(f.hosts) >= maxHosts {
			f.forget()
		}
		h = &host{limiter: rate.NewLimiter(rate.Limit(f.Rate), 1)}
		f.hosts[key] = h
	}
	h.used = time.Now()
	return h
}

// forget drops the host that was used longest ago. mu is held.
func (f *Fetcher) forget() {
	var oldest string
	for key, h := range f.hosts {
		if oldest == "" || h.used.Before(f.hosts[oldest].used) {
			oldest = key
		}
	}
	delete(f.hosts, oldest)
}

// rules returns what is known about a host, finding it out first if need be.
func (h *host) rules(ctx context.Context, f *Fetcher, u *url.URL) (own bool, robots *robotstxt.RobotsData, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.known.IsZero() && time.Since(h.known) < hostAge {
		return h.own, h.robots, h.err
	}
	own = f.isOwn(ctx, u)
	if !own {
		robots, err = f.readRobots(ctx, u)
		if ctx.Err() != nil {
			return false, nil, err // says nothing about the host
		}
		if err == nil {
			h.limiter.SetLimit(slower(rate.Limit(f.Rate), robots.FindGroup(f.agentName())))
		}
	}
	h.own, h.robots, h.err, h.known = own, robots, err, time.Now()
	return own, robots, err
}

// slower is the rate that both we and the site want.
func slower(limit rate.Limit, g *robotstxt.Group) rate.Limit {
	if g == nil || g.CrawlDelay <= 0 {
		return limit
	}
	return min(limit, rate.Every(min(g.CrawlDelay, maxCrawlDelay)))
}

// isOwn reports whether a host can only be reached at addresses that the caller opened.
func (f *Fetcher) isOwn(ctx context.Context, u *url.URL) bool {
	if len(f.allow) == 0 {
		return false
	}
	name, port, err := net.SplitHostPort(hostPort(u))
	if err != nil {
		return false
	}
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		return false
	}
	addrs := []netip.Addr{}
	if addr, err := netip.ParseAddr(name); err == nil {
		addrs = append(addrs, addr)
	} else if addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", name); err != nil {
		return false // the request will say what is wrong
	}
	g := newGuard(f.allow)
	own := false
	for _, addr := range addrs {
		at := netip.AddrPortFrom(addr.Unmap(), uint16(n))
		if f.allow.contains(at) {
			own = true
		} else if g.reachable(at) {
			return false
		}
	}
	return own
}

// readRobots fetches the rules of a host. No file (4xx) allows everything, a
// server in trouble (5xx) nothing, as RFC 9309 has it.
func (f *Fetcher) readRobots(ctx context.Context, u *url.URL) (*robotstxt.RobotsData, error) {
	at := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/robots.txt"}
	r, err := f.fetch(ctx, at.String(), purpose{
		accept: "text/plain,*/*;q=0.5", isRobots: true,
		limit: func(string) limit { return limit{bytes: maxRobots, cut: true} },
	})
	if err != nil {
		return nil, fmt.Errorf("ask for its robots.txt: %w", err)
	}
	robots, err := robotstxt.FromStatusAndBytes(r.Status, r.Body)
	if err != nil {
		// Lines that nobody understands are left out, not a reason to ignore the others.
		robots, err = robotstxt.FromBytes(knownLines(r.Body))
	}
	if err != nil {
		return nil, fmt.Errorf("read its robots.txt: %w", err)
	}
	return robots, nil
}

// knownLines keeps the lines of a robots.txt that are rules.
func knownLines(data []byte) []byte {
	var kept bytes.Buffer
	for line := range bytes.Lines(data) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		key, value = bytes.ToLower(bytes.TrimSpace(key)), bytes.TrimSpace(value)
		switch string(key) {
		case "user-agent", "allow", "disallow":
			fmt.Fprintf(&kept, "%s: %s\n", key, value)
		}
	}
	return kept.Bytes()
}
