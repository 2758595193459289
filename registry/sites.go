package registry

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// ensureSite finds a site's row or makes it. site is as crawl.Registrable names it.
func ensureSite(ctx context.Context, tx *sql.Tx, site string, at time.Time) (id int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT id FROM sites WHERE site = ?`, site).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO sites (site, first_at) VALUES (?, ?) RETURNING id`, site, at.UnixMicro()).Scan(&id)
	return id, err
}
