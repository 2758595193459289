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

// turnedBrief holds the point pairs of brief turned in all directions (x, y, x, y), as
// they are and mirrored.
var turnedBrief = func() (table [2][briefTurns][256][4]int8) {
	for turn := range briefTurns {
		sin, cos := math.Sincos(2 * math.Pi * float64(turn) / briefTurns)
		for form := range table {
			for i, p := range brief {
				for k := 0; k < 4; k += 2 {
					u, v := float64(p[k]), float64(p[k+1])
					if form == 1 {
						v = -v
					}
					table[form][turn][i][k] = int8(math.Round(cos*u - sin*v))
					table[form][turn][i][k+1] = int8(math.Round(sin*u + cos*v))
				}
			}
		}
	}
	return table
}()

// describe compares the point pairs, turned by angle. Form 1 gives what the same
// corner would give in the mirrored picture.
func (l *level) describe(x, y int, angle float64, form int) (d descriptor) {
	turn := int(math.Round(angle/(2*math.Pi)*briefTurns)) & (briefTurns - 1)
	patch := l.smooth[(y-margin)*l.w+x-margin:]
	centre := margin*l.w + margin
	for i := range &turnedBrief[form][turn] {
		p := &turnedBrief[form][turn][i]
		if patch[centre+int(p[1])*l.w+int(p[0])] < patch[centre+int(p[3])*l.w+int(p[2])] {
			d[i>>6] |= 1 << (i & 63)
		}
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

// points finds about n keypoints over all levels; mirrored holds, place by
// place, the descriptors of the mirrored picture when asked for.
func (p pyramid) points(n int, mirror bool) (plain []point, mirrored []descriptor) {
	for _, c := range p.places(n) {
		l := &p[c.level]
		angle := l.orientation(c.x, c.y)
		plain = append(plain, point{
			x:     fraction(c.x, l.w),
			y:     fraction(c.y, l.h),
			angle: uint8(int(math.Round(angle/(2*math.Pi)*256)) & 255),
			level: levelCode(max(l.w, l.h)),
			desc:  l.describe(c.x, c.y, angle, 0),
		})
		if mirror {
			mirrored = append(mirrored, l.describe(c.x, c.y, angle, 1))
		}
	}
	return plain, mirrored
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
