// Package visit guesses who sent a hit: a search engine, a link preview, our own
// scanner, a visitor of a page that shows our picture. A guess helps a reader to
// sort hits and is never evidence: what a hit says of itself was written by
// whoever sent it.
//
// Rules are data: those for User-Agents, each with its source, are in rules.tsv;
// address ranges come only from the operator, as networks or as the JSON lists
// that search engines publish.
package visit

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"birdring/beacon"
	"birdring/beacon/crawl"
)

// What a hit may be.
const (
	Self       = "self"    // our own scanner
	Search     = "search"  // a search engine
	Preview    = "preview" // makes previews of links and pictures
	Mail       = "mail"    // scans mail
	Sandbox    = "sandbox" // opens links to judge them
	Translator = "translator"
	Archive    = "archive"
	Resolver   = "resolver" // a name server asked; for whom it does not say
	Hotlink    = "hotlink"  // a visitor of a page that shows our picture
	Scraper    = "scraper"
	Known      = "known" // by the operator's own list
	Unknown    = "unknown"
)

// Classes are all of them.
var Classes = []string{Self, Search, Preview, Mail, Sandbox, Translator, Archive, Resolver, Hotlink, Scraper, Known, Unknown}

//go:embed rules.tsv
var builtIn string

// agentRule is one line of rules.tsv.
type agentRule struct{ class, part, source string }

// netRule is a network that the operator named.
type netRule struct {
	class  string
	prefix netip.Prefix
	source string
}

// Rules are those built in and those of the operator. They do not change while
// they are used.
type Rules struct {
	agents []agentRule
	nets   []netRule
	ranged map[string]bool // classes whose addresses are published: an agent from elsewhere lies
}

// Default are the built-in rules alone.
func Default() *Rules {
	r := &Rules{ranged: map[string]bool{}}
	for line := range strings.Lines(builtIn) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 && !strings.HasPrefix(line, "#") {
			r.agents = append(r.agents, agentRule{f[0], strings.ToLower(f[1]), f[2]})
		}
	}
	return r
}

// Allow adds an entry of the operator's own list: a network, an address, or
// agent:TEXT for a part of a User-Agent.
func (r *Rules) Allow(entry string) error {
	if text, ok := strings.CutPrefix(entry, "agent:"); ok && strings.TrimSpace(text) != "" {
		r.agents = slices.Insert(r.agents, 0, agentRule{Known, strings.ToLower(strings.TrimSpace(text)), "the operator's list"})
		return nil
	}
	prefix, err := netip.ParsePrefix(entry)
	if addr, addrErr := netip.ParseAddr(entry); err != nil && addrErr == nil {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil {
		return fmt.Errorf("known requester %q: want a network like 192.0.2.0/24, an address or agent:TEXT", entry)
	}
	r.nets = slices.Insert(r.nets, 0, netRule{Known, prefix.Masked(), "the operator's list"})
	return nil
}

// mostRanges bounds a published list.
const mostRanges = 100_000

// Ranges adds a published list of addresses of a class: JSON of the form
// {"prefixes":[{"ipv4Prefix":"192.0.2.0/24"},{"ipv6Prefix":"2001:db8::/32"}]}.
// From then on an agent of that class is believed only from there.
func (r *Rules) Ranges(class, name string, data []byte) error {
	if !slices.Contains(Classes, class) {
		return fmt.Errorf("class %q: want one of %s", class, strings.Join(Classes, ", "))
	}
	var list struct {
		Prefixes []struct {
			V4 string `json:"ipv4Prefix"`
			V6 string `json:"ipv6Prefix"`
		} `json:"prefixes"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("address list %s: %w", name, err)
	}
	if len(list.Prefixes) == 0 || len(list.Prefixes) > mostRanges {
		return fmt.Errorf("address list %s has %d prefixes, want 1 to %d", name, len(list.Prefixes), mostRanges)
	}
	for _, p := range list.Prefixes {
		prefix, err := netip.ParsePrefix(p.V4 + p.V6)
		if err != nil {
			return fmt.Errorf("address list %s: %w", name, err)
		}
		r.nets = append(r.nets, netRule{class, prefix.Masked(), name})
	}
	r.ranged[class] = true
	return nil
}

// ByAddress reports whether guesses depend on addresses at all.
func (r *Rules) ByAddress() bool { return len(r.nets) > 0 }

// Classify guesses who sent a hit, and says by which rule.
func (r *Rules) Classify(h beacon.Hit) (class, reason string) {
	if h.Self {
		return Self, "our own fetch"
	}
	net, found := r.network(h.Addr)
	if found && net.class == Known {
		return Known, net.prefix.String() + " in " + net.source
	}
	agent := strings.ToLower(h.UserAgent)
	for _, a := range r.agents {
		if agent == "" || !strings.Contains(agent, a.part) {
			continue
		}
		if r.ranged[a.class] && !(found && net.class == a.class) {
			return Unknown, fmt.Sprintf("calls itself %s, but from no address that is published for it", a.part)
		}
		return a.class, fmt.Sprintf("calls itself %s (%s)", a.part, a.source)
	}
	switch {
	case found:
		return net.class, net.prefix.String() + " in " + net.source
	case h.Kind == beacon.KindDNS:
		return Resolver, "a name server asked"
	case (h.Kind == beacon.KindFetch || h.Kind == beacon.KindPicture || h.Kind == beacon.KindPixel) && h.Referer != "" && h.Host != "" &&
		crawl.Registrable(h.Referer) != "" && crawl.Registrable(h.Referer) != crawl.Registrable(h.Host):
		return Hotlink, "shown on a page of " + crawl.Registrable(h.Referer)
	}
	return Unknown, "no rule fits"
}

// network finds the first network that an address lies in.
func (r *Rules) network(addr string) (netRule, bool) {
	at, err := netip.ParseAddrPort(addr)
	ip := at.Addr()
	if err != nil {
		if ip, err = netip.ParseAddr(addr); err != nil {
			return netRule{}, false
		}
	}
	ip = ip.Unmap()
	for _, n := range r.nets {
		if n.prefix.Contains(ip) {
			return n, true
		}
	}
	return netRule{}, false
}
