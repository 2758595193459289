package change

import (
	"image/color"
	"math"

	"golang.org/x/image/draw"
)

// Shares of the root of the segments left, as issue 3 demands them.
const (
	one     = .7 // a single change
	several = .5 // combined changes, hard compression
	hardest = .3 // jpeg15, the full clone-site combination
)

func steps(s ...step) []step { return s }

// List returns the changes made to one copy, in the order they are told.
func List() []*Change {
	half := math.Sqrt(.5)
	return []*Change{
		{"identity", "left as it is", one, false, nil, AsIs},
		{"jpeg90", "saved as JPEG 90", one, false, nil, jpg(90)},
		{"jpeg75", "saved as JPEG 75", one, true, nil, jpg(75)},
		{"jpeg50", "saved as JPEG 50", one, false, nil, jpg(50)},
		{"jpeg30", "saved as JPEG 30", several, false, nil, jpg(30)},
		{"jpeg15", "saved as JPEG 15", hardest, true, nil, jpg(15)},
		{"webp75", "saved as WebP 75", one, false, nil, Format{"webp", 75}},
		{"webp40", "saved as WebP 40", several, true, nil, Format{"webp", 40}},
		{"avif50", "saved as AVIF 50", several, false, nil, Format{"avif", 50}},
		{"resize75", "shrunk to 75 %", one, false, steps(resized(.75, .75, lanczos)), usual},
		{"resize50", "shrunk to 50 %", one, false, steps(resized(.5, .5, lanczos)), usual},
		{"resize33", "shrunk to 33 %", one, false, steps(resized(.33, .33, lanczos)), usual},
		{"resize25", "shrunk to 25 %", one, false, steps(resized(.25, .25, lanczos)), usual},
		{"resize14", "shrunk to 14 %", one, false, steps(resized(.14, .14, draw.CatmullRom)), usual},
		{"crop90_centre", "cut to 90 % of its area", one, false, steps(cropped(.9, .5, .5)), usual},
		{"crop75_topleft", "cut to 75 % of its area", one, false, steps(cropped(.75, 0, 0)), usual},
		{"crop75_centre", "cut to the middle 75 % of its area", one, false, steps(cropped(.75, .5, .5)), usual},
		{"crop50_centre", "cut to half its area", one, false, steps(cropped(.5, .5, .5)), usual},
		{"crop50_right", "cut to half its area, on the right", one, false, steps(cropped(.5, 1, .3)), usual},
		{"crop25_off", "cut to a quarter of its area", one, true, steps(cropped(.25, .3, .6)), usual},
		{"ig45_1080", "cut to 4:5 and 1080 px wide", one, false, steps(filled(1080, 1350)), jpg(75)},
		{"ig45_640", "cut to 4:5 and 640 px wide", one, true, steps(filled(640, 800)), jpg(75)},
		{"ig45_320", "cut to 4:5 and 320 px wide", one, false, steps(filled(320, 400)), jpg(75)},
		{"ig11_640", "cut square to 640 px", one, false, steps(filled(640, 640)), jpg(75)},
		{"ig11_320", "cut square to 320 px", one, false, steps(filled(320, 320)), jpg(75)},
		{"thumb640", "shrunk to 640 px", one, false, steps(fitted(640, lanczos)), jpg(75)},
		{"thumb320", "shrunk to 320 px", one, true, steps(fitted(320, lanczos)), jpg(75)},
		{"thumb150", "shrunk to 150 px", one, true, steps(fitted(150, lanczos)), jpg(75)},
		{"aspect_w95", "squeezed to 95 % of its width", one, false, steps(resized(.95, 1, draw.CatmullRom)), usual},
		{"aspect_h95", "squeezed to 95 % of its height", one, false, steps(resized(1, .95, draw.CatmullRom)), usual},
		{"rot1", "turned by 1 degree", one, false, steps(turned(1)), usual},
		{"rot2", "turned by 2 degrees", one, true, steps(turned(2)), usual},
		{"rot5", "turned by 5 degrees", one, false, steps(turned(5)), usual},
		{"rot10", "turned by 10 degrees", one, false, steps(turned(-10)), usual},
		{"hflip", "mirrored", one, false, steps(mirrored), usual},
		{"blur1", "blurred a little", one, false, steps(blurred(1)), usual},
		{"blur2", "blurred", one, false, steps(blurred(2)), usual},
		{"median3", "smoothed by a median", one, false, steps(smoothed), usual},
		{"noise5", "made noisy a little", one, false, steps(noisy(5)), usual},
		{"noise15", "made noisy", one, true, steps(noisy(15)), usual},
		{"sharpen", "sharpened", one, false, steps(sharpened(1.5, 1)), usual},
		{"bright80", "darkened", one, false, steps(brighter(.8)), usual},
		{"bright120", "brightened", one, false, steps(brighter(1.2)), usual},
		{"contrast80", "made flatter", one, false, steps(contrasted(.8)), usual},
		{"contrast120", "made harder", one, false, steps(contrasted(1.2)), usual},
		{"gamma0.8", "lightened by gamma 0.8", one, false, steps(gamma(.8)), usual},
		{"gamma1.2", "darkened by gamma 1.2", one, false, steps(gamma(1.2)), usual},
		{"saturation60", "made paler", one, false, steps(saturated(.6)), usual},
		{"saturation140", "made more colourful", one, false, steps(saturated(1.4)), usual},
		{"grey", "made grey", one, false, steps(saturated(0)), usual},
		{"warm", "filtered warm", one, false, steps(warm), usual},
		{"overlay10", "covered by a bar with a name", one, false, steps(overlaid(.1)), usual},
		{"letterbox10", "shown between black bars", one, false, steps(framed(0, .1, 0, .1, color.Black)), usual},
		{"border10", "framed in white", one, false, steps(framed(.1, .1, .1, .1, color.White)), usual},
		{"screenshot87", "shown in a screenshot of a page", one, true, steps(screenshot(.87)), lossless},
		{"bend", "bent at random as StirMark does", one, true, steps(bent(4)), usual},
		{"mesh", "warped on a mesh", one, false, steps(meshed(120, 2)), usual},
		{"rowdrop", "robbed of 8 rows and columns", one, false, steps(thinned(8)), usual},
		{"jam2", "jammed with bumps of our shape", one, false, steps(jammed(2)), usual},
		{"jam4", "jammed with strong bumps of our shape", one, false, steps(jammed(4)), usual},
		{"combo_twice_shifted", "saved twice on shifted blocks", several, false, steps(saved(jpg(75)), shifted(3, 5)), jpg(60)},
		{"combo_jpeg80_resize80_jpeg60", "saved, shrunk, saved again", several, false, steps(saved(jpg(80)), resized(.8, .8, draw.CatmullRom)), jpg(60)},
		{"combo_crop75_resize50_jpeg50", "cut, halved, saved as JPEG 50", several, true, steps(cropped(.75, .5, .4), resized(.5, .5, lanczos)), jpg(50)},
		{"combo_rot2_crop_jpeg70", "turned, cut, saved as JPEG 70", several, false, steps(turned(2), cropped(half, .5, .5)), jpg(70)},
		{"combo_filter_ig45_640", "filtered, cut to 4:5, 640 px wide", several, false, steps(warm, filled(640, 800)), jpg(70)},
		{"combo_crop50_320_gamma", "cut to half, 320 px, gamma", several, false, steps(cropped(.5, .5, .5), fitted(320, lanczos), gamma(1.3)), jpg(60)},
		{"combo_clone", "put through all of a clone site", hardest, true, steps(
			cropped(.9, .5, .5), warm, saved(jpg(80)), fitted(640, lanczos), sharpened(1, .5), overlaid(.1), saved(jpg(70)),
		), Format{"webp", 60}},
	}
}

// ByName returns a change of the list, nil if there is none.
func ByName(name string) *Change {
	for _, c := range List() {
		if c.Name == name {
			return c
		}
	}
	return nil
}
