// Package assay says which photos would hold their ring, before they are planted.
//
// It plants photos in a registry of its own - a temporary folder, keys that die
// with it, invented accounts - takes one account's copy of each, has package
// change do to it what clone sites do, and traces the result: picture, account
// and transform unknown, as for any find. Then it does the same with what several
// accounts make of their copies together.
//
//	bed, err := assay.Plant(ctx, photos, assay.Options{})
//	defer bed.Close()
//	for _, p := range bed.Pictures {
//		rows, err := bed.Assay(ctx, p, assay.Quick())
//		fmt.Println(p.File, assay.Judge(rows))
//	}
//
// The scores it tells, also those below 64 bits, are of copies that nobody was
// ever served.
package assay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"birdring/beacon/decode"
	"birdring/canary"
	"birdring/canary/mark"
	"birdring/internal/demo"
	"birdring/registry"
)

// Options of Plant. Zero values mean what is said in brackets.
type Options struct {
	Accounts   int                                // that every picture is exposed to (200)
	Companions int                                // painted pictures planted beside the photos, so that finding one is work (2)
	Progress   func(done, total int, file string) // called after each picture, may be nil
}

// Bed is a registry that photos are planted in to be measured.
type Bed struct {
	Reg      *registry.Registry
	Pictures []*Picture
	Refused  []registry.Refused // photos that cannot be planted, with the reason

	dir      string
	accounts int
	photos   map[string]registry.Photo
}

// Picture is a planted photo.
type Picture struct {
	Photo, File string // id; as it was named
	W, H        int
	Segments    int
	Grid        mark.Grid
}

// perBatch is the most pictures of one decoy.
const perBatch = 100

// companionName begins the names of painted companions; no file can be named so.
const companionName = "\x00companion-"

// companionSeed is the seed of the painted companions.
const companionSeed = 0xa55a

// Plant plants photos in a temporary registry. A photo that cannot be planted is
// no error: it is among the refused ones.
func Plant(ctx context.Context, photos []registry.Photo, o Options) (_ *Bed, err error) {
	if o.Accounts == 0 {
		o.Accounts = 200
	}
	if o.Companions == 0 {
		o.Companions = 2
	}
	if o.Progress == nil {
		o.Progress = func(int, int, string) {}
	}
	dir, err := os.MkdirTemp("", "birdring-assay-")
	if err != nil {
		return nil, err
	}
	b := &Bed{dir: dir, accounts: o.Accounts, photos: map[string]registry.Photo{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	data := filepath.Join(dir, "data")
	if _, err := registry.Init(ctx, data); err != nil {
		return nil, err
	}
	if b.Reg, err = registry.Open(ctx, data, registry.Options{}); err != nil {
		return nil, err
	}
	companions := demo.Painted(companionSeed, o.Companions+len(photos)/perBatch+1)
	done := 0
	for len(photos) > 0 {
		extra := 1 // keeps a batch of bad photos from being no batch at all
		if done == 0 {
			extra = o.Companions
		}
		n := min(len(photos), perBatch-extra)
		total := done + len(photos)
		progress := func(have, _ int, file string) {
			if !strings.HasPrefix(file, companionName) {
				o.Progress(min(total, done+max(0, have-extra)), total, file)
			}
		}
		if err := b.plant(ctx, append(named(companions[:extra], done), photos[:n]...), progress); err != nil {
			return nil, err
		}
		done, photos, companions = done+n, photos[n:], companions[extra:]
	}
	return b, nil
}

// named gives painted companions names of their own.
func named(painted []registry.Photo, from int) []registry.Photo {
	out := make([]registry.Photo, len(painted))
	for i, p := range painted {
		out[i] = registry.Photo{Name: fmt.Sprint(companionName, from, "-", i), Open: p.Open}
	}
	return out
}

// plant plants one batch as one decoy and puts it before all accounts.
func (b *Bed) plant(ctx context.Context, photos []registry.Photo, progress func(int, int, string)) error {
	planted, err := b.Reg.Plant(ctx, registry.PlantRequest{
		Decoys: 1, PerDecoy: len(photos), Photos: photos, Progress: progress,
	})
	if err != nil && !errors.Is(err, registry.ErrTooFew) {
		return err
	}
	for _, p := range photos {
		b.photos[p.Name] = p
	}
	var lines strings.Builder
	at := time.Now().UTC().Format(time.RFC3339)
	for _, d := range planted {
		for _, q := range d.Photos {
			if strings.HasPrefix(q.File, companionName) {
				continue
			}
			pic, err := b.Reg.Picture(ctx, q.Photo)
			if err != nil {
				return err
			}
			b.Pictures = append(b.Pictures, &Picture{q.Photo, q.File, q.Width, q.Height, q.Segments, pic.Grid()})
		}
		b.Refused = append(b.Refused, d.Refused...)
		for n := range b.accounts {
			fmt.Fprintf(&lines, "%s,%s,%s,directory\n", Account(n), d.Decoy.ID, at)
		}
	}
	_, _, _, err = b.Reg.ImportExposures(ctx, strings.NewReader(lines.String()))
	return err
}

// Account is the name of the n-th invented account.
func Account(n int) string { return fmt.Sprintf("acct-%05d", n) }

// Close removes the registry with its keys.
func (b *Bed) Close() (err error) {
	if b.Reg != nil {
		err = b.Reg.Close()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// Served is the n-th account's copy of a picture.
func (b *Bed) Served(ctx context.Context, p *Picture, n int) ([]byte, error) {
	v, err := b.Reg.Number(ctx, Account(n%b.accounts), "")
	if err != nil {
		return nil, err
	}
	return b.Reg.Rendition(nil, p.Photo, v)
}

// photoLimits are what seed takes too: a photo may come from a camera as it is.
var photoLimits = decode.Limits{MaxBytes: 64 << 20, MaxPixels: 64_000_000}

// Original is the photo of a picture as it was prepared: upright and reduced.
func (b *Bed) Original(ctx context.Context, p *Picture) (_ *decode.Image, err error) {
	photo, ok := b.photos[p.File]
	if !ok {
		return nil, fmt.Errorf("no photo %q is planted here", p.File)
	}
	file, err := photo.Open()
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read
	data, err := io.ReadAll(io.LimitReader(file, photoLimits.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	img, err := decode.Decode(ctx, data, photoLimits)
	if err != nil {
		return nil, err
	}
	img.Img = decode.Shrink(img.Img, max(p.W, p.H))
	return img, nil
}

// Quality is how close a copy is to the same photo encoded without a ring.
type Quality struct{ PSNR, SSIM float64 } // dB of luma; structural similarity

// Quality compares the n-th account's copy with the unringed file.
func (b *Bed) Quality(ctx context.Context, p *Picture, n int) (q Quality, ringed, plain mark.Plane, err error) {
	served, err := b.Served(ctx, p, n)
	if err != nil {
		return q, ringed, plain, err
	}
	img, err := b.Original(ctx, p)
	if err != nil {
		return q, ringed, plain, fmt.Errorf("%s: %w", p.File, err)
	}
	file, err := canary.PreparePlain(img.Img, nil)
	if err != nil {
		return q, ringed, plain, fmt.Errorf("%s: %w", p.File, err)
	}
	if ringed, err = luma(ctx, served); err != nil {
		return q, ringed, plain, err
	}
	if plain, err = luma(ctx, file); err != nil {
		return q, ringed, plain, err
	}
	return Quality{rounded(mark.PSNR(plain, ringed), 100), rounded(mark.SSIM(plain, ringed), 1e4)}, ringed, plain, nil
}

func luma(ctx context.Context, file []byte) (mark.Plane, error) {
	img, err := decode.Decode(ctx, file, decode.Default())
	if err != nil {
		return mark.Plane{}, err
	}
	return img.Luma, nil
}
