package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"birdring/beacon/journal"
	"birdring/internal/cert"
	"birdring/internal/console"
	"birdring/registry"
)

func (a *app) serveCommand() *cobra.Command {
	o := console.ServeOptions{HTTP: "127.0.0.1:8480"}
	var stream, ack, records string
	var proxies, answers, nsAddrs []string
	var visits visitFlags
	var quota int64
	var follow bool
	var allow []string
	var certs certFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer DNS and HTTP beacons, serve console and API, deliver alerts",
		Args:  noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			switch {
			case (o.DNS == "") != (o.Zone == ""):
				return usagef("--dns and --zone go together")
			case o.PublicURL != "" && !isURL(o.PublicURL):
				return usagef("--public-url must be an http or https URL")
			case ack != "process" && ack != "disk":
				return usagef("--ack must be process (a hit survives the end of the process before its answer) or disk (power loss too)")
			case (o.TLSCert == "") != (o.TLSKey == ""):
				return usagef("--tls-cert and --tls-key go together")
			case certs.auto && (o.TLSCert != "" || o.Zone == ""):
				return usagef("--tls-auto needs --dns and --zone, and excludes --tls-cert")
			case !certs.auto && certs != (certFlags{}):
				return usagef("--acme, --acme-root and --acme-email go with --tls-auto")
			case certs.ca != "" && !isURL(certs.ca):
				return usagef("--acme must be the URL of an ACME directory")
			case quota < 0:
				return usagef("--journal-quota must not be negative")
			}
			return errors.Join(
				parseEach(proxies, netip.ParsePrefix, &o.Proxies, "--trusted-proxy", "a network like 10.0.0.0/8"),
				parseEach(answers, netip.ParseAddr, &o.Name.A, "--dns-answer", "an IP address"),
				parseEach(nsAddrs, netip.ParseAddr, &o.Name.NSAddrs, "--dns-ns-addr", "an IP address"),
			)
		},
	}
	cmd.Flags().StringVar(&o.HTTP, "http", o.HTTP, "address for pages, API, links and pictures")
	cmd.Flags().StringVar(&o.DNS, "dns", "", "address for DNS, with --zone (default: no DNS)")
	cmd.Flags().StringVar(&o.Zone, "zone", "", "zone that is delegated to this server")
	cmd.Flags().StringSliceVar(&o.Name.NS, "dns-ns", nil, "names of the zone's name servers (default: ns1 and ns2 in the zone)")
	cmd.Flags().StringSliceVar(&nsAddrs, "dns-ns-addr", nil, "their public addresses, in turn (default: --dns-answer)")
	cmd.Flags().StringSliceVar(&answers, "dns-answer", nil, "addresses that canary names answer with (default: the one of --dns)")
	cmd.Flags().StringVar(&records, "dns-records", "", "file of own records in zone-file form: A, AAAA, NS, MX, TXT, CAA")
	cmd.Flags().IntVar(&o.Name.Limit.PerSecond, "dns-limit", 0, "answers a second to one network and of one kind; -1: no limit (default 1000)")
	cmd.Flags().StringVar(&ack, "ack", "process", "what a hit survives before it is answered: process or disk")
	cmd.Flags().Int64Var(&quota, "journal-quota", 4096, "MiB of hits that may wait to be taken in, then valid tokens get no answer; 0: no bound")
	cmd.Flags().StringSliceVar(&proxies, "trusted-proxy", nil, "network whose X-Forwarded-For is believed")
	cmd.Flags().StringVar(&o.TLSCert, "tls-cert", "", "file of the certificate for --http (HTTPS and HTTP/2)")
	cmd.Flags().StringVar(&o.TLSKey, "tls-key", "", "file of its key")
	cmd.Flags().BoolVar(&certs.auto, "tls-auto", false, "get certificates of --zone from an ACME authority, whose terms you agree to, and renew them")
	cmd.Flags().StringVar(&certs.ca, "acme", "", "URL of its directory (default: Let's Encrypt)")
	cmd.Flags().StringVar(&certs.root, "acme-root", "", "file of the certificate that its own server is believed by (default: the system's)")
	cmd.Flags().StringVar(&certs.email, "acme-email", "", "where it may write to")
	cmd.Flags().BoolVar(&follow, "follow-leads", false, "scan pages that hits name as their origin")
	cmd.Flags().StringArrayVar(&allow, "allow", nil, "CIDR:PORT that --follow-leads may call although private, repeatable")
	cmd.Flags().StringVar(&o.PublicURL, "public-url", "", "how viewers reach --http (default: its own address)")
	cmd.Flags().StringVar(&stream, "stream", "", "stream of exposures and hits (not built yet)")
	cmd.Flags().Uint32Var(&o.Name.Serial, "dns-serial", 0, "SOA serial, the same on all servers of the zone (default: the time)")
	visits.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		if stream != "" {
			return errors.New("--stream is not built yet; the HTTP API takes exposures and tells hits")
		}
		if o.Visit, err = visits.rules(); err != nil {
			return err
		}
		if records != "" {
			text, err := os.ReadFile(records)
			if err != nil {
				return fmt.Errorf("own dns records: %w", err)
			}
			o.Name.Records = string(text)
		}
		if visits.confirm {
			o.Confirm = net.DefaultResolver
		}
		if o.Certs, err = certs.config(); err != nil {
			return err
		}
		o.Journal = journal.Options{SyncEach: ack == "disk", Quota: quota << 20}
		if follow {
			o.Leads = &registry.ScanRequest{Allow: allow, MaxPages: 20, Rate: 1}
		}
		o.Dir, o.Database = a.data, a.registry
		o.Log = slog.New(slog.NewTextHandler(a.err, nil))
		o.Ready = a.printReady
		return console.Serve(ctx, o)
	})
	return cmd
}

// certFlags are those of --tls-auto.
type certFlags struct {
	auto            bool
	ca, root, email string
}

// config is nil without --tls-auto.
func (f *certFlags) config() (*cert.Config, error) {
	if !f.auto {
		return nil, nil
	}
	c := &cert.Config{CA: f.ca, Email: f.email}
	if f.root != "" {
		data, err := os.ReadFile(f.root)
		if err != nil {
			return nil, fmt.Errorf("--acme-root: %w", err)
		}
		c.Roots = x509.NewCertPool()
		if !c.Roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("--acme-root %s holds no certificate in PEM form", f.root)
		}
	}
	return c, nil
}

func (a *app) printReady(r console.Ready) {
	a.emit(struct {
		URL   string  `json:"url"`
		DNS   *string `json:"dns"`
		Token *string `json:"token"`
	}{r.URL, orNull(r.DNS), orNull(r.Token)}, func(w io.Writer) {
		fmt.Fprintf(w, "console  %s\n", r.URL)
		if r.DNS != "" {
			fmt.Fprintf(w, "dns      %s\n", r.DNS)
		}
		if r.Token != "" {
			fmt.Fprintf(w, "token    %s\n         (admin key, printed only now; keep it)\n", r.Token)
		}
	})
}

// parseEach reads every value of a flag that may be given several times.
func parseEach[T any](values []string, parse func(string) (T, error), into *[]T, flag, want string) error {
	for _, v := range values {
		t, err := parse(v)
		if err != nil {
			return usagef("%s %q: want %s", flag, v, want)
		}
		*into = append(*into, t)
	}
	return nil
}
