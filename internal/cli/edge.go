package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"birdring/internal/console"
	"birdring/internal/edge"
	"birdring/registry"
	"birdring/registry/stream"
)

func (a *app) edgeCommand() *cobra.Command {
	var o edge.Options
	f := beaconFlags{
		http: "127.0.0.1:8490", httpText: "address for links, pictures and the platform's requests",
		publicText: "where links point (default: what the export says)", journalText: "for the stream",
	}
	var keyFile string
	cmd := &cobra.Command{
		Use:   "edge",
		Short: "Serve copies and beacons on a machine without a database",
		Long: `Serves links, pictures and DNS from what "birdring edge export" wrote. Hits go to the
journal first and from there to the stream; "birdring serve --stream" takes them in.
While the broker is away the journal grows and everything is served on.`,
		Args: noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Keys == "" || o.Pictures == "" || o.Stream == "":
				return usagef("--keys, --pictures and --stream are needed: birdring edge export DIR --keys FILE makes the first two")
			case o.Registry != "" && !isURL(o.Registry):
				return usagef("--registry-url must be the http or https URL of a birdring serve")
			case (o.Registry == "") != (keyFile == "" && os.Getenv("BIRDRING_API_KEY") == ""):
				return usagef("--registry-url and --api-key-file (or $BIRDRING_API_KEY) go together")
			}
			if err := stream.Check(o.Stream); err != nil {
				return usagef("--stream: %v", err)
			}
			return f.check()
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&o.Keys, "keys", "", "file of the edge's keys")
	cmd.Flags().StringVar(&o.Pictures, "pictures", "", "folder of its pictures")
	cmd.Flags().StringVar(&o.Stream, "stream", "", "where hits go: nats://HOST or kafka://HOST")
	cmd.Flags().StringVar(&o.JournalDir, "journal", "birdring-edge", "folder where hits wait for the stream")
	cmd.Flags().StringVar(&o.Registry, "registry-url", "", "URL of birdring serve, asked for viewers without a pass")
	cmd.Flags().StringVar(&keyFile, "api-key-file", "", "file of an API key of role platform for it (also $BIRDRING_API_KEY)")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		if err := f.open(); err != nil {
			return err
		}
		o.RegistryKey = os.Getenv("BIRDRING_API_KEY")
		if keyFile != "" {
			text, err := os.ReadFile(keyFile)
			if err != nil {
				return err
			}
			o.RegistryKey = strings.TrimSpace(string(text))
		}
		o.HTTP, o.DNS, o.Zone, o.PublicURL, o.Name = f.http, f.dns, f.zone, f.publicURL, f.name
		o.Journal, o.Proxies, o.TLSCert, o.TLSKey = f.journal, f.proxies, f.cert, f.key
		o.Log = slog.New(slog.NewTextHandler(a.err, nil))
		o.Ready = a.printEdge
		return edge.Run(ctx, o)
	})
	cmd.AddCommand(a.edgeExportCommand())
	return cmd
}

func (a *app) printEdge(r edge.Ready) {
	a.emit(struct {
		URL    string  `json:"url"`
		DNS    *string `json:"dns"`
		Source string  `json:"source"`
	}{r.URL, orNull(r.DNS), r.Source}, func(w io.Writer) {
		fmt.Fprintf(w, "edge     %s\n", r.URL)
		if r.DNS != "" {
			fmt.Fprintf(w, "dns      %s\n", r.DNS)
		}
	})
}

func (a *app) edgeExportCommand() *cobra.Command {
	var keys string
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write the pictures of edges to DIR, and with --keys their keys",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("edge export needs one folder")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&keys, "keys", "", "file to write the edges' keys to; it holds secrets, but never the root")
	cmd.RunE = a.withRegistry(registry.Options{}, // what an edge is given is audited
		func(ctx context.Context, reg *registry.Registry, args []string) error {
			platforms, err := console.PlatformKeys(a.data)
			if err != nil {
				return err
			}
			if keys != "" { // before the pictures, so that an edge that sees them has their keys
				if err := reg.ExportEdgeKeys(ctx, keys); err != nil {
					return err
				}
			}
			done, err := reg.ExportEdgePictures(ctx, args[0], platforms)
			if err != nil {
				return err
			}
			a.emit(struct {
				registry.EdgeExport
				Keys *string `json:"keys"`
			}{done, orNull(keys)}, func(w io.Writer) {
				fmt.Fprintf(w, "%d pictures of %d decoys in %s, %d of them new\n", done.Pictures, done.Decoys, done.Dir, done.Written)
			})
			return nil
		})
	return cmd
}
