package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// newest is the version of the newest migration this program holds.
func newest() (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	most := int64(0)
	for _, f := range files {
		number, _, _ := strings.Cut(path.Base(f), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("migration %s has no number: %w", f, err)
		}
		most = max(most, n)
	}
	return most, nil
}

// update brings the schema up to date. Only one process does so at a time.
// Migrations go forward only.
func (d *DB) update(ctx context.Context, readOnly bool) error {
	db, err := connect(d.path, "&_txlock=immediate", 1)
	if err != nil {
		return err
	}
	defer db.Close() // it wrote nothing that was not committed
	want, err := newest()
	if err != nil {
		return err
	}
	has, err := version(ctx, db)
	switch {
	case err != nil:
		return err
	case has > want:
		return fmt.Errorf("%w: its schema is version %d, this program knows %d: update birdring", ErrNewer, has, want)
	case has == want:
		return nil
	case readOnly && has > 0:
		return fmt.Errorf("%w: its schema is version %d, this program needs %d: run a command that writes, such as birdring serve, once", ErrReadOnly, has, want)
	}
	release, err := flock(d.path + ".lock")
	if err != nil {
		return err
	}
	defer release()
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("update schema: %w", err)
	}
	return nil
}

// version is the schema's version, 0 for an empty database.
func version(ctx context.Context, db *sql.DB) (int64, error) {
	var tables int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?`, goose.DefaultTablename).Scan(&tables)
	if err != nil || tables == 0 {
		return 0, err
	}
	var v sql.NullInt64
	err = db.QueryRowContext(ctx, `SELECT max(version_id) FROM `+goose.DefaultTablename+` WHERE is_applied`).Scan(&v)
	return v.Int64, err
}

// flock waits for the lock file at path. The system frees it when the process
// ends, however it ends.
func flock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
