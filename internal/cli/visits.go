package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"birdring/beacon/visit"
)

// visitFlags say who sends hits.
type visitFlags struct {
	known, ranges []string
	allow, agents string
	geo, asn      string
	confirm       bool
}

func (f *visitFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.known, "known", nil, "network, address, AS64500 or agent:TEXT of requesters you know, repeatable")
	cmd.Flags().StringVar(&f.allow, "known-file", "", "file of such entries, one a line, # begins a comment")
	cmd.Flags().StringVar(&f.agents, "agents", "", "file of your own User-Agent rules: class, part, source URL and domains, separated by tabs")
	cmd.Flags().StringSliceVar(&f.ranges, "ranges", nil, "CLASS=FILE, a published JSON list of addresses, like search=googlebot.json")
	cmd.Flags().StringVar(&f.geo, "geo", "", "file in MaxMind DB format that says where an address is (GeoLite2-City or the like)")
	cmd.Flags().StringVar(&f.asn, "asn", "", "file in MaxMind DB format that says whose an address is (GeoLite2-ASN or the like)")
	cmd.Flags().BoolVar(&f.confirm, "confirm-crawlers", false, "ask for the names of addresses that call themselves a crawler; their owner's name server sees the question")
}

// rules reads what the flags name.
func (f *visitFlags) rules() (*visit.Rules, error) {
	rules := visit.Default()
	if f.agents != "" {
		data, err := os.ReadFile(f.agents)
		if err != nil {
			return nil, fmt.Errorf("--agents: %w", err)
		}
		if err := rules.Agents(f.agents, string(data)); err != nil {
			return nil, err
		}
	}
	for _, k := range f.known {
		if err := rules.Allow(k); err != nil {
			return nil, usagef("--known: %v", err)
		}
	}
	if err := f.allowFile(rules); err != nil {
		return nil, err
	}
	for _, r := range f.ranges {
		class, file, ok := strings.Cut(r, "=")
		if !ok {
			return nil, usagef("--ranges %q: want CLASS=FILE", r)
		}
		data, err := os.ReadFile(file)
		if err == nil {
			err = rules.Ranges(class, file, data)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := rules.Locate(f.geo, f.asn); err != nil {
		return nil, err
	}
	if rules.NeedsASN() {
		return nil, usagef("a network known by its AS number needs --asn FILE, which says whose an address is")
	}
	return rules, nil
}

// allowFile reads --known-file.
func (f *visitFlags) allowFile(rules *visit.Rules) error {
	if f.allow == "" {
		return nil
	}
	data, err := os.ReadFile(f.allow)
	if err != nil {
		return fmt.Errorf("--known-file: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		entry, _, _ := strings.Cut(line, "#")
		if strings.TrimSpace(entry) == "" {
			continue
		}
		if err := rules.Allow(entry); err != nil {
			return fmt.Errorf("%s line %d: %w", f.allow, n, err)
		}
	}
	return nil
}
