package registry

import (
	"context"
	"fmt"
	"time"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

// shownToAccount are the exposures of the viewers of accounts. The key of
// exposures begins with decoy and viewer: each decoy is looked up for each
// viewer. CROSS JOIN keeps SQLite from reading whole decoys instead.
const shownToAccount = `accounts a CROSS JOIN viewers v CROSS JOIN decoys d CROSS JOIN exposures e
	WHERE v.account = a.id AND e.decoy = d.num AND e.viewer = v.number`

// Shown visits every exposure of a picture before a time, in the order of viewer
// numbers: offers of its decoy, with all its pictures, and fetches of itself. It
// stops at visit's first error.
func (r *Registry) Shown(ctx context.Context, photo string, before time.Time, visit func(v canary.Viewer, at time.Time) error) error {
	w, err := r.world(ctx)
	if err != nil {
		return err
	}
	i, ok := w.photos[photo]
	if !ok {
		return fmt.Errorf("photo %q: %w", photo, ErrNotFound)
	}
	p := w.pictures[i]
	rows, err := r.db.Read().QueryContext(ctx, `SELECT viewer, at FROM exposures WHERE decoy = ? AND at < ? AND picture IN (0, ?) ORDER BY viewer`,
		w.decoys[p.decoy].Num, before.UnixMicro(), p.num)
	if err != nil {
		return fmt.Errorf("read exposures: %w", sqlstore.Explain(err))
	}
	defer rows.Close()
	var v, at any // which Scan need not convert
	for rows.Next() {
		if err := rows.Scan(&v, &at); err != nil {
			return fmt.Errorf("read exposures: %w", err)
		}
		if err := visit(canary.Viewer(v.(int64)), time.UnixMicro(at.(int64))); err != nil {
			return err
		}
	}
	return sqlstore.Explain(rows.Err())
}
