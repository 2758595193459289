package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) explainCommand() *cobra.Command {
	var read bool
	cmd := &cobra.Command{
		Use:   "explain SITE ACCOUNT",
		Short: "Compute an attribution again, factor by factor",
		Long: `Computes an attribution again from the stored soft values and the keys alone and
prints every factor. The sum must equal what is stored, bit for bit; else the exit
code is 1. With --read the stored captures are decoded, aligned and read again too.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("a site and an account are wanted; run %s --help", cmd.CommandPath())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&read, "read", false, "read the stored captures again; within 1 % of the bits, or exit code 1")
	cmd.RunE = a.run(func(ctx context.Context, args []string) (err error) {
		reg, err := a.open(ctx, registry.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		e, err := reg.Explain(ctx, args[0], args[1], read)
		if err != nil {
			return err
		}
		a.emit(e, func(w io.Writer) { printExplanation(w, e) })
		if !e.Same && e.Void == nil {
			a.problem("computed again it has %.3f bits, stored are %.3f: exposures were told later, or keys or program differ", e.Bits, e.Stored)
		}
		if e.Reread != nil && math.Abs(*e.Reread-e.Stored) > .01*e.Stored {
			a.problem("read again it has %.3f bits, stored are %.3f: more than 1 %% apart", *e.Reread, e.Stored)
		}
		return nil
	})
	return cmd
}

func printExplanation(w io.Writer, e *registry.Explanation) {
	if e.Void != nil {
		fmt.Fprintf(w, "VOID: this does not count any more: %s. What follows is what is left of it.\n", *e.Void)
	}
	fmt.Fprintf(w, "Pictures on %s descend from the copy served to %s: %s.\n", printable(e.Site), printable(e.Account), bits(e.Bits))
	fmt.Fprintf(w, "If its copies were not involved, evidence of 64 bits or more for any account on any site has probability below %.2g.\n", e.Chances*0x1p-64)
	fmt.Fprintln(w, "This does not show who operated the account, nor that it uploaded anything to the site.")
	table(w, "kind of decoys sightings bits", func(row func(cells ...any)) {
		for _, f := range e.Factors {
			row(f.Kind, f.Of, strings.Join(f.Decoys, " "), strings.Join(f.Sightings, " "), fmt.Sprintf("%.3f", f.Bits))
		}
	})
	p := e.Parts
	fmt.Fprintf(w, "rings %.3f, handles %.3f, links %.3f, probes %.3f, coins %.3f: together %.3f bits, stored %.3f\n", p.Rings, p.Handles, p.Links, p.Probes, p.Coins, e.Bits, e.Stored)
	if e.Reread != nil {
		fmt.Fprintf(w, "captures read again: %.3f bits\n", *e.Reread)
	}
}
