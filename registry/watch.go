package registry

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"time"

	"birdring/beacon/crawl"
	"birdring/registry/sqlstore"
)

// Watch puts a site, given by domain or URL, on the list of sites to look at and
// returns its name.
func (r *Registry) Watch(ctx context.Context, site string) (string, error) {
	name := crawl.Registrable(site)
	if name == "" {
		return "", fmt.Errorf("site %q %w: a domain or an http or https URL is wanted", site, ErrInvalid)
	}
	err := r.db.Write(ctx, func(tx *sql.Tx) error {
		id, err := ensureSite(ctx, tx, name, now())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE sites SET watched = 1 WHERE id = ?`, id)
		return err
	})
	return name, sqlstore.Explain(err)
}

// DueSite is a watched site that is to be scanned, and where to begin.
type DueSite struct {
	Site string
	URLs []string // its front page, and pages that showed something of ours
}

// mostSeeds bounds the pages a watched site's scan begins with.
const mostSeeds = 50

// DueSites lists watched sites that were not scanned since a time, longest ago first.
func (r *Registry) DueSites(ctx context.Context, since time.Time, limit int) ([]DueSite, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT id, site FROM sites WHERE watched = 1 AND (scanned_at IS NULL OR scanned_at < ?)
		ORDER BY coalesce(scanned_at, 0), id LIMIT ?`, since.UnixMicro(), limit)
	type row struct {
		id   int64
		site string
	}
	sites, err := collect(rows, err, func(rows *sql.Rows) (s row, err error) { return s, rows.Scan(&s.id, &s.site) })
	if err != nil {
		return nil, err
	}
	var out []DueSite
	for _, s := range sites {
		rows, err := r.db.Read().QueryContext(ctx, `SELECT page, max(captured_at) FROM sightings WHERE site = ? AND source = 'scan' AND page <> '' GROUP BY page ORDER BY 2 DESC LIMIT ?`, s.id, mostSeeds)
		pages, err := collect(rows, err, func(rows *sql.Rows) (page string, err error) {
			var at int64
			return page, rows.Scan(&page, &at)
		})
		if err != nil {
			return nil, err
		}
		out = append(out, DueSite{s.site, append([]string{frontPage(s.site, pages)}, pages...)})
	}
	return out, nil
}

// frontPage is the site's front page: that of a page we know, else by https; an
// address with a port by http.
func frontPage(site string, pages []string) string {
	if len(pages) > 0 {
		if u, err := url.Parse(pages[0]); err == nil && u.Host != "" {
			return u.Scheme + "://" + u.Host + "/"
		}
	}
	if _, _, err := net.SplitHostPort(site); err == nil {
		return "http://" + site + "/"
	}
	return "https://" + site + "/"
}
