package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"birdring/internal/postgres"
	"birdring/registry"
	"birdring/registry/sqlstore"
)

// failoverPath is the path on which the database's machine dies, not ours.
const failoverPath = "failover"

// failover writes exposures to a PostgreSQL that a standby follows, ends its
// processes with SIGKILL at a random moment and promotes the standby, which the
// next round's standby follows. The registry's URL names both.
func failover(ctx context.Context, rng *rand.Rand, rounds int) (r row, err error) {
	dir, err := os.MkdirTemp("", "birdring-kill-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	primary, err := postgres.Start()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, primary.Close()) }()
	url, err := primary.Database()
	if err != nil {
		return r, err
	}
	s, err := setStage(ctx, filepath.Join(dir, "data"), url)
	if err != nil {
		return r, err
	}
	s.hook.Close()
	if err := s.reg.Close(); err != nil {
		return r, err
	}
	database, _, _ := strings.Cut(url[strings.LastIndexByte(url[:strings.IndexByte(url, '?')], '/')+1:], "?")
	told := map[string]error{}
	for range rounds {
		standby, err := primary.Standby()
		if err != nil {
			return r, err
		}
		some, err := failOver(ctx, rng, s.dir, postgres.Either(primary, standby, database), primary, standby)
		maps.Copy(told, some)
		old := primary
		primary = standby
		if err = errors.Join(err, old.Close()); err != nil {
			return r, err
		}
		r.Rounds++
	}
	if s.reg, err = registry.Open(ctx, s.dir, registry.Options{Database: primary.URL(database)}); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.reg.Close()) }()
	r.Path = failoverPath
	return r, r.judge(ctx, s, told)
}

// judge compares what was told with what is there. The ledger, which has an entry
// for every row, must tell the same.
func (r *row) judge(ctx context.Context, s *stage, told map[string]error) error {
	stored, err := countExposures(ctx, s)
	if err != nil {
		return err
	}
	for id, answer := range told {
		switch {
		case errors.Is(answer, sqlstore.ErrUnknown):
			r.Unknown++
		case answer == nil && stored[id] == 0:
			r.Lost++
			fmt.Fprintf(os.Stderr, "kill-test: %s was acknowledged and is lost\n", id)
		case answer == nil:
			r.Found++
		case stored[id] > 0: // whoever tries again would double it
			r.Doubled++
			fmt.Fprintf(os.Stderr, "kill-test: %s was refused (%v) and is stored\n", id, answer)
		}
		if answer == nil {
			r.Acknowledged++
		}
	}
	for id, n := range stored {
		if n > 1 {
			r.Doubled++
			fmt.Fprintf(os.Stderr, "kill-test: %s is stored %d times\n", id, n)
		}
	}
	rep, err := s.reg.VerifyLedger(ctx)
	if err != nil {
		return err
	}
	if rep.Problems > 0 {
		r.Lost++
		fmt.Fprintf(os.Stderr, "kill-test: the ledger does not verify: %+v\n", *rep.First)
	}
	return nil
}

// failOver is one round: it says what each exposure was told.
func failOver(ctx context.Context, rng *rand.Rand, dir, url string, primary, standby *postgres.Server) (_ map[string]error, err error) {
	reg, err := registry.Open(ctx, dir, registry.Options{Database: url})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	decoys, err := reg.Decoys(ctx)
	if err != nil {
		return nil, err
	}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex // guards told and after
	told, after, promoted := map[string]error{}, 0, false
	var wg sync.WaitGroup
	round := rng.Uint32()
	for g := range 4 {
		wg.Go(func() {
			for i := 0; writing.Err() == nil; i++ {
				account := fmt.Sprintf("%x-%d-%d", round, g, i)
				_, err := reg.Expose(ctx, []registry.Exposure{{Account: account, Decoy: decoys[0].ID}})
				mu.Lock()
				told[account] = err
				if promoted && err == nil {
					after++
				}
				mu.Unlock()
			}
		})
	}
	pause := func(most time.Duration) {
		select {
		case <-time.After(time.Duration(rng.Int64N(int64(most)))):
		case <-ctx.Done():
		}
	}
	pause(400 * time.Millisecond)
	err = primary.Crash()
	pause(400 * time.Millisecond)
	err = errors.Join(err, standby.Promote())
	mu.Lock()
	promoted = true
	mu.Unlock()
	for end := time.Now().Add(20 * time.Second); err == nil; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		enough := after >= 20
		mu.Unlock()
		if enough {
			break
		}
		if time.Now().After(end) {
			err = errors.New("nothing is stored on the standby that was promoted")
		}
	}
	stop()
	wg.Wait()
	return told, err
}
