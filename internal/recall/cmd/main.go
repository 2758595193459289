// Command cmd prints how many planted pictures are found among very many
// (package recall), a table and at last one JSON object.
//
//	go run ./internal/recall/cmd -photos DIR -planted 100000
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"

	"birdring/internal/recall"
)

func main() {
	photos := flag.String("photos", "", "folder of JPEG photos; default $BIRDRING_PHOTOS, else ../shared/photos, else painted ones")
	planted := flag.Int("planted", 100_000, "pictures in the index")
	fresh := flag.Bool("fresh", false, "plant the other half of the photos, which nothing was mended on")
	seed := flag.Uint64("seed", 1, "of the distractors")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *photos, *fresh, *planted, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "recall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string, fresh bool, planted int, seed uint64) error {
	for _, dir := range []string{os.Getenv("BIRDRING_PHOTOS"), "../shared/photos"} {
		if _, err := os.Stat(dir); folder == "" && dir != "" && err == nil {
			folder = dir
		}
	}
	o, err := recall.Split(folder, fresh)
	if err != nil {
		return err
	}
	o.Planted, o.Seed = planted, seed
	o.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	r, err := recall.Run(ctx, o)
	if err != nil {
		return err
	}
	return show(r)
}

func show(r *recall.Result) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "change\tpairs\treadable\tfound\tmedian error px\tworst\tmissed photos\t")
	var errs []float64
	for _, row := range r.Rows {
		errs = append(errs, row.Errors...)
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.3f\t%.3f\t%v\t\n", row.Change, row.Pairs, row.Readable, row.Found, median(row.Errors), worst(row.Errors), row.Missed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Printf("%d of %d readable pairs are found among %d planted pictures; median error of the alignment %.3f px\n",
		r.Found(), r.Readable(), r.Planted, median(errs))
	decode := median(r.Decode)
	fmt.Printf("an index takes %.1f kB a picture; a look-up takes %.1f times a decode, the print of the file %.1f times\n",
		r.BytesPerPrint/1000, float64(median(r.Search))/float64(decode), float64(median(r.Query))/float64(decode))
	fmt.Printf("a foreign picture costs %.2f times its decode with PDQ alone, %.2f times with keypoints (medians of %d); %d of them matched something\n",
		median(r.ForeignHash), median(r.Foreign), len(r.Foreign), r.FalseMatches)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"rows": r.Readable(), "short": r.Readable() - r.Found() + r.FalseMatches, "planted": r.Planted,
	})
}

func median[T float64 | time.Duration](v []T) T {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func worst(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Max(v)
}
