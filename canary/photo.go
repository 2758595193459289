package canary

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"

	"birdring/canary/jpeg"
	"birdring/canary/mark"
	"birdring/canary/ring"
)

// Why a photo cannot be planted.
var (
	ErrTooSmall = errors.New("too small to carry a ring")
	ErrTooPlain = errors.New("too plain to carry a ring")
	ErrTooLarge = errors.New("too large: shrink it first")
)

// Bounds of a picture.
const (
	minSide     = 320  // px
	maxSide     = 4096 // px
	minSegments = 600  // fewer are read too rarely after a crop

	minSmallSide = 48 // px, of a thumbnail
	minSmall     = 24 // segments of a thumbnail
)

// quality of the prepared JPEG where no dialect is given, as libjpeg counts it.
const quality = 90

// segmentArea is the least area of a segment in pixels: 16 x 16, one MCU of 4:2:0.
const segmentArea = 256

// mostSegments is above what any picture needs: a codeword of 8 kB.
const mostSegments = 1<<16 - 64

// flatBytes is the mean number of bytes of a segment below which segments are
// made twice as long: choosing costs more than copying then.
const flatBytes = 56

// Picture is a photo prepared once: two variants of every segment, brought to
// the same length, so that any choice of variants joins to an ordinary JPEG file.
// It does not change after Prepare and is safe for concurrent use.
type Picture struct {
	ID     string
	Num    uint32 // dense object number, sealed into links
	W, H   int
	MCU    [2]int // width, height in luma pixels
	Run    int    // MCUs per segment
	Code   ring.Code
	Epoch  uint8    // key epoch, for ever
	size   int      // bytes of a rendition
	starts []uint32 // where each piece begins in it, and where the last one ends
	passes []uint8  // how pieces make segments, see jpeg.Owners; nil: each is one
	forms  *forms
}

// PrepareOptions name the picture and its secrets.
type PrepareOptions struct {
	ID    string // [a-z0-9-]{1,40}
	Num   uint32
	Code  ring.Code
	Epoch uint8
	Key   []byte // 32 bytes, from Keyring.PictureKey

	Dialect *jpeg.Dialect // what the file looks like; nil: libjpeg's default, quality 90
	Small   bool          // a thumbnail beside a larger picture of the photo: few segments will do
}

// Report says how a photo took the mark.
type Report struct {
	PSNR       float64 // dB, luma of the worst possible rendition against the unringed JPEG, both decoded to 8 bits
	SSIM       float64 // of that rendition
	Gain       float64 // of the bumps
	Bytes      int     // of every rendition
	PlainBytes int     // of the unringed JPEG
	Bare       int     // segments left without a mark because no equal length was found
	SelfBits   float64 // evidence that a q75 copy of a rendition, at most 320 px, gave in the self-check
}

// Prepare encodes an upright photo, at most 4096 x 4096 pixels, with its mark.
// It refuses photos that are too small, too plain or too large with the reason
// (ErrTooSmall, ErrTooPlain, ErrTooLarge). The same photo and options give the
// same picture. Time grows linearly with the pixels.
func Prepare(img image.Image, o PrepareOptions) (*Picture, *Report, error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	if err := checkSize(img.Bounds().Dx(), img.Bounds().Dy(), o.Small); err != nil {
		return nil, nil, err
	}
	signs, err := hkdf.Key(sha256.New, o.Key, nil, "birdring/picture/v1/sign", 16)
	if err != nil {
		return nil, nil, fmt.Errorf("draw the signs of picture %s: %w", o.ID, err)
	}
	s := newSource(img, o.dialect())
	plainBytes := len(s.frame.Encode())
	plan, err := mark.NewPlan(mark.Plane{W: s.frame.W, H: s.frame.H, Pix: s.luma}, gridFor(s.frame, plainBytes), signs)
	if err != nil {
		return nil, nil, err
	}
	pair, rep, err := newTuner(s, plan).tune()
	if err != nil {
		return nil, nil, err
	}
	p := newPicture(pair, plan.Grid, o)
	rep.Bytes, rep.PlainBytes, rep.Bare = p.Size(), plainBytes, pair.Bare
	if err := selfCheck(p, pair, &o, rep); err != nil {
		return nil, rep, err
	}
	return p, rep, nil
}

// gridFor chooses how long segments are: 256 pixels of area, twice that where
// they would be short in bytes and enough are left, or too many to be rendered.
func gridFor(f *jpeg.Frame, plainBytes int) mark.Grid {
	w, h := f.MCU()
	g := mark.Grid{W: f.W, H: f.H, MCU: w, Row: h, Run: max(1, segmentArea/(w*h))}
	long := g
	long.Run *= 2
	if n := g.Segments(); n > mostSegments || plainBytes < flatBytes*n && long.Segments() >= minSegments {
		return long
	}
	return g
}

// PreparePlain encodes a photo as Prepare does in a dialect (nil: the default),
// but without a mark: what the renditions' PSNR refers to. Nothing keeps or serves it.
func PreparePlain(img image.Image, d *jpeg.Dialect) ([]byte, error) {
	if w, h := img.Bounds().Dx(), img.Bounds().Dy(); w < 1 || h < 1 || w > maxSide || h > maxSide {
		return nil, fmt.Errorf("%w: %d x %d pixels, at most %d x %d", ErrTooLarge, w, h, maxSide, maxSide)
	}
	return newSource(img, (&PrepareOptions{Dialect: d}).dialect()).frame.Encode(), nil
}

func (o *PrepareOptions) check() error {
	if len(o.ID) > maxID {
		return fmt.Errorf("picture id of %d bytes: at most %d", len(o.ID), maxID)
	}
	if len(o.Key) != 32 {
		return fmt.Errorf("picture key of %d bytes: want 32", len(o.Key))
	}
	return o.Code.Check()
}

func (o *PrepareOptions) dialect() *jpeg.Dialect {
	if o.Dialect != nil {
		return o.Dialect
	}
	return jpeg.Default(quality)
}

func checkSize(w, h int, small bool) error {
	side, segments := minSide, minSegments
	if small {
		side, segments = minSmallSide, minSmall
	}
	switch cells := jpeg.Segments((w+15)/16, (h+15)/16, 1); {
	case w > maxSide || h > maxSide:
		return fmt.Errorf("%w: %d x %d pixels, at most %d x %d", ErrTooLarge, w, h, maxSide, maxSide)
	case min(w, h) < side:
		return fmt.Errorf("%w: %d x %d pixels, the shorter side must have %d", ErrTooSmall, w, h, side)
	case cells < segments:
		return fmt.Errorf("%w: %d x %d pixels hold %d segments of 16 x 16, at least %d are needed", ErrTooSmall, w, h, cells, segments)
	}
	return nil
}

func newPicture(pair *jpeg.Pair, g mark.Grid, o PrepareOptions) *Picture {
	p := &Picture{
		ID: o.ID, Num: o.Num, W: g.W, H: g.H, MCU: [2]int{g.MCU, g.Row}, Run: g.Run, Code: o.Code, Epoch: o.Epoch,
		size: len(pair.Files[0]), starts: make([]uint32, len(pair.Off)), passes: pair.Passes,
	}
	for i, at := range pair.Off {
		p.starts[i] = uint32(at)
	}
	p.forms = p.plainForms(pair.Files)
	return p
}

// Segments is the number of segments, m.
func (p *Picture) Segments() int {
	if p.passes != nil {
		return p.Grid().Segments()
	}
	return len(p.starts) - 1
}

// pieces gives every piece what its segment has.
func (p *Picture) pieces(of []uint32) []uint32 {
	if p.passes == nil {
		return of
	}
	out := p.owners()
	for i, k := range out {
		out[i] = of[k]
	}
	return out
}

// owners are the segments of the pieces of a progressive file.
func (p *Picture) owners() []uint32 { return jpeg.Owners(p.W, p.H, p.MCU, p.Run, p.passes) }

// Size is the length of every rendition in bytes.
func (p *Picture) Size() int { return p.size }

// Grid says where the segments lie.
func (p *Picture) Grid() mark.Grid {
	return mark.Grid{W: p.W, H: p.H, MCU: p.MCU[0], Row: p.MCU[1], Run: p.Run}
}

// variant is the rendition of zeros only or of ones only.
func (p *Picture) variant(v int) []byte { return p.forms.variant(uint64(v)) }

// plainForms are forms as they lie before a codebook is known: the base is
// variant 0, the segments stand in their own order.
func (p *Picture) plainForms(files [2][]byte) *forms {
	order := make([]uint32, p.Segments())
	for k := range order {
		order[k] = uint32(k)
	}
	return newForms(files, p.starts, p.pieces(order), make([]uint64, (len(order)+63)/64))
}

// Reference is the original as the reader needs it: mean and half difference of
// the two variants, from the coefficients really written, not rounded to 8 bits.
func (p *Picture) Reference() (*mark.Reference, error) {
	var planes [2][]float32
	for v := range planes {
		f, err := jpeg.Parse(p.variant(v))
		if err != nil {
			return nil, fmt.Errorf("picture %s, variant %d: %w", p.ID, v, err)
		}
		if f.W != p.W || f.H != p.H {
			return nil, fmt.Errorf("picture %s: variant %d is %d x %d, want %d x %d", p.ID, v, f.W, f.H, p.W, p.H)
		}
		planes[v] = f.LumaPlane()
	}
	return newReference(planes, p.Grid()), nil
}

// newReference overwrites the decoded variants by their mean and half difference.
func newReference(planes [2][]float32, g mark.Grid) *mark.Reference {
	for i, one := range planes[1] {
		zero := planes[0][i]
		planes[0][i], planes[1][i] = (zero+one)/2, (one-zero)/2
	}
	return &mark.Reference{
		Mean: mark.Plane{W: g.W, H: g.H, Pix: planes[0]},
		Half: mark.Plane{W: g.W, H: g.H, Pix: planes[1]},
		Grid: g,
	}
}
