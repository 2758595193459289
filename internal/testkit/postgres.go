package testkit

import (
	"errors"
	"os"
	"sync"
	"testing"

	"birdring/internal/postgres"
)

// shared is the server of all tests of the process.
var shared = sync.OnceValues(func() (*postgres.Server, error) {
	return postgres.Start("fsync=off", "full_page_writes=off")
})

// Postgres returns the URL of a new empty database on a server that all tests of
// the process share. It does not wait for the disk; a test that pulls the plug
// starts its own with StartPostgres. Where there is no PostgreSQL the test is
// skipped, or fails with BIRDRING_REQUIRE=all.
func Postgres(t testing.TB) string {
	t.Helper()
	p, err := shared()
	need(t, err)
	url, err := p.Database()
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// HasPostgres says whether Postgres would skip.
func HasPostgres() bool {
	_, err := shared()
	return !errors.Is(err, postgres.ErrNone) || os.Getenv("BIRDRING_REQUIRE") == "all"
}

// PostgresCopy is Postgres with the contents of another of its databases, to
// which nobody is connected.
func PostgresCopy(t testing.TB, of string) string {
	t.Helper()
	p, err := shared()
	need(t, err)
	url, err := p.Copy(of)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// StartPostgres starts a server for one test, with settings such as "fsync=off".
func StartPostgres(t testing.TB, settings ...string) *postgres.Server {
	t.Helper()
	p, err := postgres.Start(settings...)
	need(t, err)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// need skips or fails a test that cannot have a server.
func need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, postgres.ErrNone):
		Lack(t, err.Error())
	default:
		t.Fatal(err)
	}
}
