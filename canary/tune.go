package canary

import (
	"fmt"
	"math"

	"birdring/canary/jpeg"
	"birdring/canary/mark"
)

// Targets of every rendition against the unringed JPEG, both decoded to 8 bits.
const (
	targetPSNR = 50.3  // dB; the promise is 50
	slackPSNR  = 0.35  // dB that the search may stop short of the strongest gain
	minSSIM    = 0.996 // likewise a promise
)

// tuner finds the largest gain that keeps every rendition near enough to the
// unringed picture, measured after equalising.
type tuner struct {
	plain *jpeg.Frame
	plane []float32 // plain, decoded to 8 bits
	base  [][64]float32
	unit  [][64]float32 // bumps at gain 1
	grid  mark.Grid
	step  int // of the blocks that coefficientPSNR looks at
}

func newTuner(s *source, plan *mark.Plan) *tuner {
	t := &tuner{plain: s.frame, plane: to8bit(s.frame.LumaPlane()), base: s.base, unit: bumpSteps(plan, s.frame), grid: plan.Grid, step: 5}
	hush(t.unit, t.base, s.frame.Luma.W, t.grid)
	return t
}

// tune writes the pair at the gain where the worst rendition just meets the
// targets. A few rows give the first guess; every later one corrects it by what the
// pair before measured.
func (t *tuner) tune() (*jpeg.Pair, *Report, error) {
	const tries = 8
	aim := targetPSNR + slackPSNR/2 + t.lost()
	var pair *jpeg.Pair
	rep := &Report{}
	for try := range tries {
		gain := t.gainFor(aim)
		next := t.write(gain)
		worst := t.worst(next)
		got, ssim := t.psnr(worst), 0.0
		step := targetPSNR + slackPSNR/2 - got
		if got >= targetPSNR {
			ssim = mark.SSIM(t.view(t.plane), t.view(worst))
			if ssim < minSSIM {
				// Half of what SSIM loses is rounding, which does not shrink with the gain.
				step = max(0.3, 20*math.Log10((1-ssim)/(1-minSSIM)))
			}
		}
		good := got >= targetPSNR && ssim >= minSSIM
		if good && (pair == nil || gain > rep.Gain) {
			pair, rep.Gain, rep.PSNR, rep.SSIM = next, gain, got, ssim
		}
		if pair != nil && (step > -slackPSNR/2 || try >= 3 || 1-ssim > 0.9*(1-minSSIM)) {
			return pair, rep, nil
		}
		aim += step
	}
	return nil, nil, fmt.Errorf("%w: even a weak mark cannot be kept %.0f dB and SSIM %.3f near the photo", ErrTooPlain, targetPSNR, minSSIM)
}

// lost is how many dB equalising and rounding to 8 bits cost, tried on some rows.
func (t *tuner) lost() float64 {
	const guess = 0.9
	s := t.rows(4)
	if s == nil {
		return guess
	}
	gain := s.gainFor(targetPSNR + guess)
	return s.coefficientPSNR(gain) - s.psnr(s.worst(s.write(gain)))
}

// rows is the picture reduced to every n-th row of MCUs; nil if few would be left.
func (t *tuner) rows(n int) *tuner {
	_, mh := t.plain.MCU()
	cols, _ := t.plain.MCUs()
	kept := t.plain.H / mh / n // whole ones
	if kept < 4 {
		return nil
	}
	f := jpeg.NewFrame(t.plain.W, kept*mh, t.plain.Dialect)
	s := &tuner{plain: f, grid: t.grid, step: 1}
	s.grid.H = f.H
	across := t.plain.Luma.W * mh / 8 // luma blocks of a row
	for i := range kept {
		from := n*i + n/2
		copy(f.Luma.Blocks[i*across:], t.plain.Luma.Blocks[from*across:(from+1)*across])
		copy(f.Cb.Blocks[i*cols:], t.plain.Cb.Blocks[from*cols:(from+1)*cols])
		copy(f.Cr.Blocks[i*cols:], t.plain.Cr.Blocks[from*cols:(from+1)*cols])
		s.base = append(s.base, t.base[from*across:(from+1)*across]...)
		s.unit = append(s.unit, t.unit[from*across:(from+1)*across]...)
	}
	s.plane = to8bit(f.LumaPlane())
	return s
}

// gainFor bisects the gain at which the worst rendition's coefficients, rounded
// but not yet equalised, are so many dB from the unringed ones.
func (t *tuner) gainFor(db float64) float64 {
	lo, hi := 0.02, 12.0
	for range 12 {
		mid := math.Sqrt(lo * hi)
		if t.coefficientPSNR(mid) >= db {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// coefficientPSNR takes every step-th block: a fifth is enough for a guess.
func (t *tuner) coefficientPSNR(gain float64) float64 {
	var sum float64
	n := 0
	g := float32(gain)
	q := &t.plain.Quant[0]
	for i := 0; i < len(t.base); i += t.step {
		if !t.plain.Real(i%t.plain.Luma.W, i/t.plain.Luma.W) {
			continue
		}
		var e [2]float32
		base, unit, plain := &t.base[i], &t.unit[i], &t.plain.Luma.Blocks[i]
		for z := range 64 {
			u := unit[z] * g
			w := float32(q[z])
			d0 := (roundStep(jpeg.Snap(base[z]-u, q[z])) - float32(plain[z])) * w
			d1 := (roundStep(jpeg.Snap(base[z]+u, q[z])) - float32(plain[z])) * w
			e[0] += d0 * d0
			e[1] += d1 * d1
		}
		sum += float64(max(e[0], e[1]))
		n += 64
	}
	return psnr(sum / float64(n))
}

// roundStep rounds to the nearest whole number.
func roundStep(f float32) float32 {
	if f < 0 {
		return float32(int32(f - 0.5))
	}
	return float32(int32(f + 0.5))
}

func (t *tuner) write(gain float64) *jpeg.Pair {
	bump := make([][64]float32, len(t.unit))
	g := float32(gain)
	for i := range bump {
		for z, u := range &t.unit[i] {
			bump[i][z] = g * u
		}
	}
	m := jpeg.Marked{Plain: t.plain, Base: t.base, Bump: bump, Run: t.grid.Run}
	return m.Write()
}

// worst is the rendition farthest from the unringed picture: of every segment
// the variant with the larger error. No viewer's copy is farther.
func (t *tuner) worst(p *jpeg.Pair) []float32 {
	planes := [2][]float32{to8bit(p.As[0].LumaPlane()), to8bit(p.As[1].LumaPlane())}
	g := t.grid
	for k := range g.Segments() {
		x0, y0, x1, y1 := g.Rect(k)
		var e [2]float32
		for v := range planes {
			for y := y0; y < y1; y++ {
				a, b := planes[v][y*g.W+x0:y*g.W+x1], t.plane[y*g.W+x0:y*g.W+x1]
				for i, f := range a {
					d := f - b[i]
					e[v] += d * d
				}
			}
		}
		if e[1] <= e[0] {
			continue
		}
		for y := y0; y < y1; y++ {
			copy(planes[0][y*g.W+x0:y*g.W+x1], planes[1][y*g.W+x0:y*g.W+x1])
		}
	}
	return planes[0]
}

// to8bit rounds samples in place to what an 8-bit decoder gives.
func to8bit(p []float32) []float32 {
	for i, f := range p {
		p[i] = float32(int32(max(0, min(255, f+0.5))))
	}
	return p
}

func (t *tuner) view(p []float32) mark.Plane {
	return mark.Plane{W: t.plain.W, H: t.plain.H, Pix: p}
}

func (t *tuner) psnr(p []float32) float64 {
	var sum float64
	for i, f := range p {
		d := float64(f - t.plane[i])
		sum += d * d
	}
	return psnr(sum / float64(len(p)))
}

// psnr is the peak signal-to-noise ratio in dB of a mean squared error, 99 for none.
func psnr(mse float64) float64 {
	if mse <= 0 {
		return 99
	}
	return 10 * math.Log10(255*255/mse)
}
