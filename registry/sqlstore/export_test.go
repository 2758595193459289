package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Writer is the connection that writes.
func (d *DB) Writer() *sql.DB { return d.writer }

// Wait sets how long refusals that pass are waited out.
func (d *DB) Wait(patience time.Duration) { d.patience = patience }

// Newest is the version of the newest migration.
func Newest() (int64, error) { return newest() }

// Bind writes a query's parameters as PostgreSQL has them.
func Bind(query string) string { return bind(query) }

// MigrateTo makes an empty database one of an earlier version.
func MigrateTo(ctx context.Context, target string, version int64) error {
	d := &DB{engine: SQLite, target: target}
	if IsURL(target) {
		d.engine = PostgreSQL
	}
	db, err := d.connect(false, 2)
	if err != nil {
		return err
	}
	return errors.Join(d.migrate(ctx, db, version), db.Close())
}

// Versions are those of all migrations.
func Versions() ([]int64, error) { return versions() }
