package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"birdring/beacon"
	"birdring/beacon/crawl"
	"birdring/registry"
	"birdring/registry/jobs"
)

func (a *app) jobsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "What workers have to do, did and gave up",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("jobs has no command %q; it has list, scan, probe, trace, traced, retry, cancel and drop", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return usagef("jobs list, scan, probe, trace, traced, retry, cancel or drop")
		},
	}
	cmd.AddCommand(a.jobsList(), a.jobsScan(), a.jobsProbe(), a.jobsTrace(), a.jobsTraced(),
		a.jobsChange("retry", "Run jobs now that wait or were given up", (*jobs.Queue).Retry),
		a.jobsChange("cancel", "End jobs for good; one that runs is told to stop", (*jobs.Queue).Cancel),
		a.jobsChange("drop", "Forget jobs that do not run", (*jobs.Queue).Drop))
	return cmd
}

// withJobs opens the jobs for one piece of work.
func (a *app) withJobs(cmd *cobra.Command, work func(ctx context.Context, q *jobs.Queue, args []string) error) {
	var database string
	addJobsFlag(cmd, &database)
	cmd.RunE = a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, args []string) (err error) {
		q, err := jobs.Open(ctx, jobs.Config{Registry: reg, Database: database})
		if err != nil {
			return err
		}
		defer closing(q, &err)
		return work(ctx, q, args)
	})
}

func (a *app) jobsList() *cobra.Command {
	var states []string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List jobs, newest last", Args: noArgs}
	cmd.PreRunE = func(*cobra.Command, []string) error {
		for _, s := range states {
			if !slices.Contains(jobs.States, s) {
				return usagef("--state is one of %s", strings.Join(jobs.States, ", "))
			}
		}
		return nil
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "only jobs in this state: "+strings.Join(jobs.States, ", ")+" (given up)")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many, the newest (default: all, up to 10000)")
	a.withJobs(cmd, func(ctx context.Context, q *jobs.Queue, _ []string) error {
		rows, err := q.List(ctx, states, limit)
		if err != nil {
			return err
		}
		var t rowTable
		for _, r := range rows {
			if a.json {
				a.emit(r, nil)
			} else if err := t.add(r); err != nil {
				return err
			}
		}
		if !a.json {
			a.emit(nil, t.print)
		}
		return a.writeErr
	})
	return cmd
}

// made tells which job was made.
func (a *app) made(id int64, added bool) {
	a.emit(struct {
		Job int64 `json:"job"`
		New bool  `json:"new"`
	}{id, added}, func(w io.Writer) {
		if added {
			fmt.Fprintf(w, "job %d\n", id)
		} else {
			fmt.Fprintf(w, "job %d waits already\n", id)
		}
	})
}

func (a *app) jobsScan() *cobra.Command {
	cmd := &cobra.Command{Use: "scan URL ...", Short: "Let workers scan sites", Args: func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("jobs scan needs URLs")
		}
		for _, u := range args {
			if p, err := url.Parse(u); err != nil || !isURL(u) || p.Host == "" {
				return usagef("%q is no http or https URL", u)
			}
		}
		return nil
	}}
	a.withJobs(cmd, func(ctx context.Context, q *jobs.Queue, args []string) error {
		sites := map[string][]string{}
		var order []string
		for _, u := range args {
			site := crawl.Registrable(u)
			if site == "" {
				return fmt.Errorf("%q names no site", u)
			}
			if sites[site] == nil {
				order = append(order, site)
			}
			sites[site] = append(sites[site], u)
		}
		for _, site := range order {
			id, added, err := q.AddScan(ctx, site, sites[site])
			if err != nil {
				return err
			}
			a.made(id, added)
		}
		return nil
	})
	return cmd
}

func (a *app) jobsProbe() *cobra.Command {
	var p jobs.ProbeArgs
	var count int
	cmd := &cobra.Command{Use: "probe", Short: "Let workers ask a site for dark decoys; every try uses one up", Args: noArgs}
	cmd.Flags().StringVar(&p.Site, "site", "", "site that is asked")
	cmd.Flags().StringVar(&p.Template, "template", "", "URL with {handle}")
	cmd.Flags().IntVar(&count, "count", 1, "probes")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if p.Site == "" || p.Template == "" || count < 1 {
			return usagef("jobs probe needs --site and --template, and --count of at least 1")
		}
		if _, err := beacon.ParseTemplate(p.Template); err != nil {
			return usagef("%v", err)
		}
		return nil
	}
	a.withJobs(cmd, func(ctx context.Context, q *jobs.Queue, _ []string) error {
		for range count {
			id, err := q.AddProbe(ctx, p)
			if err != nil {
				return err
			}
			a.made(id, true)
		}
		return nil
	})
	return cmd
}

func (a *app) jobsTrace() *cobra.Command {
	var site string
	cmd := &cobra.Command{Use: "trace FILE ...", Short: "Let workers trace files; jobs traced tells what came of it", Args: atLeast(1, "files")}
	cmd.Flags().StringVar(&site, "site", "", "where the files were found: stores the finds")
	cmd.RunE = a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, args []string) error {
		for _, path := range args {
			data, err := readFile(path)
			if err != nil {
				return err
			}
			id, err := reg.AddUpload(ctx, path, site, data)
			if err != nil {
				return err
			}
			a.emit(struct {
				Upload string `json:"upload"`
				Name   string `json:"name"`
			}{id, path}, func(w io.Writer) { fmt.Fprintf(w, "%s  %s\n", id, printable(path)) })
		}
		return nil
	})
	return cmd
}

func (a *app) jobsTraced() *cobra.Command {
	return &cobra.Command{
		Use: "traced", Short: "Tell what came of traced files, newest last", Args: noArgs,
		RunE: a.withRegistry(registry.Options{ReadOnly: true}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			all, err := reg.Uploads(ctx)
			for _, u := range all {
				a.emit(u, func(w io.Writer) {
					if u.Done == nil {
						fmt.Fprintf(w, "%s  %s  waits\n", u.Upload, printable(u.Name))
					}
					for _, r := range u.Results {
						printTrace(w, r)
					}
				})
			}
			return err
		}),
	}
}

// jobsChange is a command that changes jobs by their ids.
func (a *app) jobsChange(name, short string, change func(q *jobs.Queue, ctx context.Context, id int64) error) *cobra.Command {
	var ids []int64
	cmd := &cobra.Command{Use: name + " JOB ...", Short: short, Args: func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("jobs %s needs the numbers of jobs; birdring jobs list shows them", name)
		}
		for _, s := range args {
			id, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return usagef("%q is no number of a job", s)
			}
			ids = append(ids, id)
		}
		return nil
	}}
	a.withJobs(cmd, func(ctx context.Context, q *jobs.Queue, _ []string) error {
		for _, id := range ids {
			if err := change(q, ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}
