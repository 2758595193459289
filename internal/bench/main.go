// Command bench measures what Birdring promises about pictures: it plants photos
// in a temporary registry, exposes a thousand accounts to each, changes copies as
// clone sites and colluding accounts do, traces the results as `birdring trace`
// does, and prints what came out against what issue 3 demands. The last line is
// {"rows":n,"short":n}: how many figures have a demand, how many fall short of it.
//
//	go run ./internal/bench -photos DIR
//
// Photos are split by a fixed rule: of the sorted files, those with an odd number
// (the first, the third, ...) are held out, nothing may be tuned on them; demands
// are held against these. Where time does not allow for all, it says what is sampled.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"birdring/internal/assay"
	"birdring/internal/demo"
	"birdring/registry"
)

func main() {
	photos := flag.String("photos", "", "folder of photos; default $BIRDRING_PHOTOS, else ../shared/photos, else painted ones")
	accounts := flag.Int("accounts", 1000, "accounts exposed to each picture")
	only := flag.String("figures", "", "print only these groups of figures, divided by commas; default all")
	budget := flag.Duration("budget", 14*time.Minute, "after which no more pairs are sampled")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *photos, *accounts, *only, *budget); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// figure is a group of figures. Each has a file of its own; a new one needs a
// function there and a line here.
type figure struct {
	name  string
	print func(context.Context, *bench) error
}

// figures in the order they are measured. The last two sample as many pairs as time allows.
var figures = []figure{
	{"foreign", foreignSoftware},
	{"quality", quality},
	{"speed", speeds},
	{"uniform", uniform},
	{"matrix", matrix},
	{"collusion", colluders},
}

// bench is one run.
type bench struct {
	bed      *assay.Bed
	accounts int
	began    time.Time
	budget   time.Duration
	out      io.Writer

	chosen      []figure
	rows, short int                            // figures with a demand; those that fall short
	foreign     map[*assay.Picture][]assay.Row // what foreignSoftware measured
}

// demand counts a figure and says how it stands.
func (b *bench) demand(met bool) string {
	b.rows++
	if met {
		return "met"
	}
	b.short++
	return "SHORT"
}

// spent is the share of the time that is used up, 0..1 and above.
func (b *bench) spent() float64 { return time.Since(b.began).Seconds() / b.budget.Seconds() }

func (b *bench) printf(format string, args ...any) { fmt.Fprintf(b.out, format, args...) }

// heldOut says that nothing may be tuned on the i-th picture (from 0).
func heldOut(i int) bool { return i%2 == 0 }

// heldOut are the pictures on which nothing may be tuned.
func (b *bench) heldOut() (out []*assay.Picture) {
	for i, p := range b.bed.Pictures {
		if heldOut(i) {
			out = append(out, p)
		}
	}
	return out
}

func run(ctx context.Context, folder string, accounts int, only string, budget time.Duration) error {
	photos, err := source(folder)
	if err != nil {
		return err
	}
	b := &bench{accounts: accounts, began: time.Now(), budget: budget, out: os.Stdout, foreign: map[*assay.Picture][]assay.Row{}}
	if b.chosen, err = choose(only); err != nil {
		return err
	}
	b.bed, err = assay.Plant(ctx, photos, assay.Options{
		Accounts: accounts,
		Progress: func(done, total int, file string) { progress("planted %d of %d: %s", done, total, file) },
	})
	if err != nil {
		return err
	}
	defer b.bed.Close()
	for _, r := range b.bed.Refused {
		progress("refused %s: %s", r.File, r.Reason)
	}
	if len(b.bed.Pictures) == 0 {
		return errors.New("none of the photos can be planted")
	}
	for _, f := range b.chosen {
		progress("%s, %.0f s so far", f.name, time.Since(b.began).Seconds())
		if err := f.print(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return json.NewEncoder(b.out).Encode(map[string]int{"rows": b.rows, "short": b.short})
}

// last says that no group of figures comes after this one.
func (b *bench) last(name string) bool { return b.chosen[len(b.chosen)-1].name == name }

func choose(only string) ([]figure, error) {
	if only == "" {
		return figures, nil
	}
	var out []figure
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(figures, func(f figure) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there are no figures called %q", name)
		}
		out = append(out, figures[i])
	}
	return out, nil
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// source is where the photos come from.
func source(folder string) ([]registry.Photo, error) {
	for _, dir := range []string{folder, os.Getenv("BIRDRING_PHOTOS"), "../shared/photos"} {
		if dir == "" {
			continue
		}
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) && dir != folder {
			continue
		}
		if err != nil {
			return nil, err
		}
		var out []registry.Photo
		for _, e := range entries {
			if e.IsDir() || strings.HasSuffix(e.Name(), ".md") {
				continue
			}
			path := filepath.Join(dir, e.Name())
			out = append(out, registry.Photo{Name: e.Name(), Open: func() (io.ReadCloser, error) { return os.Open(path) }})
		}
		return out, nil
	}
	progress("no photos: painting 20")
	return demo.Painted(1, 20), nil
}
