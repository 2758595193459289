package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
	"birdring/registry/sqlstore"
)

// keepTaken is how long it is remembered which stretches of journals were taken
// in: longer than any broker keeps messages.
const keepTaken = 30 * 24 * time.Hour

// TakeParcels takes in packed parcels of other machines' journals, all of them
// or none, and returns how many records were new. Each record is stored exactly
// once, however often, in which order and in which parcels it comes: which
// stretches are taken in is stored in the same transaction. A parcel that cannot
// be read becomes the case of an alarm: it must not stop those behind it.
func (r *Registry) TakeParcels(ctx context.Context, packed [][]byte) (n int, err error) {
	defer func() { r.ingestion.note(err) }()
	w, err := r.world(ctx)
	if err != nil {
		return 0, err
	}
	r.folding.mu.Lock()
	defer r.folding.mu.Unlock()
	tries := 0
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		if tries++; tries > 1 {
			r.folding.forget() // its rows went with the transaction before
		}
		n = 0
		in, err := r.newIntake(ctx, tx, w, &r.folding)
		if err != nil {
			return err
		}
		for _, data := range packed {
			more, err := in.parcel(data)
			if err != nil {
				return errors.Join(err, in.close())
			}
			n += more
		}
		if err := in.close(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM taken WHERE touched < ?`, now().Add(-keepTaken).UnixMicro())
		return err
	})
	if err != nil {
		r.folding.forget()
		return 0, fmt.Errorf("store hits of edges: %w", err)
	}
	return n, nil
}

// stretch is a part of a segment that is taken in.
type stretch struct{ from, to int64 }

// parcel stores what is new in a parcel and returns how many records that were.
func (in *intake) parcel(data []byte) (n int, err error) {
	var p journal.Parcel
	if err := p.UnmarshalBinary(data); err != nil {
		return 0, raiseAlarm(in.ctx, in.tx, "parcel", fmt.Sprintf("a message of an edge cannot be read: %v", err), hex.EncodeToString(data))
	}
	at := now().UnixMicro()
	// Held until the transaction ends: nobody else takes in the same journal meanwhile.
	_, err = in.tx.ExecContext(in.ctx, `INSERT INTO sources (source, first_at, last_at, records) VALUES (?, ?, ?, 0)
		ON CONFLICT (source) DO UPDATE SET last_at = excluded.last_at`, p.Source, at, at)
	if err != nil {
		return 0, err
	}
	rows, err := in.tx.QueryContext(in.ctx, `SELECT from_at, to_at FROM taken WHERE source = ? AND segment = ? ORDER BY from_at`, p.Source, int64(p.Segment))
	taken, err := collect(rows, err, func(rows *sql.Rows) (s stretch, err error) { return s, rows.Scan(&s.from, &s.to) })
	if err != nil {
		return 0, err
	}
	for _, rec := range p.Records {
		if slices.ContainsFunc(taken, func(s stretch) bool { return s.from < rec.End && rec.End <= s.to }) {
			continue
		}
		if err := in.record(rec.Data); err != nil {
			return n, err
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	if _, err := in.tx.ExecContext(in.ctx, `UPDATE sources SET records = records + ? WHERE source = ?`, n, p.Source); err != nil {
		return n, err
	}
	return n, in.note(p.Source, int64(p.Segment), stretch{p.From, p.To()}, taken, at)
}

// note stores that a stretch is taken in, in one row with those it touches.
func (in *intake) note(source string, segment int64, s stretch, taken []stretch, at int64) error {
	for _, t := range taken {
		if t.to < s.from || t.from > s.to {
			continue
		}
		if _, err := in.tx.ExecContext(in.ctx, `DELETE FROM taken WHERE source = ? AND segment = ? AND from_at = ?`, source, segment, t.from); err != nil {
			return err
		}
		s = stretch{min(s.from, t.from), max(s.to, t.to)}
	}
	_, err := in.tx.ExecContext(in.ctx, `INSERT INTO taken (source, segment, from_at, to_at, touched) VALUES (?, ?, ?, ?, ?)`, source, segment, s.from, s.to, at)
	return err
}

// offer stores that an edge handed out a viewer's links.
func (in *intake) offer(h beacon.Hit) error {
	i, ok := in.w.byNum[h.Token.Object]
	var known bool
	err := in.tx.QueryRowContext(in.ctx, `SELECT EXISTS (SELECT 1 FROM viewers WHERE number = ?)`, h.Token.Viewer).Scan(&known)
	if err != nil {
		return err
	}
	if !ok || !known || h.Token.Kind != canary.KindLink {
		return raiseAlarm(in.ctx, in.tx, "token", fmt.Sprintf("an edge showed decoy %d to viewer %d, which the registry does not know: was a backup restored?", h.Token.Object, h.Token.Viewer), h)
	}
	return in.book.insertOffers(in.ctx, in.tx, []shown{{
		viewer: h.Token.Viewer, d: &in.w.decoys[i], at: h.At.UTC().Truncate(time.Microsecond), surface: h.Surface,
	}})
}

// Source is another machine's journal, as far as it is taken in.
type Source struct {
	Source  string    `json:"source"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"` // when records of it were last taken in
	Records int64     `json:"records"`
}

// Sources lists the journals of edges whose records came through a stream.
func (r *Registry) Sources(ctx context.Context) ([]Source, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT source, first_at, last_at, records FROM sources ORDER BY first_at, source`)
	return collect(rows, err, func(rows *sql.Rows) (s Source, err error) {
		var first, last int64
		err = rows.Scan(&s.Source, &first, &last, &s.Records)
		s.First, s.Last = sqlstore.Time(first), sqlstore.Time(last)
		return s, err
	})
}
