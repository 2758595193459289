package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"birdring/internal/console"
	"birdring/internal/demo"
	"birdring/registry/stream"
)

func (a *app) demoCommand() *cobra.Command {
	o := demo.Options{Sites: 8, Accounts: 200, CloneArg: []string{"demo", "clone"}}
	var hold bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole story on this machine and check it against the truth",
		Long: `Starts a lookalike platform, a crowd of accounts and clone sites on loopback, lets the
sites copy through some of the accounts, and lets Birdring find out which. Truth is
joined at the end. Exit 1 if any site came out wrong.`,
		Args: noArgs,
	}
	cmd.Flags().IntVar(&o.Sites, "sites", o.Sites, "clone sites")
	cmd.Flags().IntVar(&o.Accounts, "accounts", o.Accounts, "accounts on the platform")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "keep the data folder")
	cmd.Flags().BoolVar(&hold, "hold", false, "keep serving the console until stopped")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 0, "of painted pictures and crowd (default: drawn and printed)")
	cmd.Flags().StringVar(&o.Stream, "stream", "", "run Birdring as a cluster of processes: edges, workers and a server joined by nats://HOST or kafka://HOST")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if o.Stream != "" {
			if err := stream.Check(o.Stream); err != nil {
				return usagef("--stream: %v", err)
			}
		}
		if o.Sites < 1 || o.Accounts < 1 {
			return usagef("--sites and --accounts must be at least 1")
		}
		if cmd.Flags().Changed("data") {
			o.Dir = a.data
		}
		return nil
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		o.Database, o.JSON, o.Out, o.Log, o.Exe = a.registry, a.json, a.out, a.err, exe
		if hold {
			o.Hold = a.hold
		}
		ok, err := demo.Run(ctx, o)
		if err == nil && !ok {
			err = errors.New("the result differs from the truth, see above")
		}
		return err
	})
	cmd.AddCommand(a.demoPlatformCommand(), a.demoCloneCommand())
	return cmd
}

// hold serves the console on what the demo left, until the program is stopped.
func (a *app) hold(ctx context.Context, dir string) error {
	return console.Serve(ctx, console.ServeOptions{Dir: dir, Database: a.registry, HTTP: "127.0.0.1:0", NoWorker: true, Log: slog.New(slog.NewTextHandler(a.err, nil)), Ready: func(r console.Ready) {
		a.note("console at %s, token %s; stop with Ctrl-C", r.URL, r.Token)
	}})
}

func (a *app) demoPlatformCommand() *cobra.Command {
	o := demo.PlatformOptions{Listen: "127.0.0.1:8481", Accounts: 20}
	cmd := &cobra.Command{
		Use:   "platform",
		Short: "Serve only the lookalike platform on the registry of --data",
		Args:  noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if o.Accounts < 1 {
				return usagef("--accounts must be at least 1")
			}
			return nil
		},
		RunE: a.run(func(ctx context.Context, _ []string) error {
			o.Dir, o.Database, o.JSON, o.Out, o.Log = a.data, a.registry, a.json, a.out, a.err
			return demo.Platform(ctx, o)
		}),
	}
	cmd.Flags().StringVar(&o.Listen, "listen", o.Listen, "address to serve on")
	cmd.Flags().IntVar(&o.Accounts, "accounts", o.Accounts, "accounts to make tokens for")
	return cmd
}

// demoCloneCommand is the main function of a clone site's own process.
func (a *app) demoCloneCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "clone",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return demo.CloneMain(ctx)
		}),
	}
}
