package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) retentionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "How long rows are kept",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("retention has no command %q; it has show, set and run", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return usagef("retention show, set or run") },
	}
	cmd.AddCommand(a.retentionShow(), a.retentionSet(), a.retentionRun())
	return cmd
}

// retentionRow is how long rows are kept, in days; 0 is for ever.
type retentionRow struct {
	registry.Retention
	Ran *time.Time `json:"ran"`
}

func (a *app) showRetention(ctx context.Context, reg *registry.Registry) error {
	keep, ran, err := reg.Retention(ctx)
	if err != nil {
		return err
	}
	a.emit(retentionRow{keep, ran}, func(w io.Writer) {
		days := func(n int) string {
			if n == 0 {
				return "for ever"
			}
			return fmt.Sprintf("%d days", n)
		}
		fmt.Fprintf(w, "exposures never matched  %s\nhits                     %s\ncaptures without a case  %s\nuploads                  %s\n", days(keep.Exposures), days(keep.Hits), days(keep.Captures), days(keep.Uploads))
		if ran != nil {
			fmt.Fprintf(w, "looked through           %s\n", stamp(*ran))
		}
	})
	return nil
}

func (a *app) retentionShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show how long rows are kept", Args: noArgs,
		RunE: a.withRegistry(registry.Options{ReadOnly: true}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			return a.showRetention(ctx, reg)
		}),
	}
}

func (a *app) retentionSet() *cobra.Command {
	var to registry.Retention
	cmd := &cobra.Command{
		Use: "set", Short: "Say how many days rows are kept, 0 for ever", Args: noArgs,
	}
	cmd.Flags().IntVar(&to.Exposures, "exposures", 0, "exposures of decoys of which nothing was ever found")
	cmd.Flags().IntVar(&to.Hits, "hits", 0, "hits")
	cmd.Flags().IntVar(&to.Captures, "captures", 0, "bytes found on sites on which nobody is attributed; their hashes stay")
	cmd.Flags().IntVar(&to.Uploads, "uploads", 0, "what came of files given to workers (jobs trace, the API)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"exposures", "hits", "captures", "uploads"} {
			if n, err := cmd.Flags().GetInt(name); err != nil || n < 0 {
				return usagef("--%s must be 0 days (for ever) or more", name)
			}
		}
		if cmd.Flags().NFlag() == 0 {
			return usagef("say --exposures, --hits, --captures or --uploads")
		}
		return nil
	}
	cmd.RunE = a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
		keep, _, err := reg.Retention(ctx)
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("exposures") {
			to.Exposures = keep.Exposures
		}
		if !cmd.Flags().Changed("hits") {
			to.Hits = keep.Hits
		}
		if !cmd.Flags().Changed("captures") {
			to.Captures = keep.Captures
		}
		if !cmd.Flags().Changed("uploads") {
			to.Uploads = keep.Uploads
		}
		if err := reg.SetRetention(ctx, to); err != nil {
			return err
		}
		return a.showRetention(ctx, reg)
	})
	return cmd
}

func (a *app) retentionRun() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Take away now what is older than it is kept", Args: noArgs,
		Long: `birdring serve does so once a day. Exposures go only if nothing was ever found of the
decoy, no site was asked for it and the account is attributed nowhere; the ledger tells
which ones went and verifies as before.`,
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			run, err := reg.Retain(ctx, time.Now())
			if err != nil {
				return err
			}
			a.emit(run, func(w io.Writer) {
				fmt.Fprintf(w, "gone: %d exposures, %d hits, %d captures, %d uploads\n", run.Exposures, run.Hits, run.Captures, run.Uploads)
			})
			return nil
		}),
	}
}
