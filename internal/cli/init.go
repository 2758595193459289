package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make keys and an empty registry",
		Long:  "Makes the folder --data with new keys (keys.json, readable by its owner only) and an empty registry\n(registry.db; with --registry in that database of PostgreSQL, which must exist and be empty).\nThe commitment printed is a hash of the keys: publish it before you plant, and you can show later that the keys are the old ones.",
		Args:  noArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			commitment, err := registry.InitIn(ctx, a.data, a.registry)
			if err != nil {
				return err
			}
			a.emit(struct {
				Data       string `json:"data"`
				Commitment string `json:"commitment"`
			}{a.data, commitment}, func(w io.Writer) {
				fmt.Fprintf(w, "registry    %s\ncommitment  %s\n", a.data, commitment)
			})
			return nil
		}),
	}
}
