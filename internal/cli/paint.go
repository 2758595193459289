package cli

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"io"

	"birdring/internal/demo/paint"
	"birdring/registry"
)

// paintedPhoto is picture i of a seed: 1080 px on the longer side, one in three upright.
func paintedPhoto(seed uint64, i int) registry.Photo {
	return registry.Photo{
		Name: fmt.Sprintf("painted-%d-%d.jpg", seed, i),
		Open: func() (io.ReadCloser, error) {
			w, h := 1080, 810
			if i%3 == 2 {
				w, h = h, w
			}
			var buf bytes.Buffer
			if err := jpeg.Encode(&buf, paint.Scene(seed+uint64(i), w, h), &jpeg.Options{Quality: 95}); err != nil {
				return nil, err
			}
			return io.NopCloser(&buf), nil
		},
	}
}
