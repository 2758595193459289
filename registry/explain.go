package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"birdring/beacon/crawl"
	"birdring/beacon/decode"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// Explanation is an attribution computed once more, from stored soft values and
// keys alone, factor by factor.
type Explanation struct {
	Site     string   `json:"site"`
	Account  string   `json:"account"`
	Bits     float64  `json:"bits"`   // computed now
	Stored   float64  `json:"stored"` // when it was attributed or last grew
	Same     bool     `json:"same"`   // bit for bit
	Void     *string  `json:"void"`   // why it does not count any more, null if it does
	Parts    Parts    `json:"parts"`
	Factors  []Factor `json:"factors"`
	Reread   *float64 `json:"reread"` // from the captures read again; null if that was not asked for
	Chances  float64  `json:"chances"`
	Sessions []string `json:"sessions"` // of the account; "" is the account as a whole
}

// Factor is what was found of one secret.
type Factor struct {
	Kind      string   `json:"kind"` // ring, handle, link, coin, probe
	Of        string   `json:"of"`   // photo, or decoy
	Decoys    []string `json:"decoys"`
	Sightings []string `json:"sightings"`
	Bits      float64  `json:"bits"` // what it would say alone
}

// Explain computes an attribution again. With read, the stored captures are
// decoded, aligned and read again too. An account that is not attributed on the
// site is ErrNotFound: what stands below the line is told to nobody.
func (r *Registry) Explain(ctx context.Context, site, account string, read bool) (*Explanation, error) {
	name := crawl.Registrable(site)
	var id, row, stored int64
	var from, void string
	err := r.db.Read().QueryRowContext(ctx, `SELECT x.site, x.account, x.millibits, x.inputs, x.void_reason FROM attributions x JOIN sites s ON s.id = x.site JOIN accounts a ON a.id = x.account
		WHERE s.site = ? AND a.name = ?`, name, account).Scan(&id, &row, &stored, &from, &void)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("account %q is not attributed on %s: %w: birdring list attributions shows who is", account, site, ErrNotFound)
	}
	if err != nil {
		return nil, sqlstore.Explain(err)
	}
	var in inputs
	if err := json.Unmarshal([]byte(from), &in); err != nil {
		return nil, fmt.Errorf("inputs of the attribution: %w", err)
	}
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	c, err := r.weigh(ctx, r.db.Read(), w, id, &in, attributed)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Site: name, Account: account, Stored: bitsOf(stored), Void: orNil(void), Factors: []Factor{}, Sessions: []string{}}
	if i := c.find(row); i >= 0 {
		a := c.accounts[i]
		e.Bits, e.Same, e.Parts = bitsOf(a.millibits), a.millibits == stored, partsOf(a.parts)
	}
	if e.Factors, err = c.factors(ctx, w, row); err != nil {
		return nil, err
	}
	if e.Sessions, err = r.sessions(ctx, row); err != nil {
		return nil, err
	}
	if e.Chances, err = r.Chances(ctx); err != nil {
		return nil, err
	}
	if read {
		bits, err := r.reread(ctx, w, id, row, &in)
		if err != nil {
			return nil, err
		}
		e.Reread = &bits
	}
	return e, nil
}

func (c *siteCase) find(account int64) int {
	return slices.IndexFunc(c.accounts, func(a siteAccount) bool { return a.account == account })
}

func (r *Registry) sessions(ctx context.Context, account int64) ([]string, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT session FROM viewers WHERE account = ? ORDER BY number`, account)
	return collect(rows, err, func(rows *sql.Rows) (s string, err error) { return s, rows.Scan(&s) })
}

// factors lists what an account's evidence is made of, photos first.
func (c *siteCase) factors(ctx context.Context, w *world, account int64) ([]Factor, error) {
	out := []Factor{}
	for _, p := range c.photos {
		g := c.trial.groups[p.group]
		if g == nil || !c.trial.shown(g, account) {
			continue
		}
		f := Factor{Kind: ring.KindRing.String(), Of: p.group, Decoys: p.decoys, Bits: bitsOf(max(c.trial.factor(g, account).Alone(), -1000_000))}
		for _, file := range p.files {
			f.Sightings = append(f.Sightings, fmt.Sprint(file.id))
		}
		out = append(out, f)
	}
	proof := func(k ring.Kind, decoy string, enter func(*ring.Ledger) error, of func(ring.Parts) int64) error {
		var l ring.Ledger
		if err := enter(&l); err != nil {
			return err
		}
		out = append(out, Factor{Kind: k.String(), Of: decoy, Decoys: []string{decoy}, Sightings: []string{}, Bits: bitsOf(of(l.Parts()))})
		return nil
	}
	for _, decoy := range sortedKeys(c.proofs.handles[account]) {
		h := c.proofs.handles[account][decoy]
		err := proof(ring.KindHandle, decoy, func(l *ring.Ledger) error {
			return l.Handle(ring.Handle(decoy, max(0, h.millibits-filtersKept), h.index))
		}, func(p ring.Parts) int64 { return p.Handles })
		if err != nil {
			return nil, err
		}
	}
	for _, decoy := range sortedKeys(c.proofs.links[account]) {
		index := c.proofs.links[account][decoy]
		err := proof(ring.KindLink, decoy, func(l *ring.Ledger) error { return l.Link(ring.Link(decoy, index)) }, func(p ring.Parts) int64 { return p.Links })
		if err != nil {
			return nil, err
		}
	}
	for _, a := range c.proofs.probes {
		if a.account != account {
			continue
		}
		err := proof(ring.KindProbe, a.decoy, func(l *ring.Ledger) error {
			return l.Probe(ring.Probe(a.decoy, max(0, a.millibits-filtersKept), a.lookups))
		}, func(p ring.Parts) int64 { return p.Probes })
		if err != nil {
			return nil, err
		}
	}
	var name string
	if err := c.proofs.q.QueryRowContext(ctx, `SELECT name FROM accounts WHERE id = ?`, account).Scan(&name); err != nil {
		return nil, sqlstore.Explain(err)
	}
	for _, d := range c.proofs.found {
		err := proof(ring.KindCoin, d.ID, func(l *ring.Ledger) error {
			return l.Coin(d.ID, d.Share, c.proofs.r.keys.Coin(name, d.ID, d.Share))
		}, func(p ring.Parts) int64 { return p.Coins })
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// reread reads the captures behind an attribution again and weighs what comes out.
func (r *Registry) reread(ctx context.Context, w *world, site, account int64, in *inputs) (float64, error) {
	files, err := filesOn(ctx, r.db.Read(), w, site, in)
	if err != nil {
		return 0, err
	}
	for i := range files {
		if files[i].from, err = r.readAgain(ctx, w, files[i]); err != nil {
			return 0, fmt.Errorf("read sighting %d again: %w", files[i].id, err)
		}
	}
	c, err := r.weighFiles(ctx, r.db.Read(), w, site, files, in, attributed)
	if err != nil {
		return 0, err
	}
	if i := c.find(account); i >= 0 {
		return bitsOf(c.accounts[i].millibits), nil
	}
	return 0, errors.New("read again, the captures leave the account below 64 bits: the stored soft values do not come from these captures, or the program reads differently now")
}

// readAgain reads the stored bytes of one find.
func (r *Registry) readAgain(ctx context.Context, w *world, f foundFile) ([]softRead, error) {
	var data []byte
	err := r.db.Read().QueryRowContext(ctx, `SELECT data FROM captures WHERE sha256 = ?`, []byte(f.capture)).Scan(&data)
	if err != nil {
		return nil, sqlstore.Explain(err)
	}
	if data == nil {
		return nil, errors.New("its bytes were not kept")
	}
	img, err := decode.Decode(ctx, data, decode.Default())
	if err != nil {
		return nil, err
	}
	all, err := r.look(ctx, w, img, []int{f.from[0].picture.decoy})
	if err != nil {
		return nil, err
	}
	for _, found := range all {
		if found[0].picture.group == f.group() {
			return found.reads(), nil
		}
	}
	return nil, errors.New("the photo is not found in it any more")
}
