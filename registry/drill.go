package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"birdring/beacon"
	"birdring/beacon/crawl"
	"birdring/canary"
	"birdring/registry/sqlstore"
)

// What a drill's fetch brought.
const (
	DrillOwn     = "own"     // the viewer's own copy, byte for byte
	DrillOther   = "other"   // another viewer's: a cache mixes them up
	DrillNeutral = "neutral" // the neutral copy: served while Birdring was away, or the switch is on
	DrillChanged = "changed" // something else: encoded again, cut, an error page
	DrillFailed  = "failed"  // nothing
)

// DrillRequest asks test viewers to fetch their copies as real viewers do.
type DrillRequest struct {
	Base     string   // URL below which media is reached: BASE/m/TOKEN.jpg
	Viewers  int      // test viewers, at least two
	Pictures int      // pictures each of them fetches, twice
	Allow    []string // CIDR:PORT that may be called although private
}

// DrillResult is one fetch.
type DrillResult struct {
	URL     string `json:"url"`
	Account string `json:"account"`
	Photo   string `json:"photo"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail"`
}

// Wrong reports whether a viewer got what would accuse somebody else or nobody.
// A neutral copy is what should come while the chain is down.
func (d DrillResult) Wrong() bool { return d.Outcome != DrillOwn && d.Outcome != DrillNeutral }

// Drill fetches pictures of shared decoys through the address that real viewers
// use, each by every test viewer and in turns, so that a cache that ignores whose
// link it is gives itself away, and keeps every outcome.
func (r *Registry) Drill(ctx context.Context, q DrillRequest, each func(DrillResult)) error {
	if q.Viewers < 2 || q.Pictures < 1 {
		return fmt.Errorf("drill %w: at least two viewers and one picture are needed", ErrInvalid)
	}
	w, err := r.world(ctx)
	if err != nil {
		return err
	}
	fetcher, err := crawl.New(crawl.Config{Allow: q.Allow, Rate: 10})
	if err != nil {
		return err
	}
	d := &drill{r: r, q: q, fetcher: fetcher, each: each}
	for i := range q.Viewers {
		account := fmt.Sprintf("drill:%d", i+1)
		v, err := r.Number(ctx, account, "")
		if err != nil {
			return err
		}
		d.viewers, d.accounts = append(d.viewers, v), append(d.accounts, account)
	}
	var fetched int
	for _, p := range w.pictures {
		if w.decoys[p.decoy].Kind != canary.Shared {
			continue // a personal or dark decoy is used up by a look
		}
		if fetched++; fetched > q.Pictures {
			break
		}
		if err := d.picture(ctx, p); err != nil {
			return err
		}
	}
	if fetched == 0 {
		return errors.New("there is no shared decoy to fetch; plant some with birdring seed")
	}
	return nil
}

// drill is one run.
type drill struct {
	r        *Registry
	q        DrillRequest
	fetcher  *crawl.Fetcher
	viewers  []canary.Viewer
	accounts []string
	each     func(DrillResult)
}

// picture lets all viewers fetch a picture, and then again: the second time a
// cache on the way has it.
func (d *drill) picture(ctx context.Context, p picture) error {
	for range 2 {
		for i, v := range d.viewers {
			token := d.r.keys.Seal(canary.Token{Kind: canary.KindPicture, Object: p.num, Viewer: v})
			res := DrillResult{URL: strings.TrimRight(d.q.Base, "/") + beacon.PicturePath + token + ".jpg", Account: d.accounts[i], Photo: p.id}
			got, err := d.fetcher.Fetch(ctx, res.URL)
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err != nil:
				res.Outcome, res.Detail = DrillFailed, err.Error()
			case got.Status != 200:
				res.Outcome, res.Detail = DrillFailed, fmt.Sprintf("status %d", got.Status)
			default:
				if res.Outcome, res.Detail, err = d.judge(p, i, got.Body); err != nil {
					return err
				}
			}
			if err := d.keep(ctx, p, v, res); err != nil {
				return err
			}
			d.each(res)
		}
	}
	return nil
}

// judge says whose copy a body is. Copies are compared as bytes: what is equal
// to a viewer's copy carries that viewer's ring.
func (d *drill) judge(p picture, viewer int, body []byte) (outcome, detail string, err error) {
	copyOf := func(v canary.Viewer) ([]byte, error) { return d.r.RenditionNum(nil, p.num, v) }
	own, err := copyOf(d.viewers[viewer])
	if err != nil || bytes.Equal(own, body) {
		return DrillOwn, "", err
	}
	for i, v := range d.viewers {
		other, err := copyOf(v)
		if err != nil {
			return "", "", err
		}
		if i != viewer && bytes.Equal(other, body) {
			return DrillOther, "the copy of " + d.accounts[i] + ": a cache on the way ignores whose link it is", nil
		}
	}
	neutral, err := copyOf(canary.Neutral)
	if err != nil {
		return "", "", err
	}
	if bytes.Equal(neutral, body) {
		return DrillNeutral, "the neutral copy", nil
	}
	return DrillChanged, fmt.Sprintf("%d bytes instead of %d, SHA-256 %x: something on the way encodes pictures again", len(body), len(own), sha256.Sum256(body)), nil
}

func (d *drill) keep(ctx context.Context, p picture, v canary.Viewer, res DrillResult) error {
	return sqlstore.Explain(d.r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO drills (at, base, viewer, picture, outcome, detail) VALUES (?, ?, ?, ?, ?, ?)`,
			now().UnixMicro(), d.q.Base, v, p.num, res.Outcome, res.Detail)
		return err
	}))
}

// DrillRecord is what all drills together say about the chain.
type DrillRecord struct {
	Fetched int64      `json:"fetched"` // own copies and wrong ones
	Wrong   int64      `json:"wrong"`   // another's copy: it would have accused somebody else
	Changed int64      `json:"changed"` // not byte for byte what was sent
	Bound   float64    `json:"bound"`   // the rate of wrong ones is below this with 95 % confidence
	Last    *time.Time `json:"last"`
}

// DrillRecord reads what was kept.
func (r *Registry) DrillRecord(ctx context.Context) (d DrillRecord, err error) {
	var last sql.NullInt64
	err = r.db.Read().QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE outcome IN ('own', 'other', 'changed')), count(*) FILTER (WHERE outcome = 'other'),
		count(*) FILTER (WHERE outcome = 'changed'), max(at) FROM drills`).Scan(&d.Fetched, &d.Wrong, &d.Changed, &last)
	d.Bound, d.Last = upperBound(d.Wrong, d.Fetched), timeOrNil(last)
	return d, sqlstore.Explain(err)
}

// upperBound is the one-sided 95 % bound of Clopper and Pearson on a rate of
// which k cases in n were seen; 1 without any.
func upperBound(k, n int64) float64 {
	if k >= n {
		return 1
	}
	lo, hi := float64(k)/float64(n), 1.0
	for range 60 {
		p := (lo + hi) / 2
		if binomialAtMost(k, n, p) > 0.05 {
			lo = p
		} else {
			hi = p
		}
	}
	return hi
}

// binomialAtMost is the chance of at most k successes in n tries of chance p.
func binomialAtMost(k, n int64, p float64) (sum float64) {
	lg := func(x int64) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
	for i := range k + 1 {
		sum += math.Exp(lg(n) - lg(i) - lg(n-i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}
