package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"birdring/internal/console"
)

func (a *app) serveCommand() *cobra.Command {
	o := console.ServeOptions{HTTP: "127.0.0.1:8480"}
	var registryURL, stream string
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
			case registryURL != "" && !strings.HasPrefix(registryURL, "postgres://") && !strings.HasPrefix(registryURL, "postgresql://"):
				return usagef("--registry must be a postgres:// URL; a SQLite registry is the one of --data")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.HTTP, "http", o.HTTP, "address for pages, API, links and pictures")
	cmd.Flags().StringVar(&o.DNS, "dns", "", "address for DNS, with --zone (default: no DNS)")
	cmd.Flags().StringVar(&o.Zone, "zone", "", "zone that is delegated to this server")
	cmd.Flags().StringVar(&o.PublicURL, "public-url", "", "how viewers reach --http (default: its own address)")
	cmd.Flags().StringVar(&registryURL, "registry", "", "registry in PostgreSQL (not built yet)")
	cmd.Flags().StringVar(&stream, "stream", "", "stream of exposures and hits (not built yet)")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		if registryURL != "" {
			return errors.New("--registry postgres:// is not built yet; leave it away to use the SQLite registry of --data")
		}
		if stream != "" {
			return errors.New("--stream is not built yet; the HTTP API takes exposures and tells hits")
		}
		o.Dir = a.data
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
