package crawl

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// allowed is one entry of --allow.
type allowed struct {
	prefix netip.Prefix
	port   uint16 // 0: any
}

type allowList []allowed

// CheckAllow says what is wrong with entries of --allow.
func CheckAllow(entries []string) error {
	_, err := parseAllow(entries)
	return err
}

func parseAllow(entries []string) (list allowList, err error) {
	for _, s := range entries {
		a, err := parseAllowed(s)
		if err != nil {
			return nil, fmt.Errorf("--allow %q: %w; want CIDR:PORT such as 10.0.0.0/8:* or [fd00::/8]:443", s, err)
		}
		list = append(list, a)
	}
	return list, nil
}

func parseAllowed(s string) (a allowed, err error) {
	cidr, port, err := splitAllowed(s)
	if err != nil {
		return a, err
	}
	if a.prefix, err = parsePrefix(cidr); err != nil {
		return a, err
	}
	if port == "*" {
		return a, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return a, errors.New("the port is neither 1 to 65535 nor *")
	}
	a.port = uint16(n)
	return a, nil
}

func splitAllowed(s string) (cidr, port string, err error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		cidr, port, ok = strings.Cut(rest, "]:")
		if !ok {
			return "", "", errors.New("the bracket is not closed before the port")
		}
		return cidr, port, nil
	}
	cidr, port, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return "", "", errors.New("there is no port")
	case strings.Contains(port, ":"):
		return "", "", errors.New("an IPv6 network needs brackets")
	}
	return cidr, port, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, errors.New("no network or address before the port")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("no network before the port")
	}
	return p.Masked(), nil
}

// contains reports whether an address was opened.
func (l allowList) contains(at netip.AddrPort) bool {
	addr := at.Addr().Unmap().WithZone("")
	for _, a := range l {
		if a.prefix.Contains(addr) && (a.port == 0 || a.port == at.Port()) {
			return true
		}
	}
	return false
}

// ports of public addresses that may be called: where web sites are. Others are
// refused so that a hostile page cannot make us knock elsewhere.
var ports = []uint16{80, 443, 8080, 8443}

// guard decides about every connection, after names were resolved.
type guard struct {
	allow  allowList
	public *ssrf.Guardian
}

func newGuard(allow allowList) *guard {
	return &guard{allow, ssrf.New(ssrf.WithPorts(ports...))}
}

// control is net.Dialer.Control.
func (g *guard) control(network, address string, conn syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err == nil && (network == "tcp4" || network == "tcp6") && g.allow.contains(at) {
		return nil
	}
	if err := g.public.Safe(network, address, conn); err != nil {
		return fmt.Errorf("%w: %v; if %s is yours, open it with --allow", ErrRefused, err, address)
	}
	return nil
}

// reachable reports whether the guard lets calls to an address through.
func (g *guard) reachable(at netip.AddrPort) bool {
	return g.allow.contains(at) || g.public.SafeAddrPort(at) == nil
}
