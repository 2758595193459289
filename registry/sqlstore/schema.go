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

// table is one table of the schema, the same on both engines.
type table struct {
	name    string
	columns []string
	key     []int // of the primary key: indexes into columns, in its order
	links   []link
}

// link is a foreign key of one column.
type link struct {
	column int // index into columns
	table  string
	target string
}

// self says whether a column points into its own table.
func (t *table) self(column int) bool {
	for _, l := range t.links {
		if l.column == column && l.table == t.name {
			return true
		}
	}
	return false
}

// all is the query for every row in the order of the key.
func (t *table) all() string {
	return fmt.Sprintf(`SELECT "%s" FROM "%s" ORDER BY %s`, strings.Join(t.columns, `", "`), t.name, t.keyColumns())
}

func (t *table) keyColumns() string {
	var out []string
	for _, i := range t.key {
		out = append(out, `"`+t.columns[i]+`"`)
	}
	return strings.Join(out, ", ")
}

// schema reads the tables out of a new database of the newest version, those
// first that others point to.
func schema(ctx context.Context) (_ []*table, err error) {
	dir, err := os.MkdirTemp("", "birdring-schema-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := Create(ctx, filepath.Join(dir, "schema.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	names, err := d.Tables(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]*table{}
	for _, name := range names {
		if byName[name], err = describe(ctx, d.readers, name); err != nil {
			return nil, err
		}
	}
	var out []*table
	placed := map[string]bool{}
	var place func(t *table)
	place = func(t *table) {
		if placed[t.name] {
			return
		}
		placed[t.name] = true
		for _, l := range t.links {
			place(byName[l.table])
		}
		out = append(out, t)
	}
	for _, name := range names {
		place(byName[name])
	}
	return out, nil
}

// describe reads one table's columns and keys from SQLite.
func describe(ctx context.Context, db *sql.DB, name string) (*table, error) {
	t := &table{name: name}
	rows, err := db.QueryContext(ctx, `SELECT name, pk FROM pragma_table_info(?) ORDER BY cid`, name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	places := map[int]int{}
	index := map[string]int{}
	for rows.Next() {
		var column string
		var pk int
		if err := rows.Scan(&column, &pk); err != nil {
			return nil, err
		}
		index[column] = len(t.columns)
		if pk > 0 {
			places[pk] = len(t.columns)
		}
		t.columns = append(t.columns, column)
	}
	for i := range len(places) {
		t.key = append(t.key, places[i+1])
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(t.key) == 0 {
		return nil, fmt.Errorf("table %s has no primary key", name)
	}
	links, err := db.QueryContext(ctx, `SELECT "table", "from", "to" FROM pragma_foreign_key_list(?)`, name)
	if err != nil {
		return nil, err
	}
	defer links.Close()
	for links.Next() {
		var l link
		var from string
		if err := links.Scan(&l.table, &from, &l.target); err != nil {
			return nil, err
		}
		l.column = index[from]
		t.links = append(t.links, l)
	}
	return t, links.Err()
}
