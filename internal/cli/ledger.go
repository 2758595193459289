package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"birdring/registry"
	"birdring/registry/ledger"
)

func (a *app) ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "The tamper-evident log of what the registry took in",
		Long: `Exposures, viewers' numbers, sightings, attributions, commitments to keys and the audit
log stand in a Merkle tree whose head is signed every minute while birdring serve runs,
and at the end of every command that writes. The folder ledger in --data is a static
log in the layout of C2SP tlog-tiles: copy or serve it as it is. Keep heads elsewhere:
against them nobody, not even who holds the keys, can rewrite what came before.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("ledger has no command %q; it has verify, head, export and stamp", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return usagef("ledger verify, head, export or stamp") },
	}
	cmd.AddCommand(a.ledgerVerify(), a.ledgerHead(), a.ledgerExport(), a.ledgerStamp())
	return cmd
}

func (a *app) ledgerVerify() *cobra.Command {
	var ca string
	cmd := &cobra.Command{
		Use: "verify", Args: noArgs,
		Short: "Recompute the ledger against the registry",
		Long: `Recomputes every tile and every signed head from the entries and compares every row of
the registry with its entry. Names the first row that was changed, removed, back-dated
or put there behind the program's back, the first picture shown before the commitment to
its keys, or the time stamp that does not stand, and exits 1.`,
		RunE: a.withRegistry(registry.Options{ReadOnly: true}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			roots, err := rootsOf(ca)
			if err != nil {
				return err
			}
			rep, err := reg.VerifyLedgerBy(ctx, roots)
			if err != nil {
				return err
			}
			a.emit(rep, func(w io.Writer) { printLedger(w, rep) })
			if rep.Problems > 0 {
				a.problem("%s", problemLine(rep))
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&ca, "tsa-ca", "", "file of root certificates (PEM) that must vouch for who stamped heads (default: anybody may have)")
	return cmd
}

// rootsOf reads a file of certificates; nil for none.
func rootsOf(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", path)
	}
	return roots, nil
}

func printLedger(w io.Writer, rep *registry.LedgerReport) {
	var classes []string
	for c, n := range rep.Entries {
		classes = append(classes, fmt.Sprintf("%d %s", n, c))
	}
	sort.Strings(classes)
	fmt.Fprintf(w, "entries  %d under %d signed heads, %d wait for the next (%s)\n", rep.Size, rep.Heads, rep.Waiting, strings.Join(classes, ", "))
	if rep.Signed != nil {
		fmt.Fprintf(w, "head     %s at %s\n", rep.Root, stamp(*rep.Signed))
	}
	if rep.Stamps > 0 {
		fmt.Fprintf(w, "stamps   %d, the newest at %s\n", rep.Stamps, stamp(*rep.Stamped))
	}
	fmt.Fprintf(w, "problems %d\n", rep.Problems)
}

// problemLine names the first problem.
func problemLine(rep *registry.LedgerReport) string {
	p := rep.First
	out := fmt.Sprintf("the ledger does not verify (%d problems), the first: %s", rep.Problems, p.Kind)
	if p.Class != "" {
		out += " " + p.Class
	}
	if p.Position != nil {
		out += fmt.Sprintf(", entry %d recorded at %s", *p.Position, stamp(*p.Recorded))
	}
	if p.Was != nil {
		out += fmt.Sprintf(", was %v", p.Was)
	}
	if p.Row != nil {
		out += fmt.Sprintf(", is %v", p.Row)
	}
	return out + ": " + p.Text
}

func (a *app) ledgerHead() *cobra.Command {
	return &cobra.Command{
		Use: "head", Short: "The newest signed head and the keys it verifies with", Args: noArgs,
		RunE: a.withRegistry(registry.Options{ReadOnly: true}, func(_ context.Context, reg *registry.Registry, _ []string) error {
			h, err := reg.LedgerHead()
			if err != nil {
				return err
			}
			a.emit(h, func(w io.Writer) {
				fmt.Fprintf(w, "%s\nkey       %s\ntime key  %s\n", h.Checkpoint, h.Key, h.TimeKey)
			})
			return nil
		}),
	}
}

func (a *app) ledgerExport() *cobra.Command {
	var from int64
	cmd := &cobra.Command{
		Use: "export", Short: "List the entries under the newest signed head", Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if from < 0 {
				return usagef("--from must be 0 or more")
			}
			return nil
		},
		RunE: a.withRegistry(registry.Options{ReadOnly: true}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			return reg.LedgerEntries(ctx, from, func(position int64, e *ledger.Entry) error {
				view := registry.EntryView(e)
				view["position"], view["backfilled"], view["recorded"] = position, e.Backfilled, time.UnixMicro(e.Recorded).UTC().Format(time.RFC3339Nano)
				a.emit(view, func(w io.Writer) { printEntry(w, position, e, view) })
				return errors.Join(ctx.Err(), a.writeErr)
			})
		}),
	}
	cmd.Flags().Int64Var(&from, "from", 0, "the first entry wanted")
	return cmd
}

func printEntry(w io.Writer, position int64, e *ledger.Entry, view map[string]any) {
	fmt.Fprintf(w, "%d  %s  %s", position, view["recorded"], e.Class)
	nums, texts := e.Class.Fields()
	for _, name := range append(append([]string{}, nums...), texts...) {
		fmt.Fprintf(w, "  %s=%s", name, printable(fmt.Sprint(view[name])))
	}
	fmt.Fprintln(w)
}

func (a *app) ledgerStamp() *cobra.Command {
	var url, ca string
	cmd := &cobra.Command{
		Use: "stamp --tsa URL", Short: "Have a time stamp authority (RFC 3161) stamp the signed head", Args: noArgs,
		Long: `Signs the tree, sends the hash of the head to the authority and keeps head and answer in
ledger/stamps. birdring serve --tsa URL does so by itself. Only the hash leaves this machine. To check them without this program:
openssl ts -verify -data FILE.checkpoint -in FILE.tsr -CAfile ROOTS.pem`,
		PreRunE: func(*cobra.Command, []string) error {
			if !isURL(url) {
				return usagef("--tsa needs the http or https URL of an authority")
			}
			return nil
		},
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			roots, err := rootsOf(ca)
			if err != nil {
				return err
			}
			s, err := reg.StampLedger(ctx, registry.Authority{URL: url, Roots: roots})
			if err != nil {
				return err
			}
			a.emit(s, func(w io.Writer) {
				fmt.Fprintf(w, "%d entries stamped at %s by %s\n%s\n", s.Size, stamp(s.At), printable(s.By), s.Stamp)
			})
			return nil
		}),
	}
	cmd.Flags().StringVar(&url, "tsa", "", "URL of the authority")
	cmd.Flags().StringVar(&ca, "tsa-ca", "", "file of root certificates (PEM) that must vouch for it")
	return cmd
}
