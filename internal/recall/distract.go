package recall

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"math"
	"math/rand/v2"

	"golang.org/x/image/draw"

	"birdring/beacon/decode"
	"birdring/beacon/find"
	"birdring/internal/demo/paint"
)

// Distractors are pictures that are planted but never shown: crops and
// recolourings of other photos and of painted scenes. A share of them is really
// cropped, recoloured and printed; the others are made of their prints, as the
// stored form of a print allows: crops of them, with descriptors as noisy as recolouring and
// recompression make them, filled up with another picture's keypoints.

// printed is how many distractors are really made and printed.
const printed = 300

// distract calls add for n distractors. It ends early when add returns false.
func distract(photos []image.Image, n int, seed uint64, add func(id string, p *find.Print) bool) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	var stock [][]byte
	for i := range min(n, printed) {
		p := find.NewPrint(decode.Luma(variant(photos, i, rng)))
		data, err := p.MarshalBinary()
		if err != nil {
			return err
		}
		stock = append(stock, data)
		if !add(fmt.Sprintf("made-%d", i), p) {
			return nil
		}
	}
	for i := len(stock); i < n; i++ {
		p, err := find.UnmarshalPrint(mixed(stock[rng.IntN(len(stock))], stock[rng.IntN(len(stock))], rng))
		if err != nil {
			return err
		}
		if !add(fmt.Sprintf("mixed-%d", i), p) {
			return nil
		}
	}
	return nil
}

// variant crops and recolours a photo, or a painted scene by turns.
func variant(photos []image.Image, i int, rng *rand.Rand) image.Image {
	var src image.Image
	if len(photos) > 0 && i%2 == 0 {
		src = photos[i/2%len(photos)]
	} else {
		src = paint.Scene(5000+uint64(i), 480, 360)
	}
	b := src.Bounds()
	part := 0.5 + 0.5*rng.Float64()
	w, h := int(part*float64(b.Dx())), int(part*float64(b.Dy()))
	x, y := b.Min.X+rng.IntN(b.Dx()-w+1), b.Min.Y+rng.IntN(b.Dy()-h+1)
	long := 640 / float64(max(w, h))
	out := image.NewRGBA(image.Rect(0, 0, max(1, int(long*float64(w))), max(1, int(long*float64(h)))))
	draw.ApproxBiLinear.Scale(out, out.Rect, src, image.Rect(x, y, x+w, y+h), draw.Src, nil)
	bend, gain := 0.6+0.8*rng.Float64(), 0.7+0.5*rng.Float64()
	var tone [256]uint8
	for v := range tone {
		tone[v] = uint8(min(255, gain*255*math.Pow(float64(v)/255, bend)))
	}
	for k := range out.Pix {
		if k%4 != 3 {
			out.Pix[k] = tone[out.Pix[k]]
		}
	}
	return out
}

// Where things stand in the stored form of a print (beacon/find, version 1).
const (
	headBytes  = 4 + 4 + 4 + 1 + 32 + 2
	pointBytes = 2 + 2 + 1 + 1 + 32
	flips      = 10 // descriptor bits that a recolouring changes, on the average
)

// mixed is a crop of print a over what is there of print b outside it.
func mixed(a, b []byte, rng *rand.Rand) []byte {
	le := binary.LittleEndian
	points := func(p []byte) []byte { return p[headBytes : len(p)-4] }
	out := append([]byte{}, a[:headBytes]...)
	for i := range 32 { // another picture, another hash
		out[13+i] = byte(rng.Uint32())
	}
	part := 0.4 + 0.4*rng.Float64()
	x0, y0 := (1-part)*rng.Float64(), (1-part)*rng.Float64()
	grow := uint8(math.Round(-math.Log2(part) * 16))
	take := func(p []byte, move bool) {
		x, y := float64(le.Uint16(p))/65536, float64(le.Uint16(p[2:]))/65536
		level := p[5]
		if move {
			x, y, level = (x-x0)/part, (y-y0)/part, level+grow
			if x < 0 || y < 0 || x >= 1 || y >= 1 {
				return
			}
		}
		at := len(out)
		out = append(out, p...)
		le.PutUint16(out[at:], uint16(x*65536))
		le.PutUint16(out[at+2:], uint16(y*65536))
		out[at+5] = level
		for range rng.IntN(2*flips + 1) {
			bit := rng.IntN(256)
			out[at+6+bit/8] ^= 1 << (bit % 8)
		}
	}
	for p := points(a); len(p) > 0; p = p[pointBytes:] {
		take(p[:pointBytes], true)
	}
	most := len(a)
	for p := points(b); len(p) > 0 && len(out)+pointBytes+4 <= most; p = p[pointBytes:] {
		take(p[:pointBytes], false)
	}
	le.PutUint16(out[headBytes-2:], uint16((len(out)-headBytes)/pointBytes))
	return le.AppendUint32(out, crc32.ChecksumIEEE(out))
}
