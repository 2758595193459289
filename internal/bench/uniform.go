package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/assay"
	"birdring/internal/assay/change"
)

// uniform gives pictures a codebook of fair bits on the very same planting, and so
// proves on a sample that the z told of code D is the uniform code's.
func uniform(ctx context.Context, b *bench) error {
	t := tabwriter.NewWriter(b.out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "change\tn\tz with D\tz with U\tbits with D\tbits with U\t")
	for _, name := range []string{"jpeg75", "thumb150"} {
		c := change.ByName(name)
		type pair struct{ dz, uz, dbits, ubits float64 }
		pics := b.heldOut()
		pairs := make([]pair, len(pics))
		err := assay.Workers(ctx, len(pairs), func(ctx context.Context, i int) error {
			p, n := pics[i], i*37+11
			row, _, err := b.bed.SingleRow(ctx, p, c, n)
			if err != nil {
				return err
			}
			v, err := b.viewer(ctx, n)
			if err != nil {
				return err
			}
			z, bits, err := b.fair(ctx, p, c, n, v)
			pairs[i] = pair{row.Z, z, row.Bits, bits}
			return err
		})
		if err != nil {
			return err
		}
		var cols [4][]float64
		for _, p := range pairs {
			for k, v := range []float64{p.dz, p.uz, p.dbits, p.ubits} {
				cols[k] = append(cols[k], v)
			}
		}
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%.1f\t%.0f\t%.0f\t\n", name, len(pairs),
			spreadOf(cols[0]).median, spreadOf(cols[1]).median, spreadOf(cols[2]).median, spreadOf(cols[3]).median)
	}
	t.Flush()
	b.printf("z under a fair code and bits, medians: the same planting read with its own code D and with code U\n\n")
	return nil
}

// fair renders viewer v's copy by the book of fair bits, changes and reads it.
func (b *bench) fair(ctx context.Context, p *assay.Picture, c *change.Change, n int, v canary.Viewer) (z, bits float64, err error) {
	pic, err := b.bed.Reg.Picture(ctx, p.Photo)
	if err != nil {
		return 0, 0, err
	}
	even := *pic // shares the prepared runs, which no code has touched
	even.Code = ring.U
	r, err := canary.NewRenderer(&even, b.bed.Reg.Keyring().PictureKey(pic.Epoch, pic.ID))
	if err != nil {
		return 0, 0, err
	}
	made, err := c.Make(r.Append(nil, v), uint64(n))
	if err != nil {
		return 0, 0, err
	}
	f, err := b.bed.Read(ctx, p, made.Data)
	if err != nil {
		return 0, 0, err
	}
	if f, err = f.Under(r.Book()); err != nil {
		return 0, 0, err
	}
	return f.Z(v), f.Bits(v), nil
}
