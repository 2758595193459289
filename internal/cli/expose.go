package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) exposeCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "expose --from FILE.csv",
		Short: "Import who was shown which decoy when",
		Long:  "Imports lines account,decoy,time[,surface] (RFC 4180 CSV, RFC 3339 times; - is standard input).\nThe same line again is one exposure. A bad line is named and nothing is stored.",
		Args:  noArgs,
	}
	cmd.Flags().StringVar(&from, "from", "", "CSV file, - for standard input")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if from == "" {
			return usagef("--from is needed")
		}
		return nil
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		reg, err := a.open(ctx, registry.Options{})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		in := a.in
		if from != "-" {
			f, err := os.Open(from)
			if err != nil {
				return plain(err)
			}
			defer f.Close()
			in = f
		}
		read, stored, known, err := reg.ImportExposures(ctx, in)
		if err != nil {
			return err
		}
		a.emit(struct {
			Read   int `json:"read"`
			Stored int `json:"stored"`
			Known  int `json:"known"`
		}{read, stored, known}, func(w io.Writer) {
			fmt.Fprintf(w, "%d read, %d stored, %d already known\n", read, stored, known)
		})
		return nil
	})
	return cmd
}
