package sqlstore_test

import (
	"database/sql"
	"testing"

	"birdring/internal/testkit"
	"birdring/registry/sqlstore"
)

// onBoth runs a test on either engine, each time with a new empty registry.
func onBoth(t *testing.T, test func(t *testing.T, d *sqlstore.DB, target string)) {
	t.Run("sqlite", func(t *testing.T) {
		d, path := create(t)
		test(t, d, path)
	})
	t.Run("postgres", func(t *testing.T) {
		d, url := createPostgres(t)
		test(t, d, url)
	})
}

func createPostgres(t testing.TB) (*sqlstore.DB, string) {
	t.Helper()
	url := testkit.Postgres(t)
	d, err := sqlstore.Create(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, url
}

func TestBoth(t *testing.T) {
	onBoth(t, func(t *testing.T, d *sqlstore.DB, target string) {
		if err := d.Write(t.Context(), put("a")); err != nil {
			t.Fatal(err)
		}
		if err := d.Snapshot(t.Context(), func(tx *sql.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if !keys(t, d)["a"] {
			t.Error("gone")
		}
	})
}
