package registry

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"birdring/beacon/decode"
	"birdring/canary/ring"
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
func (r *Registry) DeliverDue(ctx context.Context) error { return r.deliverDue(ctx) }

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
		out = append(out, float64(ring.SiteBits([]ring.TrackLogs{reading.Score(uint64(v))}))/1000)
	}
	return out, nil
}
