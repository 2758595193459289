// Command kill kills a real process with SIGKILL at random moments of every write
// path - plant, expose, sight, alert, hit ingest - on SQLite and on PostgreSQL,
// and counts what was acknowledged and is lost, or is there twice. On the path
// failover it is a PostgreSQL that dies so, and its standby that is written to from
// then on. It prints one JSON line for each engine and path and ends with
// {"rows":n,"short":n}; a row is short if anything was lost or doubled. The seed of
// a failing run is printed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"birdring/internal/postgres"
)

func main() {
	rounds := flag.Int("rounds", 250, "kills in all")
	seed := flag.Uint64("seed", 0, "of the moments (default: drawn and printed)")
	only := flag.String("path", "", "one path only: plant, expose, sight, alert, hits, failover")
	child := flag.String("child", "", "path to write on: this process is to be killed")
	dir := flag.String("dir", "", "of the child: data folder")
	database := flag.String("database", "", "of the child: postgres:// URL")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *child != "" {
		err = work(ctx, *child, *dir, *database, *seed)
	} else {
		err = measure(ctx, *rounds, *seed, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kill-test:", err)
		os.Exit(1)
	}
}

// row is what is printed of one engine and path.
type row struct {
	Engine       string  `json:"engine"`
	Path         string  `json:"path"`
	Rounds       int     `json:"rounds"`
	Acknowledged int     `json:"acknowledged"`
	Found        int     `json:"found"`
	Lost         int     `json:"lost"`
	Doubled      int     `json:"doubled"`
	Unknown      int     `json:"unknown,omitempty"` // callers were told that nobody knows
	Seed         uint64  `json:"seed"`
	Seconds      float64 `json:"seconds"`
}

func measure(ctx context.Context, rounds int, seed uint64, only string) (err error) {
	if seed == 0 {
		seed = rand.Uint64()>>12 | 1
	}
	fmt.Fprintf(os.Stderr, "kill-test: seed %d\n", seed)
	server, err := postgres.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	rng := rand.New(rand.NewPCG(seed, 0))
	out := json.NewEncoder(os.Stdout)
	n, short := 0, 0
	tell := func(r row, begin time.Time) error {
		r.Seed, r.Seconds = seed, float64(time.Since(begin).Milliseconds())/1000
		n++
		if r.Lost+r.Doubled > 0 {
			short++
			fmt.Fprintf(os.Stderr, "kill-test: seed %d: %s on %s lost %d and doubled %d\n", seed, r.Path, r.Engine, r.Lost, r.Doubled)
		}
		return out.Encode(r)
	}
	each := (rounds + 2*len(paths) - 1) / (2 * len(paths))
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, p := range paths {
			if only != "" && p.name != only {
				continue
			}
			url := ""
			if engine == "postgres" {
				if url, err = server.Database(); err != nil {
					return err
				}
			}
			begin := time.Now()
			r, err := play(ctx, rng, p, url, each)
			if err != nil {
				return fmt.Errorf("seed %d: %s, %s: %w", seed, engine, p.name, err)
			}
			r.Engine = engine
			if err := tell(r, begin); err != nil {
				return err
			}
		}
	}
	if only == "" || only == failoverPath {
		begin := time.Now()
		r, err := failover(ctx, rng, (each+3)/4)
		if err != nil {
			return fmt.Errorf("seed %d: %s: %w", seed, failoverPath, err)
		}
		r.Engine = "postgres"
		if err := tell(r, begin); err != nil {
			return err
		}
	}
	return out.Encode(struct {
		Rows  int `json:"rows"`
		Short int `json:"short"`
	}{n, short})
}
