package registry

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// foundFile is one distinct file that shows one photo of ours.
type foundFile struct {
	id      int64  // of the sighting
	at      int64  // captured, microseconds
	capture string // SHA-256
	from    []softRead
}

// group is the photo.
func (f foundFile) group() string { return f.from[0].picture.group }

func (f foundFile) same(o foundFile) bool {
	return f.id == o.id && f.at == o.at && f.capture == o.capture && f.group() == o.group() && len(f.from) == len(o.from)
}

// siteAccount is an account with evidence on a site.
type siteAccount struct {
	account   int64 // row
	millibits int64
	parts     ring.Parts
	photos    []int // that speak for the account: indexes into siteCase.photos
}

// foundPhoto is every distinct file on a site that shows one photo.
type foundPhoto struct {
	group  string
	decoys []string // of the pictures it could come from
	files  []foundFile
}

// siteCase is all of a site's evidence.
type siteCase struct {
	photos   []foundPhoto
	proofs   *siteProofs
	trial    *trial        // of a former state: it is nobody else's
	scored   int           // viewers that were shown any of it; counted for the line of probable alone
	accounts []siteAccount // over the line, best first
}

// ownMillibits is what a photo must say by itself for it to be counted among
// those that stand behind an account; of an innocent one says so in a thousand.
const ownMillibits = 10_000

// level is a line of evidence.
type level int

const (
	attributed level = iota // 64 bits
	probable                // log2(20 x viewers scored), if that is less
)

// weigh adds up a site's evidence: distinct photos multiply, the same photo
// again is averaged in the order of sightings, equal files count once; handles,
// links, probes and coins are further factors. only weighs a former state, nil all. Accounts below the line are left out.
func (r *Registry) weigh(ctx context.Context, q queryer, w *world, site int64, only *inputs, line level) (*siteCase, error) {
	files, err := filesOn(ctx, q, w, site, only)
	if err != nil {
		return nil, err
	}
	return r.weighFiles(ctx, q, w, site, files, only, line)
}

// weighFiles is weigh of files that are known already.
func (r *Registry) weighFiles(ctx context.Context, q queryer, w *world, site int64, files []foundFile, only *inputs, line level) (*siteCase, error) {
	proofs, err := r.proofsOn(ctx, q, w, site, only)
	if err != nil {
		return nil, err
	}
	of := func(p *picture, at int64) ([]audience, error) {
		who, err := r.exposed(ctx, q, w.decoys[p.decoy].Num)
		return []audience{{who, at}}, err
	}
	c := &siteCase{photos: photosOf(w, files), proofs: proofs}
	least := int64(ring.AttributedMillibits)
	if line == probable {
		if c.scored, err = scoredOn(files, of); err != nil {
			return nil, err
		}
		least = min(least, ring.ProbableMillibits(c.scored))
	}
	use := func(t *trial) error {
		if only != nil {
			c.trial = t
		}
		return c.judge(ctx, t, least)
	}
	if only != nil { // an old state of the site: nothing to be remembered
		t := r.newTrial(of)
		for _, f := range files {
			if err := t.see(ctx, f.group(), f); err != nil {
				return nil, err
			}
		}
		return c, use(t)
	}
	return c, r.onSite(ctx, site, of, files, use)
}

// scoredOn counts the viewers that were shown any of the pictures.
func scoredOn(files []foundFile, of audiences) (int, error) {
	latest := map[*roster]int64{}
	for _, f := range files {
		for _, s := range f.from {
			parts, err := of(s.picture, f.at)
			if err != nil {
				return 0, err
			}
			for _, who := range parts {
				latest[who.roster] = max(latest[who.roster], who.at)
			}
		}
	}
	if len(latest) == 1 {
		for who, at := range latest {
			return audience{who, at}.count(), nil
		}
	}
	seen := map[uint64]bool{}
	for who, at := range latest {
		for _, c := range who.viewers {
			if c.first <= at {
				seen[uint64(c.viewer)] = true
			}
		}
	}
	return len(seen), nil
}

// judge finds the accounts over the line, with side information from those attributed.
func (c *siteCase) judge(ctx context.Context, t *trial, line int64) error {
	all := slices.Clone(t.ids)
	for account := range c.proofs.accounts() {
		if _, ok := t.index[account]; !ok {
			all = append(all, account)
		}
	}
	weighed := func(p *passes, least int64) ([]siteAccount, error) {
		var out []siteAccount
		for _, account := range all {
			a, ok, err := c.account(ctx, t, p, account, least)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, a)
			}
		}
		slices.SortFunc(out, func(a, b siteAccount) int {
			return cmp.Or(cmp.Compare(b.millibits, a.millibits), cmp.Compare(a.account, b.account))
		})
		return out, nil
	}
	p, err := t.inform(ctx, func(p *passes) ([]int64, error) {
		over, err := weighed(p, ring.AttributedMillibits)
		var out []int64
		for _, a := range over {
			out = append(out, a.account)
		}
		return out, err
	})
	if err != nil {
		return err
	}
	if c.accounts, err = weighed(p, line); err != nil {
		return err
	}
	for i := range c.accounts {
		c.accounts[i].photos = c.behind(t, c.accounts[i].account)
	}
	return nil
}

// account weighs one account, if it can reach the least at all.
func (c *siteCase) account(ctx context.Context, t *trial, p *passes, account, least int64) (a siteAccount, ok bool, err error) {
	if !c.proofs.names(account) {
		// Coins speak only beside other evidence.
		most := p.most(account)
		if most < min(least, ring.CoinsFrom) || len(c.proofs.found) == 0 && most < least {
			return a, false, nil
		}
	}
	var l ring.Ledger
	l.Enter(p.of(account))
	if err := c.proofs.enter(ctx, &l, account); err != nil {
		return a, false, err
	}
	a = siteAccount{account: account, millibits: l.Millibits(), parts: l.Parts()}
	return a, a.millibits >= least, nil
}

// behind are the photos that speak for the account by themselves; all that it
// was shown if each is too weak for that.
func (c *siteCase) behind(t *trial, account int64) []int {
	var strong, shown []int
	for i, p := range c.photos {
		g := t.groups[p.group]
		if g == nil || !t.shown(g, account) {
			continue
		}
		shown = append(shown, i)
		if g.runs[account] != nil && t.factor(g, account).Alone() >= ownMillibits {
			strong = append(strong, i)
		}
	}
	if strong == nil {
		return shown
	}
	return strong
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

// filesOn reads what was found on a site, in order of sighting; of equal files
// that show one photo the first. only keeps these sightings, nil all.
func filesOn(ctx context.Context, q queryer, w *world, site int64, only *inputs) ([]foundFile, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, picture, capture, captured_at, stored_at, y, alternatives FROM sightings
		WHERE site = ? AND kind = 'picture' AND y IS NOT NULL AND verdict <> 'error' ORDER BY id`, site)
	if err != nil {
		return nil, sqlstore.Explain(err)
	}
	defer rows.Close()
	var out []foundFile
	wanted := only.sightings()
	seen := map[string]bool{}
	for rows.Next() {
		var f foundFile
		var num uint32
		var stored int64
		var capture, y []byte
		var others sql.NullString
		if err := rows.Scan(&f.id, &num, &capture, &f.at, &stored, &y, &others); err != nil {
			return nil, sqlstore.Explain(err)
		}
		if !wanted[f.id] && only != nil {
			continue
		}
		i, ok := w.photoNum[num]
		if !ok {
			return nil, errStale
		}
		p := &w.pictures[i]
		f.capture = string(capture)
		f.from = []softRead{{p, unpackSoft(y)}}
		if err := f.addOthers(w, others.String); err != nil {
			return nil, fmt.Errorf("sighting %d: %w", f.id, err)
		}
		if w.leakedRead(f.from, stored) {
			continue
		}
		if key := p.group + "/" + f.capture; seen[key] {
			continue
		} else {
			seen[key] = true
		}
		out = append(out, f)
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

// photosOf puts the files that show one photo together.
func photosOf(w *world, files []foundFile) []foundPhoto {
	var out []foundPhoto
	at := map[string]int{}
	for _, f := range files {
		i, ok := at[f.group()]
		if !ok {
			i = len(out)
			at[f.group()] = i
			out = append(out, foundPhoto{group: f.group()})
		}
		p := &out[i]
		p.files = append(p.files, f)
		for _, s := range f.from {
			if id := w.decoys[s.picture.decoy].ID; !slices.Contains(p.decoys, id) {
				p.decoys = append(p.decoys, id)
			}
		}
	}
	return out
}

// inputs is what an attribution was computed from.
type inputs struct {
	Photos []inputPhoto `json:"photos"`
	Others []int64      `json:"others,omitempty"` // sightings of handles and links
	Probes []int64      `json:"probes,omitempty"` // rows
}

type inputPhoto struct {
	Decoys    []string `json:"decoys"`
	Sightings []int64  `json:"sightings"`
}

func (c *siteCase) inputs() inputs {
	out := inputs{Photos: []inputPhoto{}, Others: c.proofs.sightings, Probes: c.proofs.probeRows}
	for _, p := range c.photos {
		in := inputPhoto{Decoys: p.decoys}
		for _, f := range p.files {
			in.Sightings = append(in.Sightings, f.id)
		}
		out.Photos = append(out.Photos, in)
	}
	return out
}

// sightings are all that an attribution was computed from; none for nil.
func (in *inputs) sightings() map[int64]bool {
	out := map[int64]bool{}
	if in == nil {
		return out
	}
	for _, p := range in.Photos {
		for _, id := range p.Sightings {
			out[id] = true
		}
	}
	for _, id := range in.Others {
		out[id] = true
	}
	return out
}

// attribute weighs a site's evidence and stores every account at 64 bits or more
// together with the message that tells it. An attribution once made stays: the
// bound holds for the highest evidence ever reached.
func (r *Registry) attribute(ctx context.Context, tx *sql.Tx, w *world, site int64) error {
	c, err := r.weigh(ctx, tx, w, site, nil, attributed)
	if err != nil || len(c.accounts) == 0 {
		return err
	}
	from, err := json.Marshal(c.inputs())
	if err != nil {
		return err
	}
	for _, a := range c.accounts {
		if err := c.store(ctx, tx, r.book, site, a, from); err != nil {
			return fmt.Errorf("store attribution: %w", err)
		}
	}
	return nil
}

func (c *siteCase) store(ctx context.Context, tx *sql.Tx, b *book, site int64, a siteAccount, from []byte) error {
	at := now()
	decoys := c.decoys(a.photos)
	list, err := json.Marshal(decoys)
	if err != nil {
		return err
	}
	parts, err := json.Marshal(partsOf(a.parts))
	if err != nil {
		return err
	}
	// One photo, and nothing else that could stand by itself.
	single := len(a.photos) == 1 && a.parts.Handles < ownMillibits && a.parts.Links < ownMillibits && a.parts.Probes < ownMillibits
	res, err := tx.ExecContext(ctx, `INSERT INTO attributions (site, account, verdict, millibits, exposed, pictures, decoys, single_source, first_at, updated_at, inputs, parts)
		VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (site, account) DO UPDATE SET millibits = excluded.millibits, pictures = excluded.pictures,
		decoys = excluded.decoys, single_source = excluded.single_source, updated_at = excluded.updated_at, inputs = excluded.inputs, parts = excluded.parts,
		verdict = excluded.verdict, void_at = NULL, void_reason = ''
		WHERE attributions.verdict <> excluded.verdict OR attributions.inputs <> excluded.inputs OR attributions.millibits <> excluded.millibits`,
		site, a.account, VerdictAttributed, a.millibits, len(a.photos), string(list), single, at.UnixMicro(), at.UnixMicro(), string(from), string(parts))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n > 0 {
		if err := b.addRows(ctx, tx, scanAttributionEntry, attributionRows+` WHERE x.site = ? AND x.account = ?`, site, a.account); err != nil {
			return err
		}
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

// Parts are what the kinds of evidence come to, in bits; 0 is nothing to say.
type Parts struct {
	Rings   float64 `json:"rings"`
	Handles float64 `json:"handles"`
	Links   float64 `json:"links"`
	Coins   float64 `json:"coins"`
	Probes  float64 `json:"probes"`
}

func partsOf(p ring.Parts) Parts {
	return Parts{bitsOf(p.Rings), bitsOf(p.Handles), bitsOf(p.Links), bitsOf(p.Coins), bitsOf(p.Probes)}
}
