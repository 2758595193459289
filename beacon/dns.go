package beacon

import (
	"context"
	"net/netip"
)

// DNSConfig of ServeDNS.
type DNSConfig struct {
	Addr    string       // address and port to listen on, UDP and TCP; port 0: a free one
	Zone    string       // one or more zones, separated by commas
	NS      []string     // names of the name servers; nil: ns1 and ns2 in each zone
	A       []netip.Addr // addresses that canary names answer with, A and AAAA; nil: the address listened on, if it is a specific one
	Keyring Opener
	Record  Recorder
	Stats   *Stats
}

// DNS is a running server.
type DNS struct{}

func ServeDNS(ctx context.Context, c DNSConfig) (*DNS, error) { panic("not yet") }
func (d *DNS) Addr() string                                   { panic("not yet") }
func (d *DNS) Close() error                                   { panic("not yet") }
