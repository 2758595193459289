package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) probeCommand() *cobra.Command {
	var req registry.ProbeRequest
	cmd := &cobra.Command{
		Use:   "probe --site S --template 'http://host/{handle}'",
		Short: "Ask a site for dark decoys and see which account comes for them",
		Long: `Asks a question-and-answer site for decoys nobody else was ever asked about. The account
that then fetches one works for the site; the ring in the answer confirms it. Each
probe uses up one dark decoy.`,
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			switch {
			case req.Site == "" || req.Template == "":
				return usagef("--site and --template are needed")
			case !isURL(req.Template) || !strings.Contains(req.Template, "{handle}"):
				return usagef("--template must be a URL with {handle} in it, such as http://host/{handle}")
			case req.Count < 1 || req.Lookups < 1:
				return usagef("--count and --lookups must be at least 1")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&req.Site, "site", "", "the site asked")
	cmd.Flags().StringVar(&req.Template, "template", "", "URL to ask with {handle} in it")
	cmd.Flags().IntVar(&req.Count, "count", 1, "probes")
	cmd.Flags().StringArrayVar(&req.Allow, "allow", nil, "CIDR:PORT that may be called although private, repeatable")
	cmd.Flags().IntVar(&req.Lookups, "lookups", 1024, "handles that one account can look up while a probe waits, at most: the platform's rate limit; each doubling costs a bit")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		reg, err := a.open(ctx, registry.Options{})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		a.nothing = true
		return reg.Probe(ctx, req, func(r registry.ProbeResult) {
			if r.Requester != nil {
				a.nothing = false
			}
			a.emit(r, func(w io.Writer) { printProbe(w, r) })
		})
	})
	return cmd
}

func printProbe(w io.Writer, r registry.ProbeResult) {
	who := "nobody came for it"
	if r.Requester != nil {
		who = "asked for by " + printable(*r.Requester)
	}
	answer := "no answer"
	if r.Answered {
		answer = "answered"
	}
	if r.Bits != nil {
		answer += ", the ring in the answer is the requester's: " + bits(*r.Bits)
	}
	fmt.Fprintf(w, "%s  @%s  asked %s  %s  %s\n", printable(r.Site), r.Handle, stamp(r.Asked), who, answer)
}
