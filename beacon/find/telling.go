package find

import "birdring/canary/mark"

// What a picture must still show after a clone site cropped and shrunk it.
const (
	tellingCrop   = 0.866 // of either side: three quarters of the area
	tellingSide   = 320   // px, the longer side
	tellingPoints = 24    // keypoints that agree; photos keep 109 and more
)

// Telling says whether a picture shows enough to be found again by its print:
// the middle three quarters of it, reduced to a thumbnail, must be. One that does
// not - a plain colour, a smooth gradient - would carry a ring that nobody finds.
func Telling(luma mark.Plane, p *Print) bool {
	w, h := int(tellingCrop*float64(luma.W)), int(tellingCrop*float64(luma.H))
	x0, y0 := (luma.W-w)/2, (luma.H-h)/2
	if min(w, h) < leastSide {
		return false
	}
	part := cut(luma, x0, y0, x0+w, y0+h)
	if step := float64(max(w, h)) / tellingSide; step > 1 {
		sw, sh := max(1, int(float64(w)/step)), max(1, int(float64(h)/step))
		part = resampled(part, sw, sh, smooth)
	}
	m, ok := Locate(NewQuery(part), p)
	return ok && m.Inliers >= tellingPoints
}
