// Command sim simulates the evidence model and prints every number next to the
// one that the statistics promise. `make sim` runs it.
//
// One JSON line a row; "ok" says whether the row keeps its promise. The last line
// counts the rows and those that fall short. Exit 1 if any does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"
)

// row is one number simulated.
type row struct {
	Table string `json:"table"`
	Case  string `json:"case"`
	Want  string `json:"want"` // what the statistics promise
	Got   string `json:"got"`
	OK    bool   `json:"ok"`
	Runs  int    `json:"runs"`
}

// effort is how much is simulated: 1 for `make sim`, less in tests.
type effort float64

// runs scales a number of runs, at least a few.
func (e effort) runs(n int) int { return max(int(float64(e)*float64(n)), min(n, 12)) }

// few is runs for what takes long each.
func (e effort) few(n int) int { return max(int(float64(e)*float64(n)), min(n, 4)) }

// tables are simulated in this order.
var tables = []struct {
	name string
	make func(e effort, tell func(row))
}{
	{"null", nullTable},
	{"mean", meanTable},
	{"innocents", innocentsTable},
	{"tail", tailTable},
	{"positions", positionsTable},
	{"collusion", collusionTable},
	{"averaging", averagingTable},
	{"splices", splicesTable},
	{"pictures", picturesTable},
	{"informed", informedTable},
	{"coins", coinsTable},
	{"probes", probesTable},
	{"unseen", unseenTable},
}

func main() {
	only := flag.String("only", "", "one table")
	e := flag.Float64("effort", 1, "share of the runs")
	flag.Uint64Var(&seed, "seed", 0, "draw other lots than usual")
	photos := flag.String("photos", "", "folder of photos for the farms on real soft values")
	flag.Parse()
	enc := json.NewEncoder(os.Stdout)
	rows, short := 0, 0
	tell := func(r row) {
		rows++
		if !r.OK {
			short++
		}
		if err := enc.Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, "sim:", err)
			os.Exit(1)
		}
	}
	for _, t := range tables {
		if *only != "" && *only != t.name {
			continue
		}
		fmt.Fprintf(os.Stderr, "sim: %s\n", t.name)
		begin := time.Now()
		t.make(effort(*e), func(r row) { r.Table = t.name; tell(r) })
		fmt.Fprintf(os.Stderr, "sim: %s took %.1f s\n", t.name, time.Since(begin).Seconds())
	}
	if *only == "" || *only == "farms" {
		if err := farms(*photos, tell); err != nil {
			fmt.Fprintln(os.Stderr, "sim: farms:", err)
			os.Exit(1)
		}
	}
	fmt.Printf("{\"rows\":%d,\"short\":%d}\n", rows, short)
	if short > 0 {
		os.Exit(1)
	}
}

// seed is what all that is drawn by lot starts from.
var seed uint64

// random is a source of lots, its own for every a and b.
func random(a, b uint64) *rand.Rand { return rand.New(rand.NewPCG(a+seed<<32, b)) }

// each runs n independent simulations on all cores; i seeds each.
func each(n int, run func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				run(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
