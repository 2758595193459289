package registry_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"birdring/registry"
)

// asVersion12 puts a registry's file back into the schema before exposures were
// narrowed, with the same rows.
func asVersion12(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, "registry.db")
	old := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite3", old)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // what is attached is so to one connection
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS(filepath.Join("sqlstore", "migrations")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	do := func(query string) {
		t.Helper()
		if _, err := db.Exec(query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	do(`ATTACH '` + file + `' AS new`)
	rows, err := db.Query(`SELECT m.name, group_concat('"' || c.name || '"') FROM main.sqlite_schema m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT IN ('exposures', 'goose_db_version') GROUP BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	var copies []string
	for rows.Next() {
		var table, columns string
		if err := rows.Scan(&table, &columns); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, fmt.Sprintf(`DELETE FROM main.%[1]s; INSERT INTO main.%[1]s (%[2]s) SELECT %[2]s FROM new.%[1]s`, table, columns))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	rows.Close()
	do(strings.Join(copies, "; "))
	do(`INSERT INTO main.exposures SELECT e.decoy, e.viewer, e.at, s.surface, CASE e.picture WHEN 0 THEN 'offered' ELSE 'fetched' END, e.picture, e.address, e.user_agent, e.sha256
		FROM new.exposures e JOIN new.surfaces s ON s.num = e.surface`)
	do(`DETACH new`)
	if err := os.Rename(old, file); err != nil {
		t.Fatal(err)
	}
}

// A registry of the schema before exposures were narrowed still verifies, tells
// the same and goes on.
func TestNarrowedRegistryVerifies(t *testing.T) {
	from := halfSealed(t)
	all := func(r *registry.Registry) []registry.ExposureRow {
		return rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0)
	}
	r, _ := copyOf(t, from)
	want := all(r)
	dir := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	asVersion12(t, dir)
	r = open(t, dir, registry.Options{})
	before := wantSound(t, r)
	if got := all(r); len(got) != len(want) || !reflect.DeepEqual(got, want) {
		t.Errorf("%d exposures, want the %d that were", len(got), len(want))
	}
	count, err := r.Counts(t.Context(), time.Now().Add(-24*time.Hour))
	if err != nil || count.Exposures != int64(len(want)) {
		t.Errorf("%d exposures of the last day, %v, want %d", count.Exposures, err, len(want))
	}
	decoys, err := r.Decoys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	showAll(t, r, decoys[:1], 5)
	if after := wantSound(t, r); after.Entries["exposure"] != before.Entries["exposure"]+6 {
		t.Errorf("entries %v, before %v", after.Entries, before.Entries)
	}
	if _, err := r.ForgetAccount(t.Context(), registry.ForgetRequest{Account: "crowd-000", Reason: "asked to"}); err != nil {
		t.Fatal(err)
	}
	wantSound(t, r)
}
