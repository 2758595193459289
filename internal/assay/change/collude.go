package change

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
)

// Collusion is a way to make one picture out of several copies of it.
type Collusion struct {
	Name string
	When string // completes "weak when 4 copies are ...": averaged
	join func(copies []*image.RGBA, out *image.RGBA, rng *rand.Rand)
}

// cellSide is the side of the cells in which copies differ, as anybody sees who lays two over each other.
const cellSide = 16

// blockSide is the side of the blocks of the strategy mix.
const blockSide = 64

// Collusions lists the strategies.
func Collusions() []*Collusion {
	return []*Collusion{
		{"average", "averaged", each(func(v []byte, _ *rand.Rand) byte {
			sum := 0
			for _, b := range v {
				sum += int(b)
			}
			return byte((2*sum + len(v)) / (2 * len(v)))
		})},
		{"mix", "mixed in blocks", mixed},
		{"median", "joined by their median", each(func(v []byte, _ *rand.Rand) byte {
			slices.Sort(v)
			return byte((int(v[(len(v)-1)/2]) + int(v[len(v)/2]) + 1) / 2)
		})},
		{"min", "joined by their darkest pixels", each(func(v []byte, _ *rand.Rand) byte { return slices.Min(v) })},
		{"max", "joined by their brightest pixels", each(func(v []byte, _ *rand.Rand) byte { return slices.Max(v) })},
		{"minority", "joined by the rarer variant", minority},
	}
}

// Make joins served files of one picture and saves the result as the JPEG of
// quality 75 that a site would make of it.
func (c *Collusion) Make(served [][]byte, seed uint64) (*Made, error) {
	var copies []*image.RGBA
	for _, data := range served {
		img, err := pixels(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		copies = append(copies, img)
	}
	if len(copies) == 0 {
		return nil, fmt.Errorf("%s: no copies to join", c.Name)
	}
	w := start(canvas(copies[0]), seed)
	c.join(copies, w.img, w.rng)
	data, err := jpg(75).Encode(w.img)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return &Made{Data: data, Img: w.img, Truth: w.truth}, nil
}

// each makes every colour value out of those of the copies at its place.
func each(of func(v []byte, rng *rand.Rand) byte) func([]*image.RGBA, *image.RGBA, *rand.Rand) {
	return func(copies []*image.RGBA, out *image.RGBA, rng *rand.Rand) {
		v := make([]byte, len(copies))
		for i := range out.Pix {
			for j, c := range copies {
				v[j] = c.Pix[i]
			}
			out.Pix[i] = of(v, rng)
		}
	}
}

// mixed takes every block from a copy drawn by lot.
func mixed(copies []*image.RGBA, out *image.RGBA, rng *rand.Rand) {
	tiles(out.Bounds(), blockSide, func(r image.Rectangle) { paste(out, copies[rng.IntN(len(copies))], r) })
}

// minority takes every cell as the fewest copies have it, by lot among equally
// rare: against a code of fair bits three copies joined so accuse nobody.
func minority(copies []*image.RGBA, out *image.RGBA, rng *rand.Rand) {
	tiles(out.Bounds(), cellSide, func(r image.Rectangle) {
		var best []*image.RGBA
		fewest := len(copies) + 1
		for _, c := range copies {
			n := 0
			for _, d := range copies {
				if sameIn(c, d, r) {
					n++
				}
			}
			if n < fewest {
				best, fewest = best[:0], n
			}
			if n == fewest {
				best = append(best, c)
			}
		}
		paste(out, best[rng.IntN(len(best))], r)
	})
}

// tiles visits the tiles of a picture, row by row.
func tiles(b image.Rectangle, side int, visit func(image.Rectangle)) {
	for y := b.Min.Y; y < b.Max.Y; y += side {
		for x := b.Min.X; x < b.Max.X; x += side {
			visit(image.Rect(x, y, x+side, y+side).Intersect(b))
		}
	}
}

func paste(dst, src *image.RGBA, r image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(dst.Pix[dst.PixOffset(r.Min.X, y):dst.PixOffset(r.Max.X, y)], src.Pix[src.PixOffset(r.Min.X, y):])
	}
}

func sameIn(a, b *image.RGBA, r image.Rectangle) bool {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		n := 4 * r.Dx()
		if string(a.Pix[a.PixOffset(r.Min.X, y):][:n]) != string(b.Pix[b.PixOffset(r.Min.X, y):][:n]) {
			return false
		}
	}
	return true
}
