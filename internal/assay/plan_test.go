package assay

import (
	"testing"

	"birdring/internal/assay/change"
)

// TestNothingReadableIsLeftOut: every format that the changes end in is read.
func TestNothingReadableIsLeftOut(t *testing.T) {
	for _, f := range []change.Format{{Kind: "jpeg", Quality: 75}, {Kind: "webp", Quality: 60}, {Kind: "png"}, {Kind: "avif", Quality: 50}} {
		if why := unreadable(f); why != "" {
			t.Errorf("%s: %s", f.Kind, why)
		}
	}
}
