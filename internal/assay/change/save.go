package change

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"sync"

	"github.com/gen2brain/avif"
	"github.com/gen2brain/webp"
)

// Format is a kind of file at a quality, for example "jpeg 75".
type Format struct {
	Kind    string // jpeg, png, webp or avif; "" for the file as it was served
	Quality int
}

// AsIs keeps the served file.
var AsIs = Format{}

func jpg(quality int) Format { return Format{"jpeg", quality} }

var (
	lossless = Format{Kind: "png"}
	usual    = jpg(90) // what saving costs when saving is not the point
)

// wasm guards the two encoders compiled to WebAssembly: each call starts a
// machine of its own, two at once would need twice the memory for no time gained.
var wasm sync.Mutex

// Encode saves a picture.
func (f Format) Encode(img image.Image) ([]byte, error) {
	var buf bytes.Buffer
	var err error
	switch f.Kind {
	case "jpeg":
		err = jpeg.Encode(&buf, img, &jpeg.Options{Quality: f.Quality})
	case "png":
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&buf, img)
	case "webp":
		wasm.Lock()
		defer wasm.Unlock()
		err = webp.Encode(&buf, img, webp.Options{Quality: f.Quality, Method: webp.DefaultMethod})
	case "avif":
		wasm.Lock()
		defer wasm.Unlock()
		err = avif.Encode(&buf, img, avif.Options{Quality: f.Quality, Speed: avif.DefaultSpeed, ChromaSubsampling: image.YCbCrSubsampleRatio420})
	default:
		err = fmt.Errorf("no encoder for %q", f.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("save as %s: %w", f.Kind, err)
	}
	return buf.Bytes(), nil
}

// saved is a save on the way: the picture goes on with what is left of it.
func saved(f Format) step {
	return func(k *work) error {
		data, err := f.Encode(k.img)
		if err != nil {
			return err
		}
		k.img, err = pixels(data)
		return err
	}
}

// pixels decodes a file of ours: a served JPEG, or one saved on the way.
func pixels(data []byte) (*image.RGBA, error) {
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decode copy: %w", err)
	}
	return canvas(img), nil
}
