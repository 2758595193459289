package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) scanCommand() *cobra.Command {
	var req registry.ScanRequest
	cmd := &cobra.Command{
		Use:   "scan URL ...",
		Short: "Walk a site and look for our handles, links and pictures",
		Long: `Walks each site from its URL, politely, finds planted handles, links and pictures, stores
them as sightings and says which accounts' copies the site shows.`,
		Args: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				if !isURL(arg) {
					return usagef("%q is no http or https URL", arg)
				}
			}
			return atLeast(1, "a URL is")(cmd, args)
		},
		PreRunE: func(*cobra.Command, []string) error {
			if req.MaxPages < 1 || !(req.Rate > 0) {
				return usagef("--max-pages must be at least 1 and --rate above 0")
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&req.Allow, "allow", nil, "CIDR:PORT that may be called although private, without rate limit, repeatable")
	cmd.Flags().IntVar(&req.MaxPages, "max-pages", 200, "pages to fetch at most per site")
	cmd.Flags().Float64Var(&req.Rate, "rate", 1, "requests per second and host")
	cmd.Flags().BoolVar(&req.Probable, "probable", false, "also name probable accounts, for an analyst's eyes")
	cmd.RunE = a.run(func(ctx context.Context, args []string) (err error) {
		reg, err := a.open(ctx, registry.Options{})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		req.URLs = args
		return a.scan(ctx, reg, req)
	})
	return cmd
}

func (a *app) scan(ctx context.Context, reg *registry.Registry, req registry.ScanRequest) error {
	a.nothing = true
	sites, err := reg.Scan(ctx, req, func(s registry.ScanSighting) {
		a.nothing = false
		a.emit(s, func(w io.Writer) { printSighting(w, s) })
	})
	for _, s := range sites {
		a.emit(s, func(w io.Writer) { printSite(w, s) })
	}
	return err
}

func printSighting(w io.Writer, s registry.ScanSighting) {
	what := s.Kind
	if s.Photo != nil {
		what += " " + *s.Photo
	}
	fmt.Fprintf(w, "%s  %s of decoy %s  %s\n", printable(s.Site), what, s.Decoy, printable(s.URL))
}

func printSite(w io.Writer, s registry.SiteResult) {
	if s.Account == nil || s.Bits == nil {
		fmt.Fprintf(w, "%s: %s, no account is named (%d pictures)\n", printable(s.Site), s.Verdict, s.Pictures)
		return
	}
	fmt.Fprintf(w, "%s: %s, the copy served to %s, %s from %d pictures of decoys %s\n",
		printable(s.Site), s.Verdict, printable(*s.Account), bits(*s.Bits), s.Pictures, strings.Join(s.Decoys, ", "))
}
