// Command tell trains classifiers to tell ringed files from ordinary ones and
// prints how well it does on photos it was not trained on.
//
//	go run ./internal/bench/tell -photos DIR [-like FILE.jpg]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"

	"birdring/canary/jpeg"
	"birdring/internal/tell"
)

func main() {
	folder := flag.String("photos", "../shared/photos", "folder of JPEG photos")
	file := flag.String("like", "", "JPEG file whose dialect to use (default: libjpeg's, quality 90)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	photos, err := filepath.Glob(filepath.Join(*folder, "*.jpg"))
	like, bad := learn(*file)
	if err = errors.Join(err, bad); err == nil {
		var r tell.Result
		if r, err = tell.Measure(ctx, photos, like, os.Stderr); err == nil {
			for _, row := range []struct {
				name string
				auc  tell.AUC
			}{{"own encoder", r.Own}, {"libjpeg-turbo", r.Foreign}, {"control", r.Known}} {
				if math.IsNaN(row.auc.Logistic) {
					continue
				}
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

// learn finds a file's dialect; nil for no file.
func learn(file string) (*jpeg.Dialect, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d, _, err := jpeg.Learn([]jpeg.Sample{{Name: file, Data: data}})
	return d, err
}
