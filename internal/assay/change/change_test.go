package change_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"slices"
	"sync"
	"testing"

	"birdring/beacon/decode"
	"birdring/canary/mark"
	"birdring/internal/assay/change"
	"birdring/internal/demo/paint"
)

// served is a painted picture as a served file.
var served = sync.OnceValue(func() []byte { return painted(480, 336) })

func painted(w, h int) []byte {
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, paint.Scene(4, w, h), &jpeg.Options{Quality: 95}); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func luma(t testing.TB, data []byte) mark.Plane {
	t.Helper()
	img, err := decode.Decode(context.Background(), data, decode.Default())
	if err != nil {
		t.Fatal(err)
	}
	return img.Luma
}

// TestTruth lays every changed picture over the served one as it declares: local
// structure must agree there better than a pixel beside it, with the best place
// less than a fifth of a pixel away.
func TestTruth(t *testing.T) {
	small := painted(360, 256)
	planted := luma(t, small)
	for _, c := range change.List() {
		t.Run(c.Name, func(t *testing.T) {
			made, err := c.Make(small, 3)
			if err != nil {
				t.Fatal(err)
			}
			truth := made.Truth
			found := decode.Luma(made.Img)
			if found.W != truth.W || found.H != truth.H {
				t.Fatalf("declares %d x %d pixels and makes %d x %d", truth.W, truth.H, found.W, found.H)
			}
			at := func(dx, dy float64) float64 { return agreement(planted, found, &truth, dx, dy) }
			here := at(0, 0)
			dx, dy := peak(at(-1, 0), here, at(1, 0)), peak(at(0, -1), here, at(0, 1))
			if !(here >= .25 && math.Abs(dx) <= .2 && math.Abs(dy) <= .2) { // also what is no number
				t.Errorf("agrees to %.3f, best %.2f, %.2f px beside the place declared", here, dx, dy)
			}
		})
	}
}

// peak is where a parabola through values at -1, 0, 1 is highest.
func peak(a, b, c float64) float64 {
	if b < a || b < c {
		return math.Inf(1)
	}
	return .5 * (a - c) / (a - 2*b + c)
}

// agreement correlates the second differences of the found picture with those of the
// served one, mapped by the truth and moved by found pixels.
func agreement(planted, found mark.Plane, truth *change.Truth, dx, dy float64) float64 {
	mapped := mark.Plane{W: found.W, H: found.H, Pix: make([]float32, found.W*found.H)}
	inside := make([]bool, len(mapped.Pix))
	// A found pixel of a shrunk picture is the mean of several planted ones.
	n := max(1, int(math.Round(1/math.Sqrt(math.Abs(truth.Affine.A*truth.Affine.E-truth.Affine.B*truth.Affine.D)))))
	for y := range found.H {
		for x := range found.W {
			var sum float64
			in := true
			for i := range n * n {
				px, py := truth.Back(float64(x)+dx+(float64(i%n)+.5)/float64(n), float64(y)+dy+(float64(i/n)+.5)/float64(n))
				in = in && px > 1 && py > 1 && px < float64(planted.W-1) && py < float64(planted.H-1)
				sum += bilinear(planted, px-.5, py-.5)
			}
			mapped.Pix[y*found.W+x], inside[y*found.W+x] = float32(sum/float64(n*n)), in
		}
	}
	var aa, bb, ab float64
	for y := 2; y < found.H-2; y++ {
		for x := 2; x < found.W-2; x++ {
			i := y*found.W + x
			if !inside[i] || !inside[i-2*found.W-2] || !inside[i+2*found.W+2] || !inside[i-2*found.W+2] || !inside[i+2*found.W-2] {
				continue
			}
			a, b := structure(mapped, i), structure(found, i)
			if math.Abs(b) > 60 { // the edge of a bar or page
				continue
			}
			aa, bb, ab = aa+a*a, bb+b*b, ab+a*b
		}
	}
	return ab / math.Sqrt(aa*bb)
}

// structure is the difference of a pixel, smoothed, from its surroundings.
func structure(p mark.Plane, i int) float64 {
	var near, far float64
	for dy := -2; dy <= 2; dy++ {
		for dx := -2; dx <= 2; dx++ {
			v := float64(p.Pix[i+dy*p.W+dx])
			if dx*dx+dy*dy <= 2 {
				near += v / 9
			} else {
				far += v / 16
			}
		}
	}
	return near - far
}

func bilinear(p mark.Plane, x, y float64) float64 {
	x, y = min(max(x, 0), float64(p.W-2)), min(max(y, 0), float64(p.H-2))
	i, j := int(x), int(y)
	u, v := x-float64(i), y-float64(j)
	at := func(i, j int) float64 { return float64(p.Pix[j*p.W+i]) }
	return (at(i, j)*(1-u)+at(i+1, j)*u)*(1-v) + (at(i, j+1)*(1-u)+at(i+1, j+1)*u)*v
}

// TestList: names are unique, each change is demanded something, and a quick assay has enough kinds.
func TestList(t *testing.T) {
	seen, telling := map[string]bool{}, 0
	for _, c := range change.List() {
		if seen[c.Name] || c.When == "" || !(c.Share > 0 && c.Share <= .7) {
			t.Errorf("%q, %q, %v", c.Name, c.When, c.Share)
		}
		seen[c.Name] = true
		if c.Telling {
			telling++
		}
		if change.ByName(c.Name).When != c.When {
			t.Errorf("%s is another one by name", c.Name)
		}
	}
	if telling < 12 || telling > 14 {
		t.Errorf("%d telling changes", telling)
	}
}

// TestLeft counts what is left of a grid of 16 x 16 pixels.
func TestLeft(t *testing.T) {
	g := mark.Grid{W: 480, H: 336, MCU: 16, Run: 1}
	for name, want := range map[string][2]int{
		"identity":      {30 * 21, 30 * 21},
		"hflip":         {30 * 21, 30 * 21},
		"thumb150":      {30 * 21, 30 * 21},
		"border10":      {30 * 21, 30 * 21},
		"screenshot87":  {30 * 21, 30 * 21},
		"crop50_centre": {290, 340},
		"crop25_off":    {140, 170},
		"ig11_640":      {21 * 21, 22 * 21},
		"overlay10":     {30 * 18, 30 * 19},
		"rot10":         {540, 625},
	} {
		made, err := change.ByName(name).Make(served(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if n := made.Truth.Left(g); n < want[0] || n > want[1] {
			t.Errorf("%s leaves %d segments, want %d to %d", name, n, want[0], want[1])
		}
	}
}

// TestDemand: small finds are expected to hold less.
func TestDemand(t *testing.T) {
	for name, want := range map[string]float64{"jpeg75": .7, "jpeg15": .3, "thumb320": .5, "thumb150": .3, "ig45_320": .7, "combo_clone": .3} {
		c := change.ByName(name)
		made, err := c.Make(served(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Demand(&made.Truth); got != want {
			t.Errorf("%s: %v of the root, want %v", name, got, want)
		}
	}
}

// TestSame: what a change makes depends on the copy and the seed alone.
func TestSame(t *testing.T) {
	for _, name := range []string{"bend", "noise5", "jam2", "rowdrop", "mesh"} {
		var files [3][]byte
		for i, seed := range []uint64{5, 5, 6} {
			made, err := change.ByName(name).Make(served(), seed)
			if err != nil {
				t.Fatal(err)
			}
			files[i] = made.Data
		}
		if !bytes.Equal(files[0], files[1]) || bytes.Equal(files[0], files[2]) {
			t.Errorf("%s: the same seed must make the same file, another one another", name)
		}
	}
}

// TestRefuses: a file that is no JPEG is an error, not a panic.
func TestRefuses(t *testing.T) {
	for _, c := range change.List() {
		if _, err := c.Make([]byte("GIF89a"), 1); err == nil {
			t.Errorf("%s takes anything for a picture", c.Name)
		}
	}
	if _, err := change.Collusions()[0].Make(nil, 1); err == nil {
		t.Error("nothing can be made of no copies")
	}
}

// flat is a served file of one grey, in cells of 16 x 16: cell i has greys[i] where given.
func flat(t *testing.T, grey byte, greys map[int]byte) []byte {
	img := image.NewGray(image.Rect(0, 0, 128, 64))
	for y := range 64 {
		for x := range 128 {
			v, ok := greys[y/16*8+x/16]
			if !ok {
				v = grey
			}
			img.SetGray(x, y, color.Gray{v})
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestCollusions: every strategy makes of flat cells what its name says.
func TestCollusions(t *testing.T) {
	copies := [][]byte{
		flat(t, 100, map[int]byte{0: 60, 1: 60}),
		flat(t, 100, map[int]byte{1: 60, 2: 140}),
		flat(t, 100, map[int]byte{3: 180}),
	}
	want := map[string][4]float64{ // of the first four cells
		"average":  {(60 + 100 + 100) / 3., (60 + 60 + 100) / 3., (100 + 140 + 100) / 3., (100 + 100 + 180) / 3.},
		"median":   {100, 60, 100, 100},
		"min":      {60, 60, 100, 100},
		"max":      {100, 100, 140, 180},
		"minority": {60, 100, 140, 180},
	}
	for _, s := range change.Collusions() {
		made, err := s.Make(copies, 9)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name == "mix" {
			continue
		}
		pic := decode.Luma(made.Img)
		for i, w := range want[s.Name] {
			if got := float64(pic.Pix[8*pic.W+16*i+8]); math.Abs(got-w) > 1.5 {
				t.Errorf("%s: cell %d is %.0f, want %.0f", s.Name, i, got, w)
			}
		}
	}
}

// TestMix: every block is whole, from one of the copies, and all copies have a part.
func TestMix(t *testing.T) {
	var mix *change.Collusion
	for _, s := range change.Collusions() {
		if s.Name == "mix" {
			mix = s
		}
	}
	copies := [][]byte{flat(t, 50, nil), flat(t, 200, nil)}
	used := map[float32]bool{}
	for seed := range uint64(8) {
		made, err := mix.Make(copies, seed)
		if err != nil {
			t.Fatal(err)
		}
		pic := decode.Luma(made.Img)
		for block := range 2 {
			first := pic.Pix[64*block]
			used[first] = true
			for y := range 64 {
				if row := pic.Pix[y*pic.W+64*block:][:64]; slices.Min(row) != first || slices.Max(row) != first {
					t.Fatal("a block holds pixels of two copies")
				}
			}
		}
	}
	if len(used) != 2 {
		t.Errorf("parts of %d copies", len(used))
	}
}

// TestMinorityOfTwo: two copies have no rarer variant; the lot decides, cell by cell.
func TestMinorityOfTwo(t *testing.T) {
	copies := [][]byte{flat(t, 50, nil), flat(t, 200, nil)}
	made, err := change.Collusions()[5].Make(copies, 1)
	if err != nil {
		t.Fatal(err)
	}
	pic := decode.Luma(made.Img)
	n := 0
	for cell := range 32 {
		if pic.Pix[(cell/8*16+8)*pic.W+cell%8*16+8] > 128 {
			n++
		}
	}
	if n < 5 || n > 27 { // chance 1e-5
		t.Errorf("%d of 32 cells are from the second copy", n)
	}
}
