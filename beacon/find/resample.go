package find

import (
	"math"

	"birdring/canary/mark"
)

// shrinkTo resamples p so that its longer side is at most longest pixels, with a
// triangle of a kernel, half as dear as a cubic one, which keypoints hardly notice; a
// picture that is small enough comes back unchanged (and shared).
func shrinkTo(p mark.Plane, longest int) mark.Plane {
	long := max(p.W, p.H)
	if long <= longest {
		return p
	}
	w := max(1, (p.W*longest+long/2)/long)
	h := max(1, (p.H*longest+long/2)/long)
	return resampled(p, w, h, triangle)
}

// resize resamples p to w x h with a cubic kernel (Catmull-Rom), widened when
// shrinking, so that it passes for what resizing software does. Far larger
// pictures are halved first, which costs little and changes nothing visible.
func resize(p mark.Plane, w, h int) mark.Plane { return resampled(p, w, h, smooth) }

func resampled(p mark.Plane, w, h int, by curve) mark.Plane {
	if w == p.W && h == p.H {
		return p
	}
	// Halving drops an odd last row or column, so the scale it stands for is
	// kept apart from the size.
	sx, sy := float64(p.W)/float64(w), float64(p.H)/float64(h)
	for sx >= 4 && sy >= 4 {
		p = halve(p)
		sx, sy = sx/2, sy/2
	}
	return columns(rows(p, w, sx, by), h, sy, by)
}

// taps are the weights of one output pixel.
type taps struct {
	from   int // first input pixel
	weight []float32
}

// curve is a weight over the distance in output pixels, 0 from reach on.
type curve struct {
	reach  float64
	weight func(x float64) float64
}

var (
	smooth   = curve{2, catmullRom}
	triangle = curve{1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }}
)

// kernel plans one axis: n outputs from size inputs, step input pixels each.
func kernel(n, size int, step float64, by curve) []taps {
	widen := max(step, 1)
	radius := by.reach * widen
	plan := make([]taps, n)
	room := make([]float32, 0, n*(int(2*radius)+2))
	for i := range plan {
		centre := (float64(i) + 0.5) * step
		from := max(0, int(math.Ceil(centre-radius-0.5)))
		to := min(size-1, int(math.Floor(centre+radius-0.5)))
		if from > to {
			from = min(max(from, 0), size-1)
			to = from
		}
		start, sum := len(room), float32(0)
		for j := from; j <= to; j++ {
			v := float32(by.weight((float64(j) + 0.5 - centre) / widen))
			room = append(room, v)
			sum += v
		}
		weight := room[start:len(room):len(room)]
		if sum == 0 {
			weight[len(weight)/2], sum = 1, 1
		}
		for k := range weight {
			weight[k] /= sum
		}
		plan[i] = taps{from, weight}
	}
	return plan
}

// catmullRom is the cubic interpolation kernel with a = -1/2.
func catmullRom(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return (1.5*x-2.5)*x*x + 1
	case x < 2:
		return ((-0.5*x+2.5)*x-4)*x + 2
	}
	return 0
}

// rows resamples every row to w pixels.
func rows(p mark.Plane, w int, step float64, by curve) mark.Plane {
	out := mark.Plane{W: w, H: p.H, Pix: make([]float32, w*p.H)}
	weighRows(out.Pix, p, kernel(w, p.W, step, by))
	return out
}

// weighRows writes what each row weighs by a plan, four rows at a time: sums that
// do not wait for one another.
func weighRows(out []float32, p mark.Plane, plan []taps) {
	w, y := len(plan), 0
	for ; y+4 <= p.H; y += 4 {
		src, dst := p.Pix[y*p.W:][:4*p.W], out[y*w:][:4*w]
		for x := range plan {
			t := &plan[x]
			n := len(t.weight)
			r0, r1, r2, r3 := src[t.from:][:n], src[p.W+t.from:][:n], src[2*p.W+t.from:][:n], src[3*p.W+t.from:][:n]
			var s0, s1, s2, s3 float32
			for k, v := range t.weight {
				s0 += v * r0[k]
				s1 += v * r1[k]
				s2 += v * r2[k]
				s3 += v * r3[k]
			}
			dst[x], dst[w+x], dst[2*w+x], dst[3*w+x] = s0, s1, s2, s3
		}
	}
	for ; y < p.H; y++ {
		src, dst := p.Pix[y*p.W:(y+1)*p.W], out[y*w:(y+1)*w]
		for x := range plan {
			t := &plan[x]
			in := src[t.from : t.from+len(t.weight)]
			sum := float32(0)
			for k, v := range t.weight {
				sum += v * in[k]
			}
			dst[x] = sum
		}
	}
}

// columns resamples every column to h pixels.
func columns(p mark.Plane, h int, step float64, by curve) mark.Plane {
	out := mark.Plane{W: p.W, H: h, Pix: make([]float32, p.W*h)}
	for y, t := range kernel(h, p.H, step, by) {
		weighColumns(out.Pix[y*p.W:(y+1)*p.W], p.Pix[t.from*p.W:], t.weight)
	}
	return out
}

// weighColumns adds to dst what the rows that src begins with weigh, as many as there are weights.
func weighColumns(dst, src, weight []float32) {
	w := len(dst)
	for ; len(weight) >= 3; weight, src = weight[3:], src[3*w:] {
		w0, w1, w2 := weight[0], weight[1], weight[2]
		r0, r1, r2 := src[:w], src[w:][:w], src[2*w:][:w]
		for x := range dst {
			dst[x] = dst[x] + w0*r0[x] + w1*r1[x] + w2*r2[x]
		}
	}
	for k, v := range weight {
		for x, s := range src[k*w:][:w] {
			dst[x] += v * s
		}
	}
}

// halve averages blocks of 2 x 2 pixels; an odd last row or column is dropped,
// so that coordinates halve exactly.
func halve(p mark.Plane) mark.Plane {
	w, h := p.W/2, p.H/2
	out := mark.Plane{W: w, H: h, Pix: make([]float32, w*h)}
	for y := range h {
		a, b := p.Pix[2*y*p.W:][:2*w], p.Pix[(2*y+1)*p.W:][:2*w]
		dst := out.Pix[y*w : (y+1)*w]
		for x := range dst {
			dst[x] = (a[2*x] + a[2*x+1] + b[2*x] + b[2*x+1]) * 0.25
		}
	}
	return out
}

// boxMean returns the mean over windows of (2r+1) x (2r+1) pixels, cut at the edges.
func boxMean(p mark.Plane, r int) mark.Plane {
	tmp := make([]float32, len(p.Pix))
	for y := range p.H {
		boxLine(tmp[y*p.W:(y+1)*p.W], p.Pix[y*p.W:(y+1)*p.W], r)
	}
	out := mark.Plane{W: p.W, H: p.H, Pix: make([]float32, len(p.Pix))}
	sum := make([]float32, p.W)
	n := 0
	add := func(y int, sign float32) {
		for x, v := range tmp[y*p.W : (y+1)*p.W] {
			sum[x] += sign * v
		}
		n += int(sign)
	}
	for y := range min(r, p.H) {
		add(y, 1)
	}
	for y := range p.H {
		if y+r < p.H {
			add(y+r, 1)
		}
		if y-r-1 >= 0 {
			add(y-r-1, -1)
		}
		scale := 1 / float32(n)
		dst := out.Pix[y*p.W : (y+1)*p.W]
		for x, v := range sum {
			dst[x] = v * scale
		}
	}
	return out
}

// boxLine is boxMean on one line.
func boxLine(dst, src []float32, r int) {
	sum, n := float32(0), 0
	for _, v := range src[:min(r, len(src))] {
		sum += v
		n++
	}
	for x := range src {
		if x+r < len(src) {
			sum += src[x+r]
			n++
		}
		if x-r-1 >= 0 {
			sum -= src[x-r-1]
			n--
		}
		dst[x] = sum / float32(n)
	}
}
