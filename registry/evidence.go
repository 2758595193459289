package registry

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// foundFile is one distinct file that shows one photo of ours.
type foundFile struct {
	id   int64 // of the sighting
	at   int64 // captured, microseconds
	from []softRead
}

// foundPhoto is every distinct file on a site that shows one photo.
type foundPhoto struct {
	decoys []string    // of the pictures it could come from
	files  []foundFile // in order of sighting
}

// siteAccount is an account with evidence on a site.
type siteAccount struct {
	account   int64 // row
	millibits int64
	photos    []int // that speak for the account: indexes into siteCase.photos
}

// siteCase is all of a site's evidence.
type siteCase struct {
	photos   []foundPhoto
	scored   int           // viewers that were shown any of it
	accounts []siteAccount // over the line, best first
}

// ownMillibits is what a photo must say by itself for it to be counted among
// those that stand behind an account; of an innocent one says so in a thousand.
const ownMillibits = 10_000

// never is the e-value 0.
var never = func() (l ring.TrackLogs) {
	for t := range l {
		l[t] = math.Inf(-1)
	}
	return l
}()

// siteEvidence is an account's evidence, photo by photo.
type siteEvidence struct {
	logs   []ring.TrackLogs
	photos []int // indexes into siteCase.photos
}

// weigh adds up a site's evidence: distinct photos multiply, the same photo
// again is averaged in the order of sightings, equal files count once. Accounts
// below the line, which may depend on how many were scored, are left out.
func (r *Registry) weigh(ctx context.Context, q queryer, w *world, site int64, line func(scored int) int64) (*siteCase, error) {
	photos, err := foundOn(ctx, q, w, site)
	if err != nil {
		return nil, err
	}
	evidence := map[int64]*siteEvidence{}
	scored := map[canary.Viewer]bool{}
	for i, photo := range photos {
		again, err := r.againLogs(ctx, q, w, photo, scored)
		if err != nil {
			return nil, err
		}
		for account, l := range again {
			e := evidence[account]
			if e == nil {
				e = &siteEvidence{}
				evidence[account] = e
			}
			e.logs, e.photos = append(e.logs, l), append(e.photos, i)
		}
	}
	c := &siteCase{photos: photos, scored: len(scored)}
	least := line(c.scored)
	for account, e := range evidence {
		if mostBits(e.logs) < least {
			continue
		}
		if m := ring.SiteBits(e.logs); m >= least {
			c.accounts = append(c.accounts, siteAccount{account, m, e.behind()})
		}
	}
	slices.SortFunc(c.accounts, func(a, b siteAccount) int {
		return cmp.Or(cmp.Compare(b.millibits, a.millibits), cmp.Compare(a.account, b.account))
	})
	return c, nil
}

// againLogs is what all files that show one photo say about every account; it
// notes the viewers scored.
func (r *Registry) againLogs(ctx context.Context, q queryer, w *world, photo foundPhoto, scored map[canary.Viewer]bool) (map[int64]ring.TrackLogs, error) {
	each := map[int64][]ring.TrackLogs{}
	for n, f := range photo.files {
		logs, err := r.groupLogs(ctx, f.from, func(p *picture) ([]candidate, error) {
			viewers, err := r.exposed(ctx, q, w.decoys[p.decoy].Num)
			viewers = before(viewers, f.at)
			for _, c := range viewers {
				scored[c.viewer] = true
			}
			return viewers, err
		})
		if err != nil {
			return nil, err
		}
		for account, l := range logs {
			for len(each[account]) < n {
				each[account] = append(each[account], never) // not shown it yet by then
			}
			each[account] = append(each[account], l)
		}
	}
	out := make(map[int64]ring.TrackLogs, len(each))
	for account, all := range each {
		out[account] = ring.Again(all)
	}
	return out, nil
}

// mostBits bounds SiteBits from above at a fraction of its cost.
func mostBits(photos []ring.TrackLogs) int64 {
	var sums ring.TrackLogs
	for i := range photos {
		for t, l := range &photos[i] {
			sums[t] += max(0, l)
		}
	}
	return int64(math.Ceil(slices.Max(sums[:])/math.Ln2*1000)) + 1
}

// behind are the photos that speak for the account by themselves; all of them
// if each is too weak for that.
func (e *siteEvidence) behind() []int {
	var out []int
	for i := range e.logs {
		if own := e.logs[i : i+1]; mostBits(own) >= ownMillibits && ring.SiteBits(own) >= ownMillibits {
			out = append(out, e.photos[i])
		}
	}
	if out == nil {
		return e.photos
	}
	return out
}

// decoys are those of the photos, sorted.
func (c *siteCase) decoys(photos []int) []string {
	out := []string{}
	for _, i := range photos {
		out = append(out, c.photos[i].decoys...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// alternative is another picture of the group that a found file could come from.
type alternative struct {
	Photo string `json:"photo"`
	Y     []byte `json:"y"`
}

// foundOn reads what was found on a site, in order of sighting.
func foundOn(ctx context.Context, q queryer, w *world, site int64) ([]foundPhoto, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, picture, capture, captured_at, y, alternatives FROM sightings
		WHERE site = ? AND kind = 'picture' AND y IS NOT NULL AND verdict <> 'error' ORDER BY id`, site)
	if err != nil {
		return nil, sqlstore.Explain(err)
	}
	defer rows.Close()
	var out []foundPhoto
	groups := map[string]int{}
	files := map[string]bool{} // group and hash: equal files count once
	for rows.Next() {
		var f foundFile
		var num uint32
		var capture, y []byte
		var others sql.NullString
		if err := rows.Scan(&f.id, &num, &capture, &f.at, &y, &others); err != nil {
			return nil, sqlstore.Explain(err)
		}
		i, ok := w.photoNum[num]
		if !ok {
			return nil, errStale
		}
		p := &w.pictures[i]
		if key := p.group + "/" + string(capture); files[key] {
			continue
		} else {
			files[key] = true
		}
		f.from = []softRead{{p, unpackSoft(y)}}
		if err := f.addOthers(w, others.String); err != nil {
			return nil, fmt.Errorf("sighting %d: %w", f.id, err)
		}
		g, ok := groups[p.group]
		if !ok {
			g = len(out)
			groups[p.group] = g
			out = append(out, foundPhoto{})
		}
		out[g].add(w, f)
	}
	return out, sqlstore.Explain(rows.Err())
}

// addOthers adds the other pictures the file could come from.
func (f *foundFile) addOthers(w *world, others string) error {
	if others == "" {
		return nil
	}
	var all []alternative
	if err := json.Unmarshal([]byte(others), &all); err != nil {
		return err
	}
	for _, a := range all {
		i, ok := w.photos[a.Photo]
		if !ok {
			return errStale
		}
		f.from = append(f.from, softRead{&w.pictures[i], unpackSoft(a.Y)})
	}
	return nil
}

func (p *foundPhoto) add(w *world, f foundFile) {
	p.files = append(p.files, f)
	for _, s := range f.from {
		if id := w.decoys[s.picture.decoy].ID; !slices.Contains(p.decoys, id) {
			p.decoys = append(p.decoys, id)
		}
	}
}

// inputs is what an attribution was computed from.
type inputs struct {
	Photos []inputPhoto `json:"photos"`
}

type inputPhoto struct {
	Decoys    []string `json:"decoys"`
	Sightings []int64  `json:"sightings"`
}

func (c *siteCase) inputs() inputs {
	out := inputs{Photos: []inputPhoto{}}
	for _, p := range c.photos {
		in := inputPhoto{Decoys: p.decoys}
		for _, f := range p.files {
			in.Sightings = append(in.Sightings, f.id)
		}
		out.Photos = append(out.Photos, in)
	}
	return out
}

// attribute weighs a site's evidence and stores every account at 64 bits or more
// together with the message that tells it. An attribution once made stays: the
// bound holds for the highest evidence ever reached.
func (r *Registry) attribute(ctx context.Context, tx *sql.Tx, w *world, site int64) error {
	c, err := r.weigh(ctx, tx, w, site, func(int) int64 { return ring.AttributedMillibits })
	if err != nil || len(c.accounts) == 0 {
		return err
	}
	from, err := json.Marshal(c.inputs())
	if err != nil {
		return err
	}
	for _, a := range c.accounts {
		if err := c.store(ctx, tx, site, a, from); err != nil {
			return fmt.Errorf("store attribution: %w", err)
		}
	}
	return nil
}

func (c *siteCase) store(ctx context.Context, tx *sql.Tx, site int64, a siteAccount, from []byte) error {
	at := now()
	decoys := c.decoys(a.photos)
	list, err := json.Marshal(decoys)
	if err != nil {
		return err
	}
	single := len(a.photos) == 1
	_, err = tx.ExecContext(ctx, `INSERT INTO attributions (site, account, verdict, millibits, exposed, pictures, decoys, single_source, first_at, updated_at, inputs)
		VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?) ON CONFLICT (site, account) DO UPDATE SET millibits = excluded.millibits, pictures = excluded.pictures,
		decoys = excluded.decoys, single_source = excluded.single_source, updated_at = excluded.updated_at, inputs = excluded.inputs
		WHERE attributions.inputs <> excluded.inputs OR attributions.millibits <> excluded.millibits`,
		site, a.account, VerdictAttributed, a.millibits, len(a.photos), string(list), single, at.UnixMicro(), at.UnixMicro(), string(from))
	if err != nil {
		return err
	}
	alert := AttributionAlert{
		Bits: bitsOf(a.millibits), Verdict: VerdictAttributed, Pictures: len(a.photos),
		Decoys: decoys, SingleSource: single, First: at,
	}
	err = tx.QueryRowContext(ctx, `SELECT s.site, a.name FROM sites s, accounts a WHERE s.id = ? AND a.id = ?`, site, a.account).Scan(&alert.Site, &alert.Account)
	if err != nil {
		return err
	}
	return enqueueAlert(ctx, tx, alert)
}
