package clones

import (
	"bytes"
	"image"
	"image/jpeg"
	"math"
	"strings"

	"golang.org/x/image/draw"
)

// picture is a scraped file on its way to the site.
type picture struct {
	data []byte
}

func (p picture) decode() (image.Image, error) {
	img, _, err := image.Decode(bytes.NewReader(p.data))
	return img, err
}

func encode(img image.Image, quality int) ([]byte, error) {
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: quality})
	return buf.Bytes(), err
}

// asIs republishes the bytes.
func asIs(p picture) ([]byte, error) { return p.data, nil }

// reencode saves again at a JPEG quality.
func reencode(quality int) func(picture) ([]byte, error) {
	return func(p picture) ([]byte, error) {
		img, err := p.decode()
		if err != nil {
			return nil, err
		}
		return encode(img, quality)
	}
}

// crop keeps the middle share of the area.
func crop(area float64, quality int) func(picture) ([]byte, error) {
	return func(p picture) ([]byte, error) {
		img, err := p.decode()
		if err != nil {
			return nil, err
		}
		b, side := img.Bounds(), math.Sqrt(area)
		w, h := int(float64(b.Dx())*side), int(float64(b.Dy())*side)
		at := image.Pt(b.Min.X+(b.Dx()-w)/2, b.Min.Y+(b.Dy()-h)/2)
		part := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.Draw(part, part.Bounds(), img, at, draw.Src)
		return encode(part, quality)
	}
}

// scaled reduces img so that its longer side is at most longest.
func scaled(img image.Image, longest int) *image.RGBA {
	b := img.Bounds()
	f := min(1, float64(longest)/float64(max(b.Dx(), b.Dy())))
	small := image.NewRGBA(image.Rect(0, 0, int(float64(b.Dx())*f+0.5), int(float64(b.Dy())*f+0.5)))
	draw.CatmullRom.Scale(small, small.Bounds(), img, b, draw.Src, nil)
	return small
}

// shrink makes thumbnails.
func shrink(longest, quality int) func(picture) ([]byte, error) {
	return func(p picture) ([]byte, error) {
		img, err := p.decode()
		if err != nil {
			return nil, err
		}
		return encode(scaled(img, longest), quality)
	}
}

// flip shrinks and mirrors left to right, an old trick against reverse image search.
func flip(longest, quality int) func(picture) ([]byte, error) {
	return func(p picture) ([]byte, error) {
		img, err := p.decode()
		if err != nil {
			return nil, err
		}
		small := scaled(img, longest)
		b := small.Bounds()
		for y := range b.Dy() {
			row := small.Pix[y*small.Stride : y*small.Stride+b.Dx()*4]
			for i, j := 0, len(row)-4; i < j; i, j = i+4, j-4 {
				for c := range 4 {
					row[i+c], row[j+c] = row[j+c], row[i+c]
				}
			}
		}
		return encode(small, quality)
	}
}

func same(handle string) string  { return "@" + handle }
func upper(handle string) string { return strings.ToUpper(handle) }

// masked hides all but the first three signs, as sites do that fear a takedown by name.
func masked(handle string) string { return handle[:min(3, len(handle))] + "***" }
