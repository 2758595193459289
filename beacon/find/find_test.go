package find_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"birdring/beacon/decode"
	"birdring/beacon/find"
	"birdring/canary/mark"
	"birdring/internal/demo/paint"
)

// painted are pictures made in code, so that these tests need nothing else.
var painted = sync.OnceValue(func() []mark.Plane {
	var out []mark.Plane
	for seed := range uint64(6) {
		out = append(out, decode.Luma(paint.Scene(seed+1, 720, 540)))
	}
	return out
})

// warp resamples p: the result's pixel u lies at back(u) in p (bilinear, with
// softening when shrinking left to the caller).
func warp(p mark.Plane, w, h int, back mark.Affine) mark.Plane {
	out := mark.Plane{W: w, H: h, Pix: make([]float32, w*h)}
	for y := range h {
		for x := range w {
			u, v := float64(x)+0.5, float64(y)+0.5
			out.Pix[y*w+x] = at(p, back.A*u+back.B*v+back.C, back.D*u+back.E*v+back.F)
		}
	}
	return out
}

// at interpolates; outside the picture it is black.
func at(p mark.Plane, x, y float64) float32 {
	x, y = x-0.5, y-0.5
	ix, iy := int(math.Floor(x)), int(math.Floor(y))
	if ix < 0 || iy < 0 || ix+1 >= p.W || iy+1 >= p.H {
		return 0
	}
	fx, fy := float32(x-float64(ix)), float32(y-float64(iy))
	a, b := p.Pix[iy*p.W+ix], p.Pix[iy*p.W+ix+1]
	c, d := p.Pix[(iy+1)*p.W+ix], p.Pix[(iy+1)*p.W+ix+1]
	return (a*(1-fx)+b*fx)*(1-fy) + (c*(1-fx)+d*fx)*fy
}

func index(t testing.TB) *find.Index {
	t.Helper()
	x := find.NewIndex()
	for i, p := range painted() {
		x.Add(fmt.Sprint("p", i), find.NewPrint(p))
	}
	return x
}

func TestSearchFindsCropMirrorAndTurn(t *testing.T) {
	x := index(t)
	p := painted()[2]
	for name, c := range map[string]struct {
		w, h int
		back mark.Affine
	}{
		"whole":    {720, 540, mark.Affine{A: 1, E: 1}},
		"mirrored": {720, 540, mark.Affine{A: -1, C: 720, E: 1}},
		"crop":     {400, 300, mark.Affine{A: 1, C: 200.3, E: 1, F: 150.8}},
		"turned":   {600, 450, mark.Affine{A: 0.9962, B: -0.0872, C: 80, D: 0.0872, E: 0.9962, F: 20}},
		"upturned": {540, 720, mark.Affine{B: 1, D: -1, F: 540}},
	} {
		t.Run(name, func(t *testing.T) {
			suspect := warp(p, c.w, c.h, c.back)
			found := x.Search(find.NewQuery(suspect), 3)
			if len(found) != 1 || found[0].ID != "p2" {
				t.Fatalf("found %+v, want p2 alone", found)
			}
			got, ncc, err := find.Align(t.Context(), p, suspect, []mark.Affine{found[0].Rough})
			if err != nil {
				t.Fatal(err)
			}
			det := c.back.A*c.back.E - c.back.B*c.back.D
			truth := mark.Affine{A: c.back.E / det, B: -c.back.B / det, D: -c.back.D / det, E: c.back.A / det}
			truth.C = -(truth.A*c.back.C + truth.B*c.back.F)
			truth.F = -(truth.D*c.back.C + truth.E*c.back.F)
			if e := cornerError(got, truth, p, suspect); e > 0.1 || ncc < 0.9 {
				t.Errorf("corners are %.3f px off (ncc %.2f), want 0.1 and 0.9", e, ncc)
			}
			if (got.A*got.E-got.B*got.D < 0) != (name == "mirrored") {
				t.Errorf("mirror state of %+v is wrong", got)
			}
		})
	}
}

func TestForeignPicturesNeverMatch(t *testing.T) {
	x := index(t)
	for seed := range uint64(12) {
		p := decode.Luma(paint.Scene(500+seed, 640, 480))
		if found := x.Search(find.NewQuery(p), 3); len(found) > 0 {
			t.Errorf("scene %d is no planted picture, but found %+v", seed, found)
		}
	}
}

func TestPicturesWithoutDetailMatchNothing(t *testing.T) {
	x := find.NewIndex()
	flat := mark.Plane{W: 300, H: 200, Pix: make([]float32, 300*200)}
	ramp := mark.Plane{W: 300, H: 200, Pix: make([]float32, 300*200)}
	for i := range ramp.Pix {
		ramp.Pix[i] = float32(i%300) / 2
	}
	x.Add("flat", find.NewPrint(flat))
	x.Add("ramp", find.NewPrint(ramp))
	for _, p := range append(painted(), flat, ramp) {
		if found := x.Search(find.NewQuery(p), 3); len(found) > 0 {
			t.Errorf("found %+v", found)
		}
	}
}

func TestDuplicate(t *testing.T) {
	x := index(t)
	cut := warp(painted()[4], 500, 400, mark.Affine{A: -1, C: 620, E: 1, F: 60})
	if id, found := find.Duplicate(x, cut); !found || id != "p4" {
		t.Errorf("mirrored crop of p4 gave %q, %v", id, found)
	}
	if id, found := find.Duplicate(x, decode.Luma(paint.Scene(99, 720, 540))); found {
		t.Errorf("a new picture was taken for %q", id)
	}
}

func TestPrintSurvivesStorage(t *testing.T) {
	p := find.NewPrint(painted()[0])
	data, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 32<<10 {
		t.Errorf("print takes %d bytes, want at most 32 kB", len(data))
	}
	back, err := find.UnmarshalPrint(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.MarshalBinary()
	if err != nil || string(again) != string(data) {
		t.Errorf("print changed on the way to disk and back (%v)", err)
	}
	if m, ok := find.Locate(find.NewQuery(painted()[0]), back); !ok || m.Inliers < 100 {
		t.Errorf("stored print finds its picture with %+v, %v", m, ok)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "short": data[:50], "cut": data[:len(data)-1], "newer": append([]byte("BRP\x02"), data[4:]...),
		"damaged": append(append([]byte{}, data[:100]...), append([]byte{data[100] ^ 1}, data[101:]...)...),
	} {
		if _, err := find.UnmarshalPrint(bad); !errors.Is(err, find.ErrPrint) {
			t.Errorf("%s: error is %v, want one that wraps ErrPrint", name, err)
		}
	}
}

func TestAlignNeedsNoStart(t *testing.T) {
	p := painted()[1]
	for name, c := range map[string]struct {
		w, h  int
		truth mark.Affine
	}{
		"small":    {180, 135, mark.Affine{A: 0.25, E: 0.25}},
		"stretch":  {360, 250, mark.Affine{A: 0.5, E: 250.0 / 540}},
		"mirrored": {360, 270, mark.Affine{A: -0.5, C: 360, E: 0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			suspect := area(p, c.w, c.h)
			if c.truth.A < 0 {
				suspect = warp(suspect, c.w, c.h, mark.Affine{A: -1, C: float64(c.w), E: 1})
			}
			got, ncc, err := find.Align(t.Context(), p, suspect, nil)
			if e := cornerError(got, c.truth, p, suspect); err != nil || e > 0.1 || ncc < 0.9 {
				t.Errorf("corners are %.3f px off (ncc %.2f, %v)", e, ncc, err)
			}
		})
	}
}

// area shrinks by averaging 4 x 4 samples a pixel.
func area(p mark.Plane, w, h int) mark.Plane {
	out := mark.Plane{W: w, H: h, Pix: make([]float32, w*h)}
	for y := range h {
		for x := range w {
			sum := float32(0)
			for k := range 16 {
				u := (float64(x) + (float64(k%4)+0.5)/4) * float64(p.W) / float64(w)
				v := (float64(y) + (float64(k/4)+0.5)/4) * float64(p.H) / float64(h)
				sum += at(p, min(max(u, 0.5), float64(p.W)-0.51), min(max(v, 0.5), float64(p.H)-0.51))
			}
			out.Pix[y*w+x] = sum / 16
		}
	}
	return out
}

func TestAlignOfForeignPicturesSaysSo(t *testing.T) {
	for i := range 4 {
		_, ncc, err := find.Align(t.Context(), painted()[i], painted()[i+1], nil)
		if err == nil && ncc > 0.4 {
			t.Errorf("pictures %d and %d correlate at %.2f", i, i+1, ncc)
		}
	}
}

func TestAlignEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := find.Align(ctx, painted()[0], painted()[0], nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestPDQMirrorsAndQuality(t *testing.T) {
	p := painted()[3]
	h, m, quality := find.PDQ(p)
	h2, m2, _ := find.PDQ(warp(p, p.W, p.H, mark.Affine{A: -1, C: float64(p.W), E: 1}))
	if d := m.Distance(h2); d > 8 {
		t.Errorf("mirrored hash is %d from the hash of the mirrored picture", d)
	}
	if d := h.Distance(m2); d > 8 {
		t.Errorf("and the other way round %d", d)
	}
	if quality < 50 {
		t.Errorf("quality %d of a picture full of detail", quality)
	}
	if _, _, q := find.PDQ(mark.Plane{W: 90, H: 90, Pix: make([]float32, 8100)}); q != 0 {
		t.Errorf("quality %d of a black picture", q)
	}
}

// TestPDQIsThePublishedAlgorithm holds the hash against the plain definition.
func TestPDQIsThePublishedAlgorithm(t *testing.T) {
	for i, p := range painted() {
		got, _, _ := find.PDQ(p)
		if want := plainPDQ(p); got.Distance(want) > 2 { // ties at the median fall either way in float32
			t.Errorf("picture %d: %v, the definition gives %v", i, got, want)
		}
	}
}

func plainPDQ(p mark.Plane) (h find.Hash) {
	get := func(q []float64, x, y int) float64 { return q[y*p.W+x] }
	a := make([]float64, len(p.Pix))
	for i, v := range p.Pix {
		a[i] = float64(v)
	}
	box := func(size, n int, read func(int) float64) []float64 {
		half := (size + 2) / 2
		out := make([]float64, n)
		for i := range out {
			from, to := max(0, i-(size-half)), min(n, i+half)
			for k := from; k < to; k++ {
				out[i] += read(k)
			}
			out[i] /= float64(to - from)
		}
		return out
	}
	for range 2 {
		for y := range p.H {
			copy(a[y*p.W:], box((p.W+127)/128, p.W, func(k int) float64 { return get(a, k, y) }))
		}
		for x := range p.W {
			for y, v := range box((p.H+127)/128, p.H, func(k int) float64 { return get(a, x, k) }) {
				a[y*p.W+x] = v
			}
		}
	}
	var freq []float64
	for i := 1; i <= 16; i++ {
		for j := 1; j <= 16; j++ {
			sum := 0.0
			for y := range 64 {
				for x := range 64 {
					v := get(a, int((float64(x)+0.5)*float64(p.W)/64), int((float64(y)+0.5)*float64(p.H)/64))
					sum += v * math.Cos(math.Pi/128*float64(i)*float64(2*y+1)) * math.Cos(math.Pi/128*float64(j)*float64(2*x+1))
				}
			}
			freq = append(freq, sum)
		}
	}
	for n, v := range freq {
		below := 0
		for _, o := range freq {
			if o < v {
				below++
			}
		}
		if below >= 128 {
			h[n>>6] |= 1 << (n & 63)
		}
	}
	return h
}

func TestRandomPlanesDoNotPanic(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	x := index(t)
	for _, size := range []image.Point{{1, 1}, {1, 500}, {13, 12}, {48, 49}, {700, 16}, {130, 90}} {
		p := mark.Plane{W: size.X, H: size.Y, Pix: make([]float32, size.X*size.Y)}
		for i := range p.Pix {
			p.Pix[i] = rng.Float32() * 255
		}
		if found := x.Search(find.NewQuery(p), 3); len(found) > 0 {
			t.Errorf("noise of %v was found: %+v", size, found)
		}
		find.NewPrint(p)
		_, _, _ = find.Align(t.Context(), painted()[0], p, nil)
		_, _, _ = find.Align(t.Context(), p, painted()[0], nil)
	}
}

func FuzzUnmarshalPrint(f *testing.F) {
	small := warp(painted()[0], 120, 90, mark.Affine{A: 6, E: 6})
	data, err := find.NewPrint(small).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("BRP\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := find.UnmarshalPrint(data)
		if err != nil {
			return
		}
		again, err := p.MarshalBinary()
		if err != nil || string(again) != string(data) {
			t.Fatalf("accepted print does not survive: %v", err)
		}
		x := find.NewIndex()
		x.Add("a", p)
		x.Search(find.NewQuery(small), 1)
	})
}

func FuzzAlign(f *testing.F) {
	f.Add(uint64(1), 40, 30, 50, 60, 1.0, 0.1, 3.0, -0.1, 1.0, 2.0)
	f.Add(uint64(2), 12, 200, 300, 12, -1.0, 0.0, 300.0, 0.0, 0.5, 0.0)
	f.Fuzz(func(t *testing.T, seed uint64, w1, h1, w2, h2 int, a, b, c, d, e, g float64) {
		size := func(n int) int { return (n&255+256)%256 + 1 }
		rng := rand.New(rand.NewPCG(seed, 1))
		random := func(w, h int) mark.Plane {
			p := mark.Plane{W: w, H: h, Pix: make([]float32, w*h)}
			for i := range p.Pix {
				p.Pix[i] = rng.Float32() * 255
			}
			return p
		}
		ref, suspect := random(size(w1), size(h1)), random(size(w2), size(h2))
		start := mark.Affine{A: a, B: b, C: c, D: d, E: e, F: g}
		find.Bend(t.Context(), ref, suspect, start)
		got, ncc, err := find.Align(t.Context(), ref, suspect, []mark.Affine{start})
		if err == nil && (math.IsNaN(ncc) || math.IsNaN(got.A+got.B+got.C+got.D+got.E+got.F)) {
			t.Fatalf("not a number: %+v %v", got, ncc)
		}
	})
}
