package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Copied is what a copy did.
type Copied struct {
	Tables  int   // compared
	Rows    int64 // in the copy, each compared with its original
	Written int64 // rows written by this run
}

// The facts about a copy, in the copy's meta.
const (
	copyUnderWay = "copy_unfinished"   // the copy is not whole
	copyCounters = "copy_was_complete" // the running numbers when it was
)

// copyBatch is how many rows are written in one transaction.
const copyBatch = 20000

// Copy makes to the same as from, whichever engines they are on, while others go
// on writing to from; say is told how far it is. It compares the tables row by
// row in the order of their keys and writes what differs, again and again until
// nothing does; the last comparison is made while nobody can write to from. So a
// copy that was interrupted goes on when it is begun again, and one of a registry
// in use is brought up to date the same way. A registry in to which is no copy, or
// was used after it was copied, is refused and not touched.
func Copy(ctx context.Context, from, to string, say func(table string, rows, written int64)) (out Copied, err error) {
	src, err := Open(ctx, from, Options{})
	if err != nil {
		return out, fmt.Errorf("copy from %s: %w", Redacted(from), err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := openCopy(ctx, to)
	if err != nil {
		return out, fmt.Errorf("copy to %s: %w", Redacted(to), err)
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if err := claim(ctx, src, dst); err != nil {
		return out, fmt.Errorf("copy to %s: %w", Redacted(to), err)
	}
	tables, err := schema(ctx)
	if err != nil {
		return out, err
	}
	c := &copying{dst: dst, tables: tables, say: say}
	if err := c.until(ctx, src); err != nil {
		return out, fmt.Errorf("copy: %w", Explain(err))
	}
	return Copied{len(tables), c.rows, c.total}, nil
}

// openCopy opens the registry to write to, or makes it.
func openCopy(ctx context.Context, to string) (*DB, error) {
	d, err := openUnfinished(ctx, to, Options{})
	if errors.Is(err, fs.ErrNotExist) {
		return Create(ctx, to)
	}
	return d, err
}

// claim marks the copy as unfinished. It refuses a registry that is no copy of
// this one, or is more than one.
func claim(ctx context.Context, src, dst *DB) error {
	facts, err := readFacts(ctx, dst.readers)
	if err != nil {
		return err
	}
	own, err := readFacts(ctx, src.readers)
	if err != nil {
		return err
	}
	counters, err := counterText(ctx, dst.readers)
	if err != nil {
		return err
	}
	switch {
	case own["commitment"] == "":
		return errors.New("the registry to copy from has no keys: it was never finished")
	case len(facts) > 0 && facts["commitment"] != own["commitment"] && facts[copyUnderWay] != own["commitment"]:
		return errors.New("there is a registry of other keys: it is not touched, name an empty database")
	case len(facts) == 0 || facts[copyUnderWay] != "":
	case facts[copyCounters] == "":
		return errors.New("there is a registry that is no copy: it is not touched, name an empty database")
	case facts[copyCounters] != counters:
		return errors.New("the copy was used after it was made: it is not touched, what it has would be lost")
	}
	return dst.Write(ctx, func(tx *sql.Tx) error {
		return putFact(ctx, tx, copyUnderWay, own["commitment"])
	})
}

func readFacts(ctx context.Context, q *sql.DB) (map[string]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT key, value FROM meta`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, rows.Err()
}

func putFact(ctx context.Context, tx *sql.Tx, key, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// counterText are the running numbers in one text: they change with everything
// that is planted, shown, hit or numbered.
func counterText(ctx context.Context, q querier) (string, error) {
	rows, err := q.QueryContext(ctx, `SELECT name, n FROM counters ORDER BY name`)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var out strings.Builder
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s %d ", name, n)
	}
	return strings.TrimSpace(out.String()), rows.Err()
}

// copying is one run of Copy.
type copying struct {
	dst     *DB
	tables  []*table
	say     func(table string, rows, written int64)
	rows    int64 // seen in the last pass
	written int64 // in the last pass
	total   int64
}

// until passes over the tables until they are the same. From the third pass on,
// or when little was written, others wait meanwhile.
func (c *copying) until(ctx context.Context, src *DB) error {
	for pass := 1; ; pass++ {
		quiet := pass > 2 || pass == 2 && c.written < copyBatch
		do := src.Snapshot
		if quiet {
			do = src.Write
		}
		if err := do(ctx, func(tx *sql.Tx) error { return c.pass(ctx, tx) }); err != nil {
			return err
		}
		c.total += c.written
		if quiet && c.written == 0 {
			return c.finish(ctx)
		}
		if pass > 20 {
			return errors.New("the copy still differs after 20 comparisons")
		}
	}
}

// finish notes that the copy is whole.
func (c *copying) finish(ctx context.Context) error {
	return c.dst.Write(ctx, func(tx *sql.Tx) error {
		counters, err := counterText(ctx, tx)
		if err != nil {
			return err
		}
		if err := putFact(ctx, tx, copyCounters, counters); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM meta WHERE key = ?`, copyUnderWay)
		return err
	})
}

// pass compares all tables once and writes what differs. Rows that are gone are
// removed last, those first that point to others.
func (c *copying) pass(ctx context.Context, src *sql.Tx) error {
	c.rows, c.written = 0, 0
	gone := map[*table][][]any{}
	for _, t := range c.tables {
		m := &merge{c: c, t: t, ctx: ctx}
		if err := m.run(src); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
		gone[t] = m.gone
		c.say(t.name, m.rows, m.written)
		c.rows += m.rows
		c.written += m.written
	}
	for _, t := range slices.Backward(c.tables) {
		if err := c.remove(ctx, t, gone[t]); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return c.sequences(ctx)
}

func (c *copying) remove(ctx context.Context, t *table, keys [][]any) error {
	if len(keys) == 0 {
		return nil
	}
	c.written += int64(len(keys))
	return c.dst.Write(ctx, func(tx *sql.Tx) error {
		for _, k := range keys {
			if _, err := tx.ExecContext(ctx, fmt.Sprintf(`DELETE FROM "%s" WHERE (%s) = %s`, t.name, t.keyColumns(), Values(1, len(k))), k...); err != nil {
				return err
			}
		}
		return nil
	})
}

// sequences makes the numbers that PostgreSQL gives follow those that were copied.
func (c *copying) sequences(ctx context.Context) error {
	if c.dst.engine != PostgreSQL {
		return nil
	}
	return c.dst.Write(ctx, func(tx *sql.Tx) error {
		for _, t := range c.tables {
			var column sql.NullString
			err := tx.QueryRowContext(ctx, `SELECT max(column_name) FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ? AND is_identity = 'YES'`, t.name).Scan(&column)
			if err != nil {
				return err
			}
			if !column.Valid {
				continue
			}
			_, err = tx.ExecContext(ctx, fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('"%[1]s"', '%[2]s'), greatest(coalesce(max("%[2]s"), 0), 1)) FROM "%[1]s"`, t.name, column.String))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sameRow compares rows; text as PostgreSQL would hold it.
func sameRow(a, b []any) bool {
	for i := range a {
		if compare(a[i], b[i]) != 0 {
			return false
		}
	}
	return true
}

// compare orders values as both engines do. Nothing comes before something.
func compare(a, b any) int {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	case []byte:
		if y, ok := b.([]byte); ok {
			return bytes.Compare(x, y)
		}
	case nil:
		if b == nil {
			return 0
		}
		return -1
	}
	return 1
}
