// Package decode turns hostile bytes into pixels.
package decode

import (
	"context"
	"image"

	"birdring/canary/mark"
)

// Limits bound what is decoded, before it is decoded.
type Limits struct {
	MaxBytes  int64
	MaxPixels int
}

// Default is 20 MiB and 40 megapixels.
func Default() Limits { return Limits{MaxBytes: 20 << 20, MaxPixels: 40_000_000} }

// Image is a decoded picture.
type Image struct {
	Format string
	Img    image.Image
	Luma   mark.Plane
	Quant  *[64]uint16
	Frames int
}

// Decode decodes by content, not by name.
func Decode(ctx context.Context, data []byte, lim Limits) (*Image, error) { panic("not yet") }

// Shrink resamples to at most longest pixels on the longer side.
func Shrink(img image.Image, longest int) image.Image { panic("not yet") }

// Luma is the BT.601 luma of a picture, as JPEG's Y.
func Luma(img image.Image) mark.Plane { panic("not yet") }
