// Command bench plants photos, exposes a thousand accounts to each, changes one
// account's copy of each in seven ways with foreign software (ImageMagick,
// libjpeg-turbo, libwebp), traces the results as `birdring trace` does, and
// prints how many lead to the right account and how many to a wrong one.
//
//	go run ./internal/bench -photos DIR
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
	"text/tabwriter"
	"time"

	"birdring/beacon/decode"
	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/demo"
	"birdring/registry"
)

func main() {
	photos := flag.String("photos", "", "folder of photos; default $BIRDRING_PHOTOS, else ../shared/photos, else painted ones")
	accounts := flag.Int("accounts", 1000, "accounts exposed to each picture")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *photos, *accounts); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row collects what one change did over all pictures.
type row struct {
	name         string
	right, wrong int
	total        int
	bits         []float64
	seconds      []float64
}

func run(ctx context.Context, folder string, accounts int) error {
	changes, err := foreignChanges()
	if err != nil {
		return err
	}
	photos, err := source(folder)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "birdring-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := plant(ctx, filepath.Join(dir, "data"), photos, accounts)
	if err != nil {
		return err
	}
	defer b.reg.Close()
	rows := make([]row, len(changes))
	for i, c := range changes {
		rows[i].name = c.name
		for j := range b.pictures {
			if err := b.try(ctx, dir, c, &b.pictures[j], j, &rows[i]); err != nil {
				return fmt.Errorf("%s on %s: %w", c.name, b.pictures[j].file, err)
			}
		}
		fmt.Fprintf(os.Stderr, "%-12s %d of %d right\n", c.name, rows[i].right, rows[i].total)
	}
	return b.print(rows)
}

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
	fmt.Fprintln(os.Stderr, "no photos: painting 20")
	return demo.Painted(1, 20), nil
}

// bed is a registry with planted and exposed pictures.
type bed struct {
	reg      *registry.Registry
	accounts int
	pictures []picture
	psnr     []float64
}

type picture struct{ decoy, photo, file string }

// name of the n-th account.
func name(n int) string { return fmt.Sprintf("acct-%05d", n) }

func plant(ctx context.Context, dir string, photos []registry.Photo, accounts int) (*bed, error) {
	if _, err := registry.Init(ctx, dir); err != nil {
		return nil, err
	}
	reg, err := registry.Open(ctx, dir, registry.Options{})
	if err != nil {
		return nil, err
	}
	b := &bed{reg: reg, accounts: accounts}
	planted, err := reg.Plant(ctx, registry.PlantRequest{
		Decoys: len(photos), Share: 0.25, Photos: photos, PerDecoy: 1,
		Progress: func(done, total int, file string) {
			fmt.Fprintf(os.Stderr, "planted %d of %d: %s\n", done, total, file)
		},
	})
	if err != nil {
		reg.Close()
		return nil, err
	}
	var lines strings.Builder
	at := time.Now().UTC().Format(time.RFC3339)
	for _, p := range planted {
		for _, r := range p.Refused {
			fmt.Fprintf(os.Stderr, "refused %s: %s\n", r.File, r.Reason)
		}
		for _, q := range p.Photos {
			b.pictures = append(b.pictures, picture{p.Decoy.ID, q.Photo, q.File})
			worst, err := worstPSNR(reg, photos, q)
			if err != nil {
				return nil, err
			}
			b.psnr = append(b.psnr, worst)
		}
		for n := range accounts {
			fmt.Fprintf(&lines, "%s,%s,%s,directory\n", name(n), p.Decoy.ID, at)
		}
	}
	_, _, _, err = reg.ImportExposures(ctx, strings.NewReader(lines.String()))
	return b, err
}

// worstPSNR prepares a planted photo once more, which gives the same picture, and
// returns the PSNR of its worst possible rendition against the unringed JPEG.
func worstPSNR(reg *registry.Registry, photos []registry.Photo, q registry.PlantedPhoto) (float64, error) {
	i := slices.IndexFunc(photos, func(p registry.Photo) bool { return p.Name == q.File })
	file, err := photos[i].Open()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		return 0, err
	}
	img, err := decode.Decode(context.Background(), data, decode.Default())
	if err != nil {
		return 0, err
	}
	keys := reg.Keyring()
	_, rep, err := canary.Prepare(decode.Shrink(img.Img, 1080), canary.PrepareOptions{
		ID: q.Photo, Code: ring.D, Epoch: keys.Epoch(), Key: keys.PictureKey(keys.Epoch(), q.Photo),
	})
	if err != nil {
		return 0, err
	}
	return rep.PSNR, nil
}

// try changes one account's copy of a picture and traces it.
func (b *bed) try(ctx context.Context, dir string, c change, p *picture, j int, r *row) error {
	who := name((j*37 + 11) % b.accounts)
	viewer, err := b.reg.Number(ctx, who, "")
	if err != nil {
		return err
	}
	served, err := b.reg.Rendition(nil, p.photo, viewer)
	if err != nil {
		return err
	}
	found, err := c.apply(ctx, dir, served)
	if err != nil {
		return err
	}
	began := time.Now()
	results, err := b.reg.Trace(ctx, registry.TraceRequest{Name: p.file, Data: found, CapturedAt: time.Now().Add(time.Hour)})
	if err != nil {
		return err
	}
	r.seconds = append(r.seconds, time.Since(began).Seconds())
	r.total++
	best := 0.0
	hit, miss := false, false
	for _, t := range results {
		for _, a := range t.Accounts {
			if a.Account == who {
				hit, best = true, max(best, a.Bits)
			} else {
				miss = true
			}
		}
	}
	if hit {
		r.right++
	}
	if miss {
		r.wrong++
	}
	r.bits = append(r.bits, best)
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return s[len(s)/2]
}

func (b *bed) print(rows []row) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "change\tright\twrong\tof\tmedian bits\tworst bits\tmedian s\t")
	right, wrong, total := 0, 0, 0
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.1f\t%.1f\t%.2f\t\n", r.name, r.right, r.wrong, r.total, median(r.bits), slices.Min(r.bits), median(r.seconds))
		right, wrong, total = right+r.right, wrong+r.wrong, total+r.total
	}
	t.Flush()
	fmt.Printf("%d pictures, %d accounts exposed to each: %d of %d lead to the right account at 64 bits or more, %d to a wrong one\n",
		len(b.pictures), b.accounts, right, total, wrong)
	fmt.Printf("worst PSNR of a rendition against the unringed JPEG: %.2f dB\n", slices.Min(b.psnr))
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"rows": total, "short": total - right + wrong})
}
