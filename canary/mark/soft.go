package mark

import "math"

// soft turns the weighed segments into soft values.
func (r *reader) soft() *Soft {
	out := &Soft{Y: make([]int16, len(r.rings))}
	var marked float64
	for k, g := range r.rings {
		l := g.plus - g.minus
		if math.Abs(l) < 1e-4 || math.IsNaN(l) {
			continue
		}
		marked += math.Log(math.Exp(g.plus-g.zero)/2 + math.Exp(g.minus-g.zero)/2)
		f := l / (math.Abs(l) + 2)
		y := int16(math.Round(1024 * f))
		if y != 0 {
			out.Y[k] = y
			out.Read++
		}
	}
	out.MarkedMillibits = int64(marked / math.Ln2 * 1000)
	return out
}
