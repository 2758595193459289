package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) accountsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "Forget an account, or tell whose a pseudonym is",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("accounts has no command %q; it has forget and unmask, and birdring list accounts lists them", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return usagef("accounts forget or unmask") },
	}
	cmd.AddCommand(a.accountsForget(), a.accountsUnmask())
	return cmd
}

// wantReason refuses a line without a reason.
func wantReason(reason *string) func(*cobra.Command, []string) error {
	return func(*cobra.Command, []string) error {
		if strings.TrimSpace(*reason) == "" {
			return usagef("--reason TEXT is wanted: it goes into the audit log")
		}
		return nil
	}
}

func (a *app) accountsForget() *cobra.Command {
	var q registry.ForgetRequest
	cmd := &cobra.Command{
		Use:   "forget ACCOUNT --reason TEXT",
		Short: "Take away whose an account's viewer numbers are",
		Long: `The account's name, sessions, addresses, user agents and hits go, and the salt without
which its pseudonym in the ledger says nothing. Its numbers stay behind a tombstone and
are never given again; the ledger verifies as before. Webhooks that were told, backups
and traces printed before are not reached: see to them yourself.`,
		Args:    exactly(1, "ACCOUNT"),
		PreRunE: wantReason(&q.Reason),
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, args []string) error {
			q.Account = args[0]
			done, err := reg.ForgetAccount(ctx, q)
			if err != nil {
				return err
			}
			a.emit(done, func(w io.Writer) {
				fmt.Fprintf(w, "forgotten; %d numbers stand behind %s; %d addresses and %d hits went\n", len(done.Viewers), done.Tombstone, done.Exposures, done.Hits)
			})
			return nil
		}),
	}
	cmd.Flags().StringVar(&q.Reason, "reason", "", "why, for the audit log")
	cmd.Flags().BoolVar(&q.Attributed, "attributed", false, "also if it is attributed on a site: the attribution stays and names the tombstone")
	return cmd
}

func (a *app) accountsUnmask() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "unmask PSEUDONYM --reason TEXT",
		Short:   "Tell whose pseudonym it is; the audit log keeps who asked and why",
		Args:    exactly(1, "PSEUDONYM"),
		PreRunE: wantReason(&reason),
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, args []string) error {
			name, err := reg.Unmask(ctx, args[0], "", reason)
			if err != nil {
				return err
			}
			a.emit(struct {
				Pseudonym string `json:"pseudonym"`
				Account   string `json:"account"`
			}{args[0], name}, func(w io.Writer) { fmt.Fprintln(w, printable(name)) })
			return nil
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

func (a *app) auditCommand() *cobra.Command {
	var since string
	var from time.Time
	cmd := &cobra.Command{
		Use: "audit", Short: "List who did what others may ask about, newest last", Args: noArgs,
		PreRunE: func(*cobra.Command, []string) (err error) {
			if since == "" {
				return nil
			}
			if from, err = time.Parse(time.RFC3339, since); err != nil {
				return usagef("--since needs an RFC 3339 time such as 2026-11-24T00:00:00Z, not %q", since)
			}
			return nil
		},
		RunE: a.withRegistry(registry.Options{ReadOnly: true}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			return reg.Audit(ctx, from, func(r registry.AuditRow) error {
				a.emit(r, func(w io.Writer) {
					fmt.Fprintf(w, "%s  %s  %s  %s: %s\n", stamp(r.At), printable(r.Who), r.Action, printable(r.Subject), printable(r.Reason))
				})
				return a.writeErr
			})
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "only lines of this time (RFC 3339) or later")
	return cmd
}
