// Package decode turns hostile bytes into pixels: JPEG (baseline, progressive,
// grey, CMYK), PNG, GIF, WebP, AVIF, HEIC, BMP and TIFF, told apart by content
// and not by name.
//
// Bytes and pixels are bounded before anything is decoded. Orientation as EXIF
// states it is applied, all other metadata is dropped. Of an animation the
// first frame is decoded. Transparent pictures are laid on white, as a page
// shows them.
//
// It does not colour-manage: an ICC profile is ignored.
package decode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	jpegfile "birdring/canary/jpeg"
	"birdring/canary/mark"
)

// What Decode's errors wrap.
var (
	ErrEmpty     = errors.New("file is empty")
	ErrFormat    = errors.New("no JPEG, PNG, GIF, WebP, AVIF, HEIC, BMP or TIFF picture")
	ErrTooLarge  = errors.New("picture is too large")
	ErrTruncated = errors.New("picture is cut off: fetch it again")
	ErrDamaged   = errors.New("picture cannot be decoded")
)

// Limits bound what is decoded, before it is decoded.
type Limits struct {
	MaxBytes  int64 // of the file
	MaxPixels int   // of the picture; half of it where a pixel takes more than 4 bytes on the way
}

// Pictures with more pixels than wholeLuma have a plane of half the size. What an
// encoder rounded is kept up to mostRounded: 8 bytes a pixel, and a larger picture is
// an enlarged one, whose grid says nothing.
const (
	wholeLuma   = 12_000_000
	mostRounded = 6_000_000
)

// Default is 20 MiB and 40 megapixels.
func Default() Limits { return Limits{MaxBytes: 20 << 20, MaxPixels: 40_000_000} }

// Image is a decoded picture.
type Image struct {
	Format string      // "jpeg", "png", "gif", "webp", "avif", "heic", "bmp" or "tiff"
	Img    image.Image // upright, opaque, bounds starting at 0,0
	Luma   mark.Plane  // BT.601 as JPEG's Y: of a JPEG the Y samples themselves
	// Step is how many pixels of the picture one of Luma spans: 2 where the picture
	// is so large that its plane would fill the memory and show nothing more, else 1.
	Step int
	// Quant is the luma quantiser of a JPEG in natural order; nil for other
	// formats, for RGB and CMYK JPEGs, and for a JPEG turned upright, whose pixel
	// grid is no longer its own.
	Quant *[64]uint16
	// Rounded says what a lossy WebP encoder rounded; nil for other formats and for a
	// picture turned upright. Luma is then as rounded, before the loop filter.
	Rounded *mark.Rounded
	Frames  int // of an animation, at least 1
}

// format is one kind of file, decoded from a reader or in a sandbox.
type format struct {
	name   string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	boxed  func(ctx context.Context, data []byte, w, h int) (image.Image, error)
}

var formats = map[string]format{
	"jpeg": {name: "jpeg", config: jpeg.DecodeConfig, decode: jpeg.Decode},
	"png":  {name: "png", config: png.DecodeConfig, decode: png.Decode},
	"gif":  {name: "gif", config: gif.DecodeConfig, decode: gif.Decode},
	"webp": {name: "webp", config: webp.DecodeConfig, decode: webp.Decode},
	"bmp":  {name: "bmp", config: bmp.DecodeConfig, decode: bmp.Decode},
	"tiff": {name: "tiff", config: tiff.DecodeConfig, decode: tiff.Decode},
	"avif": {name: "avif", boxed: decodeAVIF},
	"heic": {name: "heic", boxed: decodeHEIC},
}

// sniff tells the format by the first bytes, "" if it is none.
func sniff(data []byte) string {
	has := func(at int, magic string) bool {
		return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
	}
	switch {
	case has(0, "\xff\xd8\xff"):
		return "jpeg"
	case has(0, "\x89PNG\r\n\x1a\n"):
		return "png"
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return "gif"
	case has(0, "RIFF") && has(8, "WEBP"):
		return "webp"
	case has(0, "BM"):
		return "bmp"
	case has(0, "II*\x00"), has(0, "MM\x00*"):
		return "tiff"
	}
	return brands(data)
}

// Decode decodes a picture. It gives up when ctx ends.
func Decode(ctx context.Context, data []byte, lim Limits) (out *Image, err error) {
	switch {
	case len(data) == 0:
		return nil, ErrEmpty
	case int64(len(data)) > lim.MaxBytes:
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, len(data), lim.MaxBytes)
	}
	f, ok := formats[sniff(data)]
	if !ok {
		return nil, ErrFormat
	}
	// The decoders are well tested, but this is the one place where a stranger's
	// bytes meet them: a panic there must not take the program down.
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("%w: %s decoder: %v", ErrDamaged, f.name, p)
		}
	}()
	return decode(ctx, f, data, lim)
}

func decode(ctx context.Context, f format, data []byte, lim Limits) (*Image, error) {
	out := &Image{Format: f.name, Frames: 1, Step: 1}
	orientation := upright
	switch f.name {
	case "webp":
		still, err := firstFrame(data)
		if err != nil {
			return nil, err
		}
		data, out.Frames, orientation = still.file, still.frames, still.orientation
	case "gif":
		out.Frames = gifFrames(data)
	case "jpeg":
		orientation = jpegOrientation(data)
	case "png":
		orientation = pngOrientation(data)
	case "tiff":
		orientation = tiffOrientation(data)
	}
	img, err := pixels(ctx, f, data, lim, out)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	if b := img.Bounds(); b.Dx() < 1 || b.Dy() < 1 {
		return nil, fmt.Errorf("%w: it has no pixels", ErrDamaged)
	}
	size := img.Bounds().Dx() * img.Bounds().Dy()
	if f.name == "webp" {
		img, out.Luma = fullRange(img, size <= wholeLuma)
		if size <= mostRounded && orientation == upright {
			if p, known := rounded(data, img.Bounds().Dx(), img.Bounds().Dy()); known != nil {
				out.Luma, out.Rounded = p, known
			}
		}
	}
	img = opaque(img)
	switch {
	case size > wholeLuma:
		out.Luma, out.Step = halfLuma(img), 2
	case out.Luma.Pix == nil:
		out.Luma = Luma(img)
	}
	if f.name == "jpeg" && out.Step == 1 && orientation == upright && hasLuma(img) {
		// A picture that decodes but whose tables cannot be read is still a picture.
		if q, err := jpegfile.Tables(data); err == nil {
			out.Quant = q
		}
	}
	out.Img, out.Luma = orientation.turn(img), orientation.turnPlane(out.Luma)
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return out, nil
}

// pixels checks the size that a file states and decodes it.
func pixels(ctx context.Context, f format, data []byte, lim Limits, out *Image) (image.Image, error) {
	if f.boxed != nil {
		said, err := readHEIF(data)
		if err != nil {
			return nil, err
		}
		if err := fits(said.w, said.h, min(lim.MaxPixels, wasmPixels)); err != nil {
			return nil, err
		}
		out.Frames = said.frames
		img, err := f.boxed(ctx, data, said.w, said.h)
		if err != nil && !errors.Is(err, ErrTooLarge) {
			err = explain(f.name, err)
		}
		return img, err
	}
	if err := checkSize(f, data, lim); err != nil {
		return nil, err
	}
	in := reader{ctx: ctx, data: data}
	img, err := f.decode(&in)
	if err != nil && in.ended { // decoders have many words for this one
		return nil, fmt.Errorf("%s %w", f.name, ErrTruncated)
	}
	if err != nil {
		return nil, explain(f.name, err)
	}
	return img, nil
}

// fits holds a size against the number of pixels allowed.
func fits(w, h, allowed int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("%w: it has no pixels", ErrDamaged)
	}
	if w > allowed || h > allowed/w {
		return fmt.Errorf("%w: %d x %d pixels, at most %d are read", ErrTooLarge, w, h, allowed)
	}
	return nil
}

// hasLuma says that a JPEG's first component is luma: not one of RGB or CMYK.
func hasLuma(img image.Image) bool {
	switch img.(type) {
	case *image.YCbCr, *image.Gray:
		return true
	}
	return false
}

// checkSize reads the header only.
func checkSize(f format, data []byte, lim Limits) error {
	c, err := f.config(bytes.NewReader(data))
	if err != nil {
		return explain(f.name, err)
	}
	allowed := lim.MaxPixels
	if wide(c.ColorModel) || f.name == "jpeg" && jpegProgressive(data) {
		allowed /= 2
	}
	return fits(c.Width, c.Height, allowed)
}

// wide says that a pixel of the model takes 8 bytes.
func wide(m color.Model) bool {
	return m == color.RGBA64Model || m == color.NRGBA64Model
}

// explain says what is wrong with a picture, in our words where we can.
func explain(name string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s %w", name, ErrTruncated)
	}
	return fmt.Errorf("%w: %v", ErrDamaged, err)
}

// reader reads data until its context ends. It has no other methods on purpose:
// decoders would use them to go around Read.
type reader struct {
	ctx   context.Context
	data  []byte
	ended bool // more was asked for than there is
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if len(r.data) == 0 {
		r.ended = true
		return 0, io.EOF
	}
	// Small pieces, so that a slow picture notices the end soon.
	n := copy(p[:min(len(p), 1<<16)], r.data)
	r.data = r.data[n:]
	return n, nil
}
