package change

import (
	"image"
	"math"
	"slices"
)

// toned maps every colour value by a curve.
func toned(curve func(v float64) float64) step {
	var table [256]byte
	for i := range table {
		table[i] = eight(curve(float64(i)))
	}
	return func(k *work) error {
		k.each(func(p []byte) {
			for c := range 3 {
				p[c] = table[p[c]]
			}
		})
		return nil
	}
}

func brighter(f float64) step { return toned(func(v float64) float64 { return f * v }) }

func contrasted(f float64) step { return toned(func(v float64) float64 { return 128 + f*(v-128) }) }

func gamma(g float64) step {
	return toned(func(v float64) float64 { return 255 * math.Pow(v/255, g) })
}

// saturated draws colours apart from their grey, or towards it.
func saturated(f float64) step {
	return func(k *work) error {
		k.each(func(p []byte) {
			l := luma(p)
			for c := range 3 {
				p[c] = eight(l + f*(float64(p[c])-l))
			}
		})
		return nil
	}
}

// warm is a filter as apps offer it: warmer, faded blacks, an S curve, less blue.
func warm(k *work) error {
	curve := func(v float64) float64 { return 14 + v*.93 - 9*math.Sin(2*math.Pi*v/255) }
	k.each(func(p []byte) {
		p[0] = eight(curve(float64(p[0])) * 1.05)
		p[1] = eight(curve(float64(p[1])))
		p[2] = eight(curve(float64(p[2])) * .86)
	})
	return nil
}

func luma(p []byte) float64 {
	return .299*float64(p[0]) + .587*float64(p[1]) + .114*float64(p[2])
}

// each visits every pixel.
func (k *work) each(visit func(p []byte)) {
	for i := 0; i < len(k.img.Pix); i += 4 {
		visit(k.img.Pix[i : i+3])
	}
}

// blurred filters with a Gaussian of this standard deviation.
func blurred(sd float64) step {
	return func(k *work) error {
		k.img = gauss(k.img, sd)
		return nil
	}
}

// sharpened adds what a blur took away.
func sharpened(sd, amount float64) step {
	return func(k *work) error {
		soft := gauss(k.img, sd)
		for i, v := range k.img.Pix {
			if i%4 != 3 {
				k.img.Pix[i] = eight(float64(v) + amount*(float64(v)-float64(soft.Pix[i])))
			}
		}
		return nil
	}
}

func gauss(img *image.RGBA, sd float64) *image.RGBA {
	r := int(3*sd + .5)
	taps := make([]float32, 2*r+1)
	var sum float32
	for i := range taps {
		d := float64(i-r) / sd
		taps[i] = float32(math.Exp(-d * d / 2))
		sum += taps[i]
	}
	for i := range taps {
		taps[i] /= sum
	}
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	mid, out := make([]float32, 4*w*h), image.NewRGBA(img.Bounds())
	for y := range h {
		row := img.Pix[y*img.Stride:]
		for x := range w {
			var s [4]float32
			for i, t := range taps {
				p := row[4*min(max(x+i-r, 0), w-1):][:4]
				for c := range s {
					s[c] += t * float32(p[c])
				}
			}
			copy(mid[4*(y*w+x):], s[:])
		}
	}
	line := make([]float32, 4*w)
	for y := range h {
		clear(line)
		for i, t := range taps {
			for x, v := range mid[4*w*min(max(y+i-r, 0), h-1):][:4*w] {
				line[x] += t * v
			}
		}
		for x, v := range line {
			out.Pix[y*out.Stride+x] = eight(float64(v))
		}
	}
	return out
}

// smoothed takes the median of the 3 x 3 pixels around.
func smoothed(k *work) error {
	src := k.img
	out := canvas(src)
	w, h := src.Bounds().Dx(), src.Bounds().Dy()
	var near [9]byte
	for y := range h {
		for x := range w {
			for c := range 3 {
				for i := range near {
					near[i] = src.Pix[min(max(y+i/3-1, 0), h-1)*src.Stride+4*min(max(x+i%3-1, 0), w-1)+c]
				}
				slices.Sort(near[:])
				out.Pix[y*out.Stride+4*x+c] = near[4]
			}
		}
	}
	k.img = out
	return nil
}

// noisy adds Gaussian noise of this standard deviation to every colour value.
func noisy(sd float64) step {
	return func(k *work) error {
		k.each(func(p []byte) {
			for c := range 3 {
				p[c] = eight(float64(p[c]) + sd*k.rng.NormFloat64())
			}
		})
		return nil
	}
}

// jammed adds bumps as Birdring's source describes them, on the very grid it
// uses, with signs of the scraper's own: whoever knows everything but the keys
// can do no better than guess. peak is in grey levels; planted bumps have about 1 to 4.
func jammed(peak float64) step {
	return func(k *work) error {
		const cell = 16
		w, h := k.img.Bounds().Dx(), k.img.Bounds().Dy()
		for y0 := 0; y0 < h; y0 += cell {
			for x0 := 0; x0 < w; x0 += cell {
				a := peak * float64(1-2*k.rng.IntN(2))
				for y := y0; y < min(y0+cell, h); y++ {
					fy := a * math.Sin(math.Pi*(float64(y-y0)+.5)/cell)
					for x := x0; x < min(x0+cell, w); x++ {
						d := fy * math.Sin(math.Pi*(float64(x-x0)+.5)/cell)
						p := k.img.Pix[y*k.img.Stride+4*x:]
						for c := range 3 {
							p[c] = eight(float64(p[c]) + d)
						}
					}
				}
			}
		}
		return nil
	}
}
