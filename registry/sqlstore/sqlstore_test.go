package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/registry/sqlstore"
)

func create(t testing.TB) (*sqlstore.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a %?#&b.db") // a name that must be escaped in a URL
	d, err := sqlstore.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, path
}

// Every connection of every pool has the settings: asked on three at once.
func TestSettingsOnEveryConnection(t *testing.T) {
	d, path := create(t)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the file is elsewhere: %v", err)
	}
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000", "query_only": "1"}
	var conns []*sql.Conn
	for range 3 {
		c, err := d.Read().Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	for i, c := range conns {
		for pragma, value := range want {
			var got string
			if err := c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != value {
				t.Errorf("connection %d: %s is %s, want %s, %v", i, pragma, got, value, err)
			}
		}
		if _, err := c.ExecContext(t.Context(), `INSERT INTO meta VALUES ('x', 'y')`); err == nil {
			t.Error("a reader wrote")
		}
	}
	want["query_only"] = "0"
	for pragma, value := range want {
		var got string
		if err := d.Writer().QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != value {
			t.Errorf("writer: %s is %s, want %s, %v", pragma, got, value, err)
		}
	}
}

func TestSchemaIsStrictAndComplete(t *testing.T) {
	d, path := create(t)
	rows, err := d.Read().Query(`SELECT name FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		t.Errorf("table %s is not strict", name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	again, err := sqlstore.Open(t.Context(), path, sqlstore.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Write(t.Context(), func(*sql.Tx) error { return nil }); !errors.Is(err, sqlstore.ErrReadOnly) {
		t.Error(err)
	}
	if err := again.Group(t.Context(), func(*sql.Tx) error { return nil }); !errors.Is(err, sqlstore.ErrReadOnly) {
		t.Error(err)
	}
}

// Several processes that meet an old schema at once: it is brought up to date once.
func TestUpdateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			d, err := sqlstore.Open(t.Context(), path, sqlstore.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func put(key string) func(tx *sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO meta (key, value) VALUES (?, '')`, key)
		return err
	}
}

func keys(t *testing.T, d *sqlstore.DB) map[string]bool {
	t.Helper()
	rows, err := d.Read().Query(`SELECT key FROM meta`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var k string
		if err := rows.Scan(&k); err != nil {
			t.Fatal(err)
		}
		out[k] = true
	}
	return out
}

// Of a shared transaction only the jobs that fail are taken back.
func TestGroupTakesBackOnlyWhatFailed(t *testing.T) {
	d, _ := create(t)
	bad := errors.New("bad")
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			err := d.Group(t.Context(), func(tx *sql.Tx) error {
				if err := put(fmt.Sprint(i))(tx); err != nil {
					return err
				}
				if i%3 == 0 {
					return bad
				}
				if i%3 == 1 {
					return nil
				}
				return put(fmt.Sprint(i))(tx) // breaks a constraint
			})
			if (i%3 == 0) != errors.Is(err, bad) || (i%3 == 1) != (err == nil) {
				t.Errorf("job %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	got := keys(t, d)
	for i := range 300 {
		if got[fmt.Sprint(i)] != (i%3 == 1) {
			t.Errorf("job %d stored: %v", i, got[fmt.Sprint(i)])
		}
	}
}

func TestGroupAfterItsContext(t *testing.T) {
	d, _ := create(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Group(ctx, put("x")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if keys(t, d)["x"] {
		t.Error("stored for a caller who had gone")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Group(t.Context(), put("y")); !errors.Is(err, sqlstore.ErrClosed) {
		t.Error(err)
	}
}

func TestCloseFinishesWhatIsUnderWay(t *testing.T) {
	d, path := create(t)
	var mu sync.Mutex
	stored := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			key := fmt.Sprint(i)
			err := d.Group(t.Context(), put(key))
			if err != nil && !errors.Is(err, sqlstore.ErrClosed) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			stored[key] = err == nil
		})
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	again, err := sqlstore.Open(t.Context(), path, sqlstore.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	got := keys(t, again)
	for k, ok := range stored {
		if ok != got[k] {
			t.Errorf("%s: told %v, stored %v", k, ok, got[k])
		}
	}
}

// The engine's refusals come in our words, and LastFailure remembers them.
func TestExplain(t *testing.T) {
	d, path := create(t)
	if err := d.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`PRAGMA max_page_count = 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 1<<20)
	err := d.Group(t.Context(), func(tx *sql.Tx) error { return put(big)(tx) })
	if !errors.Is(err, sqlstore.ErrFull) {
		t.Error(err)
	}
	if at, last := d.LastFailure(); !errors.Is(last, sqlstore.ErrFull) || time.Since(at) > time.Minute {
		t.Errorf("%v %v", at, last)
	}
	if err := d.Group(t.Context(), put("small")); err != nil {
		t.Error(err)
	}
	if _, last := d.LastFailure(); last != nil {
		t.Error(last)
	}
	if _, err := sqlstore.Create(t.Context(), path); !errors.Is(err, os.ErrExist) {
		t.Errorf("created over another: %v", err)
	}
	if _, err := sqlstore.Open(t.Context(), path+"x", sqlstore.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// What numbers give: one exposure a commit, alone and with 32 callers at once,
// against 1000 rows in one transaction.
func BenchmarkGroup(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			d, _ := create(b)
			b.SetParallelism(callers) // times GOMAXPROCS
			var n sync.Mutex
			i := 0
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n.Lock()
					i++
					key := fmt.Sprint(i)
					n.Unlock()
					if err := d.Group(context.Background(), put(key)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	b.Run("1000 in one", func(b *testing.B) {
		d, _ := create(b)
		rows := 0
		for i := 0; b.Loop(); i++ {
			err := d.Write(context.Background(), func(tx *sql.Tx) error {
				for j := range 1000 {
					if err := put(fmt.Sprint(i, "-", j))(tx); err != nil {
						return err
					}
					rows++
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	})
}
