package registry

import (
	"context"
	"database/sql"
	"fmt"
	"time"
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
