package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) assayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "assay --photos DIR",
		Short: "Measure what your photos can carry (not built yet)",
		Args:  noArgs,
		RunE: a.run(func(context.Context, []string) error {
			return errors.New("assay is not built yet; `birdring seed` refuses photos that cannot carry a ring and says why")
		}),
	}
	cmd.Flags().String("photos", "", "folder of photos")
	return cmd
}
