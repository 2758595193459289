package console

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"birdring/registry"
)

// operator is the cluster of a site as its page shows it.
type operator struct {
	Sentences []string
	Members   []operatorMember
}

type operatorMember struct {
	Account, Sessions        string
	First, Last              time.Time
	Delay                    string
	Leaked, Withheld, Probes int
}

// operator returns nil if nobody is attributed on the site.
func (c *Console) operator(ctx context.Context, site string) (*operator, error) {
	cluster, err := c.reg.ClusterOf(ctx, site)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := &operator{Sentences: operatorSentences(cluster)}
	for _, m := range cluster.Members {
		row := operatorMember{Account: m.Account, Leaked: len(m.Leaked), Withheld: len(m.Withheld), Probes: m.Probes}
		var names []string
		for _, s := range m.Sessions {
			name := s.Session
			if name == "" {
				name = "account"
			}
			names = append(names, name)
			if row.First.IsZero() || s.First.Before(row.First) {
				row.First = s.First
			}
			if s.Last.After(row.Last) {
				row.Last = s.Last
			}
		}
		row.Sessions = strings.Join(names, ", ")
		if m.Delay != nil {
			row.Delay = duration(time.Duration(*m.Delay * float64(time.Hour)))
		}
		o.Members = append(o.Members, row)
	}
	return o, nil
}

func operatorSentences(c *registry.Cluster) []string {
	var sites, descended []string
	for _, s := range c.Sites {
		sites = append(sites, s.Site)
		if s.Descent {
			descended = append(descended, s.Site)
		}
	}
	u := c.Unseen
	out := []string{fmt.Sprintf("%s of %s seen in %s; %.0f more are estimated unseen (95 %% interval %.0f to %.0f; %s).",
		count(u.Seen, "account"), strings.Join(sites, ", "), count(u.Events, "event"), math.Round(u.Unseen), math.Floor(u.Low), math.Ceil(u.High), u.Estimator)}
	if len(descended) > 0 {
		out = append(out, fmt.Sprintf("All finds on %s had been published on another site of this cluster before: they prove descent from these copies, not that the accounts supply it.", strings.Join(descended, ", ")))
	}
	return out
}
