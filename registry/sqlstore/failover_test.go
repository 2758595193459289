package sqlstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/internal/postgres"
	"birdring/internal/testkit"
	"birdring/registry/sqlstore"
)

// The server's machine dies in the middle of transactions and its standby is
// promoted: writers and readers go on there by themselves. A commit that was
// under way is either stored or not, and its caller is told that nobody knows.
func TestPostgresFailedOver(t *testing.T) {
	primary := testkit.StartPostgres(t, "fsync=off")
	of, err := primary.Database()
	if err != nil {
		t.Fatal(err)
	}
	d, err := sqlstore.Create(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Close(); err != nil {
			t.Error(err)
		}
	})
	d, err = sqlstore.Open(t.Context(), postgres.Either(primary, standby, strings.TrimPrefix(of[:strings.Index(of, "?")], "postgres://postgres@/")), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Read().QueryRow(`SELECT 1`).Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var told sync.Map
	wg := writeUntil(ctx, d, &told, "w")
	time.Sleep(150 * time.Millisecond) // another process is to be in the middle of something
	before := count(&told)
	if err := errors.Join(primary.Crash(), standby.Promote()); err != nil {
		t.Fatal(err)
	}
	if err := d.Group(t.Context(), put("after")); err != nil {
		t.Errorf("the standby was promoted: %v", err)
	}
	if err := d.Read().QueryRow(`SELECT 1`).Scan(new(int)); err != nil {
		t.Errorf("read from the standby: %v", err)
	}
	time.Sleep(100 * time.Millisecond)
	cancel()
	wg.Wait()
	acknowledged(t, d, &told)
	unknown := 0
	told.Range(func(key, err any) bool {
		switch {
		case err == nil:
		case errors.Is(err.(error), sqlstore.ErrUnknown):
			unknown++
		default:
			t.Errorf("%v: %v, although the standby was there in time", key, err)
		}
		return true
	})
	if before == 0 || unknown > 4 { // one by each writer is under way
		t.Errorf("%d acknowledged before, %d of which nobody knows", before, unknown)
	}
}

func count(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}
