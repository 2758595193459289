package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/internal/console"
	"birdring/registry"
	"birdring/registry/stream"
	"birdring/registry/stream/brokers"
)

// The platform tells exposures through the stream, some twice, one that makes no
// sense; hits are told to whoever listens. The broker is away for a while.
func TestServeOnAStream(t *testing.T) {
	broker := brokers.NATS(t)
	from, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(from.dir)); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Open(t.Context(), dir, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	decoy := from.decoys[0].Decoy.ID
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan console.Ready, 1), make(chan error, 1)
	go func() {
		done <- console.Serve(ctx, console.ServeOptions{
			Dir: dir, HTTP: "127.0.0.1:0", Stream: broker.URL, Tell: []string{registry.TellHits}, Ready: func(r console.Ready) { ready <- r },
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	var at console.Ready
	select {
	case at = <-ready:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	s, err := stream.Open(broker.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tell := func(id, data string) {
		t.Helper()
		waitFor(t, "acknowledgement", func() bool {
			return s.Publish(t.Context(), stream.Exposures, []stream.Message{{ID: id, Data: []byte(data)}}) == nil
		})
	}
	line := func(account string) string {
		return fmt.Sprintf(`{"account":%q,"decoy":%q,"surface":"search","time":"2026-11-20T10:00:00Z"}`, account, decoy)
	}
	tell("1", line("ann")+"\n"+line("bob")+"\n")
	tell("2", "["+line("cid")+","+line("ann")+"]")
	tell("3", `{"account":"dan","decoy":"no-such-decoy"}`)
	tell("4", `{"acount":"dan"}`)
	tell("5", line("eve"))
	offered := func() map[string]int {
		out := map[string]int{}
		err := reg.Rows(t.Context(), "exposures", time.Time{}, 0, func(row any) error {
			if e := row.(registry.ExposureRow); e.Surface != nil && *e.Surface == "search" {
				out[e.Account]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	waitFor(t, "four accounts", func() bool { return len(offered()) == 4 })
	broker.Stop()
	waitFor(t, "an alarm", func() bool {
		resp, err := http.Get(at.URL + "/healthz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var h struct{ Problems []string }
		return json.NewDecoder(resp.Body).Decode(&h) == nil && strings.Contains(strings.Join(h.Problems, "\n"), "exposures stand still since")
	})
	broker.Start(t)
	tell("6", line("fay"))
	tell("1", line("ann")+"\n"+line("bob")+"\n")
	waitFor(t, "five accounts", func() bool { return len(offered()) == 5 })
	for account, n := range offered() {
		if n != 1 {
			t.Errorf("%s was shown the decoy %d times", account, n)
		}
	}
	if h, err := reg.Health(t.Context()); err != nil || h.Alarms != 2 {
		t.Errorf("%d alarms about messages, want 2, %v", h.Alarms, err)
	}

	copies, err := reg.Expose(t.Context(), []registry.Exposure{{Account: "ann", Decoy: decoy}})
	if err != nil {
		t.Fatal(err)
	}
	link := at.URL + "/l/" + copies[0].Link[strings.LastIndex(copies[0].Link, "/")+1:]
	for i := range 3 {
		req, err := http.NewRequest(http.MethodGet, link, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", fmt.Sprint("agent ", i))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	heard := map[string]bool{}
	listening, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var mu sync.Mutex
	for listening.Err() == nil && len(heard) < 3 {
		err := s.Consume(listening, stream.Hits, "somebody", func(_ context.Context, all []stream.Message) error {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range all {
				var h registry.HitRow
				if err := json.Unmarshal(m.Data, &h); err != nil || h.ID != m.ID || *h.Account != "ann" {
					t.Errorf("told %s: %s, %v", m.ID, m.Data, err)
				}
				heard[*h.UserAgent] = true
			}
			if len(heard) == 3 {
				stop()
			}
			return nil
		})
		if err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
	if len(heard) != 3 {
		t.Errorf("told %v", heard)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
