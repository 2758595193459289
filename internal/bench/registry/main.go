// Command registry measures the registry's database: exposures through the API
// and in bulk against bare inserts into the same table on the same engine, in the
// same run and in turns; who was shown a picture; the pages of a large registry;
// what an exposure takes on disk. One JSON line each, {"rows":n,"short":n} last.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"birdring/internal/postgres"
)

func main() {
	b := &bench{}
	flag.IntVar(&b.count, "count", 1_000_000, "exposures of the large registry")
	flag.IntVar(&b.sightings, "sightings", 1_000_000, "sightings of the large registry")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds of which the median counts")
	flag.DurationVar(&b.each, "each", 2*time.Second, "how long an API is loaded in one round")
	flag.StringVar(&b.only, "only", "", "parts to run, separated by commas: api, bulk, state, large")
	flag.StringVar(&b.dir, "dir", "", "folder for the data (default: a temporary one)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-registry:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	count, sightings, rounds int
	each                     time.Duration
	only, dir                string
	server                   *postgres.Server
	n, short                 int
}

// figure is one printed line. Least and Most are its bounds; 0 is none.
type figure struct {
	Figure string  `json:"figure"`
	Engine string  `json:"engine"`
	Got    float64 `json:"got"`
	Least  float64 `json:"least,omitempty"`
	Most   float64 `json:"most,omitempty"`
	Unit   string  `json:"unit"`
	Detail string  `json:"detail,omitempty"`
	OK     bool    `json:"ok"`
}

func (b *bench) say(f figure) error {
	f.OK = (f.Least == 0 || f.Got >= f.Least) && (f.Most == 0 || f.Got <= f.Most)
	b.n++
	if !f.OK {
		b.short++
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

func (b *bench) run(ctx context.Context) (err error) {
	temporary, err := os.MkdirTemp(b.dir, "bench-registry-")
	if err != nil {
		return err
	}
	b.dir = temporary
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	if b.server, err = postgres.Start("max_wal_size=4GB"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.Close()) }()
	for _, part := range []struct {
		name string
		run  func(context.Context, *bench, string) error
	}{{"api", measureAPI}, {"bulk", measureBulk}, {"state", measureState}} {
		for _, engine := range []string{"sqlite", "postgres"} {
			if b.wants(part.name) {
				if err := part.run(ctx, b, engine); err != nil {
					return fmt.Errorf("%s, %s: %w", part.name, engine, err)
				}
			}
		}
	}
	if b.wants("large") {
		if err := measureLarge(ctx, b); err != nil {
			return fmt.Errorf("large: %w", err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(struct {
		Rows  int `json:"rows"`
		Short int `json:"short"`
	}{b.n, b.short})
}

func (b *bench) wants(part string) bool {
	return b.only == "" || slices.Contains(strings.Split(b.only, ","), part)
}

// place is a data folder and the URL of its database.
func (b *bench) place(name, engine string) (dir, url string, err error) {
	dir = filepath.Join(b.dir, name+"-"+engine)
	if engine == "postgres" {
		url, err = b.server.Database()
	}
	return dir, url, err
}

// progress tells on stderr how far it is.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// median of an odd number of values, the upper one of two in the middle otherwise.
func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
