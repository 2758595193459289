package registry

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"birdring/registry/sqlstore"
)

// Cluster is the operator behind one site, or behind sites that share attributed
// accounts, as far as it shows.
type Cluster struct {
	Cluster string          `json:"cluster"` // its first site
	Sites   []ClusterSite   `json:"sites"`
	Members []ClusterMember `json:"members"`
	Unseen  Unseen          `json:"unseen"`
}

// ClusterSite is a site of a cluster.
type ClusterSite struct {
	Site  string    `json:"site"`
	First time.Time `json:"first"` // find
	Last  time.Time `json:"last"`
	// Descent says that other sites had published all that was found here before:
	// it proves descent from the copies, not that the accounts supply this site.
	Descent bool `json:"descent"`
}

// ClusterMember is an account attributed on a site of a cluster.
type ClusterMember struct {
	Account  string          `json:"account"`
	Bits     float64         `json:"bits"` // the most on any of the sites
	Sites    []string        `json:"sites"`
	Sessions []SessionView   `json:"sessions"`
	Delay    *float64        `json:"delay_hours"` // exposure to publication, median over decoys leaked
	Leaked   []string        `json:"leaked"`      // decoys it was shown that were found as its copy
	Withheld []string        `json:"withheld"`    // decoys it was shown, by the last find, that were not
	Probes   int             `json:"probes"`      // dark decoys it came for first
	finds    map[string]bool // site and photo group
}

// SessionView is when a session of an account was shown decoys.
type SessionView struct {
	Session string    `json:"session"` // "" is the account as a whole
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Decoys  int       `json:"decoys"`
}

// clusterFind is a find that a named account stands behind.
type clusterFind struct {
	FindView
	group string
}

// operators are the sites and accounts of each cluster, by its root.
type operators struct {
	joined  disjoint
	members map[string]map[string]*ClusterMember
	sites   map[string][]string
	order   []string // roots, the newest last
}

// operators joins the sites that share an account.
func (r *Registry) operators(ctx context.Context) (*operators, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT s.site, a.name, x.millibits FROM attributions x JOIN sites s ON s.id = x.site JOIN accounts a ON a.id = x.account WHERE x.verdict = 'attributed' ORDER BY x.id`)
	type named struct {
		site, account string
		millibits     int64
	}
	all, err := collect(rows, err, func(rows *sql.Rows) (n named, err error) {
		return n, rows.Scan(&n.site, &n.account, &n.millibits)
	})
	if err != nil {
		return nil, err
	}
	o := &operators{joined: disjoint{}, members: map[string]map[string]*ClusterMember{}, sites: map[string][]string{}}
	for _, n := range all {
		o.joined.join("site "+n.site, "account "+n.account)
	}
	for _, n := range all {
		root := o.joined.root("site " + n.site)
		if o.members[root] == nil {
			o.members[root] = map[string]*ClusterMember{}
			o.order = append(o.order, root)
		}
		if !slices.Contains(o.sites[root], n.site) {
			o.sites[root] = append(o.sites[root], n.site)
		}
		m := o.members[root][n.account]
		if m == nil {
			m = &ClusterMember{Account: n.account, finds: map[string]bool{}, Leaked: []string{}, Withheld: []string{}}
			o.members[root][n.account] = m
		}
		m.Sites = append(m.Sites, n.site)
		m.Bits = max(m.Bits, bitsOf(n.millibits))
	}
	return o, nil
}

// Clusters returns the operators seen, the newest last.
func (r *Registry) Clusters(ctx context.Context) ([]Cluster, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	o, err := r.operators(ctx)
	if err != nil {
		return nil, err
	}
	out := []Cluster{}
	for _, root := range o.order {
		c, err := r.cluster(ctx, w, o.sites[root], o.members[root])
		if err != nil {
			return nil, err
		}
		out = append(out, *c)
	}
	return out, nil
}

// clusterRows visits the clusters with a find of a time or later.
func (r *Registry) clusterRows(ctx context.Context, since time.Time, limit int, visit func(any) error) error {
	all, err := r.Clusters(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(c Cluster) bool {
		return !slices.ContainsFunc(c.Sites, func(s ClusterSite) bool { return !s.Last.Before(since) })
	})
	if limit > 0 {
		all = all[max(0, len(all)-limit):]
	}
	for _, c := range all {
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}

// ClusterOf returns the cluster of a site; ErrNotFound if nobody is attributed there.
func (r *Registry) ClusterOf(ctx context.Context, site string) (*Cluster, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	o, err := r.operators(ctx)
	if err != nil {
		return nil, err
	}
	root := o.joined.root("site " + site)
	if o.members[root] == nil {
		return nil, fmt.Errorf("operator of %s: %w", site, ErrNotFound)
	}
	return r.cluster(ctx, w, o.sites[root], o.members[root])
}

func (r *Registry) cluster(ctx context.Context, w *world, sites []string, members map[string]*ClusterMember) (*Cluster, error) {
	c := &Cluster{Cluster: sites[0], Sites: []ClusterSite{}, Members: []ClusterMember{}}
	var finds []clusterFind
	for _, site := range sites {
		const most = 2000
		views, err := r.Finds(ctx, site, most)
		if err != nil {
			return nil, err
		}
		s := ClusterSite{Site: site}
		for _, f := range views {
			if s.First.IsZero() || f.At.Before(s.First) {
				s.First = f.At
			}
			if f.At.After(s.Last) {
				s.Last = f.At
			}
			if i, ok := w.photos[f.Photo]; ok && f.Account != "" {
				finds = append(finds, clusterFind{f, w.pictures[i].group})
			}
		}
		c.Sites = append(c.Sites, s)
	}
	slices.SortStableFunc(finds, func(a, b clusterFind) int { return a.At.Compare(b.At) })
	c.descents(finds)
	var last time.Time
	for _, f := range finds {
		if m := members[f.Account]; m != nil {
			m.finds[f.Site+"/"+f.group] = true
			if !slices.Contains(m.Leaked, f.Decoy) {
				m.Leaked = append(m.Leaked, f.Decoy)
			}
		}
		last = f.At
	}
	var counts []int
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		if err := r.member(ctx, w, m, finds, last, sites); err != nil {
			return nil, err
		}
		counts = append(counts, len(m.finds)+m.Probes)
		c.Members = append(c.Members, *m)
	}
	slices.SortStableFunc(c.Members, func(a, b ClusterMember) int { return cmp.Compare(b.Bits, a.Bits) })
	c.Unseen = Chao1(counts)
	return c, nil
}

// descents marks the sites all of whose finds another site of the cluster had before.
func (c *Cluster) descents(finds []clusterFind) {
	type leak struct{ group, account string }
	first := map[leak]string{}
	supplied, seen := map[string]bool{}, map[string]bool{}
	for _, f := range finds {
		k := leak{f.group, f.Account}
		if _, ok := first[k]; !ok {
			first[k] = f.Site
		}
		seen[f.Site] = true
		supplied[f.Site] = supplied[f.Site] || first[k] == f.Site
	}
	for i, s := range c.Sites {
		c.Sites[i].Descent = seen[s.Site] && !supplied[s.Site]
	}
}

// member fills in what an account was shown and when.
func (r *Registry) member(ctx context.Context, w *world, m *ClusterMember, finds []clusterFind, last time.Time, sites []string) error {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT v.session, min(e.at), max(e.at), count(DISTINCT e.decoy) FROM `+shownToAccount+` AND a.name = ? GROUP BY v.session ORDER BY min(v.number)`, m.Account)
	m.Sessions, err = collect(rows, err, func(rows *sql.Rows) (s SessionView, err error) {
		var from, to int64
		err = rows.Scan(&s.Session, &from, &to, &s.Decoys)
		s.First, s.Last = sqlstore.Time(from), sqlstore.Time(to)
		return s, err
	})
	if err != nil {
		return err
	}
	rows, err = r.db.Read().QueryContext(ctx, `SELECT e.decoy, min(e.at) FROM `+shownToAccount+` AND a.name = ? AND e.at <= ? GROUP BY e.decoy ORDER BY e.decoy`, m.Account, last.UnixMicro())
	shown := map[string]time.Time{}
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var num uint32
		var at int64
		if err = rows.Scan(&num, &at); err != nil {
			return
		}
		id, err := w.decoyID(num)
		shown[id] = sqlstore.Time(at)
		return
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		if !slices.Contains(m.Leaked, id) {
			m.Withheld = append(m.Withheld, id)
		}
	}
	var delays []float64
	for _, id := range m.Leaked {
		for _, f := range finds { // in order of time: the first counts
			if at, ok := shown[id]; ok && f.Decoy == id && f.Account == m.Account {
				delays = append(delays, f.At.Sub(at).Hours())
				break
			}
		}
	}
	if len(delays) > 0 {
		slices.Sort(delays)
		m.Delay = new(round(delays[len(delays)/2], 1000))
	}
	for _, site := range sites {
		var n int
		err := r.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM probes p JOIN sites s ON s.id = p.site JOIN viewers v ON v.number = p.requester
			JOIN accounts a ON a.id = v.account WHERE s.site = ? AND a.name = ?`, site, m.Account).Scan(&n)
		if err != nil {
			return sqlstore.Explain(err)
		}
		m.Probes += n
	}
	return nil
}

// disjoint is a union-find over names.
type disjoint map[string]string

func (d disjoint) root(x string) string {
	for d[x] != "" && d[x] != x {
		x = d[x]
	}
	return x
}

func (d disjoint) join(a, b string) {
	if a, b = d.root(a), d.root(b); a != b {
		d[b] = a
	}
}
