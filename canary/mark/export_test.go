package mark

import "context"

// Likelihoods are log likelihood ratios of variant 1 against 0, and of each against no ring.
func Likelihoods(ctx context.Context, ref *Reference, s *Suspect, t Affine) (l, up, down []float64, err error) {
	r, err := weighed(ctx, ref, s, t)
	if err != nil || r == nil {
		return nil, nil, nil, err
	}
	cal := calibrate(r.rings)
	for k, g := range r.rings {
		l, up, down = append(l, cal[k].odds), append(up, g.plus-g.zero), append(down, g.minus-g.zero)
	}
	return l, up, down, nil
}
