// Package vp8 reads out of a lossy WebP picture what its pixels do not say any
// more: the luma before the loop filter blurred it, and between which bounds every
// coefficient lay that the encoder rounded.
//
// It is golang.org/x/image/vp8 (its copyright and licence: LICENSE) cut down to
// luma, without filters, and with the record below. The specification is RFC 6386.
package vp8

import (
	"bytes"
	"errors"
	"fmt"
)

// Luma is the luma of a key frame as the encoder rounded it.
//
// Coefficients are those of an orthonormal DCT of 4 x 4 samples; coefficient v*4+u
// of block b stands at 16*b + v*4+u, blocks row by row. A coefficient of what was encoded lay between
// that of Pix plus Low and that of Pix plus High. Both are 0 where no
// bound is known: the means of blocks that are predicted 16 x 16 at a time.
type Luma struct {
	W, H      int // of the picture
	Stride    int // samples a row, a multiple of 16; rows too
	Pix       []byte
	Low, High []float32
}

var errFrame = errors.New("vp8: not a key frame")

// Read reads the body of a "VP8 " chunk. The size it states must have been
// checked before: memory grows with it, about 12 bytes a pixel.
func Read(data []byte) (*Luma, error) {
	d := &decoder{r: limitReader{bytes.NewReader(data), len(data)}}
	head, err := d.decodeFrameHeader()
	if err != nil {
		return nil, fmt.Errorf("vp8: %w", err)
	}
	if !head.KeyFrame || head.Width < 1 || head.Height < 1 {
		return nil, errFrame
	}
	n := 256 * d.mbw * d.mbh
	d.out = &Luma{W: head.Width, H: head.Height, Stride: 16 * d.mbw, Low: make([]float32, n), High: make([]float32, n)}
	img, err := d.decodeFrame()
	if err != nil {
		return nil, fmt.Errorf("vp8: %w", err)
	}
	d.out.Pix = img.Pix
	return d.out, nil
}

// How libwebp rounds luma coefficients (quant_enc.c): the share of a step added
// before rounding down, for the mean and for the others, and what sharpening adds
// to the size of each (in 1/2048 of a step).
const biasDC, biasAC = 96.0 / 256, 110.0 / 256

var sharpening = [16]float32{0, 30, 60, 90, 30, 60, 90, 90, 60, 90, 90, 90, 90, 90, 90, 90}

// record notes the bounds of a macroblock's coefficients.
func (d *decoder) record(mbx, mby int) {
	q := &d.quant[d.segment]
	for n := range 16 {
		block := (4*mby+n/4)*(4*d.mbw) + 4*mbx + n%4
		low, high := d.out.Low[16*block:16*block+16], d.out.High[16*block:16*block+16]
		for z := range 16 {
			if z == 0 && d.usePredY16 {
				continue
			}
			step, bias := float32(q.y1[1]), float32(biasAC)
			if z == 0 {
				step, bias = float32(q.y1[0]), biasDC
			}
			c := float32(d.coeff[16*n+z])
			size := max(c, -c)
			// Sizes from .. to become size; half of it, because VP8's coefficients
			// are twice the orthonormal ones.
			sharp := sharpening[z] / 2048 * step
			from, to := size-bias*step-sharp, size+(1-bias)*step-sharp
			switch {
			case c > 0:
				low[z], high[z] = (from-c)/2, (to-c)/2
			case c < 0:
				low[z], high[z] = (-to-c)/2, (-from-c)/2
			default:
				low[z], high[z] = -to/2, to/2
			}
		}
	}
}
