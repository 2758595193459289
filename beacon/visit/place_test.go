package visit_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"birdring/beacon"
	"birdring/beacon/visit"
)

// addressFile writes a file in the MaxMind DB format.
func addressFile(t *testing.T, kind string, records map[string]mmdbtype.Map) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, Description: map[string]string{"en": "of a test"}, RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, record := range records {
		_, network, err := net.ParseCIDR(prefix)
		if err == nil {
			err = tree.Insert(network, record)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), kind+".mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func geoFile(t *testing.T) string {
	return addressFile(t, "GeoLite2-City", map[string]mmdbtype.Map{
		"203.0.113.0/24": {
			"country": mmdbtype.Map{"iso_code": mmdbtype.String("GB")},
			"city":    mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("London"), "de": mmdbtype.String("London")}},
		},
		"2001:db8::/32":   {"country": mmdbtype.Map{"iso_code": mmdbtype.String("FR")}},
		"198.51.100.0/24": {"country": mmdbtype.String("of another form")},
	})
}

func asnFile(t *testing.T) string {
	return addressFile(t, "GeoLite2-ASN", map[string]mmdbtype.Map{
		"203.0.113.0/24": {"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": mmdbtype.String("Example Net")},
	})
}

// Files say where an address is and whose; a network can be known by its number.
func TestPlaces(t *testing.T) {
	rules := visit.Default()
	if err := rules.Allow("AS64500"); err != nil {
		t.Fatal(err)
	}
	if !rules.NeedsASN() || rules.ByAddress() {
		t.Error("a number needs a file that says whose an address is")
	}
	if err := rules.Locate(geoFile(t), asnFile(t)); err != nil {
		t.Fatal(err)
	}
	if rules.NeedsASN() || !rules.ByAddress() {
		t.Error("with files guesses depend on addresses")
	}
	for addr, want := range map[string]visit.Guess{
		"203.0.113.9:443":          {Class: visit.Known, Place: visit.Place{Country: "GB", City: "London", ASN: 64500, Network: "Example Net"}},
		"[::ffff:203.0.113.9]:443": {Class: visit.Known, Place: visit.Place{Country: "GB", City: "London", ASN: 64500, Network: "Example Net"}},
		"2001:db8::1":              {Class: visit.Unknown, Place: visit.Place{Country: "FR"}},
		"198.51.100.1:1":           {Class: visit.Unknown},
		"192.0.2.1:1":              {Class: visit.Unknown},
		"no address":               {Class: visit.Unknown},
	} {
		got := rules.Classify(beacon.Hit{Kind: beacon.KindLink, Addr: addr})
		if got.Class != want.Class || got.Place != want.Place {
			t.Errorf("%s: %+v, want %+v", addr, got, want)
		}
	}
}

func TestLocateRefusesOtherFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.mmdb")
	if err := os.WriteFile(file, []byte("no such thing"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(geoFile(t))
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged.mmdb")
	if err := os.WriteFile(damaged, whole[len(whole)/2:], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{file, damaged, file + "x"} {
		if err := visit.Default().Locate("", f); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", f, err)
		}
	}
}
