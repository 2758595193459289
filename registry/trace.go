package registry

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"

	"birdring/beacon/crawl"
	"birdring/beacon/decode"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// Verdict is what a trace or scan says about a picture or a site.
type Verdict = string

// The verdicts.
const (
	VerdictAttributed = "attributed" // an account at 64 bits or more
	VerdictProbable   = "probable"   // log2(20 x candidates) bits or more, for an analyst's eyes
	VerdictMarked     = "marked"     // a ring is there, judged without any ring, but of no candidate
	VerdictUnmarked   = "unmarked"   // our picture, no ring
	VerdictNeutral    = "neutral"    // the copy served while Birdring was away
	VerdictUnknown    = "unknown"    // nothing of ours
	VerdictError      = "error"      // the input cannot be judged
)

// TraceRequest asks where a picture comes from.
type TraceRequest struct {
	Name        string    // of the input, repeated in the results
	Data        []byte    // the file
	Site        string    // where it was found; "" stores nothing
	AllAccounts bool      // score every account, not only those with an exposure on record
	Probable    bool      // also name probable accounts
	CapturedAt  time.Time // zero: now
	PageDecoys  []string  // decoys the page names: their pictures are tried whatever the index says
	URL, Page   string    // where the file and the page around it were
}

// TraceResult is what was found in one input, for one picture of ours.
type TraceResult struct {
	Input      string          `json:"input"`
	Decoy      *string         `json:"decoy"`
	Photo      *string         `json:"photo"`
	Verdict    Verdict         `json:"verdict"`
	Candidates int             `json:"candidates"` // viewers scored
	Transform  *TraceTransform `json:"transform"`
	Accounts   []TraceAccount  `json:"accounts"` // best first
	Seconds    float64         `json:"seconds"`
	Error      string          `json:"error,omitempty"`
}

// TraceTransform says how the found picture lies to the planted one.
type TraceTransform struct {
	ScaleX    float64    `json:"scale_x"` // found pixels per planted pixel
	ScaleY    float64    `json:"scale_y"`
	RotateDeg float64    `json:"rotate_deg"` // clockwise
	Mirror    bool       `json:"mirror"`     // left to right, before turning
	Crop      [4]float64 `json:"crop"`       // x, y, width, height of what is shown, in planted pixels
}

// TraceAccount is an account over its line.
type TraceAccount struct {
	Account string  `json:"account"`
	Bits    float64 `json:"bits"`    // rounded down to 0.001
	Exposed bool    `json:"exposed"` // false: no exposure on record before the capture
}

// Trace says which pictures of ours a file shows, and whose copies they are. With
// a site the find is stored as a sighting there and the site's evidence is
// weighed again; without one nothing is stored. An error means that the file could
// not be judged at all.
func (r *Registry) Trace(ctx context.Context, req TraceRequest) ([]TraceResult, error) {
	t := &tracing{r: r, req: req, begin: time.Now()}
	if t.req.CapturedAt.IsZero() {
		t.req.CapturedAt = now()
	}
	if req.Site != "" {
		if t.site = crawl.Registrable(req.Site); t.site == "" {
			return nil, fmt.Errorf("site %q %w: a domain, host:port or URL is wanted", req.Site, ErrInvalid)
		}
	}
	img, all, err := t.look(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return []TraceResult{{Input: req.Name, Verdict: VerdictUnknown, Accounts: []TraceAccount{}, Seconds: t.seconds()}}, nil
	}
	if err := t.r.addUp(ctx, t.w, t.site); err != nil {
		return nil, err
	}
	if err := t.counted(ctx); err != nil {
		return nil, err
	}
	var out []TraceResult
	for _, f := range all {
		res, err := t.result(ctx, img, f)
		if err != nil {
			return nil, err
		}
		out = append(out, res)
	}
	return out, nil
}

// tracing is one call of Trace.
type tracing struct {
	r     *Registry
	req   TraceRequest
	site  string
	w     *world
	begin time.Time
}

// look decodes the file and finds our pictures in it.
func (t *tracing) look(ctx context.Context) (img *decode.Image, all []finding, err error) {
	if t.w, err = t.r.world(ctx); err != nil {
		return nil, nil, err
	}
	if img, err = decode.Decode(ctx, t.req.Data, decode.Default()); err != nil {
		return nil, nil, err
	}
	all, err = t.r.look(ctx, t.w, img, t.w.indexes(t.req.PageDecoys))
	return img, all, err
}

func (t *tracing) seconds() float64 { return math.Round(time.Since(t.begin).Seconds()*1000) / 1000 }

// counted counts a trace that belongs to no site: the bound on false
// attributions adds up over sites and such traces. A registry opened for
// reading only cannot count it.
func (t *tracing) counted(ctx context.Context) error {
	if t.site != "" || t.r.readOnly {
		return nil
	}
	return t.r.db.Group(ctx, func(tx *sql.Tx) error { return count(ctx, tx, "traces", 1) })
}

// result judges what a file shows of one photo, and stores it if a site is given.
func (t *tracing) result(ctx context.Context, img *decode.Image, f finding) (TraceResult, error) {
	p := f[0].picture
	d := &t.w.decoys[p.decoy]
	res := TraceResult{
		Input: t.req.Name, Decoy: &d.ID, Photo: &p.id, Accounts: []TraceAccount{},
		Transform: transformOf(p, f[0].transform, img.Step*img.Luma.W, img.Step*img.Luma.H),
	}
	j, err := t.r.judge(ctx, t.w, f, t.req.CapturedAt, t.req.AllAccounts)
	if err != nil {
		return res, err
	}
	res.Candidates, res.Verdict, res.Error = j.scored, j.verdict, j.defect
	named := j.named(t.req.Probable)
	if t.site != "" {
		attributed, err := t.store(ctx, j, f)
		if err != nil {
			return res, err
		}
		named = slices.DeleteFunc(named, func(a judged) bool {
			return a.millibits >= ring.AttributedMillibits && a.exposed && !attributed[a.account]
		})
	}
	for _, a := range named {
		name, err := t.r.accountName(ctx, a.account)
		if err != nil {
			return res, err
		}
		res.Accounts = append(res.Accounts, TraceAccount{name, bitsOf(a.millibits), a.exposed})
	}
	res.Seconds = t.seconds()
	return res, nil
}

// store keeps a find on a site and returns the accounts attributed there.
func (t *tracing) store(ctx context.Context, j *judgement, f finding) (map[int64]bool, error) {
	p := f[0].picture
	s := &sighting{
		kind: kindPicture, source: fromTrace, decoy: t.w.decoys[p.decoy].Num, picture: p, url: t.req.URL, context: t.req.Page,
		data: t.req.Data, captured: t.req.CapturedAt, verdict: j.stored(), finding: f,
	}
	if s.url == "" {
		s.url = t.req.Name
	}
	var attributed map[int64]bool
	err := t.r.db.Write(ctx, func(tx *sql.Tx) error {
		site, err := ensureSite(ctx, tx, t.site, now())
		if err != nil {
			return err
		}
		if _, _, err := t.r.book.sight(ctx, tx, site, s); err != nil {
			return err
		}
		if err := t.r.attribute(ctx, tx, t.w, site); err != nil {
			return err
		}
		attributed, err = attributedOn(ctx, tx, site)
		return err
	})
	return attributed, err
}

// attributedOn returns the accounts attributed on a site.
func attributedOn(ctx context.Context, q queryer, site int64) (map[int64]bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT account FROM attributions WHERE site = ? AND verdict = 'attributed'`, site)
	out := map[int64]bool{}
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var account int64
		err = rows.Scan(&account)
		out[account] = true
		return struct{}{}, err
	})
	return out, err
}

func (r *Registry) accountName(ctx context.Context, account int64) (name string, err error) {
	err = r.db.Read().QueryRowContext(ctx, `SELECT name FROM accounts WHERE id = ?`, account).Scan(&name)
	return name, sqlstore.Explain(err)
}

// indexes of decoys by id; unknown ones are left out.
func (w *world) indexes(ids []string) []int {
	var out []int
	for _, id := range ids {
		if i, ok := w.byID[id]; ok {
			out = append(out, i)
		}
	}
	return out
}
