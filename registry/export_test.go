package registry

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"birdring/beacon/decode"
	"birdring/beacon/journal"
	"birdring/canary/mark"
)

// LimitPages makes the disk look full: the database may not grow beyond n pages.
// 0 lifts the limit.
func (r *Registry) LimitPages(n int) error {
	if n == 0 {
		n = 1 << 30
	}
	return r.db.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, n))
		return err
	})
}

// Alert stores the message about an attribution as attributing does.
func (r *Registry) Alert(a AttributionAlert) error {
	return r.db.Write(context.Background(), func(tx *sql.Tx) error { return enqueueAlert(context.Background(), tx, a) })
}

// DeliverDue tries what is due once.
func (r *Registry) DeliverDue(ctx context.Context) error {
	all, err := r.DueWebhooks(ctx)
	for _, webhook := range all {
		err = errors.Join(err, r.DeliverTo(ctx, webhook))
	}
	return err
}

// Advance lets time pass for the outbox.
func (r *Registry) Advance(d time.Duration) error {
	return r.db.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE deliveries SET next_at = next_at - ?`, d.Microseconds())
		return err
	})
}

// Alarm raises an alarm.
func (r *Registry) Alarm(kind, text string) error {
	return r.db.Write(context.Background(), func(tx *sql.Tx) error { return raiseAlarm(context.Background(), tx, kind, text, text) })
}

// GroupBits is what a file says about an account by each picture it could come
// from, in the order of their numbers.
func (r *Registry) GroupBits(ctx context.Context, data []byte, account string) ([]float64, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	img, err := decode.Decode(ctx, data, decode.Default())
	if err != nil {
		return nil, err
	}
	all, err := r.look(ctx, w, img, nil)
	if err != nil || len(all) != 1 {
		return nil, fmt.Errorf("%d photos found: %w", len(all), err)
	}
	f := slices.SortedFunc(slices.Values(all[0]), func(a, b lookalike) int { return cmp.Compare(a.picture.num, b.picture.num) })
	v, err := r.Number(ctx, account, "")
	if err != nil {
		return nil, err
	}
	var out []float64
	for _, s := range finding(f).reads() {
		reading, err := r.prepareReading(s)
		if err != nil {
			return nil, err
		}
		out = append(out, float64(reading.Score(uint64(v)).Alone())/1000)
	}
	return out, nil
}

// Group makes pictures ones of one photo group, as planting a photo in several sizes does.
func (r *Registry) Group(photos ...string) error {
	return r.db.Write(context.Background(), func(tx *sql.Tx) error {
		for _, p := range photos {
			if _, err := tx.Exec(`UPDATE pictures SET photo_group = ? WHERE id = ?`, photos[0], p); err != nil {
				return err
			}
		}
		return count(context.Background(), tx, "decoys", 1)
	})
}

// Read is what was read out of a file as a copy of one picture.
type Read struct {
	Photo string
	Y     []int16
}

// Found stores a sighting as if a file had been read that could be a copy of any of
// some pictures of one photo, and weighs the site.
func (r *Registry) Found(ctx context.Context, site string, at time.Time, as ...Read) error {
	w, err := r.world(ctx)
	if err != nil {
		return err
	}
	var f finding
	for _, a := range as {
		f = append(f, lookalike{picture: &w.pictures[w.photos[a.Photo]], soft: &mark.Soft{Y: a.Y}})
	}
	p := f[0].picture
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		id, err := ensureSite(ctx, tx, site, at)
		if err != nil {
			return err
		}
		s := &sighting{
			kind: kindPicture, source: fromTrace, decoy: w.decoys[p.decoy].Num, picture: p, url: "u", data: packSoft(as[0].Y), captured: at,
			verdict: VerdictMarked, finding: f,
		}
		if _, _, err := r.book.sight(ctx, tx, id, s); err != nil {
			return err
		}
		return r.attribute(ctx, tx, w, id)
	})
}

// Dump writes every value of every table, each between bars.
func (r *Registry) Dump(ctx context.Context) (string, error) {
	tables, err := r.db.Tables(ctx)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, table := range tables {
		if table == "exposures" || table == "viewers" {
			continue
		}
		rows, err := r.db.Read().QueryContext(ctx, `SELECT * FROM `+table)
		_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
			columns, err := rows.Columns()
			if err != nil {
				return
			}
			cells := make([]any, len(columns))
			for i := range cells {
				cells[i] = new(any)
			}
			if err = rows.Scan(cells...); err != nil {
				return
			}
			for _, c := range cells {
				fmt.Fprintf(&out, "|%v", *c.(*any))
			}
			out.WriteString("|\n")
			return
		})
		if err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// Crowd makes n accounts that were shown all decoys at a time.
func (r *Registry) Crowd(ctx context.Context, n int, at time.Time) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		for _, q := range []string{
			`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < CAST(?1 AS INTEGER)) INSERT INTO accounts (name, first_seen) SELECT 'many-' || i, CAST(?2 AS BIGINT) FROM c`,
			`INSERT INTO viewers (number, account, session, given_at) SELECT (SELECT n FROM counters WHERE name = 'viewers') + row_number() OVER (ORDER BY id), id, '', CAST(?2 AS BIGINT)
				FROM accounts WHERE name LIKE 'many-%' AND CAST(?1 AS INTEGER) > 0`,
			`UPDATE counters SET n = (SELECT max(number) FROM viewers) WHERE name = 'viewers' AND CAST(?1 AS INTEGER) > 0 AND CAST(?2 AS BIGINT) > 0`,
			`INSERT INTO surfaces (num, surface) SELECT 1, '' WHERE CAST(?1 AS INTEGER) > 0 AND CAST(?2 AS BIGINT) > 0 ON CONFLICT DO NOTHING`,
			`INSERT INTO exposures (decoy, viewer, at, surface) SELECT d.num, v.number, CAST(?2 AS BIGINT), s.num FROM decoys d, viewers v, surfaces s WHERE s.surface = '' AND CAST(?1 AS INTEGER) > 0`,
		} {
			if _, err := tx.Exec(q, n, at.UnixMicro()); err != nil {
				return err
			}
		}
		return count(ctx, tx, "exposures", int64(n))
	})
}

// WithoutLedger makes the registry take rows in without entries, to compare with.
func (r *Registry) WithoutLedger() { r.book.off = true }

// MessageTypes are those of all messages.
func (r *Registry) MessageTypes(ctx context.Context) ([]string, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT type FROM messages ORDER BY created_at`)
	return collect(rows, err, func(rows *sql.Rows) (s string, err error) { return s, rows.Scan(&s) })
}

// NumberFrom makes the numbers of decoys and pictures go on at n, by a decoy and a
// picture numbered n - 1; the picture says what a planted one does.
func (r *Registry) NumberFrom(ctx context.Context, n uint32, photo string) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		for _, q := range []string{
			`INSERT INTO decoys (num, id, kind, handle, fold, handle_millibits, share, persona, planted_at)
				SELECT CAST(?1 AS BIGINT), 'filler', 'dark', 'filler', 'filler', 1, 1, d.persona, d.planted_at FROM decoys d JOIN pictures p ON p.decoy = d.num WHERE p.id = ?2`,
			`INSERT INTO pictures (num, id, decoy, position, photo_group, file, source, width, height, segments, code, layout, epoch, size, print, prepared_at)
				SELECT CAST(?1 AS BIGINT), 'filler', CAST(?1 AS BIGINT), 0, 'filler', file, source, width, height, segments, code, layout, epoch, size, print, prepared_at FROM pictures WHERE id = ?2`,
		} {
			if _, err := tx.Exec(q, int64(n)-1, photo); err != nil {
				return err
			}
		}
		return count(ctx, tx, "decoys", 1)
	})
}

// NamelessJournal makes a journal one that was taken in before journals had names.
func (r *Registry) NamelessJournal(ctx context.Context, j *journal.Journal) error {
	source, err := j.Source()
	if err != nil {
		return err
	}
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE journals SET name = ? WHERE name = ?`, nameless, source)
		return err
	})
}

// SetClock moves the machine's clock.
func SetClock(by time.Duration) { wall.Store(&by) }

// ForgetTime is what the end of the process does to the clock.
func ForgetTime() { latest.Store(0) }
