package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"birdring/registry/ledger"
)

// VerdictVoid is that of an attribution which an epoch in other hands took away.
const VerdictVoid Verdict = "void"

// Leak says what it meant that an epoch's secret came into other hands.
type Leak struct {
	Epoch     uint8        `json:"epoch"`
	Since     time.Time    `json:"since"`
	Sightings int          `json:"sightings"` // that say nothing any more
	Voided    []VoidedCase `json:"voided"`
}

// VoidedCase is an attribution that does not stand without what was voided.
type VoidedCase struct {
	Site    string `json:"site"`
	Account string `json:"account"`
}

// readLeaks reads since when which epochs are in other hands.
func (w *world) readLeaks(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT epoch, since FROM leaks`)
	w.leaks = map[uint8]int64{}
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var epoch uint8
		var since int64
		err = rows.Scan(&epoch, &since)
		w.leaks[epoch] = since
		return
	})
	return err
}

// leaked says whether the holder of an epoch could have made what was found at a
// time: with its secret any viewer's copy of its pictures can be drawn.
func (w *world) leaked(epoch uint8, at int64) bool {
	since, ok := w.leaks[epoch]
	return ok && at >= since
}

// leakedTokens says whether somebody could have sealed any link at a time: every
// epoch's tokens are opened.
func (w *world) leakedTokens(at int64) bool {
	for epoch := range w.leaks {
		if w.leaked(epoch, at) {
			return true
		}
	}
	return false
}

// leakedNames says whether somebody could have drawn handles and moments.
func (w *world) leakedNames(at int64) bool { return w.leaked(firstEpoch, at) }

// firstEpoch is what handles, coins and moments are drawn from, for ever.
const firstEpoch = 1

// leakedRead says whether any of the pictures a file could come from is of an
// epoch in other hands.
func (w *world) leakedRead(from []softRead, at int64) bool {
	for _, s := range from {
		if w.leaked(s.picture.epoch, at) {
			return true
		}
	}
	return false
}

// DeclareLeak says that an epoch's secret is in other hands since a time. What was
// stored from then on of its pictures, of any link and any probe - and of handles,
// if it is the first epoch - is no evidence any more. Attributions that do not
// stand without it are void; a message says so. An earlier time replaces a later
// one.
func (r *Registry) DeclareLeak(ctx context.Context, epoch uint8, since time.Time, reason string) (*Leak, error) {
	if r.keys.PictureKey(epoch, "") == nil {
		return nil, fmt.Errorf("epoch %d: %w: birdring keys list shows the epochs", epoch, ErrNotFound)
	}
	since = since.UTC().Truncate(time.Microsecond)
	if since.After(now()) {
		return nil, fmt.Errorf("since %s %w: it lies in the future", since.Format(time.RFC3339), ErrInvalid)
	}
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	if reason == "" {
		reason = "none given"
	}
	var out *Leak
	err = r.db.Write(ctx, func(tx *sql.Tx) (err error) {
		out = &Leak{Epoch: epoch, Since: since, Voided: []VoidedCase{}}
		if before, ok := w.leaks[epoch]; ok && before <= since.UnixMicro() {
			return fmt.Errorf("epoch %d is known to be in other hands since %s: %w", epoch, stamp(before), ErrConflict)
		}
		if err := r.storeLeak(ctx, tx, out, reason); err != nil {
			return err
		}
		changed := *w
		changed.leaks = maps.Clone(w.leaks)
		changed.leaks[epoch] = since.UnixMicro()
		return r.voidCases(ctx, tx, &changed, out)
	})
	if err != nil {
		return nil, fmt.Errorf("declare a leak: %w", err)
	}
	r.DropCaches()
	return out, nil
}

func (r *Registry) storeLeak(ctx context.Context, tx *sql.Tx, l *Leak, reason string) error {
	at := now().UnixMicro()
	_, err := tx.ExecContext(ctx, `INSERT INTO leaks (epoch, since, at, reason) VALUES (?, ?, ?, ?)
		ON CONFLICT (epoch) DO UPDATE SET since = excluded.since, at = excluded.at, reason = excluded.reason`, int64(l.Epoch), l.Since.UnixMicro(), at, reason)
	if err != nil {
		return err
	}
	r.book.add(tx, ledger.Entry{Class: ledger.Leak, Nums: []int64{int64(l.Epoch), l.Since.UnixMicro(), at}, Strings: []string{r.book.digest(reason)}})
	if err := count(ctx, tx, "decoys", 1); err != nil { // every process reads it
		return err
	}
	return r.book.note(ctx, tx, AuditRow{Action: ActLeaked, Subject: fmt.Sprintf("epoch %d since %s", l.Epoch, l.Since.Format(time.RFC3339)), Reason: reason})
}

// voidCases weighs every attribution once more from its own inputs, without what
// was voided, and stores what is left of it.
func (r *Registry) voidCases(ctx context.Context, tx *sql.Tx, w *world, l *Leak) error {
	type attribution struct {
		id, site, account int64
		name, host        string
		in                inputs
	}
	rows, err := tx.QueryContext(ctx, `SELECT x.id, x.site, x.account, a.name, s.site, x.inputs FROM attributions x JOIN accounts a ON a.id = x.account JOIN sites s ON s.id = x.site
		WHERE x.verdict = 'attributed' ORDER BY x.id`)
	all, err := collect(rows, err, func(rows *sql.Rows) (x attribution, err error) {
		var from string
		if err = rows.Scan(&x.id, &x.site, &x.account, &x.name, &x.host, &from); err == nil {
			err = json.Unmarshal([]byte(from), &x.in)
		}
		return x, err
	})
	if err != nil {
		return err
	}
	voided := map[int64]bool{} // sightings
	for _, x := range all {
		c, err := r.weigh(ctx, tx, w, x.site, &x.in, attributed)
		if err != nil {
			return err
		}
		left := c.inputs()
		gone := lacking(&x.in, &left)
		for id := range gone {
			voided[id] = true
		}
		if len(gone) == 0 && len(left.Probes) == len(x.in.Probes) {
			continue // nothing of it was voided
		}
		if i := c.find(x.account); i >= 0 {
			from, err := json.Marshal(left)
			if err != nil {
				return err
			}
			if err := c.store(ctx, tx, r.book, x.site, c.accounts[i], from); err != nil {
				return err
			}
			continue
		}
		why := fmt.Sprintf("epoch %d is in other hands since %s", l.Epoch, l.Since.Format(time.RFC3339))
		if _, err := tx.ExecContext(ctx, `UPDATE attributions SET verdict = ?, void_at = ?, void_reason = ?, updated_at = ? WHERE id = ?`, VerdictVoid, now().UnixMicro(), why, now().UnixMicro(), x.id); err != nil {
			return err
		}
		if err := r.book.addRows(ctx, tx, scanAttributionEntry, attributionRows+` WHERE x.id = ?`, x.id); err != nil {
			return err
		}
		l.Voided = append(l.Voided, VoidedCase{x.host, x.name})
	}
	l.Sightings = len(voided)
	topic, err := json.Marshal([]any{"leak", l.Epoch, l.Since})
	if err != nil {
		return err
	}
	return enqueue(ctx, tx, string(topic), message{"key.leaked", now(), l})
}

// lacking are the sightings of a that are not in b.
func lacking(a, b *inputs) map[int64]bool {
	out := a.sightings()
	for id := range b.sightings() {
		delete(out, id)
	}
	return out
}

// voidOn are the sightings on a site that whoever holds a leaked epoch could have
// made; nil if there is no leak.
func voidOn(ctx context.Context, q queryer, w *world, site int64) (map[int64]bool, error) {
	if len(w.leaks) == 0 {
		return nil, nil
	}
	rows, err := q.QueryContext(ctx, `SELECT id, kind, coalesce(picture, 0), stored_at FROM sightings WHERE site = ?`, site)
	out := map[int64]bool{}
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var id, at int64
		var kind string
		var picture uint32
		if err = rows.Scan(&id, &kind, &picture, &at); err != nil {
			return
		}
		switch kind {
		case kindPicture:
			if i, ok := w.photoNum[picture]; ok {
				for _, j := range w.groups[w.pictures[i].group] {
					out[id] = out[id] || w.leaked(w.pictures[j].epoch, at)
				}
			}
		case kindLink:
			out[id] = w.leakedTokens(at)
		case kindHandle:
			out[id] = w.leakedNames(at)
		}
		return
	})
	return out, err
}
