package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"birdring/canary"
	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// Retention is how many days rows are kept; 0 keeps them for ever.
//
// Exposures go only if nothing was ever found of the decoy, no site was asked for
// it and the account is attributed nowhere: evidence is weighed against everybody
// who was shown a decoy that was found. A copy of it that turns up later is still
// read - rings are computed, not stored - but the account then has no exposure on
// record and is not attributed by itself (trace --all-accounts).
type Retention struct {
	Exposures int `json:"exposures"` // that were never matched
	Hits      int `json:"hits"`      // of anybody
	Captures  int `json:"captures"`  // bytes found on sites on which nobody is attributed; their hashes stay
	Uploads   int `json:"uploads"`   // what came of files that somebody gave to workers; one that waits stays
}

// defaultRetention holds until somebody says otherwise.
var defaultRetention = Retention{Exposures: 90, Hits: 90, Captures: 365, Uploads: 30}

// The facts about retention in meta.
const (
	retentionKey = "retention"
	retainedKey  = "retention_ran" // microseconds
)

// RetentionRun is what went, or would go.
type RetentionRun struct {
	Keep      Retention  `json:"keep_days"`
	Ran       *time.Time `json:"ran"`       // the last time before this, null: never
	Exposures int64      `json:"exposures"` // rows that went
	Hits      int64      `json:"hits"`
	Captures  int64      `json:"captures"`
	Uploads   int64      `json:"uploads"`
}

func (r *RetentionRun) empty() bool { return r.Exposures+r.Hits+r.Captures+r.Uploads == 0 }

// Retention reads how long rows are kept, and when they were last looked through.
func (r *Registry) Retention(ctx context.Context) (out Retention, ran *time.Time, err error) {
	out = defaultRetention
	text, err := r.meta(ctx, retentionKey)
	if err != nil {
		return out, nil, err
	}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			return out, nil, fmt.Errorf("settings of retention: %w", err)
		}
	}
	text, err = r.meta(ctx, retainedKey)
	if err != nil || text == "" {
		return out, nil, err
	}
	at, err := strconv.ParseInt(text, 10, 64)
	return out, new(timeOf(at)), err
}

// SetRetention says how long rows are kept from now on.
func (r *Registry) SetRetention(ctx context.Context, to Retention) error {
	const most = 36500
	for _, days := range []int{to.Exposures, to.Hits, to.Captures, to.Uploads} {
		if days < 0 || days > most {
			return fmt.Errorf("retention of %d days %w: 0 (for ever) to %d are possible", days, ErrInvalid, most)
		}
	}
	text, err := json.Marshal(to)
	if err != nil {
		return err
	}
	if err := r.setMeta(ctx, retentionKey, string(text)); err != nil {
		return err
	}
	return r.Note(ctx, AuditRow{Action: ActRetention, Subject: "settings", Reason: string(text)})
}

// Retain takes away what is older than it is to be kept, as of a time. Each piece
// is a transaction with its entry in the ledger, so that it may be cut off.
func (r *Registry) Retain(ctx context.Context, at time.Time) (*RetentionRun, error) {
	keep, ran, err := r.Retention(ctx)
	if err != nil {
		return nil, err
	}
	out := &RetentionRun{Keep: keep, Ran: ran}
	before := func(days int) int64 { return at.AddDate(0, 0, -days).UnixMicro() }
	if keep.Exposures > 0 {
		if out.Exposures, err = r.retainExposures(ctx, before(keep.Exposures)); err != nil {
			return out, fmt.Errorf("retention of exposures: %w", err)
		}
	}
	if keep.Hits > 0 {
		if out.Hits, err = r.drop(ctx, `DELETE FROM hits WHERE id IN (SELECT id FROM hits WHERE at < ? LIMIT 20000)`, before(keep.Hits)); err != nil {
			return out, fmt.Errorf("retention of hits: %w", err)
		}
	}
	if keep.Captures > 0 {
		if out.Captures, err = r.drop(ctx, `UPDATE captures SET data = NULL WHERE sha256 IN (SELECT c.sha256 FROM captures c WHERE c.first_at < ? AND c.data IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM sightings g JOIN attributions x ON x.site = g.site WHERE g.capture = c.sha256) LIMIT 500)`, before(keep.Captures)); err != nil {
			return out, fmt.Errorf("retention of captures: %w", err)
		}
	}
	if keep.Uploads > 0 {
		if out.Uploads, err = r.drop(ctx, `DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE done_at < ? LIMIT 5000)`, before(keep.Uploads)); err != nil {
			return out, fmt.Errorf("retention of uploads: %w", err)
		}
	}
	return out, r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, retainedKey, strconv.FormatInt(at.UnixMicro(), 10))
		if err != nil || out.empty() {
			return err
		}
		return r.book.note(ctx, tx, AuditRow{Action: ActRetention, Subject: fmt.Sprintf("%d exposures, %d hits, %d captures, %d uploads", out.Exposures, out.Hits, out.Captures, out.Uploads), Reason: "older than they are kept"})
	})
}

// drop runs a query that takes a piece away until it finds nothing more.
func (r *Registry) drop(ctx context.Context, query string, before int64) (gone int64, err error) {
	for {
		var n int64
		err := r.db.Write(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, query, before)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if gone += n; err != nil || n == 0 {
			return gone, err
		}
	}
}

// retainPiece is how many exposures one transaction takes away.
const retainPiece = 20_000

// old is an exposure that may go, with its place in the ledger.
type old struct {
	position          int64
	decoy, viewer, at int64
	surface           string
	picture           int64 // 0: all
}

// retainExposures goes through the ledger, which knows the place of every
// exposure, and takes away old ones that nothing rests on.
func (r *Registry) retainExposures(ctx context.Context, before int64) (gone int64, err error) {
	lock, err := r.lockLedger()
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	if _, err := r.seal(ctx); err != nil { // all entries are in tiles then
		return 0, err
	}
	removed, err := r.removedPlaces(ctx)
	if err != nil {
		return 0, err
	}
	kept, err := r.restsOn(ctx, r.db.Read())
	if err != nil {
		return 0, err
	}
	var piece []old
	clear := func() error {
		n, err := r.removeExposures(ctx, piece, before)
		gone += n
		piece = piece[:0]
		return err
	}
	h, err := r.LedgerHead()
	if err != nil {
		return 0, err
	}
	err = ledger.Folder(r.book.path).Entries(h.Size, func(position int64, data []byte) error {
		if data[1] != byte(ledger.Exposure) {
			return ctx.Err()
		}
		e, err := ledger.Parse(data)
		if err != nil {
			return fmt.Errorf("entry %d: %w", position, err)
		}
		n := e.Nums
		if n[2] >= before || kept.decoys[n[0]] || removed.has(position) {
			return nil
		}
		piece = append(piece, old{position, n[0], n[1], n[2], e.Strings[0], n[4]})
		if len(piece) < retainPiece {
			return nil
		}
		return clear()
	})
	if err != nil {
		return gone, err
	}
	return gone, clear()
}

// removedPlaces are the places of entries whose rows went before.
func (r *Registry) removedPlaces(ctx context.Context) (*places, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT positions FROM ledger_removed`)
	out := &places{}
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var list []byte
		if err = rows.Scan(&list); err == nil {
			err = out.add(list)
		}
		return
	})
	out.sort()
	return out, err
}

// resting is what evidence rests on.
type resting struct {
	decoys   map[int64]bool // found somewhere, or asked for
	accounts map[int64]bool // attributed, void or not
}

func (r *Registry) restsOn(ctx context.Context, q queryer) (resting, error) {
	read := func(query string) (map[int64]bool, error) {
		out := map[int64]bool{}
		rows, err := q.QueryContext(ctx, query)
		_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
			var n int64
			err = rows.Scan(&n)
			out[n] = true
			return
		})
		return out, err
	}
	decoys, err := read(`SELECT decoy FROM sightings UNION SELECT decoy FROM probes`)
	if err != nil {
		return resting{}, err
	}
	accounts, err := read(`SELECT DISTINCT account FROM attributions`)
	return resting{decoys, accounts}, err
}

// removeExposures takes a piece away, with the list of its places and the entry
// that tells of it. What evidence rests on is asked again inside: a sighting may
// just have come. A row that is not there is not listed, so that verify goes on
// missing it.
func (r *Registry) removeExposures(ctx context.Context, piece []old, before int64) (gone int64, err error) {
	if len(piece) == 0 {
		return 0, nil
	}
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		gone = 0
		kept, err := r.restsOn(ctx, tx)
		if err != nil {
			return err
		}
		var went []int64
		for _, e := range piece {
			if kept.decoys[e.decoy] {
				continue
			}
			ok, err := removeExposure(ctx, tx, e, kept)
			if err != nil {
				return err
			}
			if ok {
				went = append(went, e.position)
			}
		}
		if gone = int64(len(went)); gone == 0 {
			return nil
		}
		list := packPlaces(went)
		sum := sha256.Sum256(list)
		if _, err := tx.ExecContext(ctx, `INSERT INTO ledger_removed (sha256, positions) VALUES (?, ?)`, sum[:], list); err != nil {
			return err
		}
		r.book.add(tx, ledger.Entry{Class: ledger.Removal, Nums: []int64{int64(ledger.Exposure), gone, before}, Strings: []string{string(sum[:])}})
		return nil
	})
	return gone, err
}

func removeExposure(ctx context.Context, tx *sql.Tx, e old, kept resting) (bool, error) {
	var account int64
	err := tx.QueryRowContext(ctx, `SELECT account FROM viewers WHERE number = ?`, e.viewer).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) || err == nil && kept.accounts[account] {
		return false, nil
	}
	if err != nil {
		return false, sqlstore.Explain(err)
	}
	res, err := tx.ExecContext(ctx, `DELETE FROM exposures WHERE decoy = ? AND viewer = ? AND at = ? AND surface = (SELECT num FROM surfaces WHERE surface = ?) AND picture = ?`,
		e.decoy, canary.Viewer(e.viewer), e.at, e.surface, e.picture)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// KeepRetention looks through the rows once a day until ctx ends. A registry that
// was never looked through is left alone for a day, so that a restored backup or
// an import can be seen first.
func (r *Registry) KeepRetention(ctx context.Context) error {
	const day, every = 24 * time.Hour, 10 * time.Minute
	return Every(ctx, every, func(ctx context.Context) {
		if err := r.retainDaily(ctx, day); err != nil && ctx.Err() == nil && !errors.Is(err, ErrElsewhere) {
			r.log.ErrorContext(ctx, "retention not done, will try again", "error", err)
		}
	})
}

func (r *Registry) retainDaily(ctx context.Context, day time.Duration) error {
	_, ran, err := r.Retention(ctx)
	switch {
	case err != nil:
		return err
	case ran == nil:
		return r.setMeta(ctx, retainedKey, strconv.FormatInt(now().UnixMicro(), 10))
	case now().Sub(*ran) < day:
		return nil
	}
	run, err := r.Retain(ctx, now())
	if err == nil && !run.empty() {
		r.log.InfoContext(ctx, "retention", "exposures", run.Exposures, "hits", run.Hits, "captures", run.Captures, "uploads", run.Uploads)
	}
	return err
}
