package find

import (
	"math"
	"math/bits"
	"slices"

	"birdring/canary/mark"
)

// Hash is a PDQ hash: bit i*16+j says whether the 64 x 64 picture's cosine
// coefficient (i+1, j+1) lies above the median of all 256 (bit n is bit n&63 of
// word n>>6).
//
// The algorithm is PDQ as published with ThreatExchange ("The PDQ and TMK+PDQF
// algorithms", 2019, and the C++ reference): BT.601 luma, two passes of box
// filters, 64 x 64 samples, 16 x 16 cosine coefficients without the constant
// one, median. The reference's programs shrink to 512 pixels before hashing; hashes
// with and without agree within a few bits.
type Hash [4]uint64

// Distance counts the bits in which two hashes differ, 0..256.
func (h Hash) Distance(o Hash) int {
	return bits.OnesCount64(h[0]^o[0]) + bits.OnesCount64(h[1]^o[1]) +
		bits.OnesCount64(h[2]^o[2]) + bits.OnesCount64(h[3]^o[3])
}

// String writes the hash as the reference does: 64 hex digits, bit 255 first.
func (h Hash) String() string {
	const digits = "0123456789abcdef"
	out := make([]byte, 64)
	for i := range out {
		nibble := 63 - i
		out[i] = digits[h[nibble>>4]>>(nibble&15*4)&15]
	}
	return string(out)
}

// pdqSide is the side of the reduced picture, pdqFreq the number of
// frequencies kept on each axis.
const (
	pdqSide = 64
	pdqFreq = 16
	pdqMin  = 5 // smaller pictures have no hash
)

// pdqCosines holds the cosine basis, frequency 1..16 by sample 0..63.
var pdqCosines = func() (d [pdqFreq][pdqSide]float32) {
	for i := range pdqFreq {
		for j := range pdqSide {
			d[i][j] = float32(math.Sqrt(2.0/pdqSide) * math.Cos(math.Pi/2/pdqSide*float64(i+1)*float64(2*j+1)))
		}
	}
	return d
}()

// PDQ hashes a luma plane: the hash of the picture, the hash of its mirror
// image (for free, by the signs of the odd frequencies), and the quality 0..100
// (how much there is to see; below 50 a hash says little).
func PDQ(p mark.Plane) (hash, mirrored Hash, quality int) {
	if p.W < pdqMin || p.H < pdqMin {
		return Hash{}, Hash{}, 0
	}
	small := pdqReduce(p)
	quality = pdqQuality(small)
	freq := pdqTransform(small)
	hash = pdqBits(freq)
	for i := range freq {
		for j := 0; j < pdqFreq; j += 2 { // column j is frequency j+1, odd for even j
			freq[i][j] = -freq[i][j]
		}
	}
	return hash, pdqBits(freq), quality
}

// pdqReduce blurs with two passes of box filters along both axes and takes 64 x 64
// samples. Filters along rows and columns commute and only the samples are
// wanted, so each axis is reduced at once, by what the two passes weigh.
func pdqReduce(p mark.Plane) (out [pdqSide][pdqSide]float32) {
	if p.W == pdqSide && p.H == pdqSide {
		for i := range out {
			copy(out[i][:], p.Pix[i*pdqSide:])
		}
		return out
	}
	across, down := pdqTaps(p.W), pdqTaps(p.H)
	rows := make([]float32, p.H*pdqSide)
	weighRows(rows, p, across[:])
	for i := range down {
		weighColumns(out[i][:], rows[down[i].from*pdqSide:], down[i].weight)
	}
	return out
}

// pdqTaps is what the 64 samples of an axis of n pixels weigh after two box filters.
func pdqTaps(n int) (out [pdqSide]taps) {
	size := (n + 2*pdqSide - 1) / (2 * pdqSide)
	for i := range out {
		at := int((float64(i) + 0.5) * float64(n) / pdqSide)
		from, to := pdqWindow(at, n, size)
		first, _ := pdqWindow(from, n, size)
		_, last := pdqWindow(to-1, n, size)
		weight := make([]float32, last-first)
		for m := from; m < to; m++ {
			f, t := pdqWindow(m, n, size)
			for k := f; k < t; k++ {
				weight[k-first] += 1 / float32((to-from)*(t-f))
			}
		}
		out[i] = taps{first, weight}
	}
	return out
}

// pdqWindow gives the window of output i as the reference defines it: size
// pixels, one more behind than before when size is even, cut at the edges.
func pdqWindow(i, n, size int) (from, to int) {
	half := (size + 2) / 2
	return max(0, i-(size-half)), min(n, i+half)
}

// pdqQuality sums the gradients that can be seen (whole percents only).
func pdqQuality(a [pdqSide][pdqSide]float32) int {
	sum := 0
	step := func(u, v float32) { sum += int(math.Abs(float64(int((u - v) * 100 / 255)))) }
	for i := range pdqSide {
		for j := range pdqSide {
			if i+1 < pdqSide {
				step(a[i][j], a[i+1][j])
			}
			if j+1 < pdqSide {
				step(a[i][j], a[i][j+1])
			}
		}
	}
	return min(sum/90, 100)
}

// pdqTransform takes the cosine coefficients 1..16 x 1..16.
func pdqTransform(a [pdqSide][pdqSide]float32) (out [pdqFreq][pdqFreq]float32) {
	var half [pdqFreq][pdqSide]float32
	for i := range pdqFreq {
		for k := range pdqSide {
			c := pdqCosines[i][k]
			for j := range pdqSide {
				half[i][j] += c * a[k][j]
			}
		}
	}
	for i := range pdqFreq {
		for j := range pdqFreq {
			sum := float32(0)
			for k := range pdqSide {
				sum += half[i][k] * pdqCosines[j][k]
			}
			out[i][j] = sum
		}
	}
	return out
}

// pdqBits sets the bits above the median (the lower of the two middle values,
// as the reference's selection gives it).
func pdqBits(freq [pdqFreq][pdqFreq]float32) (h Hash) {
	all := make([]float32, 0, pdqFreq*pdqFreq)
	for i := range freq {
		all = append(all, freq[i][:]...)
	}
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	median := sorted[len(sorted)/2-1]
	for n, v := range all {
		if v > median {
			h[n>>6] |= 1 << (n & 63)
		}
	}
	return h
}
