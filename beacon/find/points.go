package find

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"birdring/canary/mark"
)

// Numbers of keypoints: of a planted picture (a print stays below 16 kB) and of
// a suspect, which may hold several pictures and pays only while it is looked up.
const (
	printPoints = 360
	queryPoints = 1000
)

// descriptor holds 256 brightness comparisons around a keypoint, turned with it.
type descriptor [4]uint64

// distance counts differing comparisons, 0..256.
func (d *descriptor) distance(o *descriptor) int {
	return bits.OnesCount64(d[0]^o[0]) + bits.OnesCount64(d[1]^o[1]) +
		bits.OnesCount64(d[2]^o[2]) + bits.OnesCount64(d[3]^o[3])
}

// point is a keypoint. Positions are fractions of the picture's sides, 1/65536
// each; size is the pixel of its level in 1/65536 of the longer side's base.
type point struct {
	x, y  uint16
	angle uint8 // orientation in 1/256 turn
	level uint8 // half steps of log2 of the patch size, see levelSize
	desc  descriptor
}

// patchRadius is how far from the keypoint orientation and descriptor look.
const patchRadius = 15

// brief lists the point pairs that a descriptor compares: drawn once, normally
// distributed, within a radius of 13 so that turning keeps them in the patch.
var brief = func() (pairs [256][4]int8) {
	rng := rand.New(rand.NewPCG(0x62697264, 0x72696e67))
	one := func() (int8, int8) {
		for {
			x, y := rng.NormFloat64()*6.2, rng.NormFloat64()*6.2
			if x*x+y*y <= 13*13 {
				return int8(math.Round(x)), int8(math.Round(y))
			}
		}
	}
	for i := range pairs {
		for {
			ax, ay := one()
			bx, by := one()
			if dx, dy := int(ax)-int(bx), int(ay)-int(by); dx*dx+dy*dy >= 16 {
				pairs[i] = [4]int8{ax, ay, bx, by}
				break
			}
		}
	}
	return pairs
}()

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

// describe compares the point pairs, turned by angle. With flip -1 it gives what
// the same corner would give in the mirrored picture.
func (l *level) describe(x, y int, angle float64, flip float64) (d descriptor) {
	sin, cos := math.Sincos(angle)
	at := y*l.w + x
	value := func(u, v int8) byte {
		fu, fv := float64(u), float64(v)*flip
		dx := int(math.Floor(cos*fu - sin*fv + 0.5))
		dy := int(math.Floor(sin*fu + cos*fv + 0.5))
		return l.smooth[at+dy*l.w+dx]
	}
	for i := range brief {
		p := &brief[i]
		if value(p[0], p[1]) < value(p[2], p[3]) {
			d[i>>6] |= 1 << (i & 63)
		}
	}
	return d
}

// points finds up to n keypoints over all levels; mirrored holds, place by
// place, the descriptors of the mirrored picture when asked for.
func (p pyramid) points(n int, mirror bool) (plain []point, mirrored []descriptor) {
	if len(p) == 0 {
		return nil, nil
	}
	share := 0.0
	for i := range p {
		share += math.Pow(levelStep, -float64(i))
	}
	for i := range p {
		l := &p[i]
		want := int(math.Round(float64(n) * math.Pow(levelStep, -float64(i)) / share))
		for _, c := range spread(l.corners(), l.w, l.h, want) {
			angle := l.orientation(c.x, c.y)
			plain = append(plain, point{
				x:     fraction(c.x, l.w),
				y:     fraction(c.y, l.h),
				angle: uint8(int(math.Round(angle/(2*math.Pi)*256)) & 255),
				level: levelCode(max(l.w, l.h)),
				desc:  l.describe(c.x, c.y, angle, 1),
			})
			if mirror {
				mirrored = append(mirrored, l.describe(c.x, c.y, angle, -1))
			}
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
