package canary

import (
	"bytes"
	stdcontext "context" // the handle model has a type context
	"fmt"
	"image"
	stdjpeg "image/jpeg"

	"birdring/canary/jpeg"
	"birdring/canary/mark"
	"birdring/canary/ring"
)

// Demands of the self-check.
const (
	selfSide  = 320 // px: a thumbnail as clone sites make them
	selfBits  = 80  // bits that it must still hold; the line is 64
	smallBits = 10  // bits that a thumbnail of ours must hold when saved again: other finds add up with it
)

// selfCheck reads a thumbnail of a rendition back, the transform being known,
// and refuses a photo that would not hold its ring.
func selfCheck(p *Picture, pair *jpeg.Pair, o *PrepareOptions, rep *Report) error {
	r, err := NewRenderer(p, o.Key)
	if err != nil {
		return err
	}
	word := make([]uint64, r.book.Words())
	r.book.Codeword(word, uint64(MaxControl))
	planes := [2][]float32{pair.As[0].LumaPlane(), pair.As[1].LumaPlane()}
	suspect, t, err := thumbnail(choose(planes, p.Grid(), word, r.book.Order()), p.W, p.H)
	if err != nil {
		return err
	}
	soft, err := mark.Read(stdcontext.Background(), newReference(planes, p.Grid()), suspect, t)
	if err != nil {
		return fmt.Errorf("self-check of picture %s: %w", p.ID, err)
	}
	reading, err := ring.NewReading(r.book, soft.Y)
	if err != nil {
		return fmt.Errorf("self-check of picture %s: %w", p.ID, err)
	}
	rep.SelfBits = float64(reading.Score(uint64(MaxControl)).Alone()) / 1000
	least, side := selfBits, min(selfSide, max(p.W, p.H))
	if o.Small {
		least = smallBits
	}
	if rep.SelfBits < float64(least) {
		return fmt.Errorf("%w: a copy of %d px would hold %.0f bits of it, %d are needed", ErrTooPlain, side, max(0, rep.SelfBits), least)
	}
	return nil
}

// choose is the luma of the rendition that word makes of the decoded variants, rounded to 8 bits.
func choose(planes [2][]float32, g mark.Grid, word []uint64, order []uint32) []float32 {
	out := make([]float32, g.W*g.H)
	for k, pos := range order {
		from := planes[word[pos>>6]>>(pos&63)&1]
		x0, y0, x1, y1 := g.Rect(k)
		for y := y0; y < y1; y++ {
			copy(out[y*g.W+x0:y*g.W+x1], from[y*g.W+x0:y*g.W+x1])
		}
	}
	return to8bit(out)
}

// thumbnail shrinks a luma plane to selfSide, saves it as a JPEG of quality 75
// and decodes that. The transform leads from the plane to the result.
func thumbnail(luma []float32, w, h int) (*mark.Suspect, mark.Affine, error) {
	f := min(1, float64(selfSide)/float64(max(w, h)))
	sw, sh := max(1, int(float64(w)*f+0.5)), max(1, int(float64(h)*f+0.5))
	var file bytes.Buffer
	if err := stdjpeg.Encode(&file, shrink(luma, w, h, sw, sh), &stdjpeg.Options{Quality: 75}); err != nil {
		return nil, mark.Affine{}, fmt.Errorf("self-check: %w", err)
	}
	quant, err := jpeg.Tables(file.Bytes())
	if err != nil {
		return nil, mark.Affine{}, fmt.Errorf("self-check: %w", err)
	}
	img, err := stdjpeg.Decode(&file)
	if err != nil {
		return nil, mark.Affine{}, fmt.Errorf("self-check: %w", err)
	}
	gray, ok := img.(*image.Gray)
	if !ok {
		return nil, mark.Affine{}, fmt.Errorf("self-check: grey thumbnail decoded as %T", img)
	}
	pix := make([]float32, 0, sw*sh)
	for y := range sh {
		for _, v := range gray.Pix[y*gray.Stride : y*gray.Stride+sw] {
			pix = append(pix, float32(v))
		}
	}
	t := mark.Affine{A: float64(sw) / float64(w), E: float64(sh) / float64(h)}
	return &mark.Suspect{Luma: mark.Plane{W: sw, H: sh, Pix: pix}, Quant: quant}, t, nil
}

// shrink is the area mean: every pixel of the result is the mean of what it covers.
func shrink(luma []float32, w, h, sw, sh int) *image.Gray {
	rows := make([]float32, sw*h)
	spans(w, sw, func(to, from int, share float32) {
		for y := range h {
			rows[y*sw+to] += share * luma[y*w+from]
		}
	})
	sum := make([]float32, sw*sh)
	spans(h, sh, func(to, from int, share float32) {
		for x := range sw {
			sum[to*sw+x] += share * rows[from*sw+x]
		}
	})
	out := image.NewGray(image.Rect(0, 0, sw, sh))
	for i, f := range sum {
		out.Pix[i] = uint8(max(0, min(255, f+0.5)))
	}
	return out
}

// spans visits every overlap of one of n cells with one of the m <= n cells
// that cover the same length; the shares of one of the m add up to 1.
func spans(n, m int, visit func(to, from int, share float32)) {
	size := float64(n) / float64(m)
	for to := range m {
		lo, hi := float64(to)*size, float64(to+1)*size
		for from := int(lo); from < n && float64(from) < hi; from++ {
			if over := min(hi, float64(from+1)) - max(lo, float64(from)); over > 0 {
				visit(to, from, float32(over/size))
			}
		}
	}
}
