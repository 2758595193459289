package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"birdring/beacon/visit"
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
	var known, ranges []string
	var work jobFlags
	var idle bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer DNS and HTTP beacons, serve console and API, deliver alerts",
		Args:  noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			switch {
			case len(o.Tell) > 0 && o.Stream == "":
				return usagef("--tell needs --stream")
			case slices.ContainsFunc(o.Tell, func(t string) bool { return t != registry.TellHits && t != registry.TellAttributions }):
				return usagef("--tell takes %s and %s", registry.TellHits, registry.TellAttributions)
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
	cmd.Flags().StringVar(&o.Stream, "stream", "", "take in hits of edges and exposures from nats://HOST or kafka://HOST")
	cmd.Flags().StringSliceVar(&o.Tell, "tell", nil, "hits, attributions: what the stream is told")
	cmd.Flags().StringSliceVar(&known, "known", nil, "network, address or agent:TEXT of requesters you know, repeatable")
	cmd.Flags().StringSliceVar(&ranges, "ranges", nil, "CLASS=FILE, a published JSON list of addresses, like search=googlebot.json")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		if o.Visit, err = visitRules(known, ranges); err != nil {
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

// visitRules reads --known and --ranges.
func visitRules(known, ranges []string) (*visit.Rules, error) {
	rules := visit.Default()
	for _, k := range known {
		if err := rules.Allow(k); err != nil {
			return nil, usagef("--known: %v", err)
		}
	}
	for _, r := range ranges {
		class, file, ok := strings.Cut(r, "=")
		if !ok {
			return nil, usagef("--ranges %q: want CLASS=FILE", r)
		}
		data, err := os.ReadFile(file)
		if err == nil {
			err = rules.Ranges(class, file, data)
		}
		if err != nil {
			return nil, err
		}
	}
	return rules, nil
}
