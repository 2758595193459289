// Package change does to a copy what clone sites and people who hide a source
// do to pictures: save again, shrink, cut, turn, filter, frame, bend, and join
// the copies of several accounts.
//
// Every change declares what it did: where each found pixel lies in the planted
// picture and what covers it. A reader must not be told; a bench needs it to
// say how much of the ring was left to be read.
//
//	made, err := change.ByName("crop25_off").Make(served, 1)
//	made.Data             // the file as it would be found
//	made.Truth.Left(grid) // segments still in it
//
// Coordinates are pixels, centres at integer + 0.5. The package computes only:
// the same copy and seed give the same file.
package change

import (
	"fmt"
	"image"
	"math/rand/v2"

	"golang.org/x/image/draw"

	"birdring/canary/mark"
)

// Change is something that happens to one copy.
type Change struct {
	Name string
	When string // completes "weak when it is ...": shrunk to 150 px
	// Share of the root of the segments left that the z of the right account is
	// expected to reach (issue 3): .7 for one change, .5 for several and for hard
	// compression, .3 for the hardest. Demand lowers it for small finds.
	Share   float64
	Telling bool // one of those that a quick assay makes
	steps   []step
	save    Format
}

// Made is a changed picture.
type Made struct {
	Data  []byte
	Img   image.Image // before it was saved
	Truth Truth
}

// Truth says how a found picture lies to the planted one.
type Truth struct {
	W, H   int         // of the found picture
	Affine mark.Affine // planted to found pixels; of a bent picture the mean
	Bent   bool
	// Back leads from found to planted pixels, through every bend.
	Back   func(x, y float64) (float64, float64)
	hidden []image.Rectangle // found pixels that show something else
}

// work is a picture under change.
type work struct {
	img   *image.RGBA
	truth Truth
	rng   *rand.Rand
}

// step is one thing done to a picture.
type step func(*work) error

// Make changes a served file. Whatever is drawn by lot comes from seed.
func (c *Change) Make(served []byte, seed uint64) (*Made, error) {
	if len(c.steps) == 0 && c.save == AsIs {
		img, err := pixels(served)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		w := start(img, seed)
		return &Made{Data: served, Img: img, Truth: w.truth}, nil
	}
	img, err := pixels(served)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	w := start(img, seed)
	for _, s := range c.steps {
		if err := s(w); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	data, err := c.save.Encode(w.img)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return &Made{Data: data, Img: w.img, Truth: w.truth}, nil
}

// Format is what the changed picture is saved as.
func (c *Change) Format() Format { return c.save }

// Demand is the share of the root of the segments left that is expected of a find of this size.
func (c *Change) Demand(t *Truth) float64 {
	switch longest := max(t.W, t.H); {
	case longest <= 160:
		return min(c.Share, .3)
	case longest <= 320:
		return min(c.Share, .5)
	}
	return c.Share
}

func start(img *image.RGBA, seed uint64) *work {
	b := img.Bounds()
	return &work{
		img: img,
		truth: Truth{
			W: b.Dx(), H: b.Dy(), Affine: mark.Affine{A: 1, E: 1},
			Back: func(x, y float64) (float64, float64) { return x, y },
		},
		rng: rand.New(rand.NewPCG(seed, 0x6368616e6765)),
	}
}

// move records a step that maps pixels affinely onto a picture of w x h.
func (k *work) move(t mark.Affine, w, h int) {
	inverse := invert(t)
	back := k.truth.Back
	k.truth.Back = func(x, y float64) (float64, float64) { return back(apply(inverse, x, y)) }
	k.truth.Affine = compose(t, k.truth.Affine)
	k.truth.W, k.truth.H = w, h
	for i, r := range k.truth.hidden {
		x0, y0 := apply(t, float64(r.Min.X), float64(r.Min.Y))
		x1, y1 := apply(t, float64(r.Max.X), float64(r.Max.Y))
		k.truth.hidden[i] = image.Rect(int(x0), int(y0), int(x1+.5), int(y1+.5))
	}
}

// bend records a step that no affine map describes; back leads from new to old pixels.
func (k *work) bend(back func(x, y float64) (float64, float64)) {
	before := k.truth.Back
	k.truth.Back = func(x, y float64) (float64, float64) { return before(back(x, y)) }
	k.truth.Bent = true
}

// Left counts the segments whose middle can be seen in the find: the root of
// it is what the z of the right account cannot exceed.
func (t *Truth) Left(g mark.Grid) int {
	n := 0
	for k := range g.Segments() {
		x0, y0, x1, y1 := g.Rect(k)
		x, y := apply(t.Affine, float64(x0+x1)/2, float64(y0+y1)/2)
		if x < 0 || y < 0 || x >= float64(t.W) || y >= float64(t.H) {
			continue
		}
		if !t.covered(image.Pt(int(x), int(y))) {
			n++
		}
	}
	return n
}

func (t *Truth) covered(p image.Point) bool {
	for _, r := range t.hidden {
		if p.In(r) {
			return true
		}
	}
	return false
}

// canvas is img as opaque RGBA with bounds starting at 0,0; always a copy.
func canvas(img image.Image) *image.RGBA {
	b := img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(out, out.Bounds(), img, b.Min, draw.Src)
	return out
}

// apply maps a point.
func apply(t mark.Affine, x, y float64) (float64, float64) {
	return t.A*x + t.B*y + t.C, t.D*x + t.E*y + t.F
}

// compose applies first, then second.
func compose(second, first mark.Affine) mark.Affine {
	c, f := apply(second, first.C, first.F)
	return mark.Affine{
		A: second.A*first.A + second.B*first.D, B: second.A*first.B + second.B*first.E, C: c,
		D: second.D*first.A + second.E*first.D, E: second.D*first.B + second.E*first.E, F: f,
	}
}

// invert turns a map round; the maps here never squash the plane.
func invert(t mark.Affine) mark.Affine {
	det := t.A*t.E - t.B*t.D
	v := mark.Affine{A: t.E / det, B: -t.B / det, D: -t.D / det, E: t.A / det}
	v.C, v.F = -(v.A*t.C + v.B*t.F), -(v.D*t.C + v.E*t.F)
	return v
}
