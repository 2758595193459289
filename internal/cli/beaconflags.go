package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"birdring/beacon"
	"birdring/beacon/journal"
)

// beaconFlags are the flags of commands that answer beacons: serve and edge.
type beaconFlags struct {
	http, dns, zone, publicURL string
	cert, key                  string
	name                       beacon.DNSConfig
	proxies                    []netip.Prefix
	journal                    journal.Options

	ack, records                      string
	trusted, answers, nsAddrs         []string
	quota                             int64
	httpText, publicText, journalText string // what the help says
}

func (f *beaconFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.http, "http", f.http, f.httpText)
	cmd.Flags().StringVar(&f.dns, "dns", "", "address for DNS, with --zone (default: no DNS)")
	cmd.Flags().StringVar(&f.zone, "zone", "", "zone that is delegated to this server")
	cmd.Flags().StringSliceVar(&f.name.NS, "dns-ns", nil, "names of the zone's name servers (default: ns1 and ns2 in the zone)")
	cmd.Flags().StringSliceVar(&f.nsAddrs, "dns-ns-addr", nil, "their public addresses, in turn (default: --dns-answer)")
	cmd.Flags().StringSliceVar(&f.answers, "dns-answer", nil, "addresses that canary names answer with (default: the one of --dns)")
	cmd.Flags().StringVar(&f.records, "dns-records", "", "file of own records in zone-file form: A, AAAA, NS, MX, TXT, CAA")
	cmd.Flags().IntVar(&f.name.Limit.PerSecond, "dns-limit", 0, "answers a second to one network and of one kind; -1: no limit (default 1000)")
	cmd.Flags().StringVar(&f.ack, "ack", "process", "what a hit survives before it is answered: process or disk")
	cmd.Flags().Int64Var(&f.quota, "journal-quota", 4096, "MiB of hits that may wait "+f.journalText+", then valid tokens get no answer; 0: no bound")
	cmd.Flags().StringSliceVar(&f.trusted, "trusted-proxy", nil, "network whose X-Forwarded-For is believed")
	cmd.Flags().StringVar(&f.cert, "tls-cert", "", "file of the certificate for --http (HTTPS and HTTP/2)")
	cmd.Flags().StringVar(&f.key, "tls-key", "", "file of its key")
	cmd.Flags().StringVar(&f.publicURL, "public-url", "", f.publicText)
	cmd.Flags().Uint32Var(&f.name.Serial, "dns-serial", 0, "SOA serial, the same on all servers of the zone (default: the time)")
}

// check says what is wrong with the line, and reads its values.
func (f *beaconFlags) check() error {
	switch {
	case (f.dns == "") != (f.zone == ""):
		return usagef("--dns and --zone go together")
	case f.publicURL != "" && !isURL(f.publicURL):
		return usagef("--public-url must be an http or https URL")
	case f.ack != "process" && f.ack != "disk":
		return usagef("--ack must be process (a hit survives the end of the process before its answer) or disk (power loss too)")
	case (f.cert == "") != (f.key == ""):
		return usagef("--tls-cert and --tls-key go together")
	case f.quota < 0:
		return usagef("--journal-quota must not be negative")
	}
	f.journal = journal.Options{SyncEach: f.ack == "disk", Quota: f.quota << 20}
	return errors.Join(
		parseEach(f.trusted, netip.ParsePrefix, &f.proxies, "--trusted-proxy", "a network like 10.0.0.0/8"),
		parseEach(f.answers, netip.ParseAddr, &f.name.A, "--dns-answer", "an IP address"),
		parseEach(f.nsAddrs, netip.ParseAddr, &f.name.NSAddrs, "--dns-ns-addr", "an IP address"),
	)
}

// open reads the files that the flags name.
func (f *beaconFlags) open() error {
	if f.records == "" {
		return nil
	}
	text, err := os.ReadFile(f.records)
	if err != nil {
		return fmt.Errorf("own dns records: %w", err)
	}
	f.name.Records = string(text)
	return nil
}
