package visit

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"birdring/beacon"
)

// Whether an address is who it calls itself.
const (
	Waits       = "waits"   // not asked yet
	Confirmed   = "yes"     // its name lies in the maker's domain, and the name has the address
	Refuted     = "no"      // it has no such name
	Unconfirmed = "unknown" // nobody answered
)

// Resolver asks the domain name system; *net.Resolver is one. It is safe for
// concurrent use and ends with ctx. A name that does not exist is a *net.DNSError
// with IsNotFound.
type Resolver interface {
	LookupAddr(ctx context.Context, addr string) (names []string, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// mostNames is how many names of one address are looked at.
const mostNames = 8

// askTime is how long one address may take.
const askTime = 10 * time.Second

// Confirm asks whether a hit comes from whom its User-Agent names, as the makers of
// many crawlers tell how to: the name of the address lies in a domain of theirs, and
// that name has the address. It asks servers that belong to the address's owner.
func (r *Rules) Confirm(ctx context.Context, from Resolver, h beacon.Hit) (outcome, reason string) {
	rule, ok := r.agent(h.UserAgent)
	ip, err := addressOf(h.Addr)
	if !ok || len(rule.domains) == 0 || err != nil {
		return "", ""
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	names, err := from.LookupAddr(ctx, ip.String())
	if err != nil && !notFound(err) {
		return Unconfirmed, "calls itself " + rule.part + "; the name of its address could not be asked for"
	}
	asked := error(nil)
	for _, name := range names[:min(len(names), mostNames)] {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if !rule.owns(name) {
			continue
		}
		back, err := from.LookupNetIP(ctx, "ip", name)
		for _, b := range back {
			if b.Unmap().WithZone("") == ip {
				return Confirmed, "is " + rule.part + ": its address is " + name + " (" + rule.source + ")"
			}
		}
		if err != nil && !notFound(err) {
			asked = err
		}
	}
	if asked != nil {
		return Unconfirmed, "calls itself " + rule.part + "; the address of its name could not be asked for"
	}
	return Refuted, "calls itself " + rule.part + ", but its address has no name of " + strings.Join(rule.domains, ", ") + " (" + rule.source + ")"
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// owns reports whether a name lies in a domain of the rule's maker.
func (a *agentRule) owns(name string) bool {
	for _, d := range a.domains {
		if name == d || strings.HasSuffix(name, "."+d) {
			return true
		}
	}
	return false
}
