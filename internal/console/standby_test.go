package console_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/internal/console"
	"birdring/internal/testkit"
	"birdring/registry"
)

// A second server that stands by answers nobody while the first one runs, and
// takes over when it ends: on the same folder, or on another machine's.
func TestStandbyTakesOver(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			database, dir := "", filepath.Join(t.TempDir(), "data")
			other := dir
			if engine == "postgres" {
				database, other = testkit.Postgres(t), filepath.Join(t.TempDir(), "data")
			}
			if _, err := registry.InitIn(t.Context(), dir, database); err != nil {
				t.Fatal(err)
			}
			if other != dir {
				if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
			}
			first := serveOn(t, dir, database, false)
			url := first.ready(t)
			second := serveOn(t, other, database, true)
			for end := time.Now().Add(20 * time.Second); !strings.Contains(second.log.String(), "standing by"); time.Sleep(5 * time.Millisecond) { // a lock is to be refused
				if time.Now().After(end) {
					t.Fatal("it does not stand by")
				}
			}
			select {
			case r := <-second.up:
				t.Fatalf("two servers: %s and %s", url, r.URL)
			case err := <-second.ended:
				t.Fatalf("it ended: %v", err)
			default:
			}
			if err := first.stop(); err != nil {
				t.Error(err)
			}
			resp, err := http.Get(second.ready(t) + "/healthz")
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%+v, %v", resp, err)
			} else {
				resp.Body.Close()
			}
			if err := second.stop(); err != nil {
				t.Error(err)
			}
			// One that waits can be stopped.
			first = serveOn(t, dir, database, false)
			first.ready(t)
			second = serveOn(t, other, database, true)
			for end := time.Now().Add(20 * time.Second); !strings.Contains(second.log.String(), "standing by") && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			}
			if err := second.stop(); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if err := first.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// serving is a server under way.
type serving struct {
	up    chan console.Ready
	ended chan error
	end   context.CancelFunc
	log   *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func serveOn(t *testing.T, dir, database string, standby bool) *serving {
	ctx, cancel := context.WithCancel(context.Background())
	s := &serving{make(chan console.Ready, 1), make(chan error, 1), cancel, &lockedBuffer{}}
	t.Cleanup(cancel)
	go func() {
		s.ended <- console.Serve(ctx, console.ServeOptions{
			Dir: dir, Database: database, HTTP: "127.0.0.1:0", Standby: standby, NoWorker: true,
			Log: slog.New(slog.NewTextHandler(s.log, nil)), Ready: func(r console.Ready) { s.up <- r },
		})
	}()
	return s
}

func (s *serving) ready(t *testing.T) string {
	t.Helper()
	select {
	case r := <-s.up:
		return r.URL
	case err := <-s.ended:
		t.Fatalf("serve: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("it does not serve")
	}
	return ""
}

func (s *serving) stop() error {
	s.end()
	return <-s.ended
}
