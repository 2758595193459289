package registry

import (
	"context"
	"fmt"

	"birdring/beacon/decode"
)

// ReadCopy reads the soft values of one picture out of a file that is known to
// show it, as a find would be read.
func (r *Registry) ReadCopy(ctx context.Context, photo string, data []byte) ([]int16, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	i, ok := w.photos[photo]
	if !ok {
		return nil, fmt.Errorf("photo %q: %w", photo, ErrNotFound)
	}
	img, err := decode.Decode(ctx, data, decode.Default())
	if err != nil {
		return nil, err
	}
	found, err := r.look(ctx, w, img, []int{w.pictures[i].decoy})
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		for _, s := range f.reads() {
			if s.picture.id == photo {
				return s.y, nil
			}
		}
	}
	return nil, fmt.Errorf("photo %q does not show in the file: %w", photo, ErrNotFound)
}
