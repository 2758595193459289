package main

import (
	"context"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/assay"
)

// quality prepares every photo once more, which gives the same picture, and says
// how close the worst possible rendition comes to the unringed file.
func quality(ctx context.Context, b *bench) error {
	pics := b.bed.Pictures
	reports := make([]*canary.Report, len(pics))
	err := assay.Workers(ctx, len(pics), func(ctx context.Context, i int) error {
		img, err := b.bed.Original(ctx, pics[i])
		if err != nil {
			return err
		}
		keys := b.bed.Reg.Keyring()
		_, reports[i], err = canary.Prepare(img.Img, canary.PrepareOptions{
			ID: pics[i].Photo, Code: ring.D, Epoch: keys.Epoch(), Key: keys.PictureKey(keys.Epoch(), pics[i].Photo),
		})
		return err
	})
	if err != nil {
		return err
	}
	var psnr, ssim, size []float64
	for _, r := range reports {
		psnr, ssim = append(psnr, r.PSNR), append(ssim, r.SSIM)
		size = append(size, 100*(float64(r.Bytes)/float64(r.PlainBytes)-1))
	}
	p, s, z := spreadOf(psnr), spreadOf(ssim), spreadOf(size)
	b.printf("worst PSNR of a rendition against the unringed JPEG: %.2f dB\n", p.least)
	b.demand(p.least >= 50)
	b.printf("SSIM of the worst rendition: median %.4f, worst %.4f (0.998 and 0.996 demanded: %s)\n", s.median, s.least, b.demand(s.median >= .998 && s.least >= .996))
	b.printf("bytes over the unringed JPEG: %+.2f %% median, %+.2f to %+.2f %% (within 0.5 %% demanded: %s)\n\n", z.median, z.least, z.most, b.demand(z.least >= -.5 && z.most <= .5))
	return nil
}
