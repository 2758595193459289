package registry

import (
	"context"
	"fmt"
	"time"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

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
	for rows.Next() {
		var v, at int64
		if err := rows.Scan(&v, &at); err != nil {
			return fmt.Errorf("read exposures: %w", err)
		}
		if err := visit(canary.Viewer(v), time.UnixMicro(at)); err != nil {
			return err
		}
	}
	return sqlstore.Explain(rows.Err())
}
