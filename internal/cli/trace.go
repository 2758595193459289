package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"birdring/beacon/crawl"
	"birdring/registry"
)

// traceFlags are the flags of trace.
type traceFlags struct {
	site                  string
	allAccounts, probable bool
	reason                string
	allow                 []string
}

// suspect is one input of trace, read when its turn comes.
type suspect struct {
	name string
	read func(context.Context) ([]byte, error)
}

func (a *app) traceCommand() *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:   "trace FILE|DIR|URL ...",
		Short: "Find which account's copy a picture descends from",
		Long: `Compares each picture with all planted ones and reads its ring. Names an account only
with evidence of 64 bits or more. With --site the find is stored as a sighting on that
site and counts with all others; without it nothing is stored.`,
		Args: atLeast(1, "a picture, folder or URL is"),
	}
	cmd.Flags().StringVar(&f.site, "site", "", "the site it was found on; stores the sighting")
	cmd.Flags().BoolVar(&f.allAccounts, "all-accounts", false, "score every account, not only those with an exposure on record")
	cmd.Flags().StringVar(&f.reason, "reason", "", "with --all-accounts: why, for the audit log")
	cmd.Flags().BoolVar(&f.probable, "probable", false, "also name probable accounts, for an analyst's eyes")
	cmd.Flags().StringArrayVar(&f.allow, "allow", nil, "CIDR:PORT that may be called although private, repeatable")
	cmd.RunE = a.run(func(ctx context.Context, args []string) (err error) {
		reg, err := a.open(ctx, registry.Options{ReadOnly: f.site == "" && !f.allAccounts})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		suspects, err := a.suspects(f, args)
		if err != nil {
			return err
		}
		if f.allAccounts {
			if err := reg.Note(ctx, registry.AuditRow{Action: registry.ActTraceAll, Subject: traceSubject(f, args), Reason: f.reason}); err != nil {
				return err
			}
		}
		return a.trace(ctx, reg, f, suspects)
	})
	return cmd
}

// traceSubject says in the audit log what was traced.
func traceSubject(f traceFlags, args []string) string {
	out := strings.Join(args, " ")
	if f.site != "" {
		out += " on " + f.site
	}
	return out
}

// suspects turns arguments into inputs: a folder stands for the pictures below it.
func (a *app) suspects(f traceFlags, args []string) ([]suspect, error) {
	var all []suspect
	var fetcher *crawl.Fetcher
	for _, arg := range args {
		if isURL(arg) {
			if fetcher == nil {
				var err error
				if fetcher, err = crawl.New(crawl.Config{Allow: f.allow}); err != nil {
					return nil, usageError{err.Error()}
				}
			}
			all = append(all, suspect{arg, func(ctx context.Context) ([]byte, error) { return fetch(ctx, fetcher, arg) }})
			continue
		}
		files := []string{arg}
		if st, err := os.Stat(arg); err == nil && st.IsDir() {
			var others int
			if files, others, err = pictures(arg); err != nil {
				a.problem("%v", err)
			}
			if others > 0 {
				a.note("files in %s that are no pictures, left aside: %d", arg, others)
			}
		}
		for _, path := range files {
			all = append(all, suspect{path, func(context.Context) ([]byte, error) { return readFile(path) }})
		}
	}
	return all, nil
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

func fetch(ctx context.Context, f *crawl.Fetcher, url string) ([]byte, error) {
	r, err := f.Fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	if r.Status != 200 {
		return nil, fmt.Errorf("%s answers with status %d", url, r.Status)
	}
	return r.Body, nil
}

func (a *app) trace(ctx context.Context, reg *registry.Registry, f traceFlags, suspects []suspect) error {
	a.nothing = true
	for _, s := range suspects {
		if err := ctx.Err(); err != nil {
			return err
		}
		begin := time.Now()
		results, err := traceOne(ctx, reg, f, s)
		if err != nil {
			results = append(results, registry.TraceResult{
				Input: s.name, Verdict: registry.VerdictError, Error: oneLine(err.Error()),
				Accounts: []registry.TraceAccount{}, Seconds: time.Since(begin).Seconds(),
			})
		}
		for _, r := range results {
			switch r.Verdict {
			case registry.VerdictError:
				a.failed = true
			case registry.VerdictUnknown:
			default:
				a.nothing = false
			}
			a.emit(r, func(w io.Writer) { printTrace(w, r) })
		}
	}
	return nil
}

func traceOne(ctx context.Context, reg *registry.Registry, f traceFlags, s suspect) ([]registry.TraceResult, error) {
	data, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	req := registry.TraceRequest{Name: s.name, Data: data, Site: f.site, AllAccounts: f.allAccounts, Probable: f.probable, CapturedAt: time.Now().UTC()}
	if isURL(s.name) {
		req.URL = s.name
	}
	return reg.Trace(ctx, req)
}

func printTrace(w io.Writer, r registry.TraceResult) {
	fmt.Fprintf(w, "%s  %s", printable(r.Input), r.Verdict)
	if r.Photo != nil {
		fmt.Fprintf(w, "  photo %s of decoy %s  (%d candidates, %.2f s)", *r.Photo, *r.Decoy, r.Candidates, r.Seconds)
	}
	if r.Error != "" {
		fmt.Fprintf(w, "  %s", printable(r.Error))
	}
	fmt.Fprintln(w)
	if r.Verdict == registry.VerdictMarked && len(r.Accounts) == 0 {
		fmt.Fprintf(w, "  marked copy, viewer not among the %d exposed\n", r.Candidates)
	}
	for _, acc := range r.Accounts {
		exposed := ""
		if !acc.Exposed {
			exposed = "  no exposure on record before the capture: check by hand"
		}
		fmt.Fprintf(w, "  the copy served to %s  %s%s\n", printable(acc.Account), bits(acc.Bits), exposed)
	}
}
