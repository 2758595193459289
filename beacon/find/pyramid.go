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
	pix, w, h, scale := toBytes(base), base.W, base.H, 1.0
	for range maxLevels {
		if w < 3*margin || h < 3*margin {
			break
		}
		out = append(out, level{w, h, pix, gaussian(pix, w, h)})
		scale *= levelStep
		nw, nh := max(1, int(float64(base.W)/scale+0.5)), max(1, int(float64(base.H)/scale+0.5))
		pix = between(pix, w, h, nw, nh)
		w, h = nw, nh
	}
	return out
}

// between resamples linearly to a size little below the picture's.
func between(pix []byte, w, h, nw, nh int) []byte {
	out := make([]byte, nw*nh)
	at, part := make([]int, nw), make([]uint32, nw)
	for x := range nw {
		at[x], part[x] = sampled(x, w, nw)
	}
	for y := range nh {
		iy, v := sampled(y, h, nh)
		a, b := pix[iy*w:(iy+1)*w], pix[min(iy+1, h-1)*w:][:w]
		dst := out[y*nw : (y+1)*nw]
		for x := range dst {
			i, u := at[x], part[x]
			j := min(i+1, w-1)
			top := uint32(a[i])*(256-u) + uint32(a[j])*u
			low := uint32(b[i])*(256-u) + uint32(b[j])*u
			dst[x] = byte((top*(256-v) + low*v + 1<<15) >> 16)
		}
	}
	return out
}

// sampled is the pixel of n before the place that pixel i of m shows, and how far
// it lies beyond it, in 1/256.
func sampled(i, n, m int) (int, uint32) {
	f := max(0, (float64(i)+0.5)*float64(n)/float64(m)-0.5)
	at := min(int(f), n-1)
	return at, uint32((f - float64(at)) * 256)
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
