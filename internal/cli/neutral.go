package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) exportNeutralCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export-neutral DIR",
		Short: "Write the neutral copy of every picture, for while Birdring is away",
		Long: `Writes DIR/<decoy>/<photo>.jpg. Put them into the platform's own storage: a viewer gets
them whenever Birdring does not answer, never a broken picture and never another's copy.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("one folder is wanted; run %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: a.run(func(ctx context.Context, args []string) (err error) {
			reg, err := a.open(ctx, registry.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			defer closing(reg, &err)
			return reg.ExportNeutral(ctx, args[0], func(f registry.NeutralFile) {
				a.emit(f, func(w io.Writer) { fmt.Fprintln(w, f.File) })
			})
		}),
	}
}

func (a *app) neutralCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "neutral on|off",
		Short: "Serve the neutral copy of every picture to everybody, or stop that",
		Long:  "The switch for an emergency: every running server follows within seconds, and so does every edge of a stream that one of them takes in.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] != "on" && args[0] != "off" {
				return usagef("on or off is wanted; run %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: a.run(func(ctx context.Context, args []string) (err error) {
			reg, err := a.open(ctx, registry.Options{})
			if err != nil {
				return err
			}
			defer closing(reg, &err)
			if err := reg.SetNeutralOnly(ctx, args[0] == "on"); err != nil {
				return err
			}
			a.emit(struct {
				Neutral bool `json:"neutral"`
			}{args[0] == "on"}, func(w io.Writer) { fmt.Fprintf(w, "neutral copies: %s\n", args[0]) })
			return nil
		}),
	}
}
