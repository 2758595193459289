package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"birdring/internal/console"
	"birdring/registry"
	"birdring/registry/keystore"
)

func (a *app) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Root secrets by epoch, edges' keys, API keys",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("keys has no command %q; it has list, rotate, move, export-edge, leaked and api", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return usagef("keys list, rotate, move, export-edge, leaked or api")
		},
	}
	cmd.AddCommand(a.keysList(), a.keysRotate(), a.keysMove(), a.keysExportEdge(), a.keysLeaked(), a.keysAPI())
	return cmd
}

func (a *app) keysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the epochs of the keys", Args: noArgs,
		RunE: a.withRegistry(registry.Options{ReadOnly: true}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			all, err := reg.Epochs(ctx)
			for _, e := range all {
				a.emit(e, func(w io.Writer) {
					fmt.Fprintf(w, "epoch %d  %s  %d pictures", e.Epoch, e.State, e.Pictures)
					if e.Committed != nil {
						fmt.Fprintf(w, "  committed %s", stamp(*e.Committed))
					}
					if e.Leaked != nil {
						fmt.Fprintf(w, "  in other hands since %s", stamp(*e.Leaked))
					}
					if e.KMS != nil {
						fmt.Fprintf(w, "  wrapped by %s", *e.KMS)
					}
					fmt.Fprintln(w)
				})
			}
			if len(all) > 0 && all[0].Format < 2 {
				a.note("keys.json is of the first format; birdring keys move writes today's")
			}
			return err
		}),
	}
}

func (a *app) keysRotate() *cobra.Command {
	var prepare bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Add an epoch: new pictures and links use it, nothing served changes", Args: noArgs,
		Long: `Draws a new root secret. Its commitment is under a signed head of the ledger before it
is used. Pictures keep the epoch they were prepared with for ever, old links stay valid.
With edges or several machines: run it with --prepare, give the new keys out (keys.json to
other machines, birdring keys export-edge to edges), then run it again without.`,
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			done, err := reg.RotateKeys(ctx, prepare)
			if err != nil {
				return err
			}
			a.emit(done, func(w io.Writer) {
				fmt.Fprintf(w, "epoch %d  %s\ncommitment  %s\n", done.Epoch, done.State, done.Commitment)
			})
			return nil
		}),
	}
	cmd.Flags().BoolVar(&prepare, "prepare", false, "only add the epoch; it is used from the next keys rotate on")
	return cmd
}

func (a *app) keysMove() *cobra.Command {
	var kms string
	var open bool
	cmd := &cobra.Command{
		Use: "move", Short: "Keep the keys in today's format, wrapped by a key-management service", Args: noArgs,
		Long: `Writes keys.json anew: a Tink keyset, encrypted with a data key that the service of --kms
wraps, or open (file mode 0600) with --open. The secrets stay the same.

  file-kms:///mnt/usb/kek.json        a Tink keyset in a file of its own, made if it is missing
  exec-kms:///usr/local/bin/wrap      a program: wrap encrypt|decrypt, from stdin to stdout

The URI is kept in keys.json; $BIRDRING_KMS names another place for the same key.`,
		PreRunE: func(*cobra.Command, []string) error {
			if (kms == "") != open {
				return usagef("say --kms URI or --open")
			}
			return nil
		},
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			if err := reg.MoveKeys(ctx, kms); err != nil {
				return err
			}
			a.emit(struct {
				KMS    *string `json:"kms"`
				Format int     `json:"format"`
			}{orNull(kms), 2}, func(w io.Writer) {
				fmt.Fprintln(w, "keys moved; old copies of keys.json, in backups too, hold the same secrets")
			})
			return nil
		}),
	}
	cmd.Flags().StringVar(&kms, "kms", os.Getenv(keystore.Env), "URI of the service that wraps the keys (also $"+keystore.Env+")")
	cmd.Flags().BoolVar(&open, "open", false, "keep them open, readable by the owner of the file")
	return cmd
}

func (a *app) keysExportEdge() *cobra.Command {
	var decoys []string
	cmd := &cobra.Command{
		Use:   "export-edge FILE",
		Short: "Write the keys of an edge: those of the pictures it serves, never the root",
		Long: `FILE (mode 0600, must not exist) gets what opens and seals tokens, and the keys of the
pictures of --decoy (all decoys if none is given). Whoever has it can make tokens and any
viewer's copy of these pictures; the root secret and other pictures' keys do not follow.
Export again after planting and before keys rotate puts a new epoch to use.`,
		Args: exactly(1, "FILE"),
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, args []string) error {
			if _, err := os.Lstat(args[0]); err == nil {
				return fmt.Errorf("%s is there already: it is not overwritten, name another file", args[0])
			}
			data, n, err := reg.ExportEdge(ctx, decoys)
			if err != nil {
				return err
			}
			if err := registry.WritePrivate(args[0], data); err != nil {
				return err
			}
			a.emit(struct {
				File     string `json:"file"`
				Pictures int    `json:"pictures"`
				Epochs   int    `json:"epochs"`
			}{args[0], n, len(reg.Keyring().Epochs())}, func(w io.Writer) { fmt.Fprintf(w, "%s: keys of %d pictures\n", args[0], n) })
			return nil
		}),
	}
	cmd.Flags().StringArrayVar(&decoys, "decoy", nil, "id of a decoy it serves, repeatable (default: all)")
	return cmd
}

func (a *app) keysLeaked() *cobra.Command {
	var since, reason string
	var from time.Time
	var epoch uint8
	cmd := &cobra.Command{
		Use:   "leaked EPOCH",
		Short: "Say that an epoch's secret is in other hands: what is found since then is void",
		Long: `Whoever has an epoch's secret can draw any viewer's copy of its pictures and seal any
link. So what was stored since TIME of pictures of that epoch, of links and of probes is
no evidence any more (for epoch 1 of handles as well). Attributions that do not stand
without it show as void everywhere, and a message (key.leaked) goes to every webhook.
Run birdring keys rotate, and plant anew.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("keys leaked needs one EPOCH; birdring keys list shows them")
			}
			if _, err := fmt.Sscanf(args[0]+" ", "%d ", &epoch); err != nil || fmt.Sprint(epoch) != args[0] {
				return usagef("%q is no epoch; birdring keys list shows them", args[0])
			}
			return nil
		},
		PreRunE: func(*cobra.Command, []string) (err error) {
			if from, err = time.Parse(time.RFC3339, since); err != nil {
				return usagef("--since needs an RFC 3339 time such as 2026-11-24T00:00:00Z, not %q", since)
			}
			return nil
		},
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			l, err := reg.DeclareLeak(ctx, epoch, from, reason)
			if err != nil {
				return err
			}
			a.emit(l, func(w io.Writer) {
				fmt.Fprintf(w, "epoch %d is in other hands since %s: %d sightings behind attributions say nothing any more\n", l.Epoch, stamp(l.Since), l.Sightings)
				for _, v := range l.Voided {
					fmt.Fprintf(w, "  void: %s on %s\n", printable(v.Account), printable(v.Site))
				}
			})
			return nil
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "since when (RFC 3339)")
	cmd.Flags().StringVar(&reason, "reason", "", "how it is known, for the audit log")
	return cmd
}

func (a *app) keysAPI() *cobra.Command {
	var role, note, remove string
	var list bool
	cmd := &cobra.Command{
		Use:   "api --role platform|reader|analyst|admin",
		Short: "Make a bearer key for the HTTP API; its secret is printed once",
		Long: `A running birdring serve knows the new key within a second.
platform numbers accounts and records exposures; reader reads; analyst also traces and
watches sites; admin may do everything.`,
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			set := 0
			for _, on := range []bool{role != "", list, remove != ""} {
				if on {
					set++
				}
			}
			if set != 1 {
				return usagef("say one of --role ROLE, --list and --remove ID")
			}
			if role != "" && !console.Role(role).Valid() {
				return usagef("there is no role %q: it is platform, reader, analyst or admin", role)
			}
			return nil
		},
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			keys, err := console.ReadKeys(reg.Dir())
			if err != nil {
				return err
			}
			switch {
			case list:
				for _, k := range keys.List() {
					a.emit(apiKeyRow{k.ID, string(k.Role), k.Note, k.Added}, func(w io.Writer) {
						fmt.Fprintf(w, "%s  %-8s  since %s  %s\n", k.ID, k.Role, stamp(k.Added), printable(k.Note))
					})
				}
				return nil
			case remove != "":
				if err := keys.Remove(remove); err != nil {
					return err
				}
				return reg.Note(ctx, registry.AuditRow{Action: registry.ActKey, Subject: remove, Reason: "removed"})
			}
			key, secret, err := keys.Add(console.Role(role), note)
			if err != nil {
				return err
			}
			a.emit(struct {
				ID    string `json:"id"`
				Role  string `json:"role"`
				Token string `json:"token"`
			}{key.ID, role, secret}, func(w io.Writer) {
				fmt.Fprintf(w, "%s  %s\ntoken, printed only now: %s\n", key.ID, role, secret)
			})
			return reg.Note(ctx, registry.AuditRow{Action: registry.ActKey, Subject: key.ID, Reason: "made with role " + role})
		}),
	}
	cmd.Flags().StringVar(&role, "role", "", "platform, reader, analyst or admin")
	cmd.Flags().StringVar(&note, "note", "", "what it is for")
	cmd.Flags().BoolVar(&list, "list", false, "list the keys, without secrets")
	cmd.Flags().StringVar(&remove, "remove", "", "forget the key of this id")
	return cmd
}

// apiKeyRow is an API key without its hash.
type apiKeyRow struct {
	ID    string    `json:"id"`
	Role  string    `json:"role"`
	Note  string    `json:"note"`
	Added time.Time `json:"added"`
}
