package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"birdring/beacon/crawl"
	"birdring/canary/ring"
)

// ScanRequest asks to walk sites.
type ScanRequest struct {
	URLs     []string // where to begin; those of one site are walked together
	Allow    []string // CIDR:PORT that may be called although private
	MaxPages int      // per site; 0: 200
	Rate     float64  // requests per second and host; 0: 1
	Probable bool     // also name probable accounts
}

// ScanSighting is one canary of ours found on a page.
type ScanSighting struct {
	Site     string    `json:"site"`
	URL      string    `json:"url"`
	Page     string    `json:"page"`
	Decoy    string    `json:"decoy"`
	Photo    *string   `json:"photo"`
	Kind     string    `json:"kind"` // picture, handle or link
	Captured time.Time `json:"captured"`
	SHA256   string    `json:"sha256"` // of the bytes it was found in
}

// SiteResult is what is concluded about a site: one for each account named, or one with none.
type SiteResult struct {
	Site     string   `json:"site"`
	Account  *string  `json:"account"`
	Bits     *float64 `json:"bits"`
	Verdict  Verdict  `json:"verdict"`
	Decoys   []string `json:"decoys"`
	Pictures int      `json:"pictures"` // distinct ones of ours
}

// Scan walks sites, stores what it finds of ours and says whose copies they
// show. A sighting that was there before is told again and stored once. A site
// that cannot be walked, or a page or picture that cannot be read, does not keep
// the rest from being walked: the error names them at the end.
func (r *Registry) Scan(ctx context.Context, req ScanRequest, onSighting func(ScanSighting)) ([]SiteResult, error) {
	h, err := r.newHunt(ctx, fromScan, crawl.Config{Allow: req.Allow, Rate: req.Rate, MaxPages: req.MaxPages}, onSighting)
	if err != nil {
		return nil, err
	}
	sites, seeds, err := bySite(req.URLs)
	if err != nil {
		return nil, err
	}
	var out []SiteResult
	var errs []error
	for _, site := range sites {
		if err := h.walk(ctx, site, seeds[site]); err != nil {
			if ctx.Err() != nil {
				return out, context.Cause(ctx)
			}
			errs = append(errs, fmt.Errorf("scan %s: %w", site, err))
		}
		results, err := r.conclude(ctx, h.w, site, req.Probable)
		if err != nil {
			errs = append(errs, fmt.Errorf("weigh %s: %w", site, err))
			continue
		}
		out = append(out, results...)
	}
	return out, errors.Join(errs...)
}

// bySite sorts URLs by the site they are on, in the order given.
func bySite(urls []string) (sites []string, seeds map[string][]string, err error) {
	seeds = map[string][]string{}
	for _, u := range urls {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Host == "" {
			return nil, nil, fmt.Errorf("%q %w: an http or https URL is wanted", u, ErrInvalid)
		}
		site := crawl.Registrable(u)
		if site == "" {
			return nil, nil, fmt.Errorf("%q %w: it names no site", u, ErrInvalid)
		}
		if !slices.Contains(sites, site) {
			sites = append(sites, site)
		}
		seeds[site] = append(seeds[site], u)
	}
	return sites, seeds, nil
}

// conclude says what is known about a site.
func (r *Registry) conclude(ctx context.Context, w *world, site string, nameProbable bool) ([]SiteResult, error) {
	var id int64
	err := r.db.Read().QueryRowContext(ctx, `SELECT id FROM sites WHERE site = ?`, site).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return []SiteResult{{Site: site, Verdict: VerdictUnknown, Decoys: []string{}}}, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := r.weigh(ctx, r.db.Read(), w, id, nil, probable)
	if err != nil {
		return nil, err
	}
	out, named, err := r.attributedResults(ctx, site, id)
	if err != nil {
		return nil, err
	}
	line, level := ring.ProbableMillibits(c.scored), ""
	for _, a := range c.accounts {
		if named[a.account] || a.millibits < line {
			continue
		}
		level = VerdictProbable
		if !nameProbable {
			continue
		}
		name, err := r.accountName(ctx, a.account)
		if err != nil {
			return nil, err
		}
		out = append(out, SiteResult{site, &name, new(bitsOf(a.millibits)), VerdictProbable, c.decoys(a.photos), len(a.photos)})
	}
	if len(out) > 0 {
		return out, nil
	}
	res, err := r.unnamed(ctx, w, site, id, level)
	return []SiteResult{res}, err
}

// attributedResults are the accounts attributed on a site, best first.
func (r *Registry) attributedResults(ctx context.Context, site string, id int64) (out []SiteResult, named map[int64]bool, err error) {
	named = map[int64]bool{}
	rows, err := r.db.Read().QueryContext(ctx, `SELECT x.account, a.name, x.millibits, x.decoys, x.pictures FROM attributions x
		JOIN accounts a ON a.id = x.account WHERE x.site = ? AND x.verdict = 'attributed' ORDER BY x.millibits DESC, a.name`, id)
	out, err = collect(rows, err, func(rows *sql.Rows) (SiteResult, error) {
		res := SiteResult{Site: site, Verdict: VerdictAttributed}
		var account, millibits int64
		var name, decoys string
		if err := rows.Scan(&account, &name, &millibits, &decoys, &res.Pictures); err != nil {
			return res, err
		}
		named[account] = true
		res.Account, res.Bits = &name, new(bitsOf(millibits))
		return res, unmarshalList(decoys, &res.Decoys)
	})
	return out, named, err
}

// unnamed says what was found on a site of which no account is named.
func (r *Registry) unnamed(ctx context.Context, w *world, site string, id int64, level Verdict) (SiteResult, error) {
	res := SiteResult{Site: site, Decoys: []string{}, Verdict: VerdictUnknown}
	rows, err := r.db.Read().QueryContext(ctx, `SELECT DISTINCT decoy, coalesce(picture, 0), verdict FROM sightings WHERE site = ? ORDER BY decoy`, id)
	verdicts := map[string]bool{}
	groups := map[string]bool{}
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var decoy, picture uint32
		var verdict string
		if err = rows.Scan(&decoy, &picture, &verdict); err != nil {
			return
		}
		d, err := w.decoyID(decoy)
		if err != nil {
			return
		}
		if !slices.Contains(res.Decoys, d) {
			res.Decoys = append(res.Decoys, d)
		}
		verdicts[verdict] = true
		if i, ok := w.photoNum[picture]; ok {
			groups[w.pictures[i].group] = true
		}
		return
	})
	if err != nil {
		return res, err
	}
	slices.Sort(res.Decoys)
	res.Pictures = len(groups)
	switch {
	case level != "":
		res.Verdict = level
	case len(res.Decoys) > 0:
		res.Verdict = VerdictUnmarked
		for _, v := range []Verdict{VerdictError, VerdictMarked, VerdictNeutral} {
			// A picture attributed by itself is outweighed by the others at times.
			if verdicts[v] || v == VerdictMarked && verdicts[VerdictAttributed] {
				res.Verdict = v
				break
			}
		}
	}
	return res, nil
}
