package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) drillCommand() *cobra.Command {
	var bases []string
	q := registry.DrillRequest{}
	cmd := &cobra.Command{
		Use:   "drill --fetch URL",
		Short: "Let test viewers fetch their copies as real ones do, and keep how often it went wrong",
		Long: `Test viewers drill:1, drill:2, ... fetch their own copies from URL/m/TOKEN.jpg, where URL
is how the platform's viewers reach media (through its CDN). Every answer must be the
viewer's own copy, byte for byte. All outcomes are kept: together they are the measured
error rate of the chain. Exit 1 if an answer was another viewer's, changed or missing.`,
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if len(bases) == 0 {
				return usagef("--fetch is needed: the URL below which media is reached")
			}
			for _, b := range bases {
				if !isURL(b) {
					return usagef("--fetch %q: want an http or https URL", b)
				}
			}
			if q.Viewers < 2 || q.Pictures < 1 {
				return usagef("--viewers must be at least 2 and --pictures at least 1")
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&bases, "fetch", nil, "URL below which media is reached, repeatable")
	cmd.Flags().IntVar(&q.Viewers, "viewers", 3, "test viewers")
	cmd.Flags().IntVar(&q.Pictures, "pictures", 5, "pictures of shared decoys that each fetches twice")
	cmd.Flags().StringArrayVar(&q.Allow, "allow", nil, "CIDR:PORT that may be called although private, repeatable")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		reg, err := a.open(ctx, registry.Options{})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		for _, base := range bases {
			q.Base = base
			if err := reg.Drill(ctx, q, a.tellDrill); err != nil {
				return err
			}
		}
		record, err := reg.DrillRecord(ctx)
		if err != nil {
			return err
		}
		a.emit(record, func(w io.Writer) {
			fmt.Fprintf(w, "all drills: %d fetched, %d of another viewer, %d changed; wrong less often than %.2g (95 %%)\n", record.Fetched, record.Wrong, record.Changed, record.Bound)
		})
		return nil
	})
	return cmd
}

func (a *app) tellDrill(d registry.DrillResult) {
	a.failed = a.failed || d.Wrong()
	a.emit(d, func(w io.Writer) { fmt.Fprintf(w, "%-8s %s %s %s\n", d.Outcome, d.Account, d.Photo, d.Detail) })
}
