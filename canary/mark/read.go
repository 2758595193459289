package mark

import (
	"context"
	"errors"
)

// Read reads soft values out of a suspect that shows the reference's picture
// under the transform t (reference pixels to suspect pixels). No ring is looked at.
func Read(ctx context.Context, ref *Reference, s *Suspect, t Affine) (*Soft, error) {
	return nil, errors.New("not yet")
}
