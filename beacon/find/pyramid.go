package find

import (
	"math"

	"birdring/canary/mark"
)

// Sizes of the pyramid on which keypoints are looked for, in pixels.
const (
	baseSide  = 640 // longer side of the finest level
	smallSide = 400 // pictures below this are also looked at enlarged
	levelStep = 1.2 // scale between levels
	maxLevels = 10
	margin    = 16 // no keypoint closer to the edge of its level: the patch must fit
)

// level is one picture of the pyramid, in bytes.
type level struct {
	w, h   int
	pix    []byte
	smooth []byte // blurred, what descriptors compare
}

// pyramid holds the levels, finest first; all show the whole picture.
type pyramid []level

// newPyramid reduces p step by step. base must be p itself, or p reduced.
func newPyramid(p mark.Plane) pyramid {
	base := p
	if long := max(p.W, p.H); long < smallSide {
		grow := math.Min(2, baseSide/float64(long))
		base = resize(p, max(1, int(float64(p.W)*grow)), max(1, int(float64(p.H)*grow)))
	}
	var out pyramid
	cur, scale := base, 1.0
	for range maxLevels {
		if cur.W < 3*margin || cur.H < 3*margin {
			break
		}
		pix := toBytes(cur)
		out = append(out, level{cur.W, cur.H, pix, gaussian(pix, cur.W, cur.H)})
		scale *= levelStep
		w, h := int(float64(base.W)/scale+0.5), int(float64(base.H)/scale+0.5)
		if w < 1 || h < 1 {
			break
		}
		cur = resize(cur, w, h)
	}
	return out
}

// toBytes rounds a plane to 0..255.
func toBytes(p mark.Plane) []byte {
	out := make([]byte, len(p.Pix))
	for i, v := range p.Pix {
		switch {
		case v >= 254.5:
			out[i] = 255
		case v > 0: // false for NaN too
			out[i] = byte(v + 0.5)
		}
	}
	return out
}

// gaussWeights is a Gaussian of sigma 2 over 7 pixels, sum 256.
var gaussWeights = [7]uint32{18, 34, 49, 54, 49, 34, 18}

// gaussian blurs with a Gaussian of sigma 2; the outer 3 pixels stay as they are.
func gaussian(pix []byte, w, h int) []byte {
	out := append([]byte(nil), pix...)
	if w < 7 || h < 7 {
		return out
	}
	g := gaussWeights
	tmp := append([]byte(nil), pix...)
	for y := range h {
		row, dst := pix[y*w:(y+1)*w], tmp[y*w:(y+1)*w]
		for x := 3; x < w-3; x++ {
			r := row[x-3 : x+4 : x+4]
			dst[x] = byte((g[3]*uint32(r[3]) + g[2]*(uint32(r[2])+uint32(r[4])) +
				g[1]*(uint32(r[1])+uint32(r[5])) + g[0]*(uint32(r[0])+uint32(r[6])) + 128) >> 8)
		}
	}
	for y := 3; y < h-3; y++ {
		dst := out[y*w : (y+1)*w]
		var r [7][]byte
		for k := range r {
			r[k] = tmp[(y-3+k)*w:][:w]
		}
		for x := range dst {
			dst[x] = byte((g[3]*uint32(r[3][x]) + g[2]*(uint32(r[2][x])+uint32(r[4][x])) +
				g[1]*(uint32(r[1][x])+uint32(r[5][x])) + g[0]*(uint32(r[0][x])+uint32(r[6][x])) + 128) >> 8)
		}
	}
	return out
}
