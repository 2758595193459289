package beacon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ParentRecords are the records that the zone above must hold so that resolvers
// find ours: NS records, and the addresses of those name servers that lie in the
// zone (glue).
func ParentRecords(c DNSConfig) ([]string, error) {
	zones, err := newZones(c, netip.IPv4Unspecified())
	if err != nil {
		return nil, err
	}
	var out []string
	for _, z := range zones {
		for _, rr := range append(slices.Clone(z.sets[z.name][dns.TypeNS]), z.additional()...) {
			out = append(out, strings.ReplaceAll(rr.String(), "\t", " "))
		}
	}
	return out, nil
}

// Mistake is one thing that is wrong with a delegation, and what mends it.
type Mistake struct {
	Server  string `json:"server"` // who said so, "" if nobody in particular
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
}

// DelegationCheck asks the world whether a zone is delegated to us.
type DelegationCheck struct {
	Config   DNSConfig // as the servers run: zone, names and addresses
	Parents  []string  // address and port of servers of the zone above; nil: looked for
	Resolver string    // address and port; "": the system's
	Port     string    // of our name servers; "": 53
	Timeout  time.Duration
}

// Run checks every zone of the configuration. An error means that nothing could
// be found out, for example because there is no network.
func (c DelegationCheck) Run(ctx context.Context) (mistakes []Mistake, err error) {
	if c.Port == "" {
		c.Port = "53"
	}
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Second
	}
	zones, err := newZones(c.Config, netip.IPv4Unspecified())
	if err != nil {
		return nil, err
	}
	for _, z := range zones {
		found, err := c.zone(ctx, z)
		mistakes = append(mistakes, found...)
		if err != nil {
			return mistakes, err
		}
	}
	return mistakes, nil
}

func (c DelegationCheck) zone(ctx context.Context, z *zone) ([]Mistake, error) {
	parents := c.Parents
	if parents == nil {
		var err error
		if parents, err = c.findParents(ctx, z); err != nil {
			return nil, err
		}
	}
	check := &zoneCheck{DelegationCheck: c, z: z, servers: map[string][]netip.Addr{}}
	for _, p := range parents {
		check.parent(ctx, p)
	}
	if len(check.servers) == 0 {
		return check.found, ctx.Err()
	}
	check.spread()
	for _, name := range sortedKeys(check.servers) {
		check.server(ctx, name)
	}
	check.serials()
	return check.found, ctx.Err()
}

// zoneCheck is the check of one zone.
type zoneCheck struct {
	DelegationCheck
	z       *zone
	found   []Mistake
	servers map[string][]netip.Addr // as the parents delegate
	serial  map[uint32][]string     // serial -> servers
}

func (k *zoneCheck) wrong(server, fix, problem string, args ...any) {
	m := Mistake{Server: server, Problem: fmt.Sprintf(problem, args...), Fix: fix}
	if !slices.Contains(k.found, m) {
		k.found = append(k.found, m)
	}
}

// ask sends one question without recursion.
func (k *zoneCheck) ask(ctx context.Context, network, addr, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.RecursionDesired = false
	q.SetEdns0(udpSize, false)
	return exchange(ctx, network, addr, q, k.Timeout)
}

func exchange(ctx context.Context, network, addr string, q *dns.Msg, timeout time.Duration) (a *dns.Msg, err error) {
	c := dns.Client{Net: network, Timeout: timeout}
	for range 2 {
		if a, _, err = c.ExchangeContext(ctx, q, addr); err == nil || ctx.Err() != nil {
			return a, err
		}
	}
	return nil, err
}

// parent asks one server of the zone above what it delegates.
func (k *zoneCheck) parent(ctx context.Context, server string) {
	z := k.z
	add := "add there: " + strings.Join(k.wanted(), "; ")
	a, err := k.ask(ctx, "udp", server, z.name, dns.TypeNS)
	if err != nil {
		k.wrong(server, "is it the right server, and can this machine reach it?", "the server of the zone above does not answer: %v", err)
		return
	}
	records := append(slices.Clone(a.Ns), a.Answer...)
	var names []string
	for _, rr := range records {
		if ns, ok := rr.(*dns.NS); ok && dns.CanonicalName(ns.Hdr.Name) == z.name {
			names = append(names, dns.CanonicalName(ns.Ns))
		}
	}
	switch {
	case a.Rcode == dns.RcodeRefused || a.Rcode == dns.RcodeServerFailure:
		k.wrong(server, "name a server of the zone above", "the server is none of the zone above %s: it answers %s", z.name, dns.RcodeToString[a.Rcode])
		return
	case a.Rcode == dns.RcodeNameError:
		k.wrong(server, add, "the zone above knows nothing of %s (NXDOMAIN)", z.name)
		return
	case len(names) == 0 && slices.ContainsFunc(records, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeCNAME }):
		k.wrong(server, "remove the CNAME and "+add, "%s is an alias (CNAME) there: a zone cannot be delegated below one", z.name)
		return
	case a.Authoritative && len(a.Answer) > 0:
		k.wrong(server, "name a server of the zone above, or remove the zone there: it must refer to our servers", "the server answers for %s itself instead of delegating it", z.name)
		return
	case len(names) == 0:
		k.wrong(server, add, "the zone above has the name %s but no NS records for it", z.name)
		return
	}
	k.compare(server, names)
	glue := glueOf(a)
	for _, name := range names {
		k.glue(server, name, glue[name])
		k.servers[name] = append(k.servers[name], glue[name]...)
	}
	if ds, err := k.ask(ctx, "udp", server, z.name, dns.TypeDS); err == nil && len(ds.Answer) > 0 {
		k.wrong(server, "remove the DS records: the zone is not signed", "the zone above has DS records for %s: validating resolvers answer SERVFAIL", z.name)
	}
}

// compare holds the delegated names against those we serve.
func (k *zoneCheck) compare(server string, names []string) {
	for _, name := range names {
		if !slices.Contains(k.z.ns, name) {
			k.wrong(server, fmt.Sprintf("remove it there, or serve it: birdring serve --dns-ns %s", strings.TrimSuffix(name, ".")), "%s is delegated to %s, which our own NS records do not name", k.z.name, name)
		}
	}
	for _, ns := range k.z.ns {
		if !slices.Contains(names, ns) {
			k.wrong(server, fmt.Sprintf("add there: %s NS %s", k.z.name, ns), "the delegation lacks the name server %s", ns)
		}
	}
	if len(names) < 2 {
		k.wrong(server, "delegate to two name servers on different addresses", "only one name server is delegated to: some resolvers fail when it is slow, and registries refuse it")
	}
}

// glue holds the delegated addresses of a server in our zone against those we serve.
func (k *zoneCheck) glue(server, name string, got []netip.Addr) {
	if !dns.IsSubDomain(k.z.name, name) {
		return // found by its own zone
	}
	want := addressesOf(k.z.sets[name])
	if len(got) == 0 {
		fix := fmt.Sprintf("add the address of %s there", name)
		if len(want) > 0 {
			fix = fmt.Sprintf("add there: %s", strings.Join(addressRecords(name, want), "; "))
		}
		k.wrong(server, fix, "the glue of %s is missing: nobody can ask the server for its own address", name)
		return
	}
	for _, a := range got {
		if len(want) > 0 && !slices.Contains(want, a) {
			k.wrong(server, fmt.Sprintf("make it: %s", strings.Join(addressRecords(name, want), "; ")), "the glue of %s is %s, our own record says %s", name, a, joinAddrs(want))
		}
	}
}

// spread looks for servers that share an address.
func (k *zoneCheck) spread() {
	by := map[netip.Addr]string{}
	for _, name := range sortedKeys(k.servers) {
		slices.SortFunc(k.servers[name], netip.Addr.Compare)
		k.servers[name] = slices.Compact(k.servers[name])
		for _, a := range k.servers[name] {
			if other, ok := by[a]; ok && other != name {
				k.wrong("", "give each name server an address of its own", "%s and %s share the address %s: there is only one server", other, name, a)
			}
			by[a] = name
		}
	}
}

// server asks one delegated name server, at each of its addresses.
func (k *zoneCheck) server(ctx context.Context, name string) {
	addrs := k.servers[name]
	switch {
	case len(addrs) > 0:
	case dns.IsSubDomain(k.z.name, name): // that its glue is missing was said
		addrs = addressesOf(k.z.sets[name])
	default:
		found, alias, err := k.lookup(ctx, name)
		if alias {
			k.wrong(name, "give the name an A or AAAA record of its own", "the name server is an alias (CNAME): resolvers need not follow it")
		}
		if err != nil {
			k.wrong(name, "give the name an A or AAAA record in its own zone", "the name server's address cannot be found: %v", err)
			return
		}
		addrs = found
	}
	for _, a := range addrs {
		at := net.JoinHostPort(a.String(), k.Port)
		for _, network := range []string{"udp", "tcp"} {
			reply, err := k.ask(ctx, network, at, k.z.name, dns.TypeSOA)
			if err != nil {
				k.wrong(name+" "+a.String(), fmt.Sprintf("is birdring serve --dns running there, and does the firewall let %s port %s in?", network, k.Port), "no answer by %s: %v", network, err)
				continue
			}
			k.reply(name+" "+a.String(), network, reply)
		}
		k.wildcard(ctx, name+" "+a.String(), at)
	}
}

// reply judges a server's answer to the question for our SOA.
func (k *zoneCheck) reply(server, network string, a *dns.Msg) {
	switch {
	case a.Rcode == dns.RcodeRefused:
		k.wrong(server, fmt.Sprintf("start it with --zone %s", strings.TrimSuffix(k.z.name, ".")), "the server does not serve %s (REFUSED): the delegation is lame", k.z.name)
	case a.Rcode != dns.RcodeSuccess:
		k.wrong(server, "look at what runs there", "the server answers %s for the zone's own SOA by %s", dns.RcodeToString[a.Rcode], network)
	case !a.Authoritative:
		k.wrong(server, "the address must be that of birdring serve, not of a resolver or forwarder", "the answer by %s is not authoritative", network)
	case len(a.Answer) != 1 || a.Answer[0].Header().Rrtype != dns.TypeSOA:
		k.wrong(server, "look at what runs there", "no SOA record for %s", k.z.name)
	default:
		if k.serial == nil {
			k.serial = map[uint32][]string{}
		}
		serial := a.Answer[0].(*dns.SOA).Serial
		if !slices.Contains(k.serial[serial], server) {
			k.serial[serial] = append(k.serial[serial], server)
		}
	}
}

// wildcard asks for a name nobody made: the answer must be ours.
func (k *zoneCheck) wildcard(ctx context.Context, server, at string) {
	name := "birdring-check." + k.z.name
	a, err := k.ask(ctx, "udp", at, name, dns.TypeA)
	if err == nil && a.Rcode == dns.RcodeSuccess && len(a.Answer) > 0 {
		k.wrong(server, "another server or a wildcard record answers for the zone: point the delegation at birdring serve", "the server invents addresses for %s", name)
	}
}

// serials compares what the servers say: a zone has one.
func (k *zoneCheck) serials() {
	if len(k.serial) > 1 {
		var said []string
		for s, who := range k.serial {
			said = append(said, fmt.Sprintf("%d at %s", s, strings.Join(who, ", ")))
		}
		slices.Sort(said)
		k.wrong("", "start all servers with the same --dns-serial", "the servers differ in the SOA serial: %s", strings.Join(said, "; "))
	}
}

// wanted are the records the zone above should hold.
func (k *zoneCheck) wanted() (out []string) {
	for _, ns := range k.z.ns {
		out = append(out, fmt.Sprintf("%s NS %s", k.z.name, ns))
		out = append(out, addressRecords(ns, addressesOf(k.z.sets[ns]))...)
	}
	return out
}

// findParents asks the resolver for the servers of the zone above.
func (c DelegationCheck) findParents(ctx context.Context, z *zone) (servers []string, err error) {
	above := z.name
	for {
		off, end := dns.NextLabel(above, 0)
		if end {
			above = "."
		} else {
			above = above[off:]
		}
		a, err := c.resolve(ctx, above, dns.TypeNS)
		if err != nil {
			return nil, err
		}
		for _, rr := range a.Answer {
			ns, ok := rr.(*dns.NS)
			if !ok {
				continue
			}
			addrs, _, err := c.lookup(ctx, ns.Ns)
			if err != nil {
				continue // the others may be found
			}
			for _, addr := range addrs {
				servers = append(servers, net.JoinHostPort(addr.String(), "53"))
			}
		}
		if len(servers) > 0 {
			return servers, nil
		}
		if above == "." {
			return nil, fmt.Errorf("no server of the zone above %s was found: name one with --parent", z.name)
		}
	}
}

// lookup finds addresses by the resolver, and whether the name is an alias.
func (c DelegationCheck) lookup(ctx context.Context, name string) (addrs []netip.Addr, alias bool, err error) {
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		a, askErr := c.resolve(ctx, name, qtype)
		if askErr != nil {
			err = askErr
			continue
		}
		for _, rr := range a.Answer {
			addrs = append(addrs, addressOf(rr)...)
			alias = alias || rr.Header().Rrtype == dns.TypeCNAME
		}
	}
	if len(addrs) > 0 {
		return addrs, alias, nil
	}
	if err == nil {
		err = errors.New("it has no address")
	}
	return nil, alias, err
}

func (c DelegationCheck) resolve(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	resolver := c.Resolver
	if resolver == "" {
		conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil || len(conf.Servers) == 0 {
			return nil, errors.New("this machine has no resolver: name one with --resolver, or the servers of the zone above with --parent")
		}
		resolver = net.JoinHostPort(conf.Servers[0], conf.Port)
	}
	a, err := exchange(ctx, "udp", resolver, new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype), c.Timeout)
	if err != nil {
		return nil, fmt.Errorf("ask resolver %s: %w", resolver, err)
	}
	return a, nil
}

func glueOf(a *dns.Msg) map[string][]netip.Addr {
	glue := map[string][]netip.Addr{}
	for _, rr := range a.Extra {
		name := dns.CanonicalName(rr.Header().Name)
		glue[name] = append(glue[name], addressOf(rr)...)
	}
	return glue
}

func addressOf(rr dns.RR) []netip.Addr {
	var ip net.IP
	switch rr := rr.(type) {
	case *dns.A:
		ip = rr.A
	case *dns.AAAA:
		ip = rr.AAAA
	}
	if a, ok := netip.AddrFromSlice(ip); ok {
		return []netip.Addr{a.Unmap()}
	}
	return nil
}

func addressesOf(sets recordSets) (addrs []netip.Addr) {
	for _, rr := range append(slices.Clone(sets[dns.TypeA]), sets[dns.TypeAAAA]...) {
		addrs = append(addrs, addressOf(rr)...)
	}
	return addrs
}

func addressRecords(name string, addrs []netip.Addr) (out []string) {
	for _, a := range addrs {
		qtype := "A"
		if a.Is6() {
			qtype = "AAAA"
		}
		out = append(out, fmt.Sprintf("%s %s %s", name, qtype, a))
	}
	return out
}

func joinAddrs(addrs []netip.Addr) string {
	var s []string
	for _, a := range addrs {
		s = append(s, a.String())
	}
	return strings.Join(s, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
