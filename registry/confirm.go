package registry

import (
	"context"
	"database/sql"

	"birdring/beacon"
	"birdring/beacon/visit"
	"birdring/registry/sqlstore"
)

// mostConfirmed is how many hits are looked at by one ConfirmHits.
const mostConfirmed = 500

// ConfirmHits asks whether hits that call themselves a crawler come from its maker,
// where the maker tells how to see that (visit.Rules.Confirm), oldest first, and
// notes what came of it. It returns how many hits that were. One that is not who it
// calls itself is of unknown class.
func (r *Registry) ConfirmHits(ctx context.Context, from visit.Resolver) (int, error) {
	type waiting struct{ id, address, agent string }
	rows, err := r.db.Read().QueryContext(ctx, `SELECT id, address, user_agent FROM hits WHERE confirmed = 'waits' ORDER BY at LIMIT ?`, mostConfirmed)
	hits, err := collect(rows, err, func(rows *sql.Rows) (w waiting, err error) { return w, rows.Scan(&w.id, &w.address, &w.agent) })
	if err != nil {
		return 0, sqlstore.Explain(err)
	}
	type asked struct{ host, agent string }
	ids := map[asked][]string{}
	var order []asked
	for _, h := range hits {
		k := asked{hostOf(h.address), h.agent}
		if ids[k] == nil {
			order = append(order, k)
		}
		ids[k] = append(ids[k], h.id)
	}
	for _, k := range order {
		outcome, reason := r.visit.Confirm(ctx, from, beacon.Hit{Addr: k.host, UserAgent: k.agent})
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if err := r.confirmed(ctx, ids[k], outcome, reason); err != nil {
			return 0, err
		}
	}
	return len(hits), nil
}

// confirmed stores an outcome; one without a reason is of rules that have changed.
func (r *Registry) confirmed(ctx context.Context, ids []string, outcome, reason string) error {
	err := r.db.Write(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `UPDATE hits SET confirmed = ?, reason = CASE WHEN ? = '' THEN reason ELSE ? END,
				class = CASE WHEN ? = 'no' THEN ? ELSE class END WHERE id = ? AND confirmed = 'waits'`,
				outcome, reason, reason, outcome, visit.Unknown, id); err != nil {
				return err
			}
		}
		return nil
	})
	return sqlstore.Explain(err)
}
