package registry

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"birdring/registry/sqlstore"
)

// pauses are the waits after each failed try; with the last one a message is
// given up: after 12 tries in about four days.
var pauses = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	3 * time.Hour, 8 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour,
}

// defaultLease is longer than a try lasts.
const defaultLease = 30 * time.Second

// DueWebhooks lists the webhooks to which something is to be delivered now.
func (r *Registry) DueWebhooks(ctx context.Context) ([]string, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT DISTINCT webhook FROM deliveries WHERE next_at <= ? ORDER BY webhook`, now().UnixMicro())
	return collect(rows, err, func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) })
}

// DeliverTo sends what is due to one webhook, one after another. Of several that
// do so at once, in any process, each delivery is sent by one. Every try of a
// message has the same webhook-id, so that a receiver who gets it twice can tell.
// A try that fails is noted and comes again later: it is no error here.
func (r *Registry) DeliverTo(ctx context.Context, webhook string) error {
	for {
		d, found, err := r.takeDelivery(ctx, webhook)
		if err != nil || !found {
			return err
		}
		gone, tried := d.send(ctx)
		if tried != nil && ctx.Err() != nil { // broken off by us: no try
			return errors.Join(context.Cause(ctx), r.returnDelivery(context.WithoutCancel(ctx), d))
		}
		if err := r.settleDelivery(context.WithoutCancel(ctx), d, gone, tried); err != nil {
			return err
		}
	}
}

// takeDelivery takes the delivery that has been due longest.
func (r *Registry) takeDelivery(ctx context.Context, webhook string) (d delivery, found bool, err error) {
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		at := now()
		d, found = delivery{}, false
		err := tx.QueryRowContext(ctx, `SELECT d.message, d.webhook, d.attempts, m.payload, w.url, w.secret
			FROM deliveries d JOIN messages m ON m.id = d.message JOIN webhooks w ON w.id = d.webhook
			WHERE d.webhook = ? AND d.next_at <= ? ORDER BY d.next_at LIMIT 1`, webhook, at.UnixMicro()).
			Scan(&d.message, &d.webhook, &d.attempts, &d.payload, &d.url, &d.secret)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		_, err = tx.ExecContext(ctx, `UPDATE deliveries SET next_at = ? WHERE message = ? AND webhook = ?`, at.Add(r.lease).UnixMicro(), d.message, d.webhook)
		return err
	})
	return d, found, err
}

// returnDelivery gives back what was taken and not tried.
func (r *Registry) returnDelivery(ctx context.Context, d delivery) error {
	return r.db.Group(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET next_at = ? WHERE message = ? AND webhook = ? AND next_at IS NOT NULL`, now().UnixMicro(), d.message, d.webhook)
		return err
	})
}

// settleDelivery stores how a try went.
func (r *Registry) settleDelivery(ctx context.Context, d delivery, gone bool, tried error) error {
	at := now()
	return r.db.Group(ctx, func(tx *sql.Tx) error {
		if tried == nil {
			_, err := tx.ExecContext(ctx, `UPDATE deliveries SET attempts = attempts + 1, delivered_at = ?, next_at = NULL, error = '' WHERE message = ? AND webhook = ?`,
				at.UnixMicro(), d.message, d.webhook)
			return err
		}
		var next, dead any
		if gone || d.attempts >= len(pauses) {
			dead = at.UnixMicro()
			r.log.Error("alert given up", "message", d.message, "webhook", originOf(d.url), "error", tried)
		} else {
			pause := pauses[d.attempts]
			next = at.Add(pause + time.Duration(rand.Int64N(int64(pause)/5+1))).UnixMicro()
			r.log.Warn("alert not delivered, will try again", "message", d.message, "webhook", originOf(d.url), "error", tried)
		}
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET attempts = attempts + 1, next_at = ?, dead_at = ?, error = ? WHERE message = ? AND webhook = ? AND next_at IS NOT NULL`,
			next, dead, tried.Error(), d.message, d.webhook)
		return err
	})
}

// deadLetters counts messages given up for webhooks that are still there.
func deadLetters(ctx context.Context, q queryer) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM deliveries d JOIN webhooks w ON w.id = d.webhook WHERE d.dead_at IS NOT NULL AND w.removed_at IS NULL`).Scan(&n)
	return n, sqlstore.Explain(err)
}
