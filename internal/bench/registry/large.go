package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"birdring/canary"
	"birdring/internal/console"
	"birdring/registry"
	"birdring/registry/sqlstore"
)

const (
	largeSites = 200 // that share the sightings
	begun      = int64(1_700_000_000_000_000)
)

// measureLarge fills a SQLite registry and asks what people ask.
func measureLarge(ctx context.Context, b *bench) (err error) {
	dir := filepath.Join(b.dir, "large")
	reg, decoys, err := setUp(ctx, dir, "")
	if err != nil {
		return err
	}
	d, err := reg.Decoy(ctx, decoys[1])
	if err := errors.Join(err, reg.Close()); err != nil {
		return err
	}
	file := filepath.Join(dir, "registry.db")
	bytes, err := b.fill(ctx, file)
	if err != nil {
		return err
	}
	size, err := sizeOf(file, file+"-wal")
	if err != nil {
		return err
	}
	most := 0.0
	if b.count == 100_000_000 {
		most = 8
	}
	if reg, err = registry.Open(ctx, dir, registry.Options{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	var rates []float64
	n := 0
	for range b.rounds {
		n = 0
		begin := time.Now()
		err := reg.Shown(ctx, d.Avatar, time.UnixMicro(begun+int64(b.count)), func(canary.Viewer, time.Time) error { n++; return nil })
		if err != nil {
			return err
		}
		rates = append(rates, float64(n)/time.Since(begin).Seconds())
	}
	if n < b.count/5 {
		return fmt.Errorf("%d rows only were shown", n)
	}
	return errors.Join(
		b.say(figure{Figure: "who was shown picture P before T", Engine: "sqlite", Got: median(rates), Least: 1e6, Unit: "rows/s", Detail: fmt.Sprintf("%d of %d exposures", n, b.count)}),
		b.say(figure{
			Figure: "state of an exposure", Engine: "sqlite", Got: bytes, Most: 40, Unit: "bytes",
			Detail: fmt.Sprintf("stored in the order of decoys and viewers; without accounts; 10 billion take %.0f GB", bytes*10),
		}),
		b.say(figure{Figure: "database of the large registry", Engine: "sqlite", Got: size / 1e9, Most: most, Unit: "GB", Detail: fmt.Sprintf("%d exposures, %d accounts, %d sightings", b.count, b.count/4, b.sightings)}),
		b.pages(ctx, reg, dir))
}

// fill puts rows into the file and returns what an exposure takes there.
func (b *bench) fill(ctx context.Context, file string) (perExposure float64, err error) {
	db, err := sqlstore.Open(ctx, file, sqlstore.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	viewers := max(1, b.count/4)
	const first = 65536 + accounts // number and account of the first: setUp gave those below
	many := func(table string, columns []string, n int, row func(i int) []any) error {
		begin := time.Now()
		for from := 0; from < n; from += 1_000_000 {
			some := iter.Seq[[]any](func(yield func([]any) bool) {
				for i := from; i < min(n, from+1_000_000); i++ {
					if !yield(row(i)) {
						return
					}
				}
			})
			if err := db.Write(ctx, func(tx *sql.Tx) error { _, err := db.Bulk(ctx, tx, table, columns, some); return err }); err != nil {
				return fmt.Errorf("fill %s: %w", table, err)
			}
			progress("%s: %d of %d, %.0f rows/s", table, min(n, from+1_000_000), n, float64(min(n, from+1_000_000))/time.Since(begin).Seconds())
		}
		return nil
	}
	err = errors.Join(
		many("accounts", []string{"id", "name", "first_seen", "salt"}, viewers, func(i int) []any {
			return []any{first + i, fmt.Sprint("large-", i), begun, fmt.Appendf(nil, "salt of %8d", i)}
		}),
		many("viewers", []string{"number", "account", "session", "given_at"}, viewers, func(i int) []any {
			return []any{first + i, first + i, "", begun}
		}),
		db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE counters SET n = ? WHERE name = 'viewers'`, first+viewers-1)
			return err
		}))
	if err != nil {
		return 0, err
	}
	before, err := pagesOf(ctx, db)
	if err != nil {
		return 0, err
	}
	// A decoy and all its viewers after another; the times are spread over everybody.
	err = many("exposures", []string{"decoy", "viewer", "at", "surface"}, b.count, func(i int) []any {
		return []any{1 + i/viewers%4, first + i%viewers, begun + int64(i%viewers)*4 + int64(i/viewers), 1}
	})
	if err != nil {
		return 0, err
	}
	after, err := pagesOf(ctx, db)
	if err != nil {
		return 0, err
	}
	return (after - before) / float64(b.count), b.fillSightings(ctx, db, many)
}

// pagesOf is how many bytes the database has in use.
func pagesOf(ctx context.Context, db *sqlstore.DB) (bytes float64, err error) {
	err = db.Read().QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&bytes)
	return bytes, err
}

// sizeOf is how many bytes files take on the disk, if they are there.
func sizeOf(files ...string) (bytes float64, err error) {
	for _, f := range files {
		info, err := os.Stat(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		bytes += float64(info.Size())
	}
	return bytes, nil
}

// fillSightings spreads finds of handles and pictures over sites, each of which
// has accounts attributed.
func (b *bench) fillSightings(ctx context.Context, db *sqlstore.DB, many func(string, []string, int, func(int) []any) error) error {
	return errors.Join(
		many("sites", []string{"id", "site", "first_at"}, largeSites, func(i int) []any { return []any{i + 1, site(i), begun} }),
		many("sightings", []string{"site", "kind", "source", "decoy", "url", "page", "context", "captured_at", "stored_at", "verdict"}, b.sightings, func(i int) []any {
			return []any{1 + i%largeSites, "handle", "scan", 1 + i/largeSites%4, fmt.Sprintf("http://%s/p/%d", site(i), i), fmt.Sprintf("http://%s/p/%d", site(i), i), "text around it", begun + int64(i), begun + int64(i), ""}
		}),
		many("attributions", []string{"site", "account", "verdict", "millibits", "exposed", "pictures", "decoys", "single_source", "first_at", "updated_at", "inputs"}, 20*largeSites, func(i int) []any {
			return []any{1 + i%largeSites, 65536 + accounts + i, "attributed", 70_000 + i, 1, 3, "[]", 0, begun, begun + int64(i), "{}"}
		}))
}

func site(i int) string { return fmt.Sprintf("clone-%d.example", i%largeSites) }

// pages asks the console for a site's page and for lists, as people do.
func (b *bench) pages(ctx context.Context, reg *registry.Registry, dir string) error {
	keys, secret, err := console.OpenKeys(dir)
	if err != nil {
		return err
	}
	c, err := console.New(console.Config{Registry: reg, Keys: keys, PublicURL: "http://127.0.0.1"})
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name, path string
		most       float64
	}{
		{"page of a site", "/site/" + site(7), 50},
		{"list of attributions", "/v1/attributions?limit=100", 50},
		{"list of sightings", "/v1/sightings?limit=100", 0},
		{"page of all sites", "/", 0},
	} {
		var all []float64
		for range 5 {
			req := httptest.NewRequestWithContext(ctx, http.MethodGet, p.path, nil)
			req.Header.Set("Authorization", "Bearer "+secret)
			w := httptest.NewRecorder()
			begin := time.Now()
			c.ServeHTTP(w, req)
			all = append(all, float64(time.Since(begin).Microseconds())/1000)
			if w.Code != http.StatusOK {
				return fmt.Errorf("%s: %d %s", p.path, w.Code, w.Body)
			}
		}
		f := figure{Figure: p.name, Engine: "sqlite", Got: median(all), Most: p.most, Unit: "ms", Detail: fmt.Sprintf("%d sightings on %d sites", b.sightings, largeSites)}
		if err := b.say(f); err != nil {
			return err
		}
	}
	return nil
}
