package jobs_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"birdring/internal/testkit"
	"birdring/registry"
	"birdring/registry/jobs"
	"birdring/registry/sqlstore"
)

// childEnv makes the test binary a worker on the registry in it.
const childEnv = "BIRDRING_TEST_WORKER"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		dir, database, _ := strings.Cut(text, "|")
		err := func() error {
			reg, err := registry.Open(context.Background(), dir, registry.Options{Database: database})
			if err != nil {
				return err
			}
			c := config(reg)
			c.Beat = beat
			q, err := jobs.Open(context.Background(), c)
			if err != nil {
				return err
			}
			fmt.Println("ready")
			return q.Work(context.Background())
		}()
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// beat is that of workers some of which are killed.
const beat = 150 * time.Millisecond

// onBoth runs a test on a registry in SQLite and on one in PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, open func() *registry.Registry)) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			database := ""
			if engine == "postgres" {
				database = testkit.Postgres(t)
			}
			dir := filepath.Join(t.TempDir(), "data")
			if _, err := registry.InitIn(t.Context(), dir, database); err != nil {
				t.Fatal(err)
			}
			test(t, func() *registry.Registry {
				reg, err := registry.Open(context.Background(), dir, registry.Options{Database: database})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { reg.Close() })
				return reg
			})
		})
	}
}

func config(reg *registry.Registry) jobs.Config {
	return jobs.Config{
		Registry: reg, Scan: registry.ScanRequest{Allow: []string{"127.0.0.0/8:*"}, MaxPages: 5}, WatchEvery: time.Hour, FollowLeads: true,
	}
}

func open(t *testing.T, reg *registry.Registry) *jobs.Queue {
	t.Helper()
	q, err := jobs.Open(t.Context(), config(reg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// work works until the test or stop ends it.
func work(t *testing.T, q *jobs.Queue) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Work(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func states(t *testing.T, q *jobs.Queue) map[string]int {
	t.Helper()
	rows, err := q.List(t.Context(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, r := range rows {
		out[r.Kind+" "+r.State]++
	}
	return out
}

// site is a website that counts its visitors.
func site(t *testing.T, answer http.HandlerFunc) (url string, visits *atomic.Int64) {
	t.Helper()
	visits = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			visits.Add(1)
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, visits
}

func page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, "<!doctype html><title>x</title><p>nothing of ours")
}

// A watched site is scanned, once, by whichever of several workers comes first.
func TestWatchedSitesAreScannedOnceByAnyWorker(t *testing.T) {
	onBoth(t, func(t *testing.T, registryOf func() *registry.Registry) {
		reg := registryOf()
		url, visits := site(t, page)
		if _, err := reg.Watch(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		queues := []*jobs.Queue{open(t, reg), open(t, registryOf()), open(t, registryOf())}
		for _, q := range queues {
			work(t, q)
		}
		wait(t, "a scan", func() bool { return states(t, queues[0])["scan completed"] == 1 })
		// Asked for by hand it is scanned again, whoever works.
		if _, added, err := queues[1].AddScan(t.Context(), "again", []string{url + "/"}); err != nil || !added {
			t.Fatalf("added %v, %v", added, err)
		}
		wait(t, "another scan", func() bool { return states(t, queues[2])["scan completed"] == 2 })
		if n := visits.Load(); n != 2 {
			t.Errorf("the site was visited %d times", n)
		}
	})
}

// A job that waits or runs is not made twice; one that runs when its worker stops
// is taken up by another and has lost no try.
func TestStoppedJobsAreTakenUpByOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, registryOf func() *registry.Registry) {
		reg := registryOf()
		slow := make(chan struct{})
		var first atomic.Bool
		url, _ := site(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" && first.CompareAndSwap(false, true) {
				select {
				case <-slow:
				case <-r.Context().Done():
				}
				return
			}
			page(w, r)
		})
		q := open(t, reg)
		id, added, err := q.AddScan(t.Context(), url, []string{url + "/"})
		if err != nil || !added {
			t.Fatalf("added %v, %v", added, err)
		}
		if twin, added, err := q.AddScan(t.Context(), url, []string{url + "/"}); err != nil || added || twin != id {
			t.Fatalf("made twice: %d and %d, %v", id, twin, err)
		}
		stop := work(t, q)
		wait(t, "the job to run", func() bool { return first.Load() })
		stop()
		close(slow)
		next := open(t, registryOf())
		rows, err := next.List(t.Context(), nil, 0)
		if err != nil || len(rows) != 1 || rows[0].Attempt != 0 || rows[0].Ended != nil {
			t.Fatalf("after its worker stopped: %+v, %v", rows, err)
		}
		work(t, next)
		wait(t, "the scan", func() bool { return states(t, next)["scan completed"] == 1 })
	})
}

// What fails to the end stays visible until somebody drops it, and can be tried again.
func TestGivenUpJobsStayVisible(t *testing.T) {
	onBoth(t, func(t *testing.T, registryOf func() *registry.Registry) {
		reg := registryOf()
		q := open(t, reg)
		work(t, q)
		id, _, err := q.AddScan(t.Context(), "private", []string{"http://10.255.255.1/"}) // which nothing allows
		if err != nil {
			t.Fatal(err)
		}
		for range 5 { // tried again at once instead of after minutes
			wait(t, "a failed try", func() bool {
				s := states(t, q)
				return s["scan retryable"]+s["scan discarded"] == 1
			})
			if states(t, q)["scan discarded"] == 1 {
				break
			}
			if err := q.Retry(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			wait(t, "it to run", func() bool { return states(t, q)["scan available"] == 0 })
		}
		wait(t, "it to be given up", func() bool { return states(t, q)["scan discarded"] == 1 })
		if n, err := q.GivenUp(t.Context()); n != 1 || err != nil {
			t.Fatalf("%d given up, %v", n, err)
		}
		rows, err := q.List(t.Context(), []string{jobs.Discarded}, 0)
		if err != nil || len(rows) != 1 || rows[0].Error == nil || rows[0].Attempt != rows[0].Most {
			t.Fatalf("%+v, %v", rows, err)
		}
		if err := q.Drop(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := q.Drop(t.Context(), id); err == nil || !strings.Contains(err.Error(), "there is no job") {
			t.Errorf("dropped twice: %v", err)
		}
		if n, err := q.GivenUp(t.Context()); n != 0 || err != nil {
			t.Errorf("%d given up, %v", n, err)
		}
	})
}

// Two workers, one of them killed again and again, deliver alerts: each message
// arrives, and as a rule once.
func TestAlertsArriveThoughWorkersAreKilled(t *testing.T) {
	onBoth(t, func(t *testing.T, registryOf func() *registry.Registry) {
		reg := registryOf()
		var mu sync.Mutex
		got := map[string]int{}
		hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var m struct{ Data struct{ Account string } }
			if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[m.Data.Account]++
		}))
		t.Cleanup(hook.Close)
		hooks := []string{"/a", "/b", "/c"}
		for _, path := range hooks {
			if _, _, err := reg.AddWebhook(t.Context(), hook.URL+path); err != nil {
				t.Fatal(err)
			}
		}
		db := outbox(t, reg)
		const messages = 20
		child(t, reg)
		for i := range messages {
			message(t, db, i)
			if i == messages/2 {
				child(t, reg)() // killed at once
				work(t, open(t, registryOf()))
			}
		}
		wait(t, "all messages", func() bool {
			mu.Lock()
			defer mu.Unlock()
			sum := 0
			for _, n := range got {
				sum += n
			}
			return len(got) == messages && sum >= messages*len(hooks)
		})
		wait(t, "an empty outbox", func() bool {
			h, err := reg.Health(t.Context())
			return err == nil && h.PendingAlerts == 0 && h.DeadAlerts == 0
		})
		for account, n := range got {
			if n > len(hooks)+1 { // the one under way when its worker was killed may come again
				t.Errorf("%s was told %d times", account, n)
			}
		}
	})
}

// What a killed worker was at is taken up by another as soon as it is seen to be
// gone; what a living one is at, however long, is not.
func TestJobsOfAKilledWorkerRunAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, registryOf func() *registry.Registry) {
		reg := registryOf()
		hold := make(chan struct{})
		free := sync.OnceFunc(func() { close(hold) })
		var first atomic.Bool
		dying, visits := site(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" && first.CompareAndSwap(false, true) {
				<-r.Context().Done()
				return
			}
			page(w, r)
		})
		long, longVisits := site(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				<-hold
			}
			page(w, r)
		})
		t.Cleanup(free) // before the sites close
		workers := []*jobs.Queue{openBeating(t, reg), openBeating(t, registryOf())}
		kill := child(t, reg)
		id, _, err := workers[0].AddScan(t.Context(), dying, []string{dying + "/"})
		if err != nil {
			t.Fatal(err)
		}
		wait(t, "the job to run", func() bool { return first.Load() })
		kill()
		if _, _, err := workers[0].AddScan(t.Context(), long, []string{long + "/"}); err != nil {
			t.Fatal(err)
		}
		for _, q := range workers {
			work(t, q)
		}
		wait(t, "the long job to run", func() bool { return longVisits.Load() == 1 })
		wait(t, "the killed worker's job to be done", func() bool { return states(t, workers[0])["scan completed"] == 1 })
		free()
		wait(t, "the long job", func() bool { return states(t, workers[0])["scan completed"] == 2 })
		if visits.Load() != 2 || longVisits.Load() != 1 {
			t.Errorf("visited %d times after a kill, %d times by the living", visits.Load(), longVisits.Load())
		}
		rows, err := workers[0].List(t.Context(), nil, 0)
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d jobs, %v", len(rows), err)
		}
		if r := rows[0]; r.ID != id || r.Attempt != 2 || r.Error == nil || !strings.Contains(*r.Error, "is gone") {
			t.Errorf("the job that was taken up: %+v", r)
		}
	})
}

func openBeating(t *testing.T, reg *registry.Registry) *jobs.Queue {
	t.Helper()
	c := config(reg)
	c.Beat = beat
	q, err := jobs.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// outbox is the registry's database, to store messages without sites to scan.
func outbox(t *testing.T, reg *registry.Registry) *sqlstore.DB {
	t.Helper()
	target := reg.DatabaseURL()
	if target == "" {
		target = filepath.Join(reg.Dir(), "registry.db")
	}
	db, err := sqlstore.Open(t.Context(), target, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// message stores a message as an attribution does.
func message(t *testing.T, db *sqlstore.DB, i int) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		id, at := fmt.Sprint("msg_", i), time.Now().UnixMicro()
		_, err := tx.Exec(`INSERT INTO messages (id, topic, type, payload, created_at) VALUES (?, ?, 'attribution.created', ?, ?)`,
			id, id, fmt.Sprintf(`{"data":{"account":"account %d"}}`, i), at)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO deliveries (message, webhook, next_at) SELECT ?, id, CAST(? AS BIGINT) FROM webhooks`, id, at)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// child runs a worker as a process; kill ends it as kill -9 does.
func child(t *testing.T, reg *registry.Registry) (kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+reg.Dir()+"|"+reg.DatabaseURL())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(kill)
	if _, err := fmt.Fscanln(out, new(string)); err != nil {
		t.Fatal(err)
	}
	return kill
}

// A job that runs elsewhere is told to stop, on either engine: River's SQLite driver
// has no notifier between processes and looks for such jobs when it polls.
func TestCancelReachesOtherWorkers(t *testing.T) {
	onBoth(t, func(t *testing.T, registryOf func() *registry.Registry) {
		var asked atomic.Bool
		left := make(chan struct{})
		url, _ := site(t, func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" && asked.CompareAndSwap(false, true) {
				<-r.Context().Done()
				close(left)
			}
		})
		q := open(t, registryOf())
		work(t, q)
		id, _, err := q.AddScan(t.Context(), url, []string{url + "/"})
		if err != nil {
			t.Fatal(err)
		}
		wait(t, "the job to run", func() bool { return asked.Load() })
		other := open(t, registryOf())
		if err := other.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		select {
		case <-left:
		case <-time.After(12 * time.Second): // the fetch itself would wait longer
			t.Fatal("the job goes on")
		}
		wait(t, "it to be cancelled", func() bool { return states(t, other)["scan cancelled"] == 1 })
	})
}
