package registry

import (
	"context"
	"fmt"
	"time"

	"birdring/canary/mark"
)

// Examined is a result of a trace together with what was read before any ring was
// looked at.
type Examined struct {
	TraceResult
	Affine mark.Affine // planted to found pixels
	Fit    float64     // how well local structure agrees there, -1..1
	Soft   *mark.Soft  // of the picture that fits best
}

// Examine judges a file as Trace does and also returns the soft values. It is for
// measuring on a registry made for it, whose copies all went to invented accounts:
// whoever has soft values and keys can compute scores below their lines. It stores
// nothing, and a site is refused.
func (r *Registry) Examine(ctx context.Context, req TraceRequest) ([]Examined, error) {
	if req.Site != "" {
		return nil, fmt.Errorf("examine %w: a find on a site is traced, not measured", ErrInvalid)
	}
	t := &tracing{r: r, req: req, begin: time.Now()}
	if t.req.CapturedAt.IsZero() {
		t.req.CapturedAt = now()
	}
	img, all, err := t.look(ctx)
	if err != nil {
		return nil, err
	}
	var out []Examined
	for _, f := range all {
		res, err := t.result(ctx, img, f)
		if err != nil {
			return nil, err
		}
		out = append(out, Examined{TraceResult: res, Affine: f[0].transform, Fit: f[0].fit, Soft: f[0].soft})
	}
	return out, nil
}
