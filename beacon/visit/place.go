package visit

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Place is where an address is said to be, and whose network it belongs to.
// Zero values are unknown.
type Place struct {
	Country string // ISO 3166-1, two letters
	City    string
	ASN     uint32
	Network string // who runs it
}

// places are files in the MaxMind DB format (https://maxmind.github.io/MaxMind-DB),
// each nil if the operator gave none. They are read as a whole when they are
// opened, so that replacing a file cannot disturb a running server.
type places struct {
	geo, asn *maxminddb.Reader
}

// Locate opens files that say where addresses are and whose: geo as GeoLite2-City or
// -Country, asn as GeoLite2-ASN or GeoIP2-ISP. An empty name is no file.
func (r *Rules) Locate(geo, asn string) (err error) {
	if r.places.geo, err = openPlaces(geo); err != nil {
		return err
	}
	r.places.asn, err = openPlaces(asn)
	return err
}

func openPlaces(file string) (*maxminddb.Reader, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("address file: %w", err)
	}
	db, err := maxminddb.OpenBytes(data)
	if err == nil {
		err = db.Verify()
	}
	if err != nil {
		return nil, fmt.Errorf("address file %s: want the MaxMind DB format (.mmdb): %w", file, err)
	}
	return db, nil
}

// known reports whether any file is open.
func (p *places) known() bool { return p.geo != nil || p.asn != nil }

// of says what the files know about an address. A record of another form than
// expected says nothing.
func (p *places) of(ip netip.Addr) (at Place) {
	var geo struct {
		Country struct {
			Code string `maxminddb:"iso_code"`
		} `maxminddb:"country"`
		City struct {
			Names struct {
				English string `maxminddb:"en"`
			} `maxminddb:"names"`
		} `maxminddb:"city"`
	}
	var net struct {
		Number uint32 `maxminddb:"autonomous_system_number"`
		Name   string `maxminddb:"autonomous_system_organization"`
	}
	if !ip.IsValid() {
		return Place{}
	}
	if p.geo != nil && p.geo.Lookup(ip).Decode(&geo) == nil {
		at.Country, at.City = clean(geo.Country.Code), clean(geo.City.Names.English)
	}
	if p.asn != nil && p.asn.Lookup(ip).Decode(&net) == nil {
		at.ASN, at.Network = net.Number, clean(net.Name)
	}
	return at
}

// clean bounds what a file says.
func clean(s string) string {
	const most = 200
	return strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), most)], "\x00", ""), "")
}

// addressOf is the address of a hit, with or without a port.
func addressOf(addr string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(addr); err == nil {
		return at.Addr().Unmap().WithZone(""), nil
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.Addr{}, errors.New("no address")
	}
	return ip.Unmap().WithZone(""), nil
}
