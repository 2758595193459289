package crawl

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Registrable returns the site that a URL, host or host:port belongs to: its
// registrable domain by the public suffix list, or host:port for an IP address
// or a name of one label. It is lower case, in ASCII, without a final dot; a port
// that is not written is the scheme's, else 80. "" if there is no host.
func Registrable(site string) string {
	name, port := splitSite(strings.TrimSpace(site))
	if name == "" {
		return ""
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		return net.JoinHostPort(addr.Unmap().WithZone("").String(), port)
	}
	if ascii, err := idna.Lookup.ToASCII(name); err == nil {
		name = ascii
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !strings.Contains(name, ".") {
		return net.JoinHostPort(name, port)
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return domain
	}
	return name // itself a public suffix
}

// splitSite takes a URL, host or host:port apart.
func splitSite(site string) (name, port string) {
	if strings.Contains(site, "://") {
		u, err := url.Parse(site)
		if err != nil {
			return "", ""
		}
		site = hostPort(u)
	}
	site, _, _ = strings.Cut(site, "/")
	if name, port, err := net.SplitHostPort(site); err == nil {
		if port == "" {
			port = "80"
		}
		return name, port
	}
	return strings.Trim(site, "[]"), "80"
}

// hostPort is host:port of a URL, with the scheme's port if none is written.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	if u.Hostname() == "" {
		return ""
	}
	return net.JoinHostPort(u.Hostname(), port)
}
