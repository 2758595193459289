package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"birdring/registry/sqlstore"
)

// meta reads a fact about the registry, "" if it was never set.
func (r *Registry) meta(ctx context.Context, key string) (value string, err error) {
	err = r.db.Read().QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read registry: %w", sqlstore.Explain(err))
	}
	return value, nil
}

func (r *Registry) setMeta(ctx context.Context, key, value string) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
		return err
	})
}

// counter reads a running number.
func (r *Registry) counter(ctx context.Context, name string) (n int64, err error) {
	err = r.db.Read().QueryRowContext(ctx, `SELECT n FROM counters WHERE name = ?`, name).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("read registry: %w", sqlstore.Explain(err))
	}
	return n, nil
}

// count adds to a running number.
func count(ctx context.Context, tx *sql.Tx, name string, n int64) error {
	if n == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE counters SET n = n + ? WHERE name = ?`, n, name)
	return err
}

// collect reads every row of a query with scan.
func collect[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) (out []T, _ error) {
	if err != nil {
		return nil, sqlstore.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, sqlstore.Explain(rows.Err())
}
