package registry

import (
	"context"
	"database/sql"
	"slices"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// filtersKept is how much likelier than its bits say a handle may be, in millibits.
// The bits count what the plan's own filters keep; those of the registry (free, unlike
// every other, wanted) keep a quarter of the rest at least, or naming fails.
const filtersKept = 2_000

// disguised is the string index of a handle that was spelled unlike itself: several
// handles would match, likelier ones among them, so that it is told and proves nothing.
const disguised = -1

// siteProofs is what was found on a site besides pictures.
type siteProofs struct {
	r         *Registry
	q         queryer
	until     int64 // the latest capture
	sightings []int64
	probeRows []int64

	personal map[int64][]string             // per account: its personal decoys
	handles  map[int64]map[string]handleHit // per account and decoy
	links    map[int64]map[string]int       // per account and decoy: which of the token-like strings it was
	probes   []askedDecoy
	came     map[int64]bool  // accounts that came first for a dark decoy
	found    []*canary.Decoy // shared decoys whose coin may speak
}

type handleHit struct {
	millibits int64
	index     int // of the strings next to matched pictures; 0: anywhere
}

// askedDecoy is a dark decoy that the site was asked for.
type askedDecoy struct {
	decoy     string
	millibits int64
	lookups   int
	account   int64 // that came first; 0: nobody
}

// proofsOn reads them.
func (r *Registry) proofsOn(ctx context.Context, q queryer, w *world, site int64, only *inputs) (*siteProofs, error) {
	p := &siteProofs{
		r: r, q: q, personal: map[int64][]string{}, handles: map[int64]map[string]handleHit{},
		links: map[int64]map[string]int{}, came: map[int64]bool{},
	}
	if err := p.readSightings(ctx, w, site, only); err != nil {
		return nil, err
	}
	if err := p.readProbes(ctx, w, site, only); err != nil {
		return nil, err
	}
	rows, err := q.QueryContext(ctx, `SELECT id, account FROM decoys WHERE kind = 'personal' AND account IS NOT NULL AND bound_at <= ? ORDER BY num`, p.until)
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var id string
		var account int64
		err = rows.Scan(&id, &account)
		p.personal[account] = append(p.personal[account], id)
		return
	})
	return p, err
}

// readSightings reads found handles and links, and which shared decoys were found at all.
func (p *siteProofs) readSightings(ctx context.Context, w *world, site int64, only *inputs) error {
	void, err := voidOn(ctx, p.q, w, site)
	if err != nil {
		return err
	}
	rows, err := p.q.QueryContext(ctx, `SELECT g.id, g.kind, g.decoy, coalesce(g.viewer, 0), coalesce(v.account, 0), coalesce(d.account, 0), CASE WHEN g.kind = 'link' OR EXISTS (SELECT 1 FROM sightings p WHERE p.site = g.site AND p.kind = 'picture' AND p.page = g.page) THEN coalesce(g.string_index, 0) ELSE 0 END,
		d.handle_millibits, g.captured_at, g.verdict, coalesce(g.string_index, 0) = ? FROM sightings g JOIN decoys d ON d.num = g.decoy LEFT JOIN viewers v ON v.number = g.viewer WHERE g.site = ? ORDER BY g.id`, disguised, site)
	if err != nil {
		return sqlstore.Explain(err)
	}
	defer rows.Close()
	wanted := only.sightings()
	for rows.Next() {
		var id, account, owner, millibits, at int64
		var num uint32
		var viewer canary.Viewer
		var index int
		var kind, verdict string
		var unlike bool
		if err := rows.Scan(&id, &kind, &num, &viewer, &account, &owner, &index, &millibits, &at, &verdict, &unlike); err != nil {
			return sqlstore.Explain(err)
		}
		if only != nil && !wanted[id] || void[id] {
			continue
		}
		i, ok := w.byNum[num]
		if !ok {
			return errStale
		}
		d := &w.decoys[i]
		p.until = max(p.until, at)
		if verdict != VerdictUnmarked && verdict != VerdictError && d.Kind == canary.Shared && d.Share < 1 && !slices.Contains(p.found, d) {
			p.found = append(p.found, d)
		}
		switch {
		case kind == kindHandle && (unlike || !d.Burnt.IsZero() && at >= d.Burnt.UnixMicro()):
			// It names the decoy, but not whose copy it was.
		case kind == kindHandle && d.Kind == canary.Personal && owner != 0:
			hits := p.handles[owner]
			if hits == nil {
				hits = map[string]handleHit{}
				p.handles[owner] = hits
			}
			if _, again := hits[d.ID]; !again || index > 0 && hits[d.ID].index == 0 {
				hits[d.ID] = handleHit{millibits, index}
			}
		case kind == kindLink && account != 0:
			if p.links[account] == nil {
				p.links[account] = map[string]int{}
			}
			if first, again := p.links[account][d.ID]; !again || index < first {
				p.links[account][d.ID] = index
			}
		}
		if kind != kindPicture {
			p.sightings = append(p.sightings, id)
		}
	}
	return sqlstore.Explain(rows.Err())
}

// readProbes reads the dark decoys that the site was asked for. One that
// somebody came for before the question is spoiled and says nothing.
func (p *siteProofs) readProbes(ctx context.Context, w *world, site int64, only *inputs) error {
	rows, err := p.q.QueryContext(ctx, `SELECT p.id, p.decoy, p.lookups, coalesce(v.account, 0), p.asked_at, d.handle_millibits FROM probes p JOIN decoys d ON d.num = p.decoy
		LEFT JOIN viewers v ON v.number = p.requester WHERE p.site = ? AND p.asked_at IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM exposures e WHERE e.decoy = p.decoy AND e.at < p.asked_at) ORDER BY p.id`, site)
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var id, at int64
		var num uint32
		var a askedDecoy
		if err = rows.Scan(&id, &num, &a.lookups, &a.account, &at, &a.millibits); err != nil {
			return
		}
		if only != nil && !slices.Contains(only.Probes, id) || w.leakedTokens(at) {
			return
		}
		if a.decoy, err = w.decoyID(num); err != nil {
			return
		}
		p.probes = append(p.probes, a)
		p.probeRows = append(p.probeRows, id)
		p.until = max(p.until, at)
		if a.account != 0 {
			p.came[a.account] = true
		}
		return
	})
	return err
}

// names says whether anything besides pictures was found of an account.
func (p *siteProofs) names(account int64) bool {
	return len(p.handles[account]) > 0 || len(p.links[account]) > 0 || p.came[account]
}

// accounts are those of which anything besides pictures was found.
func (p *siteProofs) accounts() map[int64]bool {
	out := map[int64]bool{}
	for a := range p.handles {
		out[a] = true
	}
	for a := range p.links {
		out[a] = true
	}
	for a := range p.came {
		out[a] = true
	}
	return out
}

// enter enters everything about an account into its ledger.
func (p *siteProofs) enter(ctx context.Context, l *ring.Ledger, account int64) error {
	for _, step := range []func(context.Context, *ring.Ledger, int64) error{p.enterHandles, p.enterLinks, p.enterProbes, p.enterCoins} {
		if err := step(ctx, l, account); err != nil {
			return err
		}
	}
	return nil
}

func (p *siteProofs) enterHandles(_ context.Context, l *ring.Ledger, account int64) error {
	hits := p.handles[account]
	for _, decoy := range p.personal[account] {
		var err error
		h, ok := hits[decoy]
		switch {
		case ok:
			err = l.Handle(ring.Handle(decoy, max(0, h.millibits-filtersKept), h.index))
		case len(hits) > 0:
			err = l.Missing(ring.KindHandle, decoy)
		default:
			l.Silent(ring.KindHandle)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *siteProofs) enterLinks(ctx context.Context, l *ring.Ledger, account int64) error {
	found := p.links[account]
	if len(found) == 0 {
		l.Silent(ring.KindLink)
		return nil
	}
	// Every decoy it was shown carried a link.
	rows, err := p.q.QueryContext(ctx, `SELECT d.id, min(e.at) FROM `+shownToAccount+` AND a.id = ? AND e.at <= ? GROUP BY d.id ORDER BY d.id`, account, p.until)
	shown, err := collect(rows, err, func(rows *sql.Rows) (id string, err error) {
		var at int64
		return id, rows.Scan(&id, &at)
	})
	if err != nil {
		return err
	}
	for _, id := range shown {
		if index, ok := found[id]; ok {
			err = l.Link(ring.Link(id, index))
		} else {
			err = l.Missing(ring.KindLink, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *siteProofs) enterProbes(_ context.Context, l *ring.Ledger, account int64) error {
	for _, a := range p.probes {
		var err error
		switch {
		case !p.came[account]:
			l.Silent(ring.KindProbe)
		case a.account == account:
			err = l.Probe(ring.Probe(a.decoy, max(0, a.millibits-filtersKept), a.lookups))
		default:
			err = l.Missing(ring.KindProbe, a.decoy)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enterCoins asks the account's coins for the shared decoys that were found.
func (p *siteProofs) enterCoins(ctx context.Context, l *ring.Ledger, account int64) error {
	if len(p.found) == 0 || l.Millibits() < ring.CoinsFrom {
		return nil
	}
	var name string
	if err := p.q.QueryRowContext(ctx, `SELECT name FROM accounts WHERE id = ?`, account).Scan(&name); err != nil {
		return sqlstore.Explain(err)
	}
	for _, d := range p.found {
		if err := l.Coin(d.ID, d.Share, p.r.keys.Coin(name, d.ID, d.Share)); err != nil {
			return err
		}
	}
	return nil
}
