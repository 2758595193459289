// Package find says which planted picture a suspect came from, and how the one
// lies in the other.
//
// A planted picture is kept as a Print: the 256-bit PDQ hash of the whole
// picture and a few hundred keypoints (FAST corners on a pyramid, each with an
// orientation and 256 brightness comparisons). An Index of all prints is asked
// with a suspect's Query: PDQ finds recompressed, resized and mirrored pictures
// in microseconds, keypoints find crops, borders, collages and captions. What
// matches comes with a rough Affine; Align refines it on the pixels to about a
// tenth of a pixel, which is what reading the mark needs.
//
// Nothing here knows about rings: a picture is found and aligned by what it
// shows, and every choice between hypotheses is made by residual alone.
//
// Coordinates are pixels of the full-size pictures, centres at integer + 0.5,
// so that resampling is a plain scaling. A mirrored suspect has an Affine with
// a negative determinant.
package find

import "birdring/canary/mark"

// identity maps every point onto itself.
var identity = mark.Affine{A: 1, E: 1}

// apply maps a point.
func apply(t mark.Affine, x, y float64) (float64, float64) {
	return t.A*x + t.B*y + t.C, t.D*x + t.E*y + t.F
}

// compose returns the map that applies first and then second.
func compose(second, first mark.Affine) mark.Affine {
	return mark.Affine{
		A: second.A*first.A + second.B*first.D,
		B: second.A*first.B + second.B*first.E,
		C: second.A*first.C + second.B*first.F + second.C,
		D: second.D*first.A + second.E*first.D,
		E: second.D*first.B + second.E*first.E,
		F: second.D*first.C + second.E*first.F + second.F,
	}
}

// invert returns the inverse map; ok is false for a map that squeezes the plane
// into a line or a point.
func invert(t mark.Affine) (inv mark.Affine, ok bool) {
	det := t.A*t.E - t.B*t.D
	if !(det > 1e-9 || det < -1e-9) {
		return identity, false
	}
	inv = mark.Affine{A: t.E / det, B: -t.B / det, D: -t.D / det, E: t.A / det}
	inv.C = -(inv.A*t.C + inv.B*t.F)
	inv.F = -(inv.D*t.C + inv.E*t.F)
	return inv, true
}

// scaling maps by a factor on each axis, as resampling does.
func scaling(x, y float64) mark.Affine { return mark.Affine{A: x, E: y} }

// stretched maps the whole of a w1 x h1 picture onto the whole of a w2 x h2 one.
func stretched(w1, h1, w2, h2 int) mark.Affine {
	return scaling(float64(w2)/float64(w1), float64(h2)/float64(h1))
}

// flipped mirrors a picture of width w left to right before t is applied.
func flipped(t mark.Affine, w int) mark.Affine {
	return compose(t, mark.Affine{A: -1, C: float64(w), E: 1})
}
