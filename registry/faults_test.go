package registry_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/registry"
	"birdring/registry/sqlstore"
)

func testContext(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// A full disk: everybody who could not be recorded gets the error, nobody gets a
// copy, health says so, and what was acknowledged is there. With room again all
// goes on.
func TestDiskFull(t *testing.T) {
	onlySQLite(t) // PostgreSQL's disk fills up in sqlstore's tests
	r, _, d := oneDecoy(t)
	if err := r.LimitPages(1); err != nil { // SQLite takes it as "no more than now"
		t.Fatal(err)
	}
	var mu sync.Mutex
	acknowledged, refused := map[string]bool{}, 0
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				account := fmt.Sprintf("%s-%d-%d", strings.Repeat("x", 150), w, i)
				copies, err := r.Expose(t.Context(), offer(account, d.ID))
				mu.Lock()
				switch {
				case err == nil:
					acknowledged[account] = true
				case !errors.Is(err, sqlstore.ErrFull) || len(copies) != 0:
					t.Errorf("%d copies, %v", len(copies), err)
				default:
					refused++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if refused == 0 {
		t.Fatal("the disk was never full")
	}
	if h, err := r.Health(t.Context()); err != nil || h.OK {
		t.Errorf("health %+v, %v", h, err)
	}
	stored := map[string]bool{}
	for _, e := range rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0) {
		stored[e.Account] = true
	}
	if len(stored) != len(acknowledged) {
		t.Errorf("%d acknowledged, %d stored", len(acknowledged), len(stored))
	}
	for a := range acknowledged {
		if !stored[a] {
			t.Errorf("%s was acknowledged and is lost", a)
		}
	}
	if err := r.LimitPages(0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Expose(t.Context(), offer("later", d.ID)); err != nil {
		t.Error(err)
	}
	if h, err := r.Health(t.Context()); err != nil || !h.OK || h.Exposures != int64(len(stored)+1) {
		t.Errorf("health %+v, %v", h, err)
	}
	t.Logf("%d acknowledged, %d refused", len(acknowledged), refused)
}

const killEnv = "BIRDRING_TEST_KILL" // data folder, database and decoy: this process is to be killed

func TestMain(m *testing.M) {
	if of := strings.Split(os.Getenv(killEnv), "\n"); len(of) == 3 {
		if err := exposeForEver(of[0], of[1], of[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// exposeForEver tells on stdout which account was acknowledged.
func exposeForEver(dir, database, decoy string) error {
	r, err := registry.Open(context.Background(), dir, registry.Options{Database: database})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for { // so that it is killed there as well
			if _, err := r.SealLedger(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	})
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				account := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				if _, err := r.Expose(context.Background(), offer(account, decoy)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				if _, err := os.Stdout.WriteString(account + "\n"); err != nil {
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// Killed at random moments, while another process writes: what was acknowledged
// is there, once, and numbers stay dense.
func TestKill(t *testing.T) {
	r, dir, d := oneDecoy(t)
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	acknowledged := 0
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killEnv+"="+dir+"\n"+databaseOf(dir)+"\n"+d.ID)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		told := make(chan []string)
		go func() { told <- lines(out) }()
		for range 3 {
			if _, err := r.Expose(t.Context(), offer(fmt.Sprintf("parent-%d", rng.Uint64()), d.ID)); err != nil {
				t.Error(err)
			}
			acknowledged++
		}
		time.Sleep(time.Duration(50+rng.IntN(250)) * time.Millisecond) // a real process is to be killed at a random moment
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		accounts := <-told
		if err := cmd.Wait(); err == nil {
			t.Error("the child ended by itself")
		}
		stored := map[string]int{}
		for _, e := range rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0) {
			stored[e.Account]++
		}
		for _, a := range accounts {
			if stored[a] != 1 {
				t.Errorf("seed %d, round %d: %s was acknowledged and is stored %d times", seed, round, a, stored[a])
			}
		}
		acknowledged += len(accounts)
		// Each row is in the ledger, once, whatever the kill left half done.
		if rep := wantSound(t, r); rep.Entries["exposure"] != int64(len(stored)) {
			t.Errorf("seed %d, round %d: %d exposures in the ledger, %d stored", seed, round, rep.Entries["exposure"], len(stored))
		}
		seal(t, r)
	}
	last := int64(65535)
	for _, a := range rows[registry.AccountRow](t, r, "accounts", time.Time{}, 0) {
		for _, v := range a.Viewers {
			if v.Viewer != last+1 {
				t.Errorf("seed %d: number %d follows %d", seed, v.Viewer, last)
			}
			last = v.Viewer
		}
	}
	t.Logf("%d rounds, %d acknowledged, 0 lost", rounds, acknowledged)
}

// lines reads whole lines until the other end is gone.
func lines(r io.Reader) (out []string) {
	b := bufio.NewReader(r)
	for {
		s, err := b.ReadString('\n')
		if err != nil {
			return out // a line without its end was not told
		}
		out = append(out, strings.TrimSuffix(s, "\n"))
	}
}
