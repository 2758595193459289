package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"birdring/canary"
	"birdring/internal/testkit"
	"birdring/registry/sqlstore"
)

// empties are makers of an empty database on either engine.
func empties(t *testing.T) map[string]func() string {
	return map[string]func() string{
		"sqlite": func() string {
			path := filepath.Join(t.TempDir(), "x.db")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		},
		"postgres": func() string { return testkit.Postgres(t) },
	}
}

// shape is what the schema looks like to queries.
func shape(t *testing.T, d *sqlstore.DB) string {
	t.Helper()
	query := `SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || coalesce(c.dflt_value, '') FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'
		UNION ALL SELECT name FROM sqlite_schema WHERE type = 'index' AND name NOT LIKE 'sqlite_%' ORDER BY 1`
	if d.Engine() == sqlstore.PostgreSQL {
		query = `SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') || coalesce(collation_name, '') FROM information_schema.columns WHERE table_schema = current_schema()
			UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1`
	}
	rows, err := d.Read().Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out strings.Builder
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, s)
	}
	return out.String()
}

// From every earlier version, with rows in it, a registry comes to the newest,
// keeps its rows and its viewer numbers, and looks like a new one.
func TestEveryEarlierVersion(t *testing.T) {
	versions, err := sqlstore.Versions()
	if err != nil {
		t.Fatal(err)
	}
	for engine, empty := range empties(t) {
		t.Run(engine, func(t *testing.T) {
			fresh := empty()
			if err := sqlstore.MigrateTo(t.Context(), fresh, versions[len(versions)-1]); err != nil {
				t.Fatal(err)
			}
			d, err := sqlstore.Open(t.Context(), fresh, sqlstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := shape(t, d)
			d.Close()
			for _, v := range versions[:len(versions)-1] {
				fromVersion(t, empty(), v, want)
			}
		})
	}
}

func fromVersion(t *testing.T, target string, version int64, want string) {
	t.Helper()
	if err := sqlstore.MigrateTo(t.Context(), target, version); err != nil {
		t.Fatalf("version %d: %v", version, err)
	}
	// What every version has: an account of two viewers, of whom the second is gone.
	shown := []string{
		`INSERT INTO exposures (decoy, viewer, at, surface, kind) VALUES (1, 65536, 5, 'profile', 'offered'), (1, 65536, 4, 'story', 'offered'), (1, 65536, 3600000004, 'story', 'offered')`,
		`INSERT INTO exposures (decoy, viewer, at, surface, kind, picture, address, user_agent) VALUES (1, 65537, 5, 'profile', 'fetched', 9, '192.0.2.1', 'curl')`,
	}
	if version >= 13 {
		shown = []string{
			`INSERT INTO surfaces (num, surface) VALUES (1, 'profile'), (2, 'story')`,
			`INSERT INTO exposures (decoy, viewer, at, surface) VALUES (1, 65536, 5, 1), (1, 65536, 4, 2), (1, 65536, 3600000004, 2)`,
			`INSERT INTO exposures (decoy, viewer, at, surface, picture, address, user_agent) VALUES (1, 65537, 5, 1, 9, '192.0.2.1', 'curl')`,
			`INSERT INTO exposure_hours (hour, n) VALUES (0, 3), (1, 1)`,
		}
	}
	execute(t, target, slices.Concat([]string{
		`INSERT INTO accounts (id, name, first_seen) VALUES (1, 'alice', 1)`,
		`INSERT INTO viewers (number, account, session, given_at) VALUES (65536, 1, '', 1), (65537, 1, 's', 1)`,
		`INSERT INTO decoys (num, id, kind, handle, fold, handle_millibits, share, persona, planted_at) VALUES (1, 'd', 'shared', 'h', 'f', 1, 0.25, '{}', 1)`,
		`INSERT INTO journals (name, segment, "offset") VALUES ('local', 1, 2)`,
	}, shown)...)
	d, err := sqlstore.Open(t.Context(), target, sqlstore.Options{})
	if err != nil {
		t.Fatalf("version %d: %v", version, err)
	}
	defer d.Close()
	if got := shape(t, d); got != want {
		t.Errorf("version %d, brought up to date, differs from a new one:\n%s\nwant\n%s", version, got, want)
	}
	for query, want := range map[string]int64{
		`SELECT count(*) FROM exposures e JOIN viewers v ON v.number = e.viewer JOIN decoys d ON d.num = e.decoy`:                                                    4,
		`SELECT e.at FROM exposures e JOIN surfaces s ON s.num = e.surface WHERE s.surface = 'profile' AND e.picture = 0 AND e.viewer = 65536 AND e.address IS NULL`: 5,
		`SELECT sum(e.at) FROM exposures e JOIN surfaces s ON s.num = e.surface WHERE s.surface = 'story' AND e.picture = 0`:                                         3600000008,
		`SELECT e.at FROM exposures e WHERE e.viewer = 65537 AND e.picture = 9 AND e.address = '192.0.2.1' AND e.user_agent = 'curl' AND e.sha256 IS NULL`:           5,
		`SELECT n FROM exposure_hours WHERE hour = 0`: 3,
		`SELECT n FROM exposure_hours WHERE hour = 1`: 1,
	} {
		if n := number(t, d, query); n != want {
			t.Errorf("version %d: %s: %d, want %d", version, query, n, want)
		}
	}
	// The highest numbers that tokens name can be shown.
	execute(t, target,
		`INSERT INTO decoys (num, id, kind, handle, fold, handle_millibits, share, persona, planted_at) VALUES (4294967295, 'last', 'shared', 'last', 'last', 1, 0.25, '{}', 1)`,
		`INSERT INTO exposures (decoy, viewer, at, surface, picture) SELECT 4294967295, 65536, 6, min(num), 4294967295 FROM surfaces`)
	if n := number(t, d, `SELECT count(*) FROM exposures WHERE decoy = 4294967295 AND picture = 4294967295`); n != 1 {
		t.Errorf("version %d: %d exposures of the last decoy", version, n)
	}
	if n := number(t, d, `SELECT n FROM counters WHERE name = 'viewers'`); version < 7 && n != 65537 {
		t.Errorf("version %d: the next viewer would follow %d", version, n)
	}
}

func execute(t *testing.T, target string, statements ...string) {
	t.Helper()
	driver, dsn := "sqlite3", target
	if sqlstore.IsURL(target) {
		driver, dsn = "pgx", target
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

const updateEnv = "BIRDRING_TEST_UPDATE" // a database to bring up to date, to be killed meanwhile

func TestMain(m *testing.M) {
	if target := os.Getenv(updateEnv); target != "" {
		d, err := sqlstore.Open(context.Background(), target, sqlstore.Options{})
		if sqlstore.IsURL(target) && errors.Is(err, fs.ErrNotExist) {
			d, err = sqlstore.Create(context.Background(), target)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		d.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Killed at a random moment of bringing a schema up to date, of an empty database
// or of one that holds exposures, a process leaves what the next one takes up.
func TestUpdateKilled(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for engine, empty := range empties(t) {
		t.Run(engine, func(t *testing.T) {
			for round := range 6 {
				target, shown := empty(), int64(0)
				if round%2 == 1 {
					shown = wide(t, target)
				}
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), updateEnv+"="+target)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(rng.IntN(120)) * time.Millisecond) // a real process is to be killed at a random moment
				cmd.Process.Kill()
				cmd.Wait()
				d, err := sqlstore.Open(t.Context(), target, sqlstore.Options{})
				if sqlstore.IsURL(target) && errors.Is(err, fs.ErrNotExist) {
					d, err = sqlstore.Create(t.Context(), target)
				}
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if n := number(t, d, `SELECT count(*) FROM counters`); n < 6 {
					t.Errorf("seed %d: %d counters", seed, n)
				}
				if n := number(t, d, `SELECT count(*) FROM exposures`); n != shown {
					t.Errorf("seed %d: %d exposures, want %d", seed, n, shown)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// wide makes a database of before exposures were narrowed, with many of them.
func wide(t *testing.T, target string) (rows int64) {
	t.Helper()
	if err := sqlstore.MigrateTo(t.Context(), target, 12); err != nil {
		t.Fatal(err)
	}
	execute(t, target,
		`INSERT INTO accounts (id, name, first_seen) VALUES (1, 'alice', 1)`,
		`INSERT INTO viewers (number, account, session, given_at) VALUES (65536, 1, '', 1)`,
		`INSERT INTO decoys (num, id, kind, handle, fold, handle_millibits, share, persona, planted_at) VALUES (1, 'd', 'shared', 'h', 'f', 1, 0.25, '{}', 1)`,
		`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
			INSERT INTO exposures (decoy, viewer, at, surface, kind) SELECT 1, 65536, i, CASE i % 2 WHEN 0 THEN 'story' ELSE '' END, 'offered' FROM c`)
	return 20000
}

// Numbers go as far as a token can name them and no further, in a registry that was
// made when they went less far.
func TestNumbersGoAsFarAsTokens(t *testing.T) {
	const decoy = `INSERT INTO decoys (num, id, kind, handle, fold, handle_millibits, share, persona, planted_at) VALUES (?, ?, 'shared', ?, ?, 1, 0.25, '{}', 1)`
	const viewer = `INSERT INTO viewers (number, account, session, given_at) VALUES (?, 1, ?, 1)`
	for engine, empty := range empties(t) {
		t.Run(engine, func(t *testing.T) {
			target := empty()
			if err := sqlstore.MigrateTo(t.Context(), target, 12); err != nil {
				t.Fatal(err)
			}
			execute(t, target, `INSERT INTO accounts (id, name, first_seen) VALUES (1, 'alice', 1)`)
			d, err := sqlstore.Open(t.Context(), target, sqlstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			for i, c := range []struct {
				number int64
				ok     bool
			}{{1<<24 - 1, true}, {1 << 24, true}, {canary.MaxObject, true}, {canary.MaxObject + 1, false}, {0, false}} {
				name := fmt.Sprint("d", i)
				err := d.Write(t.Context(), func(tx *sql.Tx) error {
					_, err := tx.Exec(decoy, c.number, name, name, name)
					return err
				})
				if (err == nil) != c.ok {
					t.Errorf("decoy %d: %v", c.number, err)
				}
			}
			for i, c := range []struct {
				number int64
				ok     bool
			}{{1 << 36, true}, {int64(canary.MaxTokenViewer), true}, {int64(canary.MaxTokenViewer) + 1, false}, {1<<16 - 1, false}} {
				err := d.Write(t.Context(), func(tx *sql.Tx) error {
					_, err := tx.Exec(viewer, c.number, fmt.Sprint(i))
					return err
				})
				if (err == nil) != c.ok {
					t.Errorf("viewer %d: %v", c.number, err)
				}
			}
		})
	}
}
