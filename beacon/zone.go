package beacon

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Times of our own records in seconds. Resolvers hold a negative answer for the
// smaller of negativeTTL and the SOA's own TTL (RFC 2308).
const (
	apexTTL     = 3600
	negativeTTL = 60
	refresh     = 4 * 3600
	retry       = 3600
	expire      = 14 * 24 * 3600
	tokenTTL    = 10
	maxTokenTTL = 60
)

// zone is one zone and its own records. It is not changed after it was made.
type zone struct {
	name   string // canonical, with the dot
	labels int
	soa    *dns.SOA
	ns     []string
	glue   map[string][]netip.Addr // addresses of name servers in this zone; none for names above them
	addrs  []netip.Addr            // that canary names answer with
	ttl    uint32                  // of canary names
}

func newZones(c DNSConfig, listening netip.Addr) ([]*zone, error) {
	if c.A == nil && !listening.IsUnspecified() {
		c.A = []netip.Addr{listening}
	}
	if c.NSAddrs == nil {
		c.NSAddrs = c.A
	}
	if c.TTL == 0 {
		c.TTL = tokenTTL
	}
	if c.TTL > maxTokenTTL {
		return nil, fmt.Errorf("ttl of canary names is %d s: at most %d, a cached answer hides hits", c.TTL, maxTokenTTL)
	}
	serial := uint32(time.Now().Unix())
	var zones []*zone
	for name := range strings.SplitSeq(c.Zone, ",") {
		z, err := newZone(c, strings.TrimSpace(name), serial)
		if err != nil {
			return nil, err
		}
		zones = append(zones, z)
	}
	for _, z := range zones {
		for _, below := range zones {
			z.nameAbove(below.name)
		}
	}
	return zones, nil
}

func newZone(c DNSConfig, name string, serial uint32) (*zone, error) {
	if _, ok := dns.IsDomainName(name); !ok || name == "" || name == "." {
		return nil, fmt.Errorf("dns zone %q: no domain name, want something like t.example.com", name)
	}
	z := &zone{name: dns.CanonicalName(name), ttl: c.TTL, addrs: c.A, glue: map[string][]netip.Addr{}}
	z.labels = dns.CountLabel(z.name)
	for _, ns := range c.NS {
		if _, ok := dns.IsDomainName(ns); !ok || ns == "" {
			return nil, fmt.Errorf("name server %q: no domain name", ns)
		}
		z.ns = append(z.ns, dns.CanonicalName(ns))
	}
	if z.ns == nil {
		z.ns = []string{"ns1." + z.name, "ns2." + z.name}
	}
	for i, ns := range z.ns {
		if !dns.IsSubDomain(z.name, ns) {
			continue
		}
		z.nameAbove(ns)
		z.glue[ns] = nil // the name exists even without an address
		for _, family := range [][]netip.Addr{only(c.NSAddrs, netip.Addr.Is4), only(c.NSAddrs, netip.Addr.Is6)} {
			if len(family) > 0 {
				z.glue[ns] = append(z.glue[ns], family[i%len(family)])
			}
		}
	}
	z.soa = &dns.SOA{
		Hdr: dns.RR_Header{Name: z.name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: apexTTL},
		Ns:  z.ns[0], Mbox: "hostmaster." + z.name,
		Serial: serial, Refresh: refresh, Retry: retry, Expire: expire, Minttl: negativeTTL,
	}
	return z, nil
}

// nameAbove makes the names between the zone and a name below it exist: whoever
// is told that they do not will not ask for what is below (RFC 8020).
func (z *zone) nameAbove(name string) {
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		above := name[off:]
		if above == z.name || !dns.IsSubDomain(z.name, above) {
			return
		}
		if _, ok := z.glue[above]; !ok {
			z.glue[above] = nil
		}
	}
}

func only(addrs []netip.Addr, keep func(netip.Addr) bool) (kept []netip.Addr) {
	for _, a := range addrs {
		if a = a.Unmap(); keep(a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// zoneOf returns the longest zone that a canonical name lies in, nil if none.
func zoneOf(zones []*zone, name string) (best *zone) {
	for _, z := range zones {
		if dns.IsSubDomain(z.name, name) && (best == nil || z.labels > best.labels) {
			best = z
		}
	}
	return best
}

// own answers for names that are ours by configuration and reports whether this
// is one. Owner names keep the spelling of the question.
func (z *zone) own(a *dns.Msg, q dns.Question, name string) bool {
	addrs, exists := z.glue[name]
	if name != z.name && !exists {
		return false
	}
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: apexTTL}
	switch {
	case q.Qtype == dns.TypeANY:
		a.Answer = append(a.Answer, minimalANY(header))
	case q.Qtype == dns.TypeA || q.Qtype == dns.TypeAAAA:
		a.Answer = append(a.Answer, addresses(header, addrs)...)
	case name == z.name && q.Qtype == dns.TypeSOA:
		soa := *z.soa
		soa.Hdr.Name = q.Name
		a.Answer = append(a.Answer, &soa)
	case name == z.name && q.Qtype == dns.TypeNS:
		for _, ns := range z.ns {
			a.Answer = append(a.Answer, &dns.NS{Hdr: header, Ns: ns})
		}
		a.Extra = append(a.Extra, z.additional()...)
	}
	if len(a.Answer) == 0 {
		a.Ns = append(a.Ns, z.negative())
	}
	return true
}

// additional are the addresses of our name servers.
func (z *zone) additional() (rrs []dns.RR) {
	for _, ns := range z.ns {
		for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
			rrs = append(rrs, addresses(dns.RR_Header{Name: ns, Rrtype: t, Class: dns.ClassINET, Ttl: apexTTL}, z.glue[ns])...)
		}
	}
	return rrs
}

// canary answers for a canary name: addresses, and no data of every other type.
func (z *zone) canary(a *dns.Msg, q dns.Question) {
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: z.ttl}
	switch q.Qtype {
	case dns.TypeA, dns.TypeAAAA:
		a.Answer = addresses(header, z.addrs)
	case dns.TypeANY:
		a.Answer = []dns.RR{minimalANY(header)}
	}
	if len(a.Answer) == 0 {
		a.Ns = append(a.Ns, z.negative())
	}
}

// addresses are those of the type that the header names.
func addresses(h dns.RR_Header, addrs []netip.Addr) (rrs []dns.RR) {
	for _, addr := range addrs {
		switch addr = addr.Unmap(); {
		case h.Rrtype == dns.TypeA && addr.Is4():
			rrs = append(rrs, &dns.A{Hdr: h, A: net.IP(addr.AsSlice())})
		case h.Rrtype == dns.TypeAAAA && addr.Is6():
			rrs = append(rrs, &dns.AAAA{Hdr: h, AAAA: net.IP(addr.AsSlice())})
		}
	}
	return rrs
}

// minimalANY is the answer of RFC 8482 to a query for everything.
func minimalANY(h dns.RR_Header) dns.RR {
	h.Rrtype = dns.TypeHINFO
	return &dns.HINFO{Hdr: h, Cpu: "RFC8482"}
}

// negative is the SOA as it goes with an answer that has no data.
func (z *zone) negative() dns.RR {
	soa := *z.soa
	soa.Hdr.Ttl = min(apexTTL, negativeTTL)
	return &soa
}
