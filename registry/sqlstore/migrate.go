package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// versions are those of all migrations this program holds, in order.
func versions() ([]int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, f := range files {
		number, _, _ := strings.Cut(path.Base(f), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", f, err)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

// newest is the version of the newest migration.
func newest() (int64, error) {
	all, err := versions()
	if err != nil {
		return 0, err
	}
	return all[len(all)-1], nil
}

// update brings the schema up to date. Only one process does so at a time.
// Migrations go forward only.
func (d *DB) update(ctx context.Context, readOnly, create bool) error {
	db, err := d.connect(false, 2)
	if err != nil {
		return err
	}
	defer db.Close() // it wrote nothing that was not committed
	want, err := newest()
	if err != nil {
		return err
	}
	has, err := d.version(ctx, db)
	switch {
	case err != nil:
		return err
	case has > want:
		return fmt.Errorf("%w: its schema is version %d, this program knows %d: update birdring", ErrNewer, has, want)
	case create && has > 0 && !d.blank(ctx, db):
		return fmt.Errorf("%s holds a registry already: %w", Redacted(d.target), fs.ErrExist)
	case !create && has == 0 && d.engine == PostgreSQL:
		return fmt.Errorf("%s holds no registry: %w", Redacted(d.target), fs.ErrNotExist)
	case has == want:
		return nil
	case readOnly && has > 0:
		return fmt.Errorf("%w: its schema is version %d, this program needs %d: run a command that writes, such as birdring serve, once", ErrReadOnly, has, want)
	}
	release, err := d.lockSchema(ctx, db)
	if err != nil {
		return err
	}
	return errors.Join(d.migrate(ctx, db, want), release())
}

// migrate runs the migrations that are missing up to a version, each in a
// transaction of its own.
func (d *DB) migrate(ctx context.Context, db *sql.DB, version int64) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	dialect := goose.DialectSQLite3
	if d.engine == PostgreSQL {
		dialect, files = goose.DialectPostgres, translated{files}
	}
	p, err := goose.NewProvider(dialect, db, files)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("update schema: %w", err)
	}
	return nil
}

// version is the schema's version, 0 for an empty database.
func (d *DB) version(ctx context.Context, db *sql.DB) (int64, error) {
	find := `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?`
	if d.engine == PostgreSQL {
		find = `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = ?`
	}
	var tables int
	if err := db.QueryRowContext(ctx, find, goose.DefaultTablename).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	var v sql.NullInt64
	err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM `+goose.DefaultTablename+` WHERE is_applied`).Scan(&v)
	return v.Int64, err
}

// schemaLock is the advisory lock of who updates a schema in PostgreSQL.
const schemaLock = 0x62697264

// lockSchema waits until no other process updates the schema.
func (d *DB) lockSchema(ctx context.Context, db *sql.DB) (release func() error, err error) {
	if d.engine == SQLite {
		return flock(d.target + ".lock")
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `SET LOCAL lock_timeout = 0`)
	if err == nil {
		_, err = tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(?)`, schemaLock)
	}
	if err != nil {
		return nil, errors.Join(err, rollback(tx))
	}
	return func() error { return rollback(tx) }, nil
}

// flock waits for the lock file at path. The system frees it when the process
// ends, however it ends.
func flock(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f.Close, nil
}

// blank says that a registry was only begun: it does not know its keys.
func (d *DB) blank(ctx context.Context, db *sql.DB) bool {
	var facts int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM meta`).Scan(&facts)
	return err == nil && facts == 0
}

// Tables are the names of the registry's tables, sorted.
func (d *DB) Tables(ctx context.Context) ([]string, error) {
	query := `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> ? ORDER BY name`
	if d.engine == PostgreSQL {
		query = `SELECT CAST(table_name AS text) COLLATE "C" AS name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name <> ? ORDER BY name`
	}
	rows, err := d.readers.QueryContext(ctx, query, goose.DefaultTablename)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, rows.Err()
}
