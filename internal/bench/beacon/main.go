//go:build linux

// Command beacon measures the beacons against NSD and nginx from Debian in the
// same run: servers on one core, load from this program on another, five rounds
// in which all take turns, medians. It prints every figure with its target and
// its floor, 0.9 of the target, and ends with {"rows":n,"short":n}.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

func main() {
	role := flag.String("role", "", "what this process is: nothing for the measurement itself")
	dir := flag.String("dir", "", "folder of a server's journal")
	rounds := flag.Int("rounds", 5, "rounds, of which the median counts")
	each := flag.Duration("each", 2*time.Second, "how long one server is loaded in one round")
	only := flag.String("only", "", "parts to run, separated by commas: token, dns, kill, http, body, ingest")
	soak := flag.Duration("soak", 0, "instead: mixed load for so long, then a flood for so long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *role != "":
		err = serve(ctx, *role, *dir)
	case *soak > 0:
		err = runSoak(ctx, *soak)
	default:
		err = measure(ctx, &bench{rounds: *rounds, each: *each, only: *only})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-beacon:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	rounds int
	each   time.Duration
	only   string
	dir    string
	rows   []row
}

// row is a figure with what it should be. Most are ratios, larger is better;
// for those where less is better (or nothing is allowed) most is set.
type row struct {
	name   string
	got    float64
	target float64
	most   bool // got must not be more than the target
	print  bool // no target
	detail string
}

// short reports whether the figure misses its floor.
func (r row) short() bool {
	switch {
	case r.print:
		return false
	case r.most:
		return r.got > r.target/0.9
	}
	return r.got < 0.9*r.target
}

// runs reports whether a part is wanted.
func (b *bench) runs(part string) bool {
	return b.only == "" || slices.Contains(strings.Split(b.only, ","), part)
}

func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	fmt.Fprintf(os.Stderr, "  %s: %.3g (%s)\n", r.name, r.got, r.detail)
}

func measure(ctx context.Context, b *bench) (err error) {
	if b.dir, err = os.MkdirTemp("", "bench-beacon-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	for _, part := range []struct {
		name string
		run  func(context.Context, *bench) error
	}{{"token", measureToken}, {"dns", measureDNS}, {"kill", measureKill}, {"http", measureHTTP}, {"body", measureBody}, {"ingest", measureIngest}} {
		if !b.runs(part.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench-beacon:", part.name)
		if err := part.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return b.print()
}

func (b *bench) print() error {
	short := 0
	fmt.Printf("%-62s %9s %9s %9s\n", "figure", "measured", "target", "floor")
	for _, r := range b.rows {
		target, floor, verdict := fmt.Sprintf(">= %.2f", r.target), fmt.Sprintf(">= %.2f", 0.9*r.target), ""
		if r.most {
			target, floor = fmt.Sprintf("<= %.2f", r.target), fmt.Sprintf("<= %.2f", r.target/0.9)
		}
		if r.print {
			target, floor = "-", "-"
		}
		if r.short() {
			short++
			verdict = "  SHORT"
		}
		fmt.Printf("%-62s %9.3f %9s %9s  %s%s\n", r.name, r.got, target, floor, r.detail, verdict)
	}
	return json.NewEncoder(os.Stdout).Encode(struct {
		Rows  int `json:"rows"`
		Short int `json:"short"`
	}{len(b.rows), short})
}

// progress tells on stderr how far it is.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// median of an odd number of values, the upper one of two in the middle otherwise.
func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
