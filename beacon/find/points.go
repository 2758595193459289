package find

import (
	"math"
	"math/bits"

	"birdring/canary/mark"
)

// Numbers of keypoints: of a planted picture (a print stays below 16 kB) and of
// a suspect, which may hold several pictures and pays only while it is looked up.
const (
	printPoints = 350
	queryPoints = 800
)

// descriptor holds 256 brightness comparisons around a keypoint, turned with it.
type descriptor [4]uint64

// distance counts differing comparisons, 0..256.
func (d *descriptor) distance(o *descriptor) int {
	return bits.OnesCount64(d[0]^o[0]) + bits.OnesCount64(d[1]^o[1]) +
		bits.OnesCount64(d[2]^o[2]) + bits.OnesCount64(d[3]^o[3])
}

// point is a keypoint. Positions are fractions of the picture's sides, 1/65536
// each.
type point struct {
	x, y  uint16
	angle uint8 // orientation in 1/256 turn
	level uint8 // size of the level it was found on, see levelCode
	desc  descriptor
}

// patchRadius is how far from the keypoint orientation and descriptor look.
const patchRadius = 15

// orientation is the direction from the corner to the centroid of brightness in
// its patch, in radians.
func (l *level) orientation(x, y int) float64 {
	var mx, my int
	for dy := -patchRadius; dy <= patchRadius; dy++ {
		half := patchHalf[dy+patchRadius]
		row := l.pix[(y+dy)*l.w+x-half : (y+dy)*l.w+x+half+1]
		sum := 0
		for i, v := range row {
			mx += (i - half) * int(v)
			sum += int(v)
		}
		my += dy * sum
	}
	return math.Atan2(float64(my), float64(mx))
}

// patchHalf is half the width of the round patch on each of its rows.
var patchHalf = func() (half [2*patchRadius + 1]int) {
	for dy := -patchRadius; dy <= patchRadius; dy++ {
		half[dy+patchRadius] = int(math.Sqrt(float64(patchRadius*patchRadius-dy*dy)) + 0.5)
	}
	return half
}()

// briefTurns is in how many directions descriptors are turned.
const briefTurns = 64

// patchSide is the side of what a descriptor looks at, with room to turn.
const patchSide = 2 * margin

// turnedBrief holds the point pairs of brief turned in all directions, as they are and
// mirrored: where in a patch the one lies, and from bit 16 on where the other does.
var turnedBrief = func() (table [2][briefTurns][256]uint32) {
	for turn := range briefTurns {
		sin, cos := math.Sincos(2 * math.Pi * float64(turn) / briefTurns)
		for form := range table {
			for i, p := range brief {
				for k := 0; k < 4; k += 2 {
					u, v := float64(p[k]), float64(p[k+1])
					if form == 1 {
						v = -v
					}
					x, y := int(math.Round(cos*u-sin*v))+margin, int(math.Round(sin*u+cos*v))+margin
					table[form][turn][i] |= uint32(y*patchSide+x) << (8 * k)
				}
			}
		}
	}
	return table
}()

// patch is what lies around a keypoint, blurred.
type patch [patchSide * patchSide]byte

// patch copies what lies around x, y.
func (l *level) patch(x, y int) (out patch) {
	from := (y-margin)*l.w + x - margin
	for row := range patchSide {
		copy(out[row*patchSide:][:patchSide], l.smooth[from+row*l.w:])
	}
	return out
}

// describe compares the point pairs, turned by angle. Form 1 gives what the same
// corner would give in the mirrored picture.
func (p *patch) describe(angle float64, form int) (d descriptor) {
	turn := int(math.Round(angle/(2*math.Pi)*briefTurns)) & (briefTurns - 1)
	pairs := &turnedBrief[form][turn]
	for k := range d {
		// The sign of a difference, without a branch that nobody can predict.
		w := uint64(0)
		for _, at := range pairs[64*k : 64*k+64] {
			less := int64(p[at%(patchSide*patchSide)]) - int64(p[at>>16%(patchSide*patchSide)])
			w = w>>1 | uint64(less)&(1<<63)
		}
		d[k] = w
	}
	return d
}

// place is a corner on a level of a pyramid.
type place struct {
	x, y, level int
}

// places chooses about n corners, fewer on the coarser levels.
func (p pyramid) places(n int) (out []place) {
	share := 0.0
	for i := range p {
		share += math.Pow(levelStep, -float64(i))
	}
	for i := range p {
		l := &p[i]
		want := int(math.Round(float64(n) * math.Pow(levelStep, -float64(i)) / share))
		for _, c := range spread(l.corners(), l.w, l.h, want) {
			out = append(out, place{c.x, c.y, i})
		}
	}
	return out
}

// points finds about n keypoints over all levels.
func (p pyramid) points(n int) []point {
	places := p.places(n)
	out := make([]point, len(places))
	for i, at := range places {
		out[i], _ = p.point(at, false)
	}
	return out
}

// point describes a corner; mirrored is its descriptor in the mirrored picture, when asked for.
func (p pyramid) point(at place, mirror bool) (out point, mirrored descriptor) {
	l := &p[at.level]
	angle, around := l.orientation(at.x, at.y), l.patch(at.x, at.y)
	out = point{
		x:     fraction(at.x, l.w),
		y:     fraction(at.y, l.h),
		angle: uint8(int(math.Round(angle/(2*math.Pi)*256)) & 255),
		level: levelCode(max(l.w, l.h)),
		desc:  around.describe(angle, 0),
	}
	if mirror {
		mirrored = around.describe(angle, 1)
	}
	return out, mirrored
}

// fraction is the centre of pixel i of n, in 1/65536.
func fraction(i, n int) uint16 { return uint16((float64(i) + 0.5) / float64(n) * 65536) }

// levelCode writes the longer side of a level on a logarithmic scale, 16 steps
// an octave; levelSide is its inverse.
func levelCode(side int) uint8 {
	return uint8(math.Round(math.Log2(float64(max(side, 1))) * 16))
}

func levelSide(code uint8) float64 { return math.Exp2(float64(code) / 16) }

// reduced is the picture keypoints and PDQ look at.
func reduced(p mark.Plane) mark.Plane { return shrinkTo(p, baseSide) }
