// Package visit guesses who sent a hit: a search engine, a link preview, our own
// scanner, a visitor of a page that shows our picture. A guess helps a reader to
// sort hits and is never evidence: what a hit says of itself was written by
// whoever sent it.
//
// Rules are data: those for User-Agents, each with its source, are in rules.tsv, and
// the operator may add a file of the same form; address ranges come only from the
// operator, as networks, as the JSON lists that search engines publish, or as files
// in MaxMind's format that say whose an address is. Where the maker of a crawler
// names the domain of its addresses, Confirm asks for them.
package visit

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
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
	NameServer = "resolver" // a name server asked; for whom it does not say
	Hotlink    = "hotlink"  // a visitor of a page that shows our picture
	Scraper    = "scraper"
	Known      = "known" // by the operator's own list
	Unknown    = "unknown"
)

// Classes are all of them.
var Classes = []string{Self, Search, Preview, Mail, Sandbox, Translator, Archive, NameServer, Hotlink, Scraper, Known, Unknown}

//go:embed rules.tsv
var builtIn string

// agentRule is one line of rules.tsv.
type agentRule struct {
	class, part, source string
	domains             []string // in which the addresses of its maker have names; nil: not told
}

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
	asns   map[uint32]bool // networks of the operator's own list
	places places
}

// Default are the built-in rules alone.
func Default() *Rules {
	r := &Rules{ranged: map[string]bool{}, asns: map[uint32]bool{}}
	if err := r.Agents("rules.tsv", builtIn); err != nil {
		panic("visit: internal error: " + err.Error())
	}
	return r
}

// Agents adds rules for User-Agents in the form of rules.tsv, behind those there
// are. Every rule needs a source.
func (r *Rules) Agents(name, text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) < 3 || len(f) > 4 || !slices.Contains(Classes, f[0]) || strings.TrimSpace(f[1]) == "" || !isSource(f[2]) {
			return fmt.Errorf("%s line %d: want class, part of the User-Agent, http(s) URL of its source and, if any, the maker's domains, separated by tabs; classes are %s", name, n, strings.Join(Classes, ", "))
		}
		rule := agentRule{class: f[0], part: strings.ToLower(f[1]), source: f[2]}
		if len(f) == 4 {
			for d := range strings.SplitSeq(strings.ToLower(f[3]), ",") {
				rule.domains = append(rule.domains, strings.Trim(d, " ."))
			}
		}
		r.agents = append(r.agents, rule)
	}
	return nil
}

func isSource(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// Allow adds an entry of the operator's own list: a network, an address, AS64500 for
// all networks of that number (Locate says which), or agent:TEXT for a part of a
// User-Agent.
func (r *Rules) Allow(entry string) error {
	entry = strings.TrimSpace(entry)
	if text, ok := strings.CutPrefix(entry, "agent:"); ok && strings.TrimSpace(text) != "" {
		r.agents = slices.Insert(r.agents, 0, agentRule{class: Known, part: strings.ToLower(strings.TrimSpace(text)), source: operator})
		return nil
	}
	if number, ok := strings.CutPrefix(strings.ToLower(entry), "as"); ok {
		if n, err := strconv.ParseUint(number, 10, 32); err == nil && n > 0 {
			r.asns[uint32(n)] = true
			return nil
		}
	}
	prefix, err := netip.ParsePrefix(entry)
	if addr, addrErr := netip.ParseAddr(entry); err != nil && addrErr == nil {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil {
		return fmt.Errorf("known requester %q: want a network like 192.0.2.0/24, an address, AS64500 or agent:TEXT", entry)
	}
	r.nets = slices.Insert(r.nets, 0, netRule{Known, prefix.Masked(), operator})
	return nil
}

const operator = "the operator's list"

// NeedsASN reports whether networks are known by number, for which Locate needs a file.
func (r *Rules) NeedsASN() bool { return len(r.asns) > 0 && r.places.asn == nil }

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
func (r *Rules) ByAddress() bool { return len(r.nets) > 0 || r.places.known() }

// Guess is who sent a hit, probably.
type Guess struct {
	Class, Reason string
	Place         Place
	Confirm       bool // whether Confirm could tell more
}

// Classify guesses who sent a hit, and says by which rule.
func (r *Rules) Classify(h beacon.Hit) (g Guess) {
	ip, err := addressOf(h.Addr)
	if err == nil {
		g.Place = r.places.of(ip)
	}
	g.Class, g.Reason, g.Confirm = r.class(h, ip, g.Place)
	return g
}

func (r *Rules) class(h beacon.Hit, ip netip.Addr, at Place) (class, reason string, confirm bool) {
	if h.Self {
		return Self, "our own fetch", false
	}
	net, found := r.network(ip)
	switch {
	case found && net.class == Known:
		return Known, net.prefix.String() + " in " + net.source, false
	case r.asns[at.ASN]:
		return Known, fmt.Sprintf("AS%d in %s", at.ASN, operator), false
	}
	if a, ok := r.agent(h.UserAgent); ok {
		if r.ranged[a.class] && !(found && net.class == a.class) {
			return Unknown, fmt.Sprintf("calls itself %s, but from no address that is published for it", a.part), false
		}
		return a.class, fmt.Sprintf("calls itself %s (%s)", a.part, a.source), len(a.domains) > 0 && !r.ranged[a.class]
	}
	switch {
	case found:
		return net.class, net.prefix.String() + " in " + net.source, false
	case h.Kind == beacon.KindDNS:
		return NameServer, "a name server asked", false
	case (h.Kind == beacon.KindFetch || h.Kind == beacon.KindPicture || h.Kind == beacon.KindPixel) && h.Referer != "" && h.Host != "" &&
		crawl.Registrable(h.Referer) != "" && crawl.Registrable(h.Referer) != crawl.Registrable(h.Host):
		return Hotlink, "shown on a page of " + crawl.Registrable(h.Referer), false
	}
	return Unknown, "no rule fits", false
}

// agent finds the first rule that a User-Agent fits.
func (r *Rules) agent(agent string) (*agentRule, bool) {
	if agent == "" {
		return nil, false
	}
	agent = strings.ToLower(agent)
	for i := range r.agents {
		if strings.Contains(agent, r.agents[i].part) {
			return &r.agents[i], true
		}
	}
	return nil, false
}

// network finds the first network that an address lies in.
func (r *Rules) network(ip netip.Addr) (netRule, bool) {
	for _, n := range r.nets {
		if ip.IsValid() && n.prefix.Contains(ip) {
			return n, true
		}
	}
	return netRule{}, false
}
