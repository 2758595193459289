package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"birdring/registry"
	"birdring/registry/jobs"
	"birdring/registry/sqlstore"
)

// jobFlags are the flags of commands that work on jobs: worker and serve.
type jobFlags struct {
	database string
	watch    time.Duration
	leads    bool
	allow    []string
	maxPages int
	rate     float64
}

func (f *jobFlags) add(cmd *cobra.Command) {
	addJobsFlag(cmd, &f.database)
	cmd.Flags().DurationVar(&f.watch, "watch-every", 24*time.Hour, "how often watched sites are scanned; 0: never")
	cmd.Flags().BoolVar(&f.leads, "follow-leads", false, "scan pages that hits name as their origin")
	cmd.Flags().StringArrayVar(&f.allow, "allow", nil, "CIDR:PORT that scans and probes may call although private, repeatable")
	cmd.Flags().IntVar(&f.maxPages, "max-pages", 200, "pages of a site that a scan fetches at most")
	cmd.Flags().Float64Var(&f.rate, "rate", 1, "requests a second to one host")
}

func addJobsFlag(cmd *cobra.Command, database *string) {
	cmd.Flags().StringVar(database, "jobs", "", "postgres:// URL of the jobs (default: where the registry is)")
}

func (f *jobFlags) check() error {
	switch {
	case f.database != "" && !sqlstore.IsURL(f.database):
		return usagef("--jobs must be a postgres:// URL")
	case f.watch < 0:
		return usagef("--watch-every must not be negative")
	case f.maxPages < 1 || f.rate <= 0:
		return usagef("--max-pages and --rate must be greater than 0")
	}
	return nil
}

// config is what the flags say.
func (f *jobFlags) config() jobs.Config {
	return jobs.Config{
		Database: f.database, WatchEvery: f.watch, FollowLeads: f.leads,
		Scan: registry.ScanRequest{Allow: f.allow, MaxPages: f.maxPages, Rate: f.rate},
	}
}

func (a *app) workerCommand() *cobra.Command {
	var f jobFlags
	var scans int
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Scan, probe and deliver alerts, on as many machines as wanted",
		Long: `Works on the jobs of a registry until stopped. It needs the registry's folder (keys and
pictures, a copy will do) and, on another machine, --registry postgres://...
birdring serve runs a worker of its own unless told --no-worker.`,
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if scans < 1 {
				return usagef("--scans must be at least 1")
			}
			return f.check()
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&scans, "scans", 2, "scans at once")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		reg, err := a.open(ctx, registry.Options{Log: log})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		c := f.config()
		c.Registry, c.Log, c.Workers = reg, log, scans
		q, err := jobs.Open(ctx, c)
		if err != nil {
			return err
		}
		defer closing(q, &err)
		a.emit(struct {
			Worker string `json:"worker"`
		}{q.Name()}, func(w io.Writer) { fmt.Fprintf(w, "worker   %s\n", q.Name()) })
		return q.Work(ctx)
	})
	return cmd
}
