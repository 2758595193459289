package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// merge walks one table in the original and in the copy side by side.
type merge struct {
	c             *copying
	t             *table
	ctx           context.Context
	missing       [][]any // not in the copy
	other         [][]any // different there
	gone          [][]any // keys of rows that are only there
	rows, written int64
}

// ours are the facts about the copy itself, which are not compared.
func (m *merge) ours(row []any) bool {
	return m.t.name == "meta" && (row[0] == copyUnderWay || row[0] == copyCounters)
}

// run compares the table and writes what differs.
func (m *merge) run(src *sql.Tx) error {
	a, err := m.open(src)
	if err != nil {
		return err
	}
	defer a.rows.Close()
	// The copy's rows are read in a transaction of their own: what is written
	// meanwhile lies behind the place reached and is not seen again.
	return m.c.dst.Snapshot(m.ctx, func(tx *sql.Tx) error {
		b, err := m.open(tx)
		if err != nil {
			return err
		}
		defer b.rows.Close()
		return m.walk(a, b)
	})
}

func (m *merge) walk(a, b *cursor) error {
	for a.row != nil || b.row != nil {
		order := m.order(a.row, b.row)
		switch {
		case order < 0:
			m.missing = append(m.missing, m.forWriting(a.row))
		case order > 0:
			m.gone = append(m.gone, m.keyOf(b.row))
		case !sameRow(a.row, b.row):
			m.other = append(m.other, a.row)
		}
		if order <= 0 {
			m.rows++
			if err := a.next(); err != nil {
				return err
			}
		}
		if order >= 0 {
			if err := b.next(); err != nil {
				return err
			}
		}
		if len(m.missing)+len(m.other) >= copyBatch {
			if err := m.flush(); err != nil {
				return err
			}
			m.c.say(m.t.name, m.rows, m.written)
		}
	}
	return m.flush()
}

// order says which of two rows comes first; the end comes last.
func (m *merge) order(a, b []any) int {
	switch {
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	for _, i := range m.t.key {
		if c := compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func (m *merge) keyOf(row []any) []any {
	var out []any
	for _, i := range m.t.key {
		out = append(out, row[i])
	}
	return out
}

// forWriting leaves out what points into the same table: its target may come
// later. The next comparison finds it missing.
func (m *merge) forWriting(row []any) []any {
	for i := range row {
		if m.t.self(i) {
			row = slices.Clone(row)
			row[i] = nil
		}
	}
	return row
}

// flush writes the rows found so far.
func (m *merge) flush() error {
	if len(m.missing)+len(m.other) == 0 {
		return nil
	}
	err := m.c.dst.Write(m.ctx, func(tx *sql.Tx) error {
		if len(m.missing) > 0 {
			if _, err := m.c.dst.Bulk(m.ctx, tx, m.t.name, m.t.columns, slices.Values(m.missing)); err != nil {
				return err
			}
		}
		for _, row := range m.other {
			if _, err := tx.ExecContext(m.ctx, m.update(), row...); err != nil {
				return err
			}
		}
		return nil
	})
	m.written += int64(len(m.missing) + len(m.other))
	m.missing, m.other = m.missing[:0], m.other[:0]
	return err
}

// update writes a row over another of the same key.
func (m *merge) update() string {
	var set []string
	for i, c := range m.t.columns {
		if !slices.Contains(m.t.key, i) {
			set = append(set, fmt.Sprintf(`"%s" = excluded."%s"`, c, c))
		}
	}
	return fmt.Sprintf(`INSERT INTO "%s" ("%s") VALUES %s ON CONFLICT (%s) DO UPDATE SET %s`,
		m.t.name, strings.Join(m.t.columns, `", "`), Values(1, len(m.t.columns)), m.t.keyColumns(), strings.Join(set, ", "))
}

// cursor reads a table in the order of its key.
type cursor struct {
	m    *merge
	rows *sql.Rows
	row  []any // nil: the end
}

func (m *merge) open(tx *sql.Tx) (*cursor, error) {
	rows, err := tx.QueryContext(m.ctx, m.t.all())
	if err != nil {
		return nil, err
	}
	c := &cursor{m: m, rows: rows}
	return c, c.next()
}

// next reads the next row, with its text as either engine can hold it.
func (c *cursor) next() error {
	for c.rows.Next() {
		row := make([]any, len(c.m.t.columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := c.rows.Scan(into...); err != nil {
			return err
		}
		if c.m.ours(row) {
			continue
		}
		for i, v := range row {
			if s, ok := v.(string); ok {
				row[i] = Text(s)
			}
		}
		c.row = row
		return nil
	}
	c.row = nil
	return c.rows.Err()
}
