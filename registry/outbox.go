package registry

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"sync"
	"time"

	"birdring/registry/sqlstore"
)

// pauses are the waits after each failed try; with the last one a message is
// given up: after 12 tries in about four days.
var pauses = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	3 * time.Hour, 8 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour,
}

// deliverEvery is how often the outbox is looked into; other processes fill it too.
const deliverEvery = time.Second

// Deliver sends what is in the outbox until ctx ends. Every try of a message has
// the same webhook-id, so that a receiver who gets it twice can tell.
func (r *Registry) Deliver(ctx context.Context) error {
	tick := time.NewTicker(deliverEvery)
	defer tick.Stop()
	for {
		if err := r.deliverDue(ctx); err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "outbox not worked, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// deliverDue tries every delivery that is due once, webhooks side by side.
func (r *Registry) deliverDue(ctx context.Context) error {
	r.sending.Lock()
	defer r.sending.Unlock()
	rows, err := r.db.Read().QueryContext(ctx, `SELECT d.message, d.webhook, d.attempts, m.payload, w.url, w.secret
		FROM deliveries d JOIN messages m ON m.id = d.message JOIN webhooks w ON w.id = d.webhook
		WHERE d.next_at <= ? ORDER BY d.next_at LIMIT 100`, now().UnixMicro())
	due, err := collect(rows, err, func(rows *sql.Rows) (d delivery, err error) {
		return d, rows.Scan(&d.message, &d.webhook, &d.attempts, &d.payload, &d.url, &d.secret)
	})
	if err != nil {
		return err
	}
	queues := map[string][]delivery{}
	for _, d := range due {
		queues[d.webhook] = append(queues[d.webhook], d)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, queue := range queues {
		wg.Go(func() {
			for _, d := range queue {
				if ctx.Err() != nil {
					return
				}
				gone, tried := d.send(ctx)
				if tried != nil && ctx.Err() != nil {
					return // broken off by us: no try
				}
				if err := r.settleDelivery(context.WithoutCancel(ctx), d, gone, tried); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed
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
