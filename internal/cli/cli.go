// Package cli is Birdring's command line: one short file per command, no logic.
//
// Every command answers on stdout, as aligned text or with --json as one JSON
// object per line and nothing else. Progress, logs and refusals go to stderr; a
// refusal is one line that says what was wrong and what to do. The exit code is
// one of the Exit constants.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"birdring/registry"
	"birdring/registry/sqlstore"
)

// Exit codes.
const (
	ExitOK      = 0 // did the work
	ExitFailed  = 1 // anything failed, after everything else was still done
	ExitUsage   = 2 // the line was not understood; nothing was done
	ExitNothing = 3 // worked, found nothing of ours
)

// app is one run of the program.
type app struct {
	in       io.Reader
	out, err io.Writer
	data     string // --data
	registry string // --registry
	json     bool   // --json
	started  bool   // the line was understood and a command runs
	nothing  bool   // the command found nothing of ours
	failed   bool   // something failed that was already reported on its own line
	writeErr error  // first error of writing to out
}

// errUsage marks errors about the line itself.
var errUsage = errors.New("usage")

type usageError struct{ text string }

func (e usageError) Error() string        { return e.text }
func (e usageError) Is(target error) bool { return target == errUsage }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	a := &app{in: in, out: out, err: err}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(err)
	ran, failure := root.ExecuteContextC(ctx)
	if failure == nil {
		failure = a.writeErr
	}
	switch {
	case failure != nil:
		fmt.Fprintf(err, "%s: %s\n", ran.CommandPath(), oneLine(failure.Error()))
		if !a.started || errors.Is(failure, errUsage) {
			return ExitUsage
		}
		return ExitFailed
	case a.failed:
		return ExitFailed
	case a.nothing:
		return ExitNothing
	}
	return ExitOK
}

// oneLine folds a text of several lines, as some libraries make them, into one.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "birdring",
		Short: "Find out through which accounts a site copies your platform",
		Long: `Birdring plants decoy profiles on a platform and gives every account its own copy
of their pictures and links. When a copy turns up on another site, it names the
account that copy was served to, with a stated bound on a false accusation.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q; run birdring --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("which command? run birdring --help")
		},
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	data := os.Getenv("BIRDRING_DATA")
	if data == "" {
		data = "./birdring-data"
	}
	root.PersistentFlags().StringVar(&a.data, "data", data, "folder of keys, registry and pictures (also $BIRDRING_DATA)")
	root.PersistentFlags().StringVar(&a.registry, "registry", os.Getenv("BIRDRING_REGISTRY"), "postgres:// URL of the registry (also $BIRDRING_REGISTRY; default: registry.db in --data)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "one JSON object per line on stdout")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v; run %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(a.initCommand(), a.seedCommand(), a.showCommand(), a.exposeCommand(), a.traceCommand(),
		a.scanCommand(), a.probeCommand(), a.serveCommand(), a.workerCommand(), a.jobsCommand(), a.edgeCommand(), a.zoneCommand(), a.drillCommand(), a.exportNeutralCommand(), a.neutralCommand(),
		a.registryCommand(), a.listCommand(), a.explainCommand(), a.planCommand(), a.alertsCommand(), a.assayCommand(), a.handlesCommand(), a.decoysCommand(), a.demoCommand(), a.ledgerCommand(), a.keysCommand(), a.retentionCommand(), a.accountsCommand(), a.auditCommand())
	return root
}

// run wraps a command's work: from here on an error is no longer about the line.
func (a *app) run(work func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := checkRegistry(a.registry); err != nil {
			return err
		}
		a.started = true
		return work(cmd.Context(), args)
	}
}

// checkRegistry refuses what names no database of PostgreSQL.
func checkRegistry(url string) error {
	if url != "" && !sqlstore.IsURL(url) {
		return usagef("--registry must be a postgres:// URL; a SQLite registry is the one of --data")
	}
	return nil
}

// noArgs and atLeast are cobra's validators with a sentence that says what to do.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q; run %s --help", args[0], cmd.CommandPath())
	}
	return nil
}

func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usagef("%s missing; run %s --help", what, cmd.CommandPath())
		}
		return nil
	}
}

// open opens the registry of --data or --registry.
func (a *app) open(ctx context.Context, o registry.Options) (*registry.Registry, error) {
	o.Database = a.registry
	return registry.Open(ctx, a.data, o)
}

// closing closes r and keeps its error unless there is one already.
func closing(r io.Closer, err *error) {
	if e := r.Close(); *err == nil {
		*err = e
	}
}
