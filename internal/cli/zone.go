package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"birdring/beacon"
)

func (a *app) zoneCommand() *cobra.Command {
	var c beacon.DelegationCheck
	var nsAddrs, records []string
	var offline bool
	cmd := &cobra.Command{
		Use:   "zone ZONE",
		Short: "Print what the zone above must hold, and check a delegation",
		Long: `Prints the records that the zone above ZONE must hold so that resolvers find
birdring serve --dns, then asks the servers of that zone and the name servers
themselves, and names each mistake with what mends it. Exit 1 if there is one.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if flag := cmd.Flags().Lookup("zone"); len(args) == 0 && flag.Changed {
				return nil
			}
			if len(args) != 1 {
				return usagef("one zone is wanted, like t.example.com; run %s --help", cmd.CommandPath())
			}
			return nil
		},
		PreRunE: func(*cobra.Command, []string) error {
			return parseEach(nsAddrs, netip.ParseAddr, &c.Config.NSAddrs, "--dns-ns-addr", "an IP address")
		},
	}
	cmd.Flags().StringVar(&c.Config.Zone, "zone", "", "the zone, in place of ZONE")
	cmd.Flags().StringSliceVar(&c.Config.NS, "dns-ns", nil, "names of the zone's name servers, as for serve")
	cmd.Flags().StringSliceVar(&nsAddrs, "dns-ns-addr", nil, "their public addresses, in turn")
	cmd.Flags().StringArrayVar(&records, "dns-record", nil, "own record in zone-file form, repeatable")
	cmd.Flags().StringSliceVar(&c.Parents, "parent", nil, "ADDRESS:PORT of a server of the zone above (default: looked for)")
	cmd.Flags().StringVar(&c.Resolver, "resolver", "", "ADDRESS:PORT of a resolver (default: the system's)")
	cmd.Flags().StringVar(&c.Port, "port", "53", "port of the zone's name servers")
	cmd.Flags().BoolVar(&offline, "offline", false, "only print the records")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			c.Config.Zone = args[0]
		}
		zone := c.Config.Zone
		c.Config.Records = strings.Join(records, "\n")
		want, err := beacon.ParentRecords(c.Config)
		if err != nil {
			return err
		}
		for _, r := range want {
			a.emit(struct {
				Zone   string `json:"zone"`
				Record string `json:"record"`
			}{zone, r}, func(w io.Writer) { fmt.Fprintln(w, r) })
		}
		if offline {
			return nil
		}
		mistakes, err := c.Run(ctx)
		for _, m := range mistakes {
			a.failed = true
			a.emit(struct {
				Zone string `json:"zone"`
				beacon.Mistake
			}{zone, m}, func(w io.Writer) { fmt.Fprintf(w, "wrong: %s (%s)\n       %s\n", m.Problem, orAll(m.Server), m.Fix) })
		}
		if err != nil {
			return err
		}
		a.emit(struct {
			Zone string `json:"zone"`
			OK   bool   `json:"ok"`
		}{zone, len(mistakes) == 0}, func(w io.Writer) {
			if len(mistakes) == 0 {
				fmt.Fprintln(w, "the delegation is right")
			}
		})
		return nil
	})
	return cmd
}

func orAll(server string) string {
	if server == "" {
		return "all servers together"
	}
	return server
}
