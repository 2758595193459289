package recall

import (
	"image"
	"image/draw"
	"os"
	"path/filepath"

	"birdring/internal/demo/paint"
)

// Split takes a folder's JPEG photos apart: every second one is planted - those with an even
// number, or with fresh those with an odd one, on which nothing was ever mended -, of the
// others two thirds are cut into distractors and one third is nobody's. Without a
// folder, or with fewer than six photos in it, scenes are painted.
func Split(folder string, fresh bool) (o Options, err error) {
	var all []image.Image
	if folder != "" {
		paths, err := filepath.Glob(filepath.Join(folder, "*.jpg"))
		if err != nil {
			return o, err
		}
		for _, path := range paths {
			img, err := open(path)
			if err != nil {
				return o, err
			}
			all = append(all, img)
		}
	}
	if len(all) < 6 {
		all = nil
		for i := range uint64(12) {
			all = append(all, paint.Scene(300+i, 1080, 720))
		}
	}
	for i, img := range all {
		if fresh {
			i++
		}
		switch {
		case i%2 == 1:
			o.Photos = append(o.Photos, img)
		case i%6 == 0:
			o.Foreign = append(o.Foreign, img)
		default:
			o.Others = append(o.Others, img)
		}
	}
	return o, nil
}

func open(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		return img, err
	}
	out := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(out, out.Rect, img, img.Bounds().Min, draw.Src)
	return out, nil
}
