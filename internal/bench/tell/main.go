// Command tell trains classifiers to tell ringed files from ordinary ones and
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
			for _, row := range []struct {
				name string
				auc  tell.AUC
			}{{"own encoder", r.Own}, {"libjpeg-turbo", r.Foreign}, {"control", r.Known}} {
				fmt.Printf("{\"against\":%q,\"pairs\":%d,\"photos\":%d,\"auc\":%.3f,\"logistic\":%.3f,\"stumps\":%.3f}\n",
					row.name, r.Pairs, r.Photos, row.auc.Stronger(), row.auc.Logistic, row.auc.Stumps)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tell:", err)
		os.Exit(1)
	}
}
