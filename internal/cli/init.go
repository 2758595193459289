package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"birdring/registry"
	"birdring/registry/keystore"
)

func (a *app) initCommand() *cobra.Command {
	var o registry.InitOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make keys and an empty registry",
		Long:  "Makes the folder --data with new keys (keys.json, readable by its owner only) and an empty registry\n(registry.db; with --registry in that database of PostgreSQL, which must exist and be empty).\nThe commitment printed is a hash of the keys: publish it before you plant, and you can show later that the keys are the old ones.",
		Args:  noArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			o.Database = a.registry
			commitment, err := registry.InitWith(ctx, a.data, o)
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
	cmd.Flags().StringVar(&o.KMS, "kms", os.Getenv(keystore.Env), "URI of the service that wraps the keys, such as file-kms:///mnt/usb/kek.json (also $"+keystore.Env+"; default: the keys stand open)")
	cmd.Flags().BoolVar(&o.Pseudonyms, "pseudonyms", false, "keep accounts under keyed pseudonyms; telling whose one is, is an audited act")
	return cmd
}
