package mark

import (
	"math"
)

// level is the DC coefficient of JPEG's level shift.
const level = 1024

// bins are the bounds between which the coefficients of a suspect lay before its
// encoder rounded them.
type bins struct {
	lo, hi [][64]float32 // equal where nothing is known
	ok     []bool        // block by block: whole, not clipped, and on the grid
}

// newBins finds the bins of a JPEG's tables; nil when the suspect is no JPEG or
// its pixels are not on the tables' grid.
func newBins(s *blocks, quant *[64]uint16, raw []float32, use []bool, w int) *bins {
	if quant == nil {
		return nil
	}
	b := &bins{lo: make([][64]float32, len(s.c)), hi: make([][64]float32, len(s.c)), ok: make([]bool, len(s.c))}
	var step [64]float32
	for i, q := range quant {
		if q == 0 {
			return nil
		}
		step[i] = float32(q)
	}
	good, whole := 0, 0
	for i := range s.c {
		if !wholeBlock(i, s.w, w, raw, use) {
			continue
		}
		whole++
		var off, n float32
		for j, f := range &s.c[i] {
			q := step[j]
			if j == 0 {
				f -= level
			}
			at := float32(math.Round(float64(f/q))) * q
			if q >= 3 {
				off += (f - at) * (f - at)
				n++
			}
			if j == 0 {
				at += level
			}
			b.lo[i][j], b.hi[i][j] = at-q/2, at+q/2
		}
		// Rounding to 8 bits leaves .08; twice through RGB some .3.
		if off <= 0.5*n {
			b.ok[i] = true
			good++
		}
	}
	if good*2 < whole {
		return nil
	}
	return b
}

// roundedBins are the bins of a WebP, s in its 4x4 blocks; nil when they do not
// cover the window.
func roundedBins(s *blocks, known *Rounded, v *window, raw []float32, use []bool) *bins {
	b := &bins{lo: make([][64]float32, len(s.c)), hi: make([][64]float32, len(s.c)), ok: make([]bool, len(s.c))}
	for i := range s.c {
		if !wholeBlock(i, s.w, v.w, raw, use) {
			continue
		}
		b.ok[i] = true
		for n := range 4 {
			row, col := v.y0/4+i/s.w*2+n>>1, v.x0/4+i%s.w*2+n&1
			at := 16 * (row*known.Across + col)
			if col >= known.Across || at+16 > len(known.Low) || at+16 > len(known.High) {
				return nil
			}
			for k := range 16 {
				j := 16*n + k
				b.lo[i][j], b.hi[i][j] = s.c[i][j]+known.Low[at+k], s.c[i][j]+known.High[at+k]
			}
		}
	}
	return b
}

// width of a bin; 0 where nothing is known.
func (b *bins) width(i, j int) float32 {
	if b == nil || !b.ok[i] {
		return 0
	}
	return b.hi[i][j] - b.lo[i][j]
}

// usual is the mean squared width of the bins of every coefficient.
func (b *bins) usual() (sum [64]float32) {
	n := float32(1e-9)
	for i, ok := range b.ok {
		if ok {
			n++
			for j := range sum {
				w := b.hi[i][j] - b.lo[i][j]
				sum[j] += w * w
			}
		}
	}
	for j := range sum {
		sum[j] /= n
	}
	return sum
}

// wholeBlock says whether a block lies inside the picture and is not clipped.
func wholeBlock(i, bw, w int, raw []float32, use []bool) bool {
	at := i/bw*8*w + i%bw*8
	for y := range 8 {
		for x := at + y*w; x < at+y*w+8; x++ {
			if !use[x] || raw[x] < 0.5 || raw[x] > 254.5 {
				return false
			}
		}
	}
	return true
}

// noise is what the re-enactment leaves unexplained: variance per frequency,
// times a scale per block.
type noise struct {
	v     [64]float32
	scale []float32
}

// ringed is the state of the decision on one segment.
type ringed struct {
	plus, zero, minus float64 // log likelihood of variant 1, of no ring, of variant 0
	belief            float64 // posterior mean, -1..1
}

// active lists the frequencies in which the pieces have their energy.
func active(ps []piece) []int {
	var power [64]float64
	var sum float64
	for i := range ps {
		for j, f := range &ps[i].c {
			power[j] += float64(f) * float64(f)
			sum += float64(f) * float64(f)
		}
	}
	var out []int
	for j, p := range power {
		if p > 0.002*sum {
			out = append(out, j)
		}
	}
	return out
}

// passes of decide: noise and neighbours' halves depend on what is believed. More
// than two gain less than 1 % of z (measured) and cost a tenth of the reading each.
const passes = 2

// decide weighs for every segment the variants against each other, its
// neighbours being what they are believed to be.
func (r *reader) decide(s, p *blocks, b *bins) {
	m := r.ref.Grid.Segments()
	if r.rings == nil {
		r.rings = make([]ringed, m)
	}
	act := active(r.pieces)
	mean, spread := make([][64]float32, len(s.c)), make([][64]float32, len(s.c))
	n := passes
	if r.noise.scale == nil {
		n = 1 // all of it is done again on a better fit
	}
	for range n {
		copy(mean, p.c)
		clear(spread)
		for i := range r.pieces {
			q := &r.pieces[i]
			belief := float32(r.rings[q.seg].belief)
			rest := 1 - belief*belief
			mu, va := &mean[q.block], &spread[q.block]
			for j, h := range &q.c {
				mu[j] += belief * h
				va[j] += rest * h * h
			}
		}
		r.estimateNoise(s, mean, b, act)
		for i := range r.rings {
			r.rings[i].plus, r.rings[i].zero, r.rings[i].minus = 0, 0, 0
		}
		for i := range r.pieces {
			r.weigh(&r.pieces[i], &s.c[r.pieces[i].block], &mean[r.pieces[i].block], &spread[r.pieces[i].block], b, act)
		}
		for i := range r.rings {
			l := r.rings[i].plus - r.rings[i].minus
			r.rings[i].belief = math.Tanh(min(max(l, -30), 30) / 2)
		}
	}
	r.mean = mean
}

// weigh adds what one block says about one segment.
func (r *reader) weigh(q *piece, s, mean, spread *[64]float32, b *bins, act []int) {
	ring := &r.rings[q.seg]
	belief := float32(ring.belief)
	rest := 1 - belief*belief
	scale := r.noise.scale[q.block]
	plus, zero, minus := 1.0, 1.0, 1.0
	var lp, lz, lm float64
	n := 0
	for _, j := range act {
		h := q.c[j]
		v := r.noise.v[j]*scale + max(0, spread[j]-rest*h*h)
		if h*h < 1e-4*v {
			continue
		}
		own := mean[j] - belief*h
		if wide := b.width(q.block, j); wide*wide > 0.5*v {
			lo, hi := b.lo[q.block][j]-own, b.hi[q.block][j]-own
			inv := 1 / sqrt32(v)
			plus *= float64(inBin(lo-h, hi-h, inv))
			zero *= float64(inBin(lo, hi, inv))
			minus *= float64(inBin(lo+h, hi+h, inv))
		} else {
			// Student's t with 7 degrees of freedom.
			d := s[j] - own
			inv := 1 / (7 * v)
			plus *= 1 / pow4(1+(d-h)*(d-h)*inv)
			zero *= 1 / pow4(1+d*d*inv)
			minus *= 1 / pow4(1+(d+h)*(d+h)*inv)
		}
		if n++; n%8 == 0 {
			lp, lz, lm = lp+log(plus), lz+log(zero), lm+log(minus)
			plus, zero, minus = 1, 1, 1
		}
	}
	ring.plus += lp + log(plus)
	ring.zero += lz + log(zero)
	ring.minus += lm + log(minus)
}

func log(f float64) float64 { return math.Log(max(f, 1e-300)) }

func pow4(f float32) float64 {
	d := float64(f)
	d *= d
	return d * d
}

func sqrt32(f float32) float32 { return float32(math.Sqrt(float64(f))) }

// estimateNoise fits the noise to what mean leaves of the suspect.
func (r *reader) estimateNoise(s *blocks, mean [][64]float32, b *bins, act []int) {
	n := len(s.c)
	rounds := 1 // from what was estimated before
	if r.noise.scale == nil {
		rounds = 2
		r.noise.scale = make([]float32, n)
		for i := range r.noise.scale {
			r.noise.scale[i] = 1
		}
		var wide [64]float32
		if b != nil {
			wide = b.usual()
		}
		for j := range r.noise.v {
			r.noise.v[j] = 4 + wide[j]/12
		}
	}
	inside := make([]bool, n)
	count := 0
	for i := range inside {
		inside[i] = r.use[(i/s.w*8+4)*r.v.w+i%s.w*8+4]
		if inside[i] {
			count++
		}
	}
	step := max(1, count/1200)
	ratio := make([]float32, n)
	for range rounds {
		var sum [64]float64
		var used [64]float64
		at := 0
		for i := range s.c {
			if !inside[i] {
				continue
			}
			if at++; at%step != 0 {
				continue
			}
			for j := range 64 {
				sq := r.square(s, mean, b, i, j)
				v := r.noise.v[j]
				sum[j] += float64(min(sq/r.noise.scale[i], 16*v))
				used[j]++
			}
		}
		for j := range r.noise.v {
			if used[j] > 0 {
				r.noise.v[j] = float32(max(sum[j]/used[j], 0.02))
			}
		}
		for i := range s.c {
			ratio[i] = 1
			if inside[i] {
				var f float32
				for _, j := range act {
					f += min(r.square(s, mean, b, i, j)/r.noise.v[j], 100)
				}
				ratio[i] = f / float32(max(1, len(act)))
			}
		}
		r.noise.spreadOut(ratio, inside, s.w)
	}
}

// square is the expected squared distance of a coefficient from its mean.
func (r *reader) square(s *blocks, mean [][64]float32, b *bins, i, j int) float32 {
	mu := mean[i][j]
	if b.width(i, j) > 0 {
		_, sq := momentsInBin(b.lo[i][j]-mu, b.hi[i][j]-mu, sqrt32(r.noise.v[j]*r.noise.scale[i]))
		return sq
	}
	d := s.c[i][j] - mu
	return d * d
}

// spreadOut sets the blocks' scales from their ratios and their neighbours'.
func (n *noise) spreadOut(ratio []float32, inside []bool, w int) {
	h := len(ratio) / w
	for y := range h {
		for x := range w {
			i := y*w + x
			sum, weight := float32(1), float32(1)
			for dy := max(0, y-1); dy <= min(h-1, y+1); dy++ {
				for dx := max(0, x-1); dx <= min(w-1, x+1); dx++ {
					j := dy*w + dx
					if !inside[j] {
						continue
					}
					f := float32(1)
					if j == i {
						f = 3
					}
					sum += f * ratio[j]
					weight += f
				}
			}
			n.scale[i] = min(max(sum/weight, 0.05), 200)
		}
	}
}

// restore puts every coefficient where its bin and the model expect it and
// takes the believed ring out: what the picture without a ring would have been.
func (r *reader) restore(s, p *blocks, b *bins) []float32 {
	out := blocks{s.w, s.h, s.base, make([][64]float32, len(s.c))}
	for i := range s.c {
		for j := range 64 {
			f := s.c[i][j]
			mu := r.mean[i][j]
			if b.width(i, j) > 0 {
				d, _ := momentsInBin(b.lo[i][j]-mu, b.hi[i][j]-mu, sqrt32(r.noise.v[j]*r.noise.scale[i]))
				f = mu + d
			}
			out.c[i][j] = f - (mu - p.c[i][j])
		}
	}
	return out.restored()
}
