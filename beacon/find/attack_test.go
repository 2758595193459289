package find_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"birdring/beacon/decode"
	"birdring/canary/mark"
	"birdring/internal/testkit"
)

// change is something a clone site does to a picture, by foreign software, with
// the transform it means: planted px -> suspect px.
type change struct {
	name string
	// args are ImageMagick's between input and output; t the true transform.
	plan func(w, h int) (args []string, t mark.Affine)
	ext  string // of the output, with options in args
}

func scale(w, h, w2, h2 int) mark.Affine {
	return mark.Affine{A: float64(w2) / float64(w), E: float64(h2) / float64(h)}
}

// fit is the size ImageMagick's -resize NxN gives.
func fit(w, h, n int) (int, int) {
	f := float64(n) / float64(max(w, h))
	return max(1, int(float64(w)*f+0.5)), max(1, int(float64(h)*f+0.5))
}

func split(format string, a ...any) []string { return strings.Fields(fmt.Sprintf(format, a...)) }

func resized(n, quality int) func(w, h int) ([]string, mark.Affine) {
	return func(w, h int) ([]string, mark.Affine) {
		w2, h2 := fit(w, h, n)
		return split("-resize %dx%d! -quality %d", w2, h2, quality), scale(w, h, w2, h2)
	}
}

// cropped cuts out a part of the area at fx, fy (0..1 of the room), resized to
// n (0: not), mirrored or not.
func cropped(area, fx, fy float64, n, quality int, mirror bool) func(w, h int) ([]string, mark.Affine) {
	return func(w, h int) ([]string, mark.Affine) {
		f := math.Sqrt(area)
		cw, ch := int(f*float64(w)), int(f*float64(h))
		x, y := int(fx*float64(w-cw)), int(fy*float64(h-ch))
		t := mark.Affine{A: 1, E: 1, C: float64(-x), F: float64(-y)}
		args := split("-crop %dx%d+%d+%d +repage", cw, ch, x, y)
		if n > 0 {
			w2, h2 := fit(cw, ch, n)
			args = append(args, split("-resize %dx%d!", w2, h2)...)
			sx, sy := float64(w2)/float64(cw), float64(h2)/float64(ch)
			t = mark.Affine{A: t.A * sx, E: t.E * sy, C: t.C * sx, F: t.F * sy}
			cw = w2
		}
		if mirror {
			args = append(args, "-flop")
			t.A, t.C = -t.A, float64(cw)-t.C
		}
		return append(args, "-quality", fmt.Sprint(quality)), t
	}
}

func plainChange(args string) func(w, h int) ([]string, mark.Affine) {
	return func(int, int) ([]string, mark.Affine) { return strings.Fields(args), mark.Affine{A: 1, E: 1} }
}

func rotated(deg float64) func(w, h int) ([]string, mark.Affine) {
	return func(w, h int) ([]string, mark.Affine) {
		s, c := math.Sincos(deg * math.Pi / 180)
		cx, cy := float64(w)/2, float64(h)/2
		t := mark.Affine{A: c, B: -s, D: s, E: c}
		t.C, t.F = cx-c*cx+s*cy, cy-s*cx-c*cy
		return split("-virtual-pixel black -distort SRT %g -quality 85", deg), t
	}
}

func changes(other string) []change {
	return []change{
		{"jpeg50", plainChange("-quality 50"), "jpg"},
		{"jpeg20", plainChange("-quality 20"), "jpg"},
		{"resize640_q75", resized(640, 75), "jpg"},
		{"resize320_q75", resized(320, 75), "jpg"},
		{"resize150_q75", resized(150, 75), "jpg"},
		{"enlarge1600", resized(1600, 80), "jpg"},
		{"mirror", func(w, h int) ([]string, mark.Affine) {
			return split("-flop -quality 80"), mark.Affine{A: -1, E: 1, C: float64(w)}
		}, "jpg"},
		{"crop95", cropped(0.95, 0.5, 0.5, 0, 85, false), "jpg"},
		{"crop90", cropped(0.90, 1, 0.3, 0, 85, false), "jpg"},
		{"crop75", cropped(0.75, 0.5, 0.5, 0, 85, false), "jpg"},
		{"crop50_off", cropped(0.50, 1, 0.2, 0, 85, false), "jpg"},
		{"crop25_off", cropped(0.25, 0.3, 0.6, 0, 85, false), "jpg"},
		{"crop50_r60_q60", cropped(0.50, 0.4, 0.4, 460, 60, false), "jpg"},
		{"crop25_r320", cropped(0.25, 0.5, 0.5, 320, 75, false), "jpg"},
		{"crop60_mirror_640", cropped(0.6, 0.5, 0.3, 640, 75, true), "jpg"},
		{"crop75_r150", cropped(0.75, 0.5, 0.5, 150, 80, false), "jpg"},
		{"square320", func(w, h int) ([]string, mark.Affine) {
			n := min(w, h)
			x, y := (w-n)/2, (h-n)/2
			f := 320 / float64(n)
			return split("-crop %dx%d+%d+%d +repage -resize 320x320! -quality 80", n, n, x, y),
				mark.Affine{A: f, E: f, C: -f * float64(x), F: -f * float64(y)}
		}, "jpg"},
		{"aspect105", func(w, h int) ([]string, mark.Affine) {
			w2 := int(float64(w) * 1.05)
			return split("-resize %dx%d! -quality 85", w2, h), scale(w, h, w2, h)
		}, "jpg"},
		{"aspect_crop80", func(w, h int) ([]string, mark.Affine) {
			cw, ch := int(0.9*float64(w)), int(0.9*float64(h))
			w2 := int(float64(cw) * 0.95)
			f := float64(w2) / float64(cw)
			return split("-crop %dx%d+20+30 +repage -resize %dx%d! -quality 85", cw, ch, w2, ch),
				mark.Affine{A: f, E: 1, C: -20 * f, F: -30}
		}, "jpg"},
		{"brighter", plainChange("-modulate 135 -quality 85"), "jpg"},
		{"contrast_gamma", plainChange("-brightness-contrast 10x25 -gamma 1.3 -quality 85"), "jpg"},
		{"grey", plainChange("-colorspace Gray -quality 85"), "jpg"},
		{"blur2", plainChange("-blur 0x2 -quality 85"), "jpg"},
		{"sharpen", plainChange("-unsharp 0x2+1.5 -quality 85"), "jpg"},
		{"rotate2", rotated(2), "jpg"},
		{"rotate5", rotated(5), "jpg"},
		{"border10", func(w, h int) ([]string, mark.Affine) {
			b := w / 10
			return split("-bordercolor white -border %d -quality 85", b), mark.Affine{A: 1, E: 1, C: float64(b), F: float64(b)}
		}, "jpg"},
		{"letterbox", func(w, h int) ([]string, mark.Affine) {
			n := max(w, h)
			return split("-gravity northwest -background black -splice %dx%d -gravity southeast -splice %dx%d +gravity -resize 720x720! -quality 80", (n-w)/2, (n-h)/2, n-w-(n-w)/2, n-h-(n-h)/2),
				mark.Affine{A: 720 / float64(n), E: 720 / float64(n), C: float64((n-w)/2) * 720 / float64(n), F: float64((n-h)/2) * 720 / float64(n)}
		}, "jpg"},
		{"caption", func(w, h int) ([]string, mark.Affine) {
			return append(split("-gravity north -background white -splice 0x%d -font DejaVu-Sans -pointsize 40 -fill black -annotate +0+20", h/6), "when you see it twice", "-quality", "80"),
				mark.Affine{A: 1, E: 1, F: float64(h / 6)}
		}, "jpg"},
		{"overlay_bar", func(w, h int) ([]string, mark.Affine) {
			return append(split("-fill #000000b0 -draw"), fmt.Sprintf("rectangle 0,%d %d,%d", h*3/4, w, h), "-quality", "80"), mark.Affine{A: 1, E: 1}
		}, "jpg"},
		{"collage", func(w, h int) ([]string, mark.Affine) {
			// 2 x 2 cells of 540, ours the top right one, filled from the middle.
			f := 540 / float64(min(w, h))
			w2, h2 := int(float64(w)*f+0.5), int(float64(h)*f+0.5)
			x, y := (w2-540)/2, (h2-540)/2
			cell := split("-resize %dx%d! -crop 540x540+%d+%d +repage", w2, h2, x, y)
			args := append(cell, split("-write mpr:ours +delete -size 1080x1080 xc:gray mpr:ours -geometry +540+0 -composite ( %s -resize 540x540! ) -geometry +0+0 -composite ( %s -flip -resize 540x540! ) -geometry +0+540 -composite ( %s -rotate 90 -resize 540x540! ) -geometry +540+540 -composite -quality 80", other, other, other)...)
			return args, mark.Affine{A: float64(w2) / float64(w), E: float64(h2) / float64(h), C: 540 - float64(x), F: float64(-y)}
		}, "jpg"},
		{"screenshot", func(w, h int) ([]string, mark.Affine) {
			w2, h2 := fit(w, h, 600)
			return append(split("-resize %dx%d! -write mpr:ours +delete -size 1280x900 xc:#f4f4f8 mpr:ours -geometry +340+120 -composite -fill #223 -font DejaVu-Sans -pointsize 28 -annotate +340+80", w2, h2), "profile of somebody", "-annotate", "+340+800", "12 likes, 3 comments and so on"),
				mark.Affine{A: float64(w2) / float64(w), E: float64(h2) / float64(h), C: 340, F: 120}
		}, "png"},
		{"webp75", plainChange("75"), "webp"},
		{"webp50_480", func(w, h int) ([]string, mark.Affine) {
			w2, h2 := fit(w, h, 480)
			return split("50 -resize %d %d", w2, h2), scale(w, h, w2, h2)
		}, "webp"},
	}
}

// attack makes the changed picture with foreign software and decodes it. With
// BIRDRING_ATTACKS=DIR the files are kept there for the next run.
func attack(t testing.TB, photo string, c change) (mark.Plane, mark.Affine) {
	t.Helper()
	src := load(t, photo)
	args, truth := c.plan(src.W, src.H)
	dir := os.Getenv("BIRDRING_ATTACKS")
	if dir == "" {
		dir = t.TempDir()
	}
	out := filepath.Join(dir, strings.TrimSuffix(filepath.Base(photo), ".jpg")+"_"+c.name+"."+c.ext)
	if _, err := os.Stat(out); err != nil {
		tool, all := testkit.Tool(t, "convert"), append(append([]string{photo}, args...), out)
		if c.ext == "webp" {
			tool = testkit.Tool(t, "cwebp")
			all = append(append([]string{"-quiet", "-q"}, args...), photo, "-o", out)
		}
		if msg, err := exec.Command(tool, all...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", tool, all, err, msg)
		}
	}
	return load(t, out), truth
}

func load(t testing.TB, path string) mark.Plane {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := decode.Decode(context.Background(), data, decode.Default())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return img.Luma
}

// cornerError is the largest error, in suspect pixels, over the part of the
// planted picture that the suspect shows (its corners, seen from the suspect).
func cornerError(got, truth mark.Affine, ref, suspect mark.Plane) float64 {
	det := truth.A*truth.E - truth.B*truth.D
	worst := 0.0
	for _, f := range [][2]float64{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
		x, y := f[0]*float64(suspect.W), f[1]*float64(suspect.H)
		// Back to planted pixels, cut to the picture.
		u, v := x-truth.C, y-truth.F
		rx := (truth.E*u - truth.B*v) / det
		ry := (-truth.D*u + truth.A*v) / det
		rx, ry = min(max(rx, 0), float64(ref.W)), min(max(ry, 0), float64(ref.H))
		dx := (got.A-truth.A)*rx + (got.B-truth.B)*ry + got.C - truth.C
		dy := (got.D-truth.D)*rx + (got.E-truth.E)*ry + got.F - truth.F
		worst = math.Max(worst, math.Hypot(dx, dy))
	}
	return worst
}
