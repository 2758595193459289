package find

import (
	"encoding/binary"
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

// between resamples linearly to a size little below the picture's: first each pair of
// rows into one, eight pixels at a time, then along it.
func between(pix []byte, w, h, nw, nh int) []byte {
	out := make([]byte, nw*nh)
	mixed := newMix(w)
	type spot struct{ left, right, part uint32 }
	spots := make([]spot, nw)
	for x := range spots {
		at, part := sampled(x, w, nw)
		spots[x] = spot{mixed.place(at), mixed.place(min(at+1, w-1)), part}
	}
	for y := range nh {
		iy, v := sampled(y, h, nh)
		mixed.rows(pix[iy*w:(iy+1)*w], pix[min(iy+1, h-1)*w:][:w], uint64(v))
		dst := out[y*nw : (y+1)*nw]
		for x := range dst {
			s := &spots[x]
			dst[x] = byte((uint32(mixed.at(s.left))*(256-s.part) + uint32(mixed.at(s.right))*s.part + 1<<15) >> 16)
		}
	}
	return out
}

// mix is one row made of two, 16 bits a pixel. Of eight pixels the even ones stand first.
type mix struct{ bytes []byte }

func newMix(w int) mix { return mix{make([]byte, 2*(w+7)&^15+16)} }

// place is where pixel i stands.
func (m *mix) place(i int) uint32 { return uint32(i&^7*2 + i&1*8 + i&6) }

func (m *mix) at(place uint32) uint16 { return binary.LittleEndian.Uint16(m.bytes[place:]) }

// rows makes the row a*(256-v) + b*v.
func (m *mix) rows(a, b []byte, v uint64) {
	x := 0
	for ; x+8 <= len(a); x += 8 {
		p, q := binary.LittleEndian.Uint64(a[x:]), binary.LittleEndian.Uint64(b[x:])
		dst := m.bytes[2*x:][:16]
		binary.LittleEndian.PutUint64(dst, p&evens*(256-v)+q&evens*v)
		binary.LittleEndian.PutUint64(dst[8:], p>>8&evens*(256-v)+q>>8&evens*v)
	}
	for ; x < len(a); x++ {
		binary.LittleEndian.PutUint16(m.bytes[m.place(x):], uint16(uint64(a[x])*(256-v)+uint64(b[x])*v))
	}
}

// evens are every second of eight bytes, in four lanes of 16 bits: wide enough for
// sums of bytes whose weights add up to 256.
const evens = 0x00ff00ff00ff00ff

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

// gaussian blurs with a Gaussian of sigma 2; the outer 3 pixels stay as they are.
// Eight pixels are weighed at a time, the even and the odd ones in a word each.
func gaussian(pix []byte, w, h int) []byte {
	out := append([]byte(nil), pix...)
	if w < 7 || h < 7 {
		return out
	}
	tmp := append([]byte(nil), pix...)
	for y := range h {
		gaussRow(tmp[y*w:(y+1)*w], pix[y*w:(y+1)*w])
	}
	for y := 3; y < h-3; y++ {
		gaussColumns(out[y*w:(y+1)*w], tmp[(y-3)*w:], w)
	}
	return out
}

// gaussRow blurs along a row.
func gaussRow(dst, row []byte) {
	x := 3
	for ; x+13 <= len(row); x += 8 {
		b := row[x-3:][:16]
		var e [8]uint64 // the even bytes from each of the eight places on
		for k := range e {
			e[k] = binary.LittleEndian.Uint64(b[k:]) & evens
		}
		even := weighed(e[0], e[1], e[2], e[3], e[4], e[5], e[6])
		odd := weighed(e[1], e[2], e[3], e[4], e[5], e[6], e[7])
		binary.LittleEndian.PutUint64(dst[x:], even|odd<<8)
	}
	for ; x < len(row)-3; x++ {
		dst[x] = gauss(row[x-3], row[x-2], row[x-1], row[x], row[x+1], row[x+2], row[x+3])
	}
}

// gaussColumns blurs down seven rows of w pixels.
func gaussColumns(dst, seven []byte, w int) {
	r0, r1, r2, r3, r4, r5, r6 := seven[:w], seven[w:][:w], seven[2*w:][:w], seven[3*w:][:w], seven[4*w:][:w], seven[5*w:][:w], seven[6*w:][:w]
	x := 0
	for ; x+8 <= w; x += 8 {
		a, b, c, d := binary.LittleEndian.Uint64(r0[x:]), binary.LittleEndian.Uint64(r1[x:]), binary.LittleEndian.Uint64(r2[x:]), binary.LittleEndian.Uint64(r3[x:])
		e, f, g := binary.LittleEndian.Uint64(r4[x:]), binary.LittleEndian.Uint64(r5[x:]), binary.LittleEndian.Uint64(r6[x:])
		even := weighed(a&evens, b&evens, c&evens, d&evens, e&evens, f&evens, g&evens)
		odd := weighed(a>>8&evens, b>>8&evens, c>>8&evens, d>>8&evens, e>>8&evens, f>>8&evens, g>>8&evens)
		binary.LittleEndian.PutUint64(dst[x:], even|odd<<8)
	}
	for ; x < w; x++ {
		dst[x] = gauss(r0[x], r1[x], r2[x], r3[x], r4[x], r5[x], r6[x])
	}
}

// A Gaussian of sigma 2 over 7 pixels, sum 256.
const (
	gauss0 = 54
	gauss1 = 49
	gauss2 = 34
	gauss3 = 18
)

// weighed is gauss of four lanes at once.
func weighed(a, b, c, d, e, f, g uint64) uint64 {
	return (gauss0*d + gauss1*(c+e) + gauss2*(b+f) + gauss3*(a+g) + 0x0080008000800080) >> 8 & evens
}

func gauss(a, b, c, d, e, f, g byte) byte {
	return byte((gauss0*uint32(d) + gauss1*(uint32(c)+uint32(e)) + gauss2*(uint32(b)+uint32(f)) + gauss3*(uint32(a)+uint32(g)) + 128) >> 8)
}
