package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"birdring/registry"
	"birdring/registry/sqlstore"
)

func (a *app) registryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Copy, back up and check the registry's database",
		Args: func(cmd *cobra.Command, args []string) error {
			return usagef("registry what? copy, backup or check; run birdring registry --help")
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(a.registryCopyCommand(), a.registryBackupCommand(), a.registryCheckCommand())
	return cmd
}

// database is where the registry of this run is.
func (a *app) database() string {
	return cmp.Or(a.registry, filepath.Join(a.data, "registry.db"))
}

func (a *app) registryCopyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Make one registry the same as another, on either engine",
		Long: `Copies a registry, each a file (birdring-data/registry.db) or a postgres:// URL of an
empty database, and compares every row. Others may go on using FROM. Interrupted, it
goes on when it is run again; run again after the servers on FROM have stopped, it
brings TO up to date. Keys, pictures and journal stay in the data folder.`,
		Args: exactly(2, "FROM and TO"),
		RunE: a.run(func(ctx context.Context, args []string) error {
			begin := time.Now()
			done, err := sqlstore.Copy(ctx, args[0], args[1], a.tableProgress())
			if err != nil {
				return err
			}
			a.emit(struct {
				From    string  `json:"from"`
				To      string  `json:"to"`
				Tables  int     `json:"tables"`
				Rows    int64   `json:"rows"`
				Written int64   `json:"written"`
				Seconds float64 `json:"seconds"`
			}{sqlstore.Redacted(args[0]), sqlstore.Redacted(args[1]), done.Tables, done.Rows, done.Written, seconds(begin)}, func(w io.Writer) {
				fmt.Fprintf(w, "%d tables, %d rows compared, %d written\n", done.Tables, done.Rows, done.Written)
			})
			return nil
		}),
	}
}

func (a *app) registryBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the registry as it is now to a new SQLite file",
		Long: `Writes everything the registry holds at one moment to FILE, while others go on, also out
of PostgreSQL (there pg_dump or continuous archiving do as well). Put keys.json and
pictures/ of the data folder beside it: without the keys nothing can be read.`,
		Args: exactly(1, "FILE"),
		RunE: a.run(func(ctx context.Context, args []string) error {
			begin := time.Now()
			if err := sqlstore.Backup(ctx, a.database(), args[0], a.tableProgress()); err != nil {
				return err
			}
			a.emit(struct {
				Registry string  `json:"registry"`
				File     string  `json:"file"`
				Seconds  float64 `json:"seconds"`
			}{sqlstore.Redacted(a.database()), args[0], seconds(begin)}, func(w io.Writer) {
				fmt.Fprintf(w, "backup in %s; keep keys.json and pictures/ of %s with it\n", args[0], a.data)
			})
			return nil
		}),
	}
}

func (a *app) registryCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Look for damaged pages, rows that point to nothing and viewer numbers that are missing",
		Args:  noArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			bad := 0
			tell := func(f sqlstore.Finding) {
				if !f.OK {
					bad++
				}
				a.emit(struct {
					Check  string  `json:"check"`
					What   string  `json:"what"`
					OK     bool    `json:"ok"`
					Detail *string `json:"detail"`
				}{f.Check, f.What, f.OK, orNull(f.Detail)}, func(w io.Writer) {
					word := "ok"
					if !f.OK {
						word = "BAD"
					}
					fmt.Fprintf(w, "%-3s  %-8s %-28s %s\n", word, f.Check, printable(f.What), printable(f.Detail))
				})
			}
			err := sqlstore.Check(ctx, a.database(), tell)
			if err == nil && bad == 0 { // a damaged database is not asked for more
				err = a.checkNumbers(ctx, tell)
			}
			if err == nil && bad > 0 {
				err = fmt.Errorf("%d checks found something wrong: see the lines above, and restore a backup if pages are damaged", bad)
			}
			return err
		}),
	}
}

// checkNumbers tells from what the table of viewers' numbers could be made again.
func (a *app) checkNumbers(ctx context.Context, tell func(sqlstore.Finding)) (err error) {
	reg, err := a.open(ctx, registry.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer closing(reg, &err)
	all, err := reg.CheckNumbers(ctx)
	for _, s := range all {
		detail := s.Detail
		if detail == "" {
			detail = fmt.Sprintf("%d of %d numbers follow from it", s.Of, s.Table)
		}
		tell(sqlstore.Finding{Check: "numbers", What: s.Source, OK: s.OK, Detail: detail})
	}
	return err
}

// tableProgress tells how far a table is, at most once a second and at its end.
func (a *app) tableProgress() func(table string, rows, written int64) {
	var last time.Time
	return func(table string, rows, written int64) {
		if time.Since(last) > time.Second {
			last = time.Now()
			a.note("%s: %d rows compared, %d written", table, rows, written)
		}
	}
}

func seconds(since time.Time) float64 {
	return float64(time.Since(since).Milliseconds()) / 1000
}

// exactly is cobra's ExactArgs with a sentence that says what to do.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s wanted, %d arguments given; run %s --help", what, len(args), cmd.CommandPath())
		}
		return nil
	}
}
