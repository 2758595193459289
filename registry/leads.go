package registry

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"time"

	"birdring/beacon"
	"birdring/beacon/crawl"
	"birdring/registry/sqlstore"
)

// Lead is a page that a hit named as where it came from. Whoever sends a request
// writes its Referer, so that a lead is no evidence and names nobody: it is a
// page worth fetching ourselves.
type Lead struct {
	URL   string
	Site  string
	First time.Time
	Hits  int64
}

// mostLeads bounds the leads of one site that wait for a scan: a forger can
// invent pages without end.
const mostLeads = 20

// lead opens a lead if a hit names a page that is not our own.
func (in *intake) lead(h beacon.Hit) error {
	page, site := leadOf(h)
	if page == "" || strings.HasPrefix(page, in.ours+"/") {
		return nil
	}
	_, err := in.tx.ExecContext(in.ctx, `INSERT INTO leads (url, site, first_at, last_at, hits)
		SELECT ?1, ?2, CAST(?3 AS BIGINT), CAST(?3 AS BIGINT), 1 WHERE (SELECT count(*) FROM leads WHERE site = ?2 AND scanned_at IS NULL AND url <> ?1) < ?4
		ON CONFLICT (url) DO UPDATE SET hits = leads.hits + 1,
		last_at = CASE WHEN excluded.last_at > leads.last_at THEN excluded.last_at ELSE leads.last_at END`, page, site, h.At.UnixMicro(), mostLeads)
	return err
}

// leadOf is the page, without fragment, and the site that a hit came from.
func leadOf(h beacon.Hit) (page, site string) {
	for _, from := range []string{h.Referer, h.Origin} {
		u, err := url.Parse(from)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			continue
		}
		u.Fragment, u.RawFragment = "", ""
		if site := crawl.Registrable(u.String()); site != "" {
			return u.String(), site
		}
	}
	return "", ""
}

// Leads returns pages that wait for a scan, oldest first.
func (r *Registry) Leads(ctx context.Context, limit int) ([]Lead, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT url, site, first_at, hits FROM leads WHERE scanned_at IS NULL ORDER BY first_at LIMIT ?`, limit)
	return collect(rows, err, func(rows *sql.Rows) (l Lead, err error) {
		var at int64
		err = rows.Scan(&l.URL, &l.Site, &at, &l.Hits)
		l.First = sqlstore.Time(at)
		return l, err
	})
}

// FollowLead scans the page of a lead and what it links to and stores what is
// found there. The lead is closed unless the scan fails and is to be tried again.
func (r *Registry) FollowLead(ctx context.Context, url string, req ScanRequest, again bool) ([]SiteResult, error) {
	found := 0
	req.URLs = []string{url}
	results, scanErr := r.Scan(ctx, req, func(ScanSighting) { found++ })
	if ctx.Err() != nil {
		return results, context.Cause(ctx)
	}
	text := fmt.Sprintf("%d sightings", found)
	if scanErr != nil {
		if again {
			return results, scanErr
		}
		text = scanErr.Error()
	}
	err := r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leads SET scanned_at = ?, result = ? WHERE url = ?`, now().UnixMicro(), text, url)
		return err
	})
	if err != nil {
		return results, sqlstore.Explain(err)
	}
	return results, scanErr
}
