// Command tell trains a classifier to tell ringed files from ordinary ones and
// prints how well it does on photos it was not trained on.
//
//	go run ./internal/bench/tell -photos DIR
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"birdring/internal/tell"
)

func main() {
	folder := flag.String("photos", "../shared/photos", "folder of JPEG photos")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	photos, err := filepath.Glob(filepath.Join(*folder, "*.jpg"))
	if err == nil {
		var r tell.Result
		if r, err = tell.Measure(ctx, photos, os.Stderr); err == nil {
			fmt.Printf("{\"pairs\":%d,\"photos\":%d,\"auc_own\":%.3f,\"auc_libjpeg\":%.3f,\"auc_control\":%.3f}\n", r.Pairs, r.Photos, r.Own, r.Foreign, r.Known)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tell:", err)
		os.Exit(1)
	}
}
