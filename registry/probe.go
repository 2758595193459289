package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"birdring/beacon"
	"birdring/beacon/crawl"
	"birdring/canary"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// ProbeRequest asks a question-and-answer site for dark decoys.
type ProbeRequest struct {
	Site     string
	Template string        // URL with {handle}
	Count    int           // probes; 0: 1
	Allow    []string      // CIDR:PORT that may be called although private
	Spread   time.Duration // each probe waits a keyed random share of it; 0: 3 s
	Patience time.Duration // how long after the answer a look-up is waited for; 0: 3 s
	Lookups  int           // handles that one account can look up in that time, at most; 0: 1024
}

// ProbeResult is one probe.
type ProbeResult struct {
	Site      string    `json:"site"`
	Decoy     string    `json:"decoy"`
	Handle    string    `json:"handle"`
	Asked     time.Time `json:"asked"`
	Requester *string   `json:"requester"` // the account that first came for the decoy
	Answered  bool      `json:"answered"`  // the answer shows the decoy
	Bits      *float64  `json:"bits"`      // the requester's evidence in the answer's pictures, if 64 or more
}

// Defaults of ProbeRequest.
const (
	defaultSpread   = 3 * time.Second
	defaultPatience = 3 * time.Second
	defaultLookups  = 1024
	lookEvery       = 50 * time.Millisecond // how often exposures are looked at while waiting
)

// Probe asks a site for dark decoys that nobody was ever asked for, each at a
// keyed random moment, and says which account came for them first: the look-up
// descends from our question. A ring in the answer confirms it and counts as a
// find on the site. Each probe uses up its decoy, whatever comes of it.
func (r *Registry) Probe(ctx context.Context, req ProbeRequest, onResult func(ProbeResult)) error {
	template, err := beacon.ParseTemplate(req.Template)
	if err != nil {
		return err
	}
	site := crawl.Registrable(req.Site)
	if site == "" {
		return fmt.Errorf("site %q %w: a domain, host:port or URL is wanted", req.Site, ErrInvalid)
	}
	if req.Spread <= 0 {
		req.Spread = defaultSpread
	}
	if req.Patience <= 0 {
		req.Patience = defaultPatience
	}
	if req.Lookups <= 0 {
		req.Lookups = defaultLookups
	}
	// Nothing of a probe's is walked: one page and its pictures.
	h, err := r.newHunt(ctx, fromProbe, crawl.Config{Allow: req.Allow, MaxPages: 1}, nil)
	if err != nil {
		return err
	}
	var errs []error
	for range max(1, req.Count) {
		p := &probing{hunt: h, req: req, template: template, site: site}
		if err := p.claim(ctx); err != nil {
			return errors.Join(append(errs, err)...)
		}
		err := p.run(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("probe %s for @%s: %w", site, p.decoy.Handle, err))
		}
		onResult(p.result)
	}
	return errors.Join(errs...)
}

// probing is one probe under way.
type probing struct {
	*hunt
	req      ProbeRequest
	template beacon.Template
	site     string
	row      int64 // in probes
	decoy    *canary.Decoy
	url      string
	result   ProbeResult
	status   int
	finds    []shownPhoto
}

// claim takes an unused dark decoy with a picture, at once and for ever, so that
// no two probes ask for one.
func (p *probing) claim(ctx context.Context) error {
	return p.r.db.Write(ctx, func(tx *sql.Tx) error {
		var num uint32
		err := tx.QueryRowContext(ctx, `SELECT d.num FROM decoys d WHERE d.kind = 'dark' AND d.burnt_at IS NULL AND d.recalled_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM probes p WHERE p.decoy = d.num)
			AND NOT EXISTS (SELECT 1 FROM exposures e WHERE e.decoy = d.num)
			AND EXISTS (SELECT 1 FROM pictures q WHERE q.decoy = d.num) ORDER BY d.num LIMIT 1`).Scan(&num)
		if errors.Is(err, sql.ErrNoRows) {
			return errors.New("no unused dark decoy is left: plant some with birdring seed --dark N")
		}
		if err != nil {
			return err
		}
		i, ok := p.w.byNum[num]
		if !ok {
			return errStale
		}
		p.decoy = &p.w.decoys[i]
		p.url = p.template.URL(p.decoy.Handle)
		site, err := ensureSite(ctx, tx, p.site, now())
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `INSERT INTO probes (site, decoy, template, url, planned_at, lookups) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
			site, num, p.req.Template, p.url, now().UnixMicro(), p.req.Lookups).Scan(&p.row)
	})
}

// run waits for the probe's moment, asks, and watches who comes.
func (p *probing) run(ctx context.Context) error {
	begin := time.Now()
	window := beacon.Window{From: begin, To: begin.Add(p.req.Spread)}
	moment := window.At(p.r.keys.Moment("probe/" + p.decoy.ID))
	if err := sleep(ctx, time.Until(moment)); err != nil {
		return err
	}
	p.result = ProbeResult{Site: p.site, Decoy: p.decoy.ID, Handle: p.decoy.Handle, Asked: now()}
	// Stored before the question leaves: whoever comes after this came because of it.
	err := p.r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE probes SET asked_at = ? WHERE id = ?`, p.result.Asked.UnixMicro(), p.row)
		return err
	})
	if err != nil {
		return fmt.Errorf("store probe: %w", err)
	}
	asked := p.ask(ctx)
	requester, err := p.requester(ctx)
	if err = errors.Join(asked, err); ctx.Err() != nil {
		return err
	}
	return errors.Join(err, p.settle(ctx, requester, err))
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// ask fetches the answer; its handles and pictures are sightings on the site.
func (p *probing) ask(ctx context.Context) error {
	h := p.hunt
	h.onFind = func(show shownPhoto) {
		if p.w.decoys[show.finding[0].picture.decoy].Num == p.decoy.Num {
			p.finds = append(p.finds, show)
		}
	}
	h.echo = p.w.byNum[p.decoy.Num]
	h.begin(p.site)
	if err := p.r.addUp(ctx, p.w, p.site); err != nil {
		return err
	}
	err := h.fetcher.Walk(ctx, []string{p.url}, func(page crawl.Page) error {
		p.status = page.Status
		if err := h.page(ctx, page); err != nil {
			return err
		}
		_, anchors := h.named(page, page.UTF8)
		p.result.Answered = page.Status/100 == 2 && (len(p.finds) > 0 || slices.Contains(anchors, h.echo))
		return nil
	})
	return errors.Join(append(h.problems, err)...)
}

// requester waits for the first viewer shown the decoy after the question; 0 if
// nobody comes in time. Somebody who came before it spoils the probe.
func (p *probing) requester(ctx context.Context) (canary.Viewer, error) {
	for end := time.Now().Add(p.req.Patience); ; {
		looks, err := p.looks(ctx)
		if err != nil {
			return 0, err
		}
		first, err := beacon.Requester(p.result.Asked, end.Sub(p.result.Asked), looks)
		switch {
		case err == nil:
			return first.Viewer, nil
		case !errors.Is(err, beacon.ErrNobodyCame):
			return 0, err
		case !time.Now().Before(end):
			return 0, nil
		}
		if err := sleep(ctx, lookEvery); err != nil {
			return 0, err
		}
	}
}

// looks are the exposures of the probe's decoy.
func (p *probing) looks(ctx context.Context) ([]beacon.Look, error) {
	rows, err := p.r.db.Read().QueryContext(ctx, `SELECT viewer, at FROM exposures WHERE decoy = ? ORDER BY at`, p.decoy.Num)
	return collect(rows, err, func(rows *sql.Rows) (l beacon.Look, err error) {
		var at int64
		err = rows.Scan(&l.Viewer, &at)
		l.At = sqlstore.Time(at)
		return l, err
	})
}

// settle stores how the probe went.
func (p *probing) settle(ctx context.Context, requester canary.Viewer, failure error) error {
	var viewer, millibits, answered, status, text, sighting any
	if requester != 0 {
		name, _, err := p.r.AccountOf(ctx, requester)
		if err != nil {
			return err
		}
		p.result.Requester, viewer = &name, requester
		m, err := p.millibits(ctx, requester)
		if err != nil {
			return err
		}
		if m >= ring.AttributedMillibits {
			p.result.Bits, millibits = new(bitsOf(m)), m
		}
	}
	if p.result.Answered {
		answered = now().UnixMicro()
	}
	if p.status != 0 {
		status = p.status
	}
	if failure != nil {
		text = failure.Error()
	}
	return p.r.db.Write(ctx, func(tx *sql.Tx) error {
		var id int64
		err := tx.QueryRowContext(ctx, `SELECT g.id FROM sightings g JOIN sites s ON s.id = g.site WHERE s.site = ? AND g.decoy = ? ORDER BY g.kind DESC, g.id LIMIT 1`,
			p.site, p.decoy.Num).Scan(&id)
		switch {
		case err == nil:
			sighting = id
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE probes SET answered_at = ?, status = ?, requester = ?, sighting = ?, millibits = ?, error = ? WHERE id = ?`,
			answered, status, viewer, sighting, millibits, text, p.row)
		if err != nil || viewer == nil {
			return err
		}
		site, err := ensureSite(ctx, tx, p.site, now())
		if err != nil {
			return err
		}
		return p.r.attribute(ctx, tx, p.w, site)
	})
}

// millibits is the evidence of the answer's pictures against the requester's account.
func (p *probing) millibits(ctx context.Context, requester canary.Viewer) (int64, error) {
	if len(p.finds) == 0 {
		return 0, nil
	}
	var account int64
	err := p.r.db.Read().QueryRowContext(ctx, `SELECT account FROM viewers WHERE number = ?`, requester).Scan(&account)
	if err != nil {
		return 0, sqlstore.Explain(err)
	}
	t := p.r.newTrial(func(q *picture, at int64) ([]audience, error) {
		who, err := p.r.exposed(ctx, p.r.db.Read(), p.w.decoys[q.decoy].Num)
		return []audience{{who, at}}, err
	})
	for _, show := range p.finds {
		f := foundFile{at: now().UnixMicro(), from: show.finding.reads()}
		if err := t.see(ctx, f.group(), f); err != nil {
			return 0, err
		}
	}
	i, ok := t.index[account]
	if !ok {
		return 0, nil
	}
	return ring.Passes(t.sums[i : i+1]).Millibits(), nil
}
