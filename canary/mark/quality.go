package mark

import "math"

// PSNR is the peak signal to noise ratio of b against a in dB, peak 255; +Inf
// for equal planes, 0 for planes of different size.
func PSNR(a, b Plane) float64 {
	if a.W != b.W || a.H != b.H || len(a.Pix) != len(b.Pix) || len(a.Pix) == 0 {
		return 0
	}
	var sum float64
	for i, v := range a.Pix {
		d := float64(v - b.Pix[i])
		sum += d * d
	}
	if sum == 0 {
		return math.Inf(1)
	}
	return 10 * math.Log10(255*255*float64(len(a.Pix))/sum)
}

// SSIM is the mean structural similarity of two planes of one size (Wang et al.
// 2004: Gaussian window of sd 1.5, 11 taps, K1 = .01, K2 = .03); 0 for planes of
// different size or smaller than the window.
func SSIM(a, b Plane) float64 {
	if a.W != b.W || a.H != b.H || len(a.Pix) != len(b.Pix) || a.W < 11 || a.H < 11 {
		return 0
	}
	n := len(a.Pix)
	aa, bb, ab := make([]float32, n), make([]float32, n), make([]float32, n)
	for i, x := range a.Pix {
		y := b.Pix[i]
		aa[i], bb[i], ab[i] = x*x, y*y, x*y
	}
	taps := gauss(1.5, 5)
	var planes [5][]float32
	for i, p := range [][]float32{a.Pix, b.Pix, aa, bb, ab} {
		planes[i] = smooth(p, a.W, a.H, taps)
	}
	const c1, c2 = (.01 * 255) * (.01 * 255), (.03 * 255) * (.03 * 255)
	var sum float64
	count := 0
	for y := 5; y < a.H-5; y++ {
		for x := 5; x < a.W-5; x++ {
			i := y*a.W + x
			ma, mb := float64(planes[0][i]), float64(planes[1][i])
			va, vb := max(0, float64(planes[2][i])-ma*ma), max(0, float64(planes[3][i])-mb*mb)
			cov := float64(planes[4][i]) - ma*mb
			sum += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
			count++
		}
	}
	return sum / float64(count)
}

// gauss is a normalised Gaussian of standard deviation sd with 2r+1 taps.
func gauss(sd float64, r int) []float32 {
	taps := make([]float32, 2*r+1)
	var sum float64
	for i := range taps {
		d := float64(i-r) / sd
		v := math.Exp(-d * d / 2)
		taps[i] = float32(v)
		sum += v
	}
	for i := range taps {
		taps[i] /= float32(sum)
	}
	return taps
}

// smooth filters a w x h plane with taps along both axes; the edge pixels repeat.
func smooth(src []float32, w, h int, taps []float32) []float32 {
	r := len(taps) / 2
	mid := make([]float32, len(src))
	line := make([]float32, w+2*r)
	for y := range h {
		row := src[y*w : y*w+w]
		copy(line[r:], row)
		for i := range r {
			line[i], line[w+r+i] = row[0], row[w-1]
		}
		out := mid[y*w : y*w+w]
		for i, t := range taps {
			in := line[i : i+w]
			for x := range out {
				out[x] += t * in[x]
			}
		}
	}
	dst := make([]float32, len(src))
	for y := range h {
		out := dst[y*w : y*w+w]
		for i, t := range taps {
			in := mid[min(max(y+i-r, 0), h-1)*w:][:w]
			for x := range out {
				out[x] += t * in[x]
			}
		}
	}
	return dst
}
