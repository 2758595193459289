package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"birdring/internal/plan"
	"birdring/registry"
)

func (a *app) planCommand() *cobra.Command {
	q := plan.Request{}
	var file string
	cmd := &cobra.Command{
		Use:   "plan --accounts N --coalition C --change NAME --days T",
		Short: "How many pictures and decoys it takes to name an account",
		Long: `Changes copies of the planted pictures as a site would, reads them, and simulates
farms of up to C accounts on what was read: how many pictures of ours the site must
republish until the first account is attributed at 64 bits, in half and in 99 % of
runs, and how many decoys must be planted, each shown to its share of accounts,
for 99 % power. It is taken that the site republishes all that its accounts meet.

A change is one of assay's: ` + strings.Join(plan.Changes(), " ") + `.`,
		Args: noArgs,
	}
	cmd.Flags().IntVar(&q.Accounts, "accounts", 1_000_000, "accounts of the platform")
	cmd.Flags().IntVar(&q.Coalition, "coalition", 4, "accounts that feed one site, at most")
	cmd.Flags().StringVar(&q.Change, "change", "thumb320", "what the site does to pictures, by assay's name (thumb150, webp75, combo_clone, ...)")
	cmd.Flags().IntVar(&q.Days, "days", 30, "days in which the decoys are to be shown")
	cmd.Flags().IntVar(&q.Runs, "runs", 400, "simulated farms of every size")
	cmd.Flags().StringVar(&file, "plot", "", "write a plot to this file (SVG)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		switch {
		case plan.Known(q.Change) == nil:
			return usagef("--change %q is not known; one of %s is", q.Change, strings.Join(plan.Changes(), ", "))
		case q.Accounts < 1 || q.Coalition < 1 || q.Coalition > 1024 || q.Days < 1 || q.Runs < 20 || q.Runs > 100_000:
			return usagef("--accounts and --days must be at least 1, --coalition 1 to 1024, --runs 20 to 100000")
		}
		return nil
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		reg, err := a.open(ctx, registry.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		step, done := a.progress("read")
		q.Progress = step
		rows, err := plan.Make(ctx, reg, q)
		done()
		if err != nil {
			return err
		}
		for _, r := range rows {
			if a.json {
				a.emit(r, nil)
			}
		}
		if !a.json {
			a.emit(nil, func(w io.Writer) { printPlan(w, q, rows) })
		}
		if file == "" {
			return nil
		}
		return plotFile(file, rows)
	})
	return cmd
}

func plotFile(name string, rows []plan.Row) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer closing(f, &err)
	return plan.Plot(f, rows)
}

func printPlan(w io.Writer, q plan.Request, rows []plan.Row) {
	first := rows[0]
	fmt.Fprintf(w, "After %s, %d of %d pictures read are found, a picture says %s of its account (median).\n", q.Change, first.Measured-first.Lost, first.Measured, bits(first.Bits))
	number := func(n *int) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	table(w, "farm pictures_50% pictures_99% decoys_found decoys_to_plant exposures_a_day", func(row func(cells ...any)) {
		for _, r := range rows {
			row(r.Coalition, number(r.Half), number(r.Most), number(r.DecoysFound), number(r.DecoysShown), number(r.ExposuresDay))
		}
	})
	fmt.Fprintf(w, "Every site weighed adds %.2g to the bound on any false attribution among %d accounts.\n", first.Bound, q.Accounts)
}
