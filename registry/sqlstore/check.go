package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Finding is one check of a database.
type Finding struct {
	Check  string // pages, keys, numbers
	What   string // table, or file
	OK     bool
	Detail string // what is wrong, or how much was looked at
}

// Check looks at everything a registry holds: that every page and index can be
// read and fits, that what rows point to is there, that viewer numbers are dense
// and their counter is not behind. It tells each finding; it changes nothing. An
// error means that it could not go on.
func Check(ctx context.Context, target string, tell func(Finding)) (err error) {
	d, err := Open(ctx, target, Options{ReadOnly: true})
	if errors.Is(err, ErrDamaged) {
		tell(Finding{"pages", Redacted(target), false, err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	tables, err := schema(ctx)
	if err != nil {
		return err
	}
	pages := d.checkPages
	if d.engine == PostgreSQL {
		pages = d.readAll
	}
	if err := pages(ctx, tables, tell); err != nil {
		return err
	}
	for _, t := range tables {
		if err := d.checkLinks(ctx, t, tell); err != nil {
			return err
		}
	}
	return d.checkNumbers(ctx, tell)
}

// told turns a damaged page into a finding; other errors pass.
func told(err error, check, what string, tell func(Finding)) error {
	if err = Explain(err); !errors.Is(err, ErrDamaged) {
		return err
	}
	tell(Finding{check, what, false, err.Error()})
	return nil
}

// mostComplaints bounds what SQLite says about a damaged file.
const mostComplaints = 20

// checkPages asks SQLite to look at every page and index.
func (d *DB) checkPages(ctx context.Context, _ []*table, tell func(Finding)) error {
	rows, err := d.readers.QueryContext(ctx, fmt.Sprintf(`PRAGMA integrity_check(%d)`, mostComplaints))
	if err != nil {
		return told(err, "pages", d.target, tell)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return told(err, "pages", d.target, tell)
		}
		tell(Finding{"pages", d.target, text == "ok", strings.ReplaceAll(text, "\n", "; ")})
	}
	return told(rows.Err(), "pages", d.target, tell)
}

// readAll reads every row of every table through its key, so that PostgreSQL
// sees every page of both. It finds damage by the cluster's checksums, if it has
// them.
func (d *DB) readAll(ctx context.Context, tables []*table, tell func(Finding)) error {
	var sums string
	if err := d.readers.QueryRowContext(ctx, `SHOW data_checksums`).Scan(&sums); err == nil && sums != "on" {
		tell(Finding{"pages", "data_checksums", true, "off: a damaged page may go unseen; pg_checksums --enable while the server is stopped"})
	}
	for _, t := range tables {
		n, err := d.countRows(ctx, t)
		if err == nil {
			tell(Finding{"pages", t.name, true, fmt.Sprintf("%d rows", n)})
			continue
		}
		if err := told(err, "pages", t.name, tell); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) countRows(ctx context.Context, t *table) (n int64, err error) {
	rows, err := d.readers.QueryContext(ctx, t.all())
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

// checkLinks finds rows that point to nothing.
func (d *DB) checkLinks(ctx context.Context, t *table, tell func(Finding)) error {
	for _, l := range t.links {
		target := l.target
		if target == "" {
			return fmt.Errorf("table %s points to %s without a column", t.name, l.table)
		}
		column := t.columns[l.column]
		var n int64
		err := d.readers.QueryRowContext(ctx, fmt.Sprintf(`SELECT count(*) FROM "%s" AS a WHERE a."%s" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "%s" AS b WHERE b."%s" = a."%s")`,
			t.name, column, l.table, target, column)).Scan(&n)
		what := t.name + "." + column
		switch {
		case err != nil:
			if err := told(err, "keys", what, tell); err != nil {
				return err
			}
		case n > 0:
			tell(Finding{"keys", what, false, fmt.Sprintf("%d rows point to a row of %s that is not there", n, l.table)})
		default:
			tell(Finding{"keys", what, true, ""})
		}
	}
	return nil
}

// checkNumbers looks at the table of viewer numbers: everything that was ever
// shown is traced through it.
func (d *DB) checkNumbers(ctx context.Context, tell func(Finding)) error {
	var n, least, most, counter sql.NullInt64
	err := d.readers.QueryRowContext(ctx, `SELECT count(*), min(number), max(number), (SELECT n FROM counters WHERE name = 'viewers') FROM viewers`).Scan(&n, &least, &most, &counter)
	if err != nil {
		return told(err, "numbers", "viewers", tell)
	}
	text := ""
	switch {
	case !counter.Valid:
		text = "the counter of viewer numbers is missing: no viewer can be numbered"
	case most.Valid && counter.Int64 < most.Int64:
		text = fmt.Sprintf("the counter says %d, the highest number given is %d: numbers would be given twice", counter.Int64, most.Int64)
	case n.Int64 > 0 && most.Int64-least.Int64+1 != n.Int64:
		text = fmt.Sprintf("%d viewers have numbers %d to %d: some are missing", n.Int64, least.Int64, most.Int64)
	}
	if text != "" {
		tell(Finding{"numbers", "viewers", false, text})
		return nil
	}
	tell(Finding{"numbers", "viewers", true, fmt.Sprintf("%d", n.Int64)})
	return nil
}

// Backup writes everything a registry holds at one moment to a new SQLite file,
// while others go on. Keys and pictures are files of their own.
func Backup(ctx context.Context, from, file string, say func(table string, rows, written int64)) (err error) {
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is there already: a backup is never written over another file", file), err)
	}
	partial := file + ".partial"
	if IsURL(from) {
		if _, err := Copy(ctx, from, partial, say); err != nil {
			return err
		}
	} else if err := vacuumInto(ctx, from, partial); err != nil {
		return errors.Join(fmt.Errorf("backup to %s: %w", file, Explain(err)), os.Remove(partial))
	}
	if err := os.Link(partial, file); err != nil {
		return err
	}
	return errors.Join(os.Remove(partial), os.RemoveAll(partial+".lock"), syncBoth(file))
}

// vacuumInto has SQLite write a whole and compact copy of one moment.
func vacuumInto(ctx context.Context, from, to string) error {
	f, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) // what SQLite makes itself others may read
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	d, err := Open(ctx, from, Options{})
	if err != nil {
		return err
	}
	db, err := d.connect(false, 1)
	if err == nil {
		_, err = db.ExecContext(ctx, `VACUUM INTO ?`, to)
		err = errors.Join(err, db.Close())
	}
	return errors.Join(err, d.Close())
}

// syncBoth waits until a file and its name are on disk.
func syncBoth(file string) error {
	for _, name := range []string{file, filepath.Dir(file)} {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
