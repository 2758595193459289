package registry

import (
	"context"
	"database/sql"
	"fmt"

	"birdring/beacon/crawl"
	"birdring/registry/sqlstore"
)

// Watch puts a site, given by domain or URL, on the list of sites to look at and
// returns its name.
func (r *Registry) Watch(ctx context.Context, site string) (string, error) {
	name := crawl.Registrable(site)
	if name == "" {
		return "", fmt.Errorf("site %q %w: a domain or an http or https URL is wanted", site, ErrInvalid)
	}
	err := r.db.Write(ctx, func(tx *sql.Tx) error {
		id, err := ensureSite(ctx, tx, name, now())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE sites SET watched = 1 WHERE id = ?`, id)
		return err
	})
	return name, sqlstore.Explain(err)
}
