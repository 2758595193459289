package main

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"
	"time"

	"birdring/beacon/decode"
	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/assay"
	"birdring/internal/assay/change"
	"birdring/internal/demo/paint"
	"birdring/registry"
)

// times is how often each thing is done; the median counts.
const times = 7

// speeds prints every speed as a ratio to something that everybody can measure,
// done by turns with it, so that the machine's load falls on both. One thread.
func speeds(ctx context.Context, b *bench) error {
	p := b.largest()
	img, err := b.bed.Original(ctx, p)
	if err != nil {
		return err
	}
	lib, err := libjpegTurbo(ctx, img.Img)
	if err != nil {
		b.printf("speeds against libjpeg-turbo are left out: %v\n", err)
		lib = libjpeg{math.NaN(), math.NaN()}
	}
	b.printf("Speeds, one thread, %s (%d x %d); libjpeg-turbo on the same picture: encode %.1f ms, decode %.1f ms\n", p.File, p.W, p.H, 1e3*lib.encode, 1e3*lib.decode)
	for _, f := range []func(context.Context, *bench, *assay.Picture, image.Image, libjpeg) error{renditionSpeed, prepareSpeed, traceSpeed, foreignSpeed, screenSpeed} {
		if err := f(ctx, b, p, img.Img, lib); err != nil {
			return err
		}
	}
	b.printf("\n")
	return nil
}

// largest is the first of the pictures with most pixels.
func (b *bench) largest() *assay.Picture {
	return slices.MaxFunc(b.bed.Pictures, func(a, c *assay.Picture) int { return a.W*a.H - c.W*c.H })
}

// ratio prints one speed. limit is the most (or, negative, the least) demanded; 0: nothing is.
func (b *bench) ratio(what string, value float64, unit string, limit float64) {
	stands := ""
	switch {
	case math.IsNaN(value):
	case limit > 0:
		stands = fmt.Sprintf("  (at most %g demanded: %s)", limit, b.demand(value <= limit))
	case limit < 0:
		stands = fmt.Sprintf("  (at least %g demanded: %s)", -limit, b.demand(value >= -limit))
	}
	b.printf("  %-58s %8.3g %s%s\n", what, value, unit, stands)
}

// byTurns does things in turn, times over, and returns the median seconds of each.
func byTurns(jobs ...func() error) ([]float64, error) {
	took := make([][]float64, len(jobs))
	for range times {
		for i, job := range jobs {
			began := time.Now()
			if err := job(); err != nil {
				return nil, err
			}
			took[i] = append(took[i], time.Since(began).Seconds())
		}
	}
	out := make([]float64, len(jobs))
	for i := range out {
		out[i] = spreadOf(took[i]).median
	}
	return out, nil
}

// renditionSpeed joins copies, hot and with nothing in the caches.
func renditionSpeed(ctx context.Context, b *bench, p *assay.Picture, _ image.Image, lib libjpeg) error {
	served, err := b.bed.Served(ctx, p, 3)
	if err != nil {
		return err
	}
	dst := make([]byte, 0, len(served))
	v := canary.FirstViewer
	const loops = 200
	render := func() error {
		for range loops {
			v++
			if dst, err = b.bed.Reg.Rendition(dst[:0], p.Photo, v); err != nil {
				return err
			}
		}
		return nil
	}
	hot, err := byTurns(render, func() error {
		for range loops {
			copy(dst[:len(served)], served)
		}
		return nil
	})
	if err != nil {
		return err
	}
	cold, err := coldSpeed(b, p, served)
	if err != nil {
		return err
	}
	b.ratio("a rendition, hot, to memcpy of the same bytes", hot[0]/hot[1], "x", 3)
	b.ratio("a rendition, cold, to cold memcpy of the same bytes", cold[0]/cold[1], "x", 2.2)
	b.ratio("libjpeg-turbo's encode to a rendition, hot", lib.encode/(hot[0]/loops), "x", -150)
	return nil
}

// coldSpeed flushes the caches by walking through memory before every rendition and copy.
func coldSpeed(b *bench, p *assay.Picture, served []byte) ([2]float64, error) {
	flush := make([]byte, 96<<20)
	dst := make([]byte, 0, len(served))
	var took [2][]float64
	for i := range 3 * times {
		for k := range took {
			for j := 0; j < len(flush); j += 64 {
				flush[j]++
			}
			began := time.Now()
			if k == 0 {
				var err error
				if dst, err = b.bed.Reg.Rendition(dst[:0], p.Photo, canary.FirstViewer+canary.Viewer(i)); err != nil {
					return [2]float64{}, err
				}
			} else {
				copy(dst[:len(served)], served)
			}
			took[k] = append(took[k], time.Since(began).Seconds())
		}
	}
	return [2]float64{spreadOf(took[0]).median, spreadOf(took[1]).median}, nil
}

// prepareSpeed prepares the photo again.
func prepareSpeed(_ context.Context, b *bench, p *assay.Picture, img image.Image, lib libjpeg) error {
	keys := b.bed.Reg.Keyring()
	took, err := byTurns(func() error {
		_, _, err := canary.Prepare(img, canary.PrepareOptions{ID: p.Photo, Code: ring.D, Epoch: keys.Epoch(), Key: keys.PictureKey(keys.Epoch(), p.Photo)})
		return err
	})
	if err != nil {
		return err
	}
	b.ratio("preparing the photo", took[0], "s", 1)
	b.ratio("preparing the photo to libjpeg-turbo's encode", took[0]/lib.encode, "x", 0)
	return nil
}

// traceSpeed traces a changed copy against all exposed accounts.
func traceSpeed(ctx context.Context, b *bench, p *assay.Picture, _ image.Image, lib libjpeg) error {
	served, err := b.bed.Served(ctx, p, 4)
	if err != nil {
		return err
	}
	made, err := change.ByName("jpeg75").Make(served, 1)
	if err != nil {
		return err
	}
	took, err := byTurns(func() error { return b.trace(ctx, made.Data, registry.VerdictAttributed) })
	if err != nil {
		return err
	}
	b.ratio(fmt.Sprintf("a trace of a JPEG 75 copy among %d accounts", b.accounts), took[0], "s", 1)
	b.ratio("the same to libjpeg-turbo's decode and encode", took[0]/(lib.encode+lib.decode), "x", 0)
	if made, err = change.ByName("combo_clone").Make(served, 1); err != nil {
		return err
	}
	req := registry.TraceRequest{Name: "speed", Data: made.Data, CapturedAt: time.Now().Add(time.Hour)}
	took, err = byTurns(func() error { _, err := b.bed.Reg.Trace(ctx, req); return err })
	if err != nil {
		return err
	}
	b.ratio("a trace of what the clone-site combination left of it", took[0], "s", 1)
	return nil
}

func (b *bench) trace(ctx context.Context, data []byte, want registry.Verdict) error {
	all, err := b.bed.Reg.Trace(ctx, registry.TraceRequest{Name: "speed", Data: data, CapturedAt: time.Now().Add(time.Hour)})
	if err == nil && (len(all) == 0 || all[0].Verdict != want) {
		err = fmt.Errorf("a trace says %+v, %s was expected", all, want)
	}
	return err
}

// foreignSpeed traces a picture that nobody planted.
func foreignSpeed(ctx context.Context, b *bench, p *assay.Picture, _ image.Image, _ libjpeg) error {
	data, err := change.Format{Kind: "jpeg", Quality: 85}.Encode(paint.Scene(987654321, p.W, p.H))
	if err != nil {
		return err
	}
	took, err := byTurns(
		func() error { return b.trace(ctx, data, registry.VerdictUnknown) },
		func() error {
			_, err := decode.Decode(ctx, data, decode.Default())
			return err
		})
	if err != nil {
		return err
	}
	b.ratio("a foreign picture, keypoints and all, to its decode", took[0]/took[1], "x", 4)
	return nil
}

// screenSpeed scores a million viewers from the key.
func screenSpeed(ctx context.Context, b *bench, p *assay.Picture, _ image.Image, _ libjpeg) error {
	served, err := b.bed.Served(ctx, p, 5)
	if err != nil {
		return err
	}
	f, err := b.bed.Read(ctx, p, served)
	if err != nil {
		return err
	}
	if !f.Found {
		return fmt.Errorf("%s is not recognised as it was served", p.File)
	}
	const million = 1_000_000
	prefix := make([]byte, 64*million)
	stream, err := keystream()
	if err != nil {
		return err
	}
	took, err := byTurns(
		func() error {
			f.Reading.ScoreRange(f.Reading.Sweep(million), uint64(canary.FirstViewer), million, func(uint64, *ring.Score) {})
			return nil
		},
		func() error { stream.XORKeyStream(prefix, prefix); return nil })
	if err != nil {
		return err
	}
	b.ratio("a million viewers screened from the key", took[0], "s", .06)
	b.ratio("the same to AES-CTR of 64 bytes a viewer", took[0]/took[1], "x", 0)
	return nil
}
