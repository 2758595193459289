package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"birdring/canary/mark"
	"birdring/registry/sqlstore"
)

// What follows is read-only: the registry as a person looks at it. Nothing here
// names an account below the line of 64 bits.

// SiteView is one site with what was found there.
type SiteView struct {
	Site      string
	Watched   bool
	Verdict   string // "" while no picture of ours was found
	Accounts  []AccountView
	Void      []AccountView // attributions that an epoch in other hands took away
	Sightings int
	Pictures  int // distinct pictures found
	Decoys    int // distinct decoys found
	New       int // sightings captured since the time asked for
	First     time.Time
	Last      time.Time
}

// AccountView is one attribution: an account whose copy turned up on a site.
type AccountView struct {
	Account      string
	Millibits    int64
	Exposed      bool      // an exposure before the capture is on record
	At           time.Time // when it was first named
	Pictures     int
	Decoys       []string
	SingleSource bool   // one picture alone stands behind it
	Void         string // why it does not count any more, "" if it does
}

// FindView is one sighting.
type FindView struct {
	ID, Site, URL, Page, Kind string
	Decoy, Handle, Photo      string // Photo is "" for handles and links
	SHA256                    string
	At                        time.Time
	Expires                   time.Time // of the story whose served copy this is, else zero
	Transform                 mark.Affine
	Account                   string // the named account whose copy it is, "" if there is none
}

// Counts say how much there is to find.
type Counts struct {
	Decoys, Viewers int64
	Exposures       int64 // of the hour of the time asked for and since
}

// Counts returns running numbers.
func (r *Registry) Counts(ctx context.Context, since time.Time) (c Counts, err error) {
	err = r.db.Read().QueryRowContext(ctx, `SELECT (SELECT count(*) FROM decoys), `+viewerCount+`, (SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM exposure_hours WHERE hour >= ?)`,
		since.UnixMicro()/hour).Scan(&c.Decoys, &c.Viewers, &c.Exposures)
	return c, sqlstore.Explain(err)
}

// Chances is how often chance had its turn: viewers ever numbered times sites
// and traces without a site. Times 2^-64 it bounds any false attribution ever.
func (r *Registry) Chances(ctx context.Context) (n float64, err error) {
	var viewers, turns float64
	err = r.db.Read().QueryRowContext(ctx, `SELECT `+viewerCount+`, (SELECT count(*) FROM sites) + (SELECT n FROM counters WHERE name = 'traces')`).Scan(&viewers, &turns)
	return max(viewers, 1) * max(turns, 1), sqlstore.Explain(err)
}

// siteQuery lists sites with their numbers; the verdict is the strongest of
// their pictures' own.
const siteQuery = `SELECT s.site, s.watched, count(g.id), count(DISTINCT g.picture), count(DISTINCT g.decoy),
	count(*) FILTER (WHERE g.captured_at >= ?), coalesce(min(g.captured_at), 0), coalesce(max(g.captured_at), 0),
	coalesce(min(CASE g.verdict WHEN 'attributed' THEN 0 WHEN 'probable' THEN 1 WHEN 'marked' THEN 2 WHEN 'neutral' THEN 3 WHEN 'unmarked' THEN 4 END), 9)
	FROM sites s LEFT JOIN sightings g ON g.site = s.id`

// ranks are the verdicts of siteQuery's ranking. A picture may be attributed by
// itself while its site is not, if no exposure is on record: then a ring was read.
var ranks = map[int]string{0: VerdictMarked, 1: VerdictProbable, 2: VerdictMarked, 3: VerdictNeutral, 4: VerdictUnmarked}

func scanSiteView(rows *sql.Rows) (v SiteView, err error) {
	var first, last int64
	var rank int
	err = rows.Scan(&v.Site, &v.Watched, &v.Sightings, &v.Pictures, &v.Decoys, &v.New, &first, &last, &rank)
	v.Verdict = ranks[rank]
	if v.Sightings > 0 {
		v.First, v.Last = sqlstore.Time(first), sqlstore.Time(last)
	}
	return v, err
}

// SiteViews returns all sites; since is from when on a sighting counts as new.
func (r *Registry) SiteViews(ctx context.Context, since time.Time) ([]SiteView, error) {
	rows, err := r.db.Read().QueryContext(ctx, siteQuery+` GROUP BY s.id ORDER BY s.id`, since.UnixMicro())
	sites, err := collect(rows, err, scanSiteView)
	if err != nil {
		return nil, err
	}
	for i := range sites {
		if err := r.addAccounts(ctx, &sites[i]); err != nil {
			return nil, err
		}
	}
	return sites, nil
}

// SiteView returns one site.
func (r *Registry) SiteView(ctx context.Context, site string, since time.Time) (SiteView, error) {
	rows, err := r.db.Read().QueryContext(ctx, siteQuery+` WHERE s.site = ? GROUP BY s.id`, since.UnixMicro(), site)
	sites, err := collect(rows, err, scanSiteView)
	if err != nil {
		return SiteView{}, err
	}
	if len(sites) == 0 {
		return SiteView{}, fmt.Errorf("site %q: %w", site, ErrNotFound)
	}
	return sites[0], r.addAccounts(ctx, &sites[0])
}

func (r *Registry) addAccounts(ctx context.Context, v *SiteView) error {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT a.name, t.millibits, t.exposed, t.first_at, t.pictures, t.decoys, t.single_source, t.verdict, t.void_reason
		FROM attributions t JOIN accounts a ON a.id = t.account JOIN sites s ON s.id = t.site WHERE s.site = ? ORDER BY t.millibits DESC, t.id`, v.Site)
	all, err := collect(rows, err, func(rows *sql.Rows) (a AccountView, err error) {
		var at int64
		var decoys, verdict string
		if err := rows.Scan(&a.Account, &a.Millibits, &a.Exposed, &at, &a.Pictures, &decoys, &a.SingleSource, &verdict, &a.Void); err != nil {
			return a, err
		}
		if verdict == VerdictAttributed {
			v.Verdict = VerdictAttributed
		}
		a.At = sqlstore.Time(at)
		return a, json.Unmarshal([]byte(decoys), &a.Decoys)
	})
	for _, a := range all {
		if a.Void != "" {
			v.Void = append(v.Void, a)
		} else {
			v.Accounts = append(v.Accounts, a)
		}
	}
	return err
}

// findQuery lists sightings.
const findQuery = `SELECT g.id, s.site, g.url, g.page, g.kind, d.id, d.handle, coalesce(p.id, ''), g.capture,
	g.captured_at, coalesce((SELECT q.expires_at FROM posts q WHERE q.picture = g.picture AND q.story = 1 AND g.verdict IN ('attributed', 'marked')), 0), coalesce(g.transform, '')
	FROM sightings g JOIN sites s ON s.id = g.site JOIN decoys d ON d.num = g.decoy LEFT JOIN pictures p ON p.num = g.picture`

func scanFindView(rows *sql.Rows) (v FindView, err error) {
	var at, expires int64
	var transform string
	var sum []byte
	err = rows.Scan(&v.ID, &v.Site, &v.URL, &v.Page, &v.Kind, &v.Decoy, &v.Handle, &v.Photo, &sum, &at, &expires, &transform)
	if err != nil {
		return v, err
	}
	v.SHA256 = hex.EncodeToString(sum)
	v.At = sqlstore.Time(at)
	if expires != 0 {
		v.Expires = sqlstore.Time(expires)
	}
	if transform != "" {
		err = json.Unmarshal([]byte(transform), &v.Transform)
	}
	return v, err
}

// Finds returns the last sightings on a site, newest first, each with the named
// account whose copy it is.
func (r *Registry) Finds(ctx context.Context, site string, limit int) ([]FindView, error) {
	rows, err := r.db.Read().QueryContext(ctx, findQuery+` WHERE s.site = ? ORDER BY g.captured_at DESC, g.id DESC LIMIT ?`, site, limit)
	finds, err := collect(rows, err, scanFindView)
	if err != nil {
		return nil, err
	}
	named, err := r.namedOn(ctx, site)
	if err != nil {
		return nil, err
	}
	books := bookShelf{}
	for i := range finds {
		if finds[i].Account, _, err = r.whose(ctx, books, finds[i], named); err != nil {
			return nil, err
		}
	}
	return finds, nil
}

// find returns one sighting by its id.
func (r *Registry) find(ctx context.Context, id string) (FindView, error) {
	none := fmt.Errorf("sighting %q: %w", id, ErrNotFound)
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != id {
		return FindView{}, none
	}
	rows, err := r.db.Read().QueryContext(ctx, findQuery+` WHERE g.id = ?`, n)
	finds, err := collect(rows, err, scanFindView)
	if err != nil {
		return FindView{}, err
	}
	if len(finds) == 0 {
		return FindView{}, none
	}
	return finds[0], nil
}
