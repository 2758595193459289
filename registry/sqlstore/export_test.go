package sqlstore

import "database/sql"

// Writer is the connection that writes.
func (d *DB) Writer() *sql.DB { return d.writer }

// Newest is the version of the newest migration.
func Newest() (int64, error) { return newest() }

// Bind writes a query's parameters as PostgreSQL has them.
func Bind(query string) string { return bind(query) }
