// Command pace prepares photos and prints, as ratios measured in the same run, what
// preparing and serving them costs and how near the renditions come to the
// unringed picture.
//
//	go run ./internal/bench/pace -photos DIR
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"os/signal"
	"path/filepath"

	"birdring/internal/pace"
)

func main() {
	photos := flag.String("photos", "../shared/photos", "folder of photos, JPEG or PNG")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *photos); err != nil {
		fmt.Fprintln(os.Stderr, "pace:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	turbo, err := pace.NewTurbo(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		defer turbo.Close()
	}
	out := json.NewEncoder(os.Stdout)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			continue // a folder
		}
		img, _, err := image.Decode(bytes.NewReader(data))
		if err != nil {
			continue // no picture
		}
		row, err := pace.Measure(ctx, e.Name(), img, turbo)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", e.Name(), err)
			continue
		}
		if err := out.Encode(row); err != nil {
			return err
		}
	}
	return nil
}
