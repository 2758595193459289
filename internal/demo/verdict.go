package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"birdring/registry"
)

// loopback is what scan and probe may reach in a demo: nothing else.
var loopback = []string{"127.0.0.0/8:*"}

// probesPerSite is how often a live site is asked.
const probesPerSite = 2

// detect asks and scans the sites. It is given addresses, nothing more: which
// accounts feed a site, and even what kind of site it is beyond whether it
// takes questions, is not known here.
func (s *stage) detect(ctx context.Context) error {
	if s.cluster != nil {
		live, still := addresses(s.sites)
		return s.cluster.detect(ctx, live, still)
	}
	return s.hunt(ctx, s.reg, s.sites)
}

// addresses of the sites that take questions, and of the others.
func addresses(sites []*siteProcess) (live, still []string) {
	for _, p := range sites {
		if p.trade.Live {
			live = append(live, p.url)
		} else {
			still = append(still, p.url)
		}
	}
	return live, still
}

// hunt asks and scans sites for one registry.
func (s *stage) hunt(ctx context.Context, reg *registry.Registry, sites []*siteProcess) error {
	live, still := addresses(sites)
	for _, address := range live {
		if err := s.ask(ctx, reg, address); err != nil {
			return err
		}
	}
	return s.scan(ctx, reg, still)
}

// ask probes a live site with dark decoys.
func (s *stage) ask(ctx context.Context, reg *registry.Registry, address string) error {
	req := registry.ProbeRequest{
		Site: siteName(address), Template: address + "/{handle}", Count: probesPerSite, Allow: loopback, Spread: time.Second,
	}
	return reg.Probe(ctx, req, func(r registry.ProbeResult) {
		fmt.Fprintf(s.Log, "  asked %s for @%s: answered %v\n", r.Site, r.Handle, r.Answered)
	})
}

// scan walks the sites, two at a time, and stores what it finds.
func (s *stage) scan(ctx context.Context, reg *registry.Registry, addresses []string) error {
	work := make(chan string)
	errs := make(chan error, len(addresses))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for address := range work {
				found := 0
				req := registry.ScanRequest{URLs: []string{address}, Allow: loopback, MaxPages: 200}
				_, err := reg.Scan(ctx, req, func(registry.ScanSighting) { found++ })
				if err != nil {
					errs <- fmt.Errorf("scan %s: %w", address, err)
				}
				fmt.Fprintf(s.Log, "  scanned %s: %d sightings\n", address, found)
			}
		})
	}
	for _, a := range addresses {
		work <- a
	}
	close(work)
	wg.Wait()
	close(errs)
	return <-errs
}

// siteName is the name under which the registry keeps a site on loopback: host:port.
func siteName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Host
}

// outcome is one line of the table: truth against verdict.
type outcome struct {
	Site       string    `json:"site"`
	Kind       string    `json:"kind"`
	Truth      []string  `json:"truth"`
	Attributed []account `json:"attributed"`
	Stories    int       `json:"expired_stories"`
	OK         bool      `json:"ok"`
}

type account struct {
	Account string  `json:"account"`
	Bits    float64 `json:"bits"`
}

// summary is the last line.
type summary struct {
	Sites      int     `json:"sites"`
	Attributed int     `json:"attributed"`
	Innocent   int     `json:"innocent_accused"`
	Seconds    float64 `json:"seconds"`
}

// compare joins what the registry concluded to the truth and prints the table.
func (s *stage) compare(ctx context.Context) error {
	concluded := map[string][]account{}
	err := s.reg.Rows(ctx, "attributions", time.Time{}, 0, func(row any) error {
		if a, ok := row.(registry.AttributionRow); ok {
			concluded[a.Site] = append(concluded[a.Site], account{a.Account, a.Bits})
		}
		return nil
	})
	if err != nil {
		return err
	}
	stories := map[string]int{}
	err = s.reg.Rows(ctx, "sightings", time.Time{}, 0, func(row any) error {
		if r, ok := row.(registry.SightingRow); ok && r.StoryExpired {
			stories[r.Site]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	var all []outcome
	sum := summary{}
	for _, p := range s.sites {
		name := siteName(p.url)
		o := outcome{Site: name, Kind: p.trade.Kind, Truth: nonNil(p.truth), Attributed: nonNil(concluded[name]), Stories: stories[name]}
		slices.SortFunc(o.Attributed, func(a, b account) int { return cmp.Compare(b.Bits, a.Bits) })
		innocent := 0
		for _, a := range o.Attributed {
			if !slices.Contains(p.truth, a.Account) {
				innocent++
			}
		}
		sum.Innocent += innocent
		o.OK = innocent == 0 && (len(o.Attributed) > 0) == (len(o.Truth) > 0)
		if len(o.Truth) > 0 {
			sum.Sites++
			if o.OK {
				sum.Attributed++
			}
		}
		all = append(all, o)
	}
	sum.Seconds = float64(time.Since(s.started).Milliseconds()) / 1000
	s.good = s.named == 0 && !slices.ContainsFunc(all, func(o outcome) bool { return !o.OK })
	if s.JSON {
		return s.printJSON(all, sum)
	}
	s.printTable(all, sum)
	return nil
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (s *stage) printJSON(all []outcome, sum summary) error {
	enc := json.NewEncoder(s.Out)
	for _, o := range all {
		if err := enc.Encode(o); err != nil {
			return err
		}
	}
	return enc.Encode(sum)
}

func (s *stage) printTable(all []outcome, sum summary) {
	fmt.Fprintln(s.Out)
	t := tabwriter.NewWriter(s.Out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "site\tkind\ttruth: accounts that feed it\tattributed: the copy served to\tbits\tstories\t")
	for _, o := range all {
		truth := strings.Join(o.Truth, " ")
		if truth == "" {
			truth = "none (must stay without)"
		}
		names, bits := []string{}, []string{}
		for _, a := range o.Attributed {
			names, bits = append(names, a.Account), append(bits, fmt.Sprint(int(a.Bits)))
		}
		if len(names) == 0 {
			names, bits = []string{"nobody"}, []string{"-"}
		}
		mark := "ok"
		if !o.OK {
			mark = "WRONG"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", o.Site, o.Kind, truth, strings.Join(names, " "), strings.Join(bits, " "), o.Stories, mark)
	}
	t.Flush()
	fmt.Fprintln(s.Out, "stories: served copies still shown by the site after the story had vanished from the platform")
	fmt.Fprint(s.Out, stillPossible)
	fmt.Fprintf(s.Out, "\n%d of %d sites attributed, %d innocent accounts accused\n", sum.Attributed, sum.Sites, sum.Innocent)
}

// stillPossible says what a farm can do against this version.
const stillPossible = `
What a farm can still do against this version:
- compare the bytes of one picture fetched by two accounts: decoys differ, ordinary pictures do not
- classify profiles: the demo's personas, handles and painted pictures are drawn from lists in the source
- redraw pictures with a generative model, or publish text only: then only handles, links and probes are left
- mix the copies of more than about sixteen accounts in one picture: each further account takes more pictures to trace
`
