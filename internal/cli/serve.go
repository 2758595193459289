package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"birdring/internal/cert"
	"birdring/internal/console"
	"birdring/registry"
	"birdring/registry/stream"
)

func (a *app) serveCommand() *cobra.Command {
	var o console.ServeOptions
	f := beaconFlags{
		http: "127.0.0.1:8480", httpText: "address for pages, API, links and pictures",
		publicText: "how viewers reach --http (default: its own address)", journalText: "to be taken in",
	}
	var visits visitFlags
	var certs certFlags
	var roots string
	var work jobFlags
	var idle bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer DNS and HTTP beacons, serve console and API, deliver alerts",
		Long: `Answers links, pictures and DNS, serves the console and the API, takes in hits, signs the
ledger and works on jobs. One serve runs on a registry. With --standby another waits, here
or on another machine (--registry postgres://...), and takes over when the first is gone.
It needs keys and pictures of the data folder as a worker does; the ledger is signed where
the newest ledger/ is, so share that folder, or put it there: entries wait in the registry.`,
		Args: noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case len(o.Tell) > 0 && o.Stream == "":
				return usagef("--tell needs --stream")
			case slices.ContainsFunc(o.Tell, func(t string) bool { return t != registry.TellHits && t != registry.TellAttributions }):
				return usagef("--tell takes %s and %s", registry.TellHits, registry.TellAttributions)
			case certs.auto && (f.cert != "" || f.zone == ""):
				return usagef("--tls-auto needs --dns and --zone, and excludes --tls-cert")
			case !certs.auto && certs != (certFlags{}):
				return usagef("--acme, --acme-root and --acme-email go with --tls-auto")
			case o.TSA.URL != "" && !isURL(o.TSA.URL):
				return usagef("--tsa must be the http or https URL of a time stamp authority")
			case o.TSA.URL == "" && (roots != "" || cmd.Flags().Changed("tsa-every")):
				return usagef("--tsa-ca and --tsa-every go with --tsa")
			case o.TSA.Every < time.Minute:
				return usagef("--tsa-every must be at least 1m")
			case certs.ca != "" && !isURL(certs.ca):
				return usagef("--acme must be the URL of an ACME directory")
			}
			if o.Stream != "" {
				if err := stream.Check(o.Stream); err != nil {
					return usagef("--stream: %v", err)
				}
			}
			return errors.Join(f.check(), work.check())
		},
	}
	f.add(cmd)
	work.add(cmd)
	cmd.Flags().BoolVar(&idle, "no-worker", false, "leave scans, probes and alerts to birdring worker")
	cmd.Flags().BoolVar(&o.Standby, "standby", false, "wait while another serve runs on the registry, and take over when it is gone")
	cmd.Flags().StringVar(&o.Stream, "stream", "", "take in hits of edges and exposures from nats://HOST or kafka://HOST")
	cmd.Flags().StringSliceVar(&o.Tell, "tell", nil, "hits, attributions: what the stream is told")
	cmd.Flags().BoolVar(&certs.auto, "tls-auto", false, "get certificates of --zone from an ACME authority, whose terms you agree to, and renew them")
	cmd.Flags().StringVar(&certs.ca, "acme", "", "URL of its directory (default: Let's Encrypt)")
	cmd.Flags().StringVar(&certs.root, "acme-root", "", "file of the certificate that its own server is believed by (default: the system's)")
	cmd.Flags().StringVar(&certs.email, "acme-email", "", "where it may write to")
	cmd.Flags().StringVar(&o.TSA.URL, "tsa", "", "URL of a time stamp authority (RFC 3161) that stamps the ledger's heads")
	cmd.Flags().StringVar(&roots, "tsa-ca", "", "file of root certificates (PEM) that must vouch for it")
	cmd.Flags().DurationVar(&o.TSA.Every, "tsa-every", time.Hour, "how often it is asked, when there is something new")
	visits.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		if o.Visit, err = visits.rules(); err != nil {
			return err
		}
		if visits.confirm {
			o.Confirm = net.DefaultResolver
		}
		if o.Certs, err = certs.config(); err != nil {
			return err
		}
		if o.TSA.Roots, err = rootsOf(roots); err != nil {
			return err
		}
		if err := f.open(); err != nil {
			return err
		}
		o.Jobs, o.NoWorker = work.config(), idle
		o.HTTP, o.DNS, o.Zone, o.PublicURL, o.Name = f.http, f.dns, f.zone, f.publicURL, f.name
		o.Journal, o.Proxies, o.TLSCert, o.TLSKey = f.journal, f.proxies, f.cert, f.key
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
