package main

import (
	"context"
	"math"

	"birdring/canary/mark"
	"birdring/internal/assay"
)

// noisy are the changes that add white noise, and its deviation in every colour.
var noisy = map[string]float64{"noise5": 5, "noise15": 15}

// mostZ is the most that the z of the right account can be, on the average, of any
// reader at all, when the only thing that happened to a copy is white Gaussian noise
// of this deviation in every colour: it knows the original, where it lies and how
// loud the noise is, and believes every segment as far as it may. What follows - rounding,
// saving as a JPEG - can only take away from that.
//
// With h a segment's half and v the variance of the noise in luma, the log odds of
// its variants are l = 2 s (c + sqrt(1/s) g), s = |h|^2 / v, g standard normal;
// sum(y c) / sqrt(sum(y^2)) is largest for y = tanh(l/2), and then the root of the sum of
// the means of y^2. Clipping at black and white, which takes noise away, is not counted.
func mostZ(ref *mark.Reference, deviation float64) float64 {
	v := deviation * deviation * (.299*.299 + .587*.587 + .114*.114)
	var sum float64
	for k := range ref.Grid.Segments() {
		x0, y0, x1, y1 := ref.Grid.Rect(k)
		var power float64
		for y := y0; y < y1; y++ {
			for _, h := range ref.Half.Pix[y*ref.Half.W+x0 : y*ref.Half.W+x1] {
				power += float64(h) * float64(h)
			}
		}
		sum += believed(power / v)
	}
	return math.Sqrt(sum)
}

// believed is the mean of tanh(l/2)^2 for l/2 normal of mean and variance s.
func believed(s float64) float64 {
	var sum, all float64
	for x := -6.; x <= 6; x += .1 {
		w := math.Exp(-x * x / 2)
		t := math.Tanh(s + math.Sqrt(s)*x)
		sum, all = sum+w*t*t, all+w
	}
	return sum / all
}

// printBounds says of the changes that add noise what could be reached at most.
func (b *bench) printBounds(ctx context.Context, plan assay.Plan, cells []cell) error {
	for i, c := range cells {
		sd, ok := noisy[plan.Singles[i].Name]
		if !ok || len(c.held) == 0 {
			continue
		}
		var most, want, reached []float64
		for j := range c.held {
			r := &c.held[j]
			pic, err := b.bed.Reg.Picture(ctx, r.Photo)
			if err != nil {
				return err
			}
			ref, err := pic.Reference()
			if err != nil {
				return err
			}
			z := mostZ(ref, sd)
			most, want, reached = append(most, z), append(want, r.Demand*r.Root()), append(reached, r.Z/z)
		}
		b.printf("%s: so much noise leaves no reader more than z %.1f in the median (%.1f to %.1f; demanded %.1f); read here: %.0f %% of that (%.0f to %.0f)\n",
			plan.Singles[i].Name, spreadOf(most).median, spreadOf(most).least, spreadOf(most).most, spreadOf(want).median,
			100*spreadOf(reached).median, 100*spreadOf(reached).least, 100*spreadOf(reached).most)
	}
	return nil
}
