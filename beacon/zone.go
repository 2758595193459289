package beacon

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"birdring/canary"
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

// challengeLabel is where a certificate authority looks for a proof (RFC 8555, section 8.4).
const challengeLabel = "_acme-challenge."

// zone is one zone and its own records. It is not changed after it was made.
type zone struct {
	name   string // canonical, with the dot
	labels int
	soa    *dns.SOA
	ns     []string
	sets   map[string]recordSets // our own names, canonical, those without records too
	addrs  []netip.Addr          // that canary names answer with
	ttl    uint32                // of canary names
	fast   fastZone
}

// recordSets are the records of one name by type.
type recordSets map[uint16][]dns.RR

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
	if c.Serial == 0 {
		c.Serial = uint32(time.Now().Unix())
	}
	var zones []*zone
	for name := range strings.SplitSeq(c.Zone, ",") {
		z, err := newZone(c, strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		zones = append(zones, z)
	}
	if err := addRecords(zones, c.Records); err != nil {
		return nil, err
	}
	for _, z := range zones {
		z.nameServers(c.NSAddrs)
		for _, below := range zones {
			z.nameAbove(below.name)
		}
	}
	for _, z := range zones {
		z.fast = newFastZone(z)
	}
	return zones, nil
}

func newZone(c DNSConfig, name string) (*zone, error) {
	if _, ok := dns.IsDomainName(name); !ok || name == "" || name == "." {
		return nil, fmt.Errorf("dns zone %q: no domain name, want something like t.example.com", name)
	}
	z := &zone{name: dns.CanonicalName(name), ttl: c.TTL, sets: map[string]recordSets{}}
	z.labels = dns.CountLabel(z.name)
	if limit := 255 - len(challengeLabel) - canary.TokenLength - 1; len(z.name) > limit {
		return nil, fmt.Errorf("dns zone %q: too long, a canary name must fit in front of it", name)
	}
	for _, a := range c.A {
		z.addrs = append(z.addrs, a.Unmap())
	}
	for _, ns := range c.NS {
		if _, ok := dns.IsDomainName(ns); !ok || ns == "" {
			return nil, fmt.Errorf("name server %q: no domain name", ns)
		}
		z.ns = append(z.ns, dns.CanonicalName(ns))
	}
	if z.ns == nil {
		z.ns = []string{"ns1." + z.name, "ns2." + z.name}
	}
	z.soa = &dns.SOA{
		Hdr:  dns.RR_Header{Name: z.name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: apexTTL},
		Mbox: "hostmaster." + z.name, Serial: c.Serial, Refresh: refresh, Retry: retry, Expire: expire, Minttl: negativeTTL,
	}
	z.exist(z.name)
	z.exist(challengeLabel + z.name)
	return z, nil
}

// exist makes a name one of our own, without any record yet.
func (z *zone) exist(name string) recordSets {
	if z.sets[name] == nil {
		z.sets[name] = recordSets{}
	}
	return z.sets[name]
}

// addRecords reads own records in zone-file form. A relative name is one in every zone.
func addRecords(zones []*zone, text string) error {
	placed := map[string]bool{} // lines that lie in some zone
	var lines []string
	for _, z := range zones {
		p := dns.NewZoneParser(strings.NewReader(text), z.name, "")
		p.SetDefaultTTL(apexTTL)
		p.SetIncludeAllowed(false)
		for n := 0; ; n++ {
			rr, ok := p.Next()
			if !ok {
				break
			}
			if n == len(lines) {
				lines = append(lines, rr.String())
			}
			name := dns.CanonicalName(rr.Header().Name)
			if zoneOf(zones, name) != z {
				continue
			}
			placed[lines[n]] = true
			if err := z.add(name, rr); err != nil {
				return err
			}
		}
		if err := p.Err(); err != nil {
			return fmt.Errorf("own dns records: %w", err)
		}
	}
	for _, line := range lines {
		if !placed[line] {
			return fmt.Errorf("own dns record %q lies in none of the zones", strings.ReplaceAll(line, "\t", " "))
		}
	}
	return nil
}

// add puts in one of our own records.
func (z *zone) add(name string, rr dns.RR) error {
	h := rr.Header()
	line := strings.ReplaceAll(rr.String(), "\t", " ")
	switch {
	case h.Class != dns.ClassINET:
		return fmt.Errorf("own dns record %q: only class IN is served", line)
	case h.Rrtype == dns.TypeNS && name != z.name:
		return fmt.Errorf("own dns record %q: the zone delegates nothing, NS records belong at its apex %s", line, z.name)
	}
	switch h.Rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeMX, dns.TypeTXT, dns.TypeCAA:
	default:
		return fmt.Errorf("own dns record %q: only A, AAAA, NS, MX, TXT and CAA can be configured", line)
	}
	for l := range strings.SplitSeq(strings.TrimSuffix(name, z.name), ".") {
		if len(l) == canary.TokenLength {
			return fmt.Errorf("own dns record %q: a label of %d letters is taken for a token, choose another length", line, canary.TokenLength)
		}
	}
	z.nameAbove(name)
	sets := z.exist(name)
	sets[h.Rrtype] = append(sets[h.Rrtype], rr)
	return nil
}

// nameServers completes SOA, NS and the addresses of servers in the zone. Records
// that were configured go before those made here.
func (z *zone) nameServers(addrs []netip.Addr) {
	apex := z.exist(z.name)
	if own := apex[dns.TypeNS]; own != nil {
		z.ns = nil
		for _, rr := range own {
			z.ns = append(z.ns, dns.CanonicalName(rr.(*dns.NS).Ns))
		}
	} else {
		for _, ns := range z.ns {
			apex[dns.TypeNS] = append(apex[dns.TypeNS], &dns.NS{Hdr: header(z.name, dns.TypeNS, apexTTL), Ns: ns})
		}
	}
	z.soa.Ns = z.ns[0]
	apex[dns.TypeSOA] = []dns.RR{z.soa}
	for i, ns := range z.ns {
		if !dns.IsSubDomain(z.name, ns) {
			continue
		}
		z.nameAbove(ns)
		sets := z.exist(ns) // the name exists even without an address
		if sets[dns.TypeA] != nil || sets[dns.TypeAAAA] != nil {
			continue
		}
		for _, family := range [][]netip.Addr{only(addrs, netip.Addr.Is4), only(addrs, netip.Addr.Is6)} {
			if len(family) > 0 {
				rr := address(ns, apexTTL, family[i%len(family)])
				sets[rr.Header().Rrtype] = []dns.RR{rr}
			}
		}
	}
}

// nameAbove makes the names between the zone and a name below it exist: whoever
// is told that they do not will not ask for what is below (RFC 8020).
func (z *zone) nameAbove(name string) {
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		above := name[off:]
		if above == z.name || !dns.IsSubDomain(z.name, above) {
			return
		}
		z.exist(above)
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
func (z *zone) own(a *dns.Msg, q dns.Question, name string, challenges []string) bool {
	sets, exists := z.sets[name]
	if !exists {
		return false
	}
	switch {
	case q.Qtype == dns.TypeANY:
		a.Answer = append(a.Answer, minimalANY(q, apexTTL))
	case q.Qtype == dns.TypeTXT && len(challenges) > 0:
		for _, value := range challenges {
			a.Answer = append(a.Answer, &dns.TXT{Hdr: header(q.Name, dns.TypeTXT, negativeTTL), Txt: []string{value}})
		}
	default:
		for _, rr := range sets[q.Qtype] {
			rr = dns.Copy(rr)
			rr.Header().Name = q.Name
			a.Answer = append(a.Answer, rr)
		}
	}
	if name == z.name && q.Qtype == dns.TypeNS {
		a.Extra = append(a.Extra, z.additional()...)
	}
	if len(a.Answer) == 0 {
		a.Ns = append(a.Ns, z.negative(q.Name))
	}
	return true
}

// additional are the addresses of our name servers.
func (z *zone) additional() (rrs []dns.RR) {
	for _, ns := range z.ns {
		rrs = append(append(rrs, z.sets[ns][dns.TypeA]...), z.sets[ns][dns.TypeAAAA]...)
	}
	return rrs
}

// canary answers for a canary name: addresses, and no data of every other type.
func (z *zone) canary(a *dns.Msg, q dns.Question) {
	switch q.Qtype {
	case dns.TypeA, dns.TypeAAAA:
		for _, addr := range z.addrs {
			if addr.Is4() == (q.Qtype == dns.TypeA) {
				a.Answer = append(a.Answer, address(q.Name, z.ttl, addr))
			}
		}
	case dns.TypeANY:
		a.Answer = []dns.RR{minimalANY(q, z.ttl)}
	}
	if len(a.Answer) == 0 {
		a.Ns = append(a.Ns, z.negative(q.Name))
	}
}

func header(name string, qtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: qtype, Class: dns.ClassINET, Ttl: ttl}
}

// address is an A or AAAA record; addr is no IPv4 address in IPv6 clothing.
func address(name string, ttl uint32, addr netip.Addr) dns.RR {
	if addr.Is4() {
		return &dns.A{Hdr: header(name, dns.TypeA, ttl), A: net.IP(addr.AsSlice())}
	}
	return &dns.AAAA{Hdr: header(name, dns.TypeAAAA, ttl), AAAA: net.IP(addr.AsSlice())}
}

// minimalANY is the answer of RFC 8482 to a query for everything.
func minimalANY(q dns.Question, ttl uint32) dns.RR {
	return &dns.HINFO{Hdr: header(q.Name, dns.TypeHINFO, ttl), Cpu: "RFC8482"}
}

// negative is the SOA as it goes with an answer that has no data, its names
// spelled as in the question: only then are they compressed, and an answer to a
// resolver that randomises case stays small.
func (z *zone) negative(asked string) dns.RR {
	soa := *z.soa
	soa.Hdr.Name, soa.Ns, soa.Mbox = respell(soa.Hdr.Name, asked), respell(soa.Ns, asked), respell(soa.Mbox, asked)
	soa.Hdr.Ttl = min(apexTTL, negativeTTL)
	return &soa
}

// respell gives the labels that a name shares with another, from the right, its spelling.
func respell(name, as string) string {
	n := dns.CompareDomainName(name, as)
	if n == 0 {
		return name
	}
	i, _ := dns.PrevLabel(name, n)
	j, _ := dns.PrevLabel(as, n)
	return name[:i] + as[j:]
}
