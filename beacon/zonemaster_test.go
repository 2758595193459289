package beacon_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/internal/testkit"
)

// Zonemaster, with a root of our own and no network, says nothing of our zone
// that it does not say of the same zone served by NSD. It needs port 53 of loopback
// addresses and some seconds: make conformance.
func TestZonemasterSaysNoMoreThanOfNSD(t *testing.T) {
	if os.Getenv("BIRDRING_CONFORMANCE") == "" {
		t.Skip("only by make conformance")
	}
	zonemaster, nsd := testkit.Tool(t, "zonemaster-cli"), testkit.Tool(t, "nsd")
	dir := t.TempDir()
	const top, soa = "127.53.0.1", " 86400 IN SOA ns.root. host.root. 1 14400 3600 1209600 300\n"
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("root.zone", "."+soa+". 86400 IN NS ns.root.\nns.root. 86400 IN A "+top+"\nnet. 86400 IN NS ns.root.\n")
	write("net.zone", "$ORIGIN net.\n@"+soa+`@ 86400 IN NS ns.root.
t.example 3600 NS ns1.t.example
t.example 3600 NS ns2.t.example
ns1.t.example A 127.53.0.2
ns2.t.example A 127.53.0.3
b.example 3600 NS ns1.b.example
b.example 3600 NS ns2.b.example
ns1.b.example A 127.53.0.4
ns2.b.example A 127.53.0.5
`)
	write("b.zone", `$ORIGIN b.example.net.
@ 3600 IN SOA ns1 hostmaster 1790000000 14400 3600 1209600 60
@ 3600 NS ns1
@ 3600 NS ns2
ns1 3600 A 127.53.0.4
ns2 3600 A 127.53.0.5
* 10 A 127.53.0.4
`)
	write("hints", ". 3600000 NS ns.root.\nns.root. 3600000 A "+top+"\n")
	serve := func(name string, addrs []string, zones ...string) {
		t.Helper()
		conf := fmt.Sprintf("server:\n  do-ip6: no\n  username: \"\"\n  zonesdir: %q\n  database: \"\"\n  server-count: 1\n", dir)
		for _, f := range []string{"pidfile", "xfrdfile", "zonelistfile"} {
			conf += fmt.Sprintf("  %s: %q\n", f, filepath.Join(dir, name+"."+f))
		}
		for _, a := range addrs {
			conf += "  ip-address: " + a + "\n"
		}
		conf += "remote-control:\n  control-enable: no\n"
		for _, z := range zones {
			zone, file, _ := strings.Cut(z, "=")
			conf += fmt.Sprintf("zone:\n  name: %q\n  zonefile: %q\n", zone, file)
		}
		write(name+".conf", conf)
		cmd := exec.Command(nsd, "-d", "-c", filepath.Join(dir, name+".conf"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Signal(os.Interrupt) // ends its children too
			_ = cmd.Wait()
		})
		eventually(t, name+" answers", func() bool {
			c := dns.Client{}
			_, _, err := c.Exchange(query(".", dns.TypeSOA), addrs[0]+":53")
			return err == nil
		})
	}
	serve("parent", []string{top}, ".=root.zone", "net=net.zone")
	serve("peer", []string{"127.53.0.4", "127.53.0.5"}, "b.example.net=b.zone")
	addrs := []netip.Addr{netip.MustParseAddr("127.53.0.2"), netip.MustParseAddr("127.53.0.3")}
	keys := keyring(t)
	for _, a := range addrs {
		d, err := beacon.ServeDNS(t.Context(), beacon.DNSConfig{
			Addr: a.String() + ":53", Zone: zone, NSAddrs: addrs, A: addrs[:1], Serial: 1790000000, Keyring: keys, Record: new(recorder).record,
			Cookies: keys.CookieSecrets(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
	}
	tags := func(name string) (out []string) {
		t.Helper()
		text, err := exec.Command(zonemaster, "--hints", filepath.Join(dir, "hints"), "--no-ipv6", "--level", "NOTICE", "--json", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Results []struct{ Level, Tag string }
		}
		if err := json.Unmarshal(text, &said); err != nil {
			if err := json.Unmarshal(text, &said.Results); err != nil {
				t.Fatalf("%v: %.200s", err, text)
			}
		}
		for _, r := range said.Results {
			out = append(out, r.Level+" "+r.Tag)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	ours, theirs := tags(zone), tags("b.example.net")
	if len(theirs) == 0 {
		t.Fatal("zonemaster said nothing at all")
	}
	for _, tag := range ours {
		if !slices.Contains(theirs, tag) {
			t.Errorf("%s is said of us and not of NSD", tag)
		}
	}
	t.Logf("of both: %s", strings.Join(theirs, ", "))
}
