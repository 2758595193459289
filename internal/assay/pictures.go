package assay

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"

	"golang.org/x/image/draw"

	"birdring/beacon/decode"
	"birdring/canary/mark"
)

// amplified is by how much the difference picture makes a ring visible.
const amplified = 24

// views are the small pictures of one photo in a report.
type views struct {
	served []byte // a copy, as JPEG
	ring   []byte // what it adds to the unringed file, amplified
}

// look makes the views of a picture.
func (b *Bed) look(ctx context.Context, p *Picture) (v views, err error) {
	served, err := b.Served(ctx, p, guilty)
	if err != nil {
		return v, err
	}
	if v.served, err = thumbnail(ctx, served, 440); err != nil {
		return v, err
	}
	_, ringed, plain, err := b.Quality(ctx, p, guilty)
	if err != nil {
		return v, err
	}
	v.ring, err = small(difference(ringed, plain), 440)
	return v, err
}

// difference shows b - a around middle grey.
func difference(a, b mark.Plane) image.Image {
	out := image.NewGray(image.Rect(0, 0, a.W, a.H))
	for i := range min(len(a.Pix), len(b.Pix)) {
		out.Pix[i] = uint8(max(0, min(255, 128+amplified*(a.Pix[i]-b.Pix[i]))))
	}
	return out
}

// thumbnail shrinks a file that was read before.
func thumbnail(ctx context.Context, file []byte, longest int) ([]byte, error) {
	img, err := decode.Decode(ctx, file, decode.Default())
	if err != nil {
		return nil, err
	}
	return small(img.Img, longest)
}

// small saves a picture whose longer side is at most longest.
func small(img image.Image, longest int) ([]byte, error) {
	img = decode.Shrink(img, longest)
	ground := image.NewRGBA(img.Bounds())
	draw.Draw(ground, ground.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(ground, ground.Bounds(), img, img.Bounds().Min, draw.Over)
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, ground, &jpeg.Options{Quality: 78})
	return buf.Bytes(), err
}
