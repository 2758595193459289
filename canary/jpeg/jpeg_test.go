package jpeg_test

import (
	"bytes"
	"fmt"
	"image"
	stdjpeg "image/jpeg"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"birdring/canary/jpeg"
)

// scene makes a marked picture out of random coefficients that thin out towards
// high frequencies like those of photos; busy scales them.
func scene(w, h, run int, busy float32, seed uint64) *jpeg.Marked {
	return sceneIn(jpeg.Default(90), w, h, run, busy, seed)
}

func sceneIn(d *jpeg.Dialect, w, h, run int, busy float32, seed uint64) *jpeg.Marked {
	rng := rand.New(rand.NewPCG(seed, 1))
	f := jpeg.NewFrame(w, h, d)
	m := &jpeg.Marked{Plain: f, Run: run}
	m.Base, m.Bump = make([][64]float32, len(f.Luma.Blocks)), make([][64]float32, len(f.Luma.Blocks))
	draw := func(z int, scale float32) float32 {
		spread := scale * busy * 30 / float32(1+z*z/6)
		return max(-1000, min(1000, float32(rng.NormFloat64())*spread))
	}
	for i := range m.Base {
		for z := range 64 {
			m.Base[i][z] = draw(z, 1)
			f.Luma.Blocks[i][z] = int16(math.Round(float64(m.Base[i][z])))
			m.Bump[i][z] = float32(rng.NormFloat64()) * 2 / float32(1+z)
		}
	}
	for _, g := range []*jpeg.Grid{&f.Cb, &f.Cr} {
		for i := range g.Blocks {
			for z := range 64 {
				g.Blocks[i][z] = int16(draw(z, 0.3))
			}
		}
	}
	f.FillDummies()
	return m
}

// choose joins the segments of p that bit chooses, and gives the same choice of coefficients.
func choose(m *jpeg.Marked, p *jpeg.Pair, bit func(k int) int) ([]byte, *jpeg.Frame) {
	out := append([]byte(nil), p.Files[0]...)
	f := *m.Plain
	f.Luma.Blocks = append([]jpeg.Block(nil), p.As[0].Luma.Blocks...)
	cols, rows := f.MCUs()
	perRow := (cols + m.Run - 1) / m.Run
	passes := p.Passes
	if passes == nil {
		passes = []uint8{1}
	}
	w, h := f.MCU()
	owners := jpeg.Owners(f.W, f.H, [2]int{w, h}, m.Run, passes)
	for k := range jpeg.Segments(cols, rows, m.Run) {
		if bit(k) == 0 {
			continue
		}
		for i, owner := range owners {
			if int(owner) == k {
				copy(out[p.Off[i]:p.Off[i+1]], p.Files[1][p.Off[i]:p.Off[i+1]])
			}
		}
		for mx := k % perRow * m.Run; mx < min(cols, (k%perRow+1)*m.Run); mx++ {
			for i := range f.Across * f.Down {
				x, y := f.Across*mx+i%f.Across, f.Down*(k/perRow)+i/f.Across
				*f.Luma.At(x, y) = *p.As[1].Luma.At(x, y)
			}
		}
	}
	return out, &f
}

// checkSplices compares mixtures of the two variants with what Encode writes for
// the same coefficients, and with what Parse reads.
func checkSplices(t *testing.T, m *jpeg.Marked, seed uint64) {
	t.Helper()
	p := m.Write()
	cols, rows := m.Plain.MCUs()
	if n := jpeg.Segments(cols, rows, m.Run); len(p.Off) != n+1 {
		t.Fatalf("%d offsets for %d segments", len(p.Off), n)
	}
	if p.Bare != 0 {
		t.Errorf("%d of %d segments left bare", p.Bare, len(p.Off)-1)
	}
	if len(p.Files[0]) != len(p.Files[1]) {
		t.Fatalf("variants of %d and %d bytes", len(p.Files[0]), len(p.Files[1]))
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	for name, bit := range map[string]func(int) int{
		"zeros": func(int) int { return 0 }, "ones": func(int) int { return 1 },
		"alternating": func(k int) int { return k & 1 }, "pairs": func(k int) int { return k >> 1 & 1 },
		"random": func(int) int { return rng.IntN(2) }, "random again": func(int) int { return rng.IntN(2) },
	} {
		got, f := choose(m, p, bit)
		if !bytes.Equal(got, f.Encode()) {
			t.Fatalf("%s: the splice is not what an encoder writes for its coefficients", name)
		}
		back, err := jpeg.Parse(got)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(back, f) {
			t.Fatalf("%s: parsed coefficients differ", name)
		}
		if _, err := stdjpeg.Decode(bytes.NewReader(got)); err != nil {
			t.Fatalf("%s: image/jpeg: %v", name, err)
		}
	}
}

func TestSplicesOfAllSizes(t *testing.T) {
	for _, w := range []int{1, 7, 8, 9, 15, 16, 17, 24, 25, 33, 63, 64, 65, 200} {
		for _, h := range []int{1, 8, 9, 16, 17, 25, 49, 100} {
			for run := 1; run <= 3; run++ {
				t.Run(fmt.Sprintf("%dx%d run %d", w, h, run), func(t *testing.T) {
					checkSplices(t, scene(w, h, run, 0.3, uint64(w*1000+h)), uint64(run))
				})
			}
		}
	}
}

func TestSplicesOfFlatAndBusyPictures(t *testing.T) {
	for _, busy := range []float32{0, 0.02, 0.1, 1, 4} {
		t.Run(fmt.Sprint(busy), func(t *testing.T) { checkSplices(t, scene(400, 304, 1, busy, 9), 9) })
	}
}

// Only coefficients of one step more or less and the mark tell a variant from
// the unringed picture; chroma and the last luma DC of a segment never differ.
func TestVariantsKeepWhatJoinsThem(t *testing.T) {
	m := scene(250, 130, 2, 0.3, 4)
	p := m.Write()
	cols, rows := m.Plain.MCUs()
	for _, f := range p.As {
		if !reflect.DeepEqual(f.Cb, m.Plain.Cb) || !reflect.DeepEqual(f.Cr, m.Plain.Cr) {
			t.Error("chroma differs")
		}
		for my := range rows {
			for mx := 1; mx < cols; mx += 2 {
				x, y := 2*mx+1, 2*my+1
				for !f.Real(x, y) && !f.Real(x-1, y) && y > 2*my {
					y--
				}
				if !f.Real(x, y) {
					x--
				}
				if f.Luma.At(x, y)[0] != m.Plain.Luma.At(x, y)[0] {
					t.Fatalf("last DC of MCU (%d, %d) differs", mx, my)
				}
			}
		}
	}
	for i := range p.As[0].Luma.Blocks {
		for v := range p.As {
			if x, y := i%m.Plain.Luma.W, i/m.Plain.Luma.W; !m.Plain.Real(x, y) {
				continue
			}
			for z := 1; z < 64; z++ {
				want := m.Base[i][z] + float32(2*v-1)*m.Bump[i][z]
				if d := float64(float32(p.As[v].Luma.Blocks[i][z]) - want); math.Abs(d) > 1.54 {
					t.Fatalf("block %d coefficient %d is %.2f steps from its ideal", i, z, d)
				}
			}
		}
	}
}

func TestTransformsAreInverse(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		var b, c [64]float32
		var before, after float64
		for i := range b {
			b[i] = float32(rng.IntN(256) - 128)
			before += float64(b[i] * b[i])
		}
		c = b
		jpeg.FDCT(&c)
		for _, v := range c {
			after += float64(v * v)
		}
		if math.Abs(before-after) > 1e-3*before {
			t.Fatalf("energy %v became %v", before, after)
		}
		jpeg.IDCT(&c)
		for i := range b {
			if math.Abs(float64(b[i]-c[i])) > 1e-3 {
				t.Fatalf("sample %d: %v became %v", i, b[i], c[i])
			}
		}
	}
}

// The decoded luma plane is what image/jpeg decodes, up to its rounding.
func TestLumaPlaneMatchesADecoder(t *testing.T) {
	m := scene(130, 75, 1, 0.2, 3)
	img, err := stdjpeg.Decode(bytes.NewReader(m.Plain.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	ycc := img.(*image.YCbCr)
	for i, v := range m.Plain.LumaPlane() {
		want := ycc.Y[i/130*ycc.YStride+i%130]
		if got := max(0, min(255, float64(v))); math.Abs(got-float64(want)) > 1.2 {
			t.Fatalf("pixel %d: %v, image/jpeg says %d", i, got, want)
		}
	}
}

func TestTables(t *testing.T) {
	f := jpeg.NewFrame(32, 32, jpeg.Default(90))
	q, err := jpeg.Tables(f.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for z := range 64 {
		if q[jpeg.Zigzag(z)] != f.Quant[0][z] {
			t.Fatalf("table entry %d: %d, want %d", z, q[jpeg.Zigzag(z)], f.Quant[0][z])
		}
	}
	// A progressive header without any scan data will do.
	head := bytes.Replace(f.Encode(), []byte{0xff, 0xc0}, []byte{0xff, 0xc2}, 1)
	if p, err := jpeg.Tables(head); err != nil || *p != *q {
		t.Errorf("progressive: %v", err)
	}
	if _, err := jpeg.Parse(head); err == nil {
		t.Error("one scan of all coefficients was parsed as progressive")
	}
}

func TestParseRefuses(t *testing.T) {
	refuses(t, scene(70, 50, 1, 0.3, 5).Plain.Encode(), 0xc0, 50)
}

// refuses checks that a file is refused when cut off or followed by anything, and
// when its frame, of that marker, lies about the size, without many allocations.
func refuses(t *testing.T, good []byte, frame byte, most float64) {
	t.Helper()
	for n := range len(good) {
		if _, err := jpeg.Parse(good[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were parsed", n, len(good))
		}
	}
	if _, err := jpeg.Parse(append(good[:len(good):len(good)], 0)); err == nil {
		t.Error("a byte after the end was not noticed")
	}
	large := bytes.Clone(good)
	copy(large[bytes.Index(large, []byte{0xff, frame})+5:], []byte{0x1f, 0xff, 0x1f, 0xff})
	allocated := testing.AllocsPerRun(1, func() {
		if _, err := jpeg.Parse(large); err == nil {
			t.Error("8191 x 8191 pixels in a short file were parsed")
		}
	})
	if allocated > most {
		t.Errorf("%v allocations for a lying header", allocated)
	}
}

// Whatever is parsed can be written again, and reads the same.
func FuzzParse(f *testing.F) {
	for _, busy := range []float32{0, 0.1, 1} {
		f.Add(scene(40, 24, 1, busy, 6).Plain.Encode())
	}
	var buf bytes.Buffer
	if err := stdjpeg.Encode(&buf, image.NewYCbCr(image.Rect(0, 0, 20, 20), image.YCbCrSubsampleRatio420), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	for _, text := range scripts {
		f.Add(sceneIn(inScript(f, text, 85, 2, 2), 24, 17, 1, 0.3, 2).Plain.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := jpeg.Parse(data)
		if err != nil {
			return
		}
		again, err := jpeg.Parse(frame.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if frame.Progressive() {
			again.Dialect = frame.Dialect // tables that lack a symbol are made anew
		}
		if !reflect.DeepEqual(frame, again) {
			t.Fatal("written and parsed again, the coefficients differ")
		}
	})
}

func FuzzTables(f *testing.F) {
	f.Add(jpeg.NewFrame(20, 20, jpeg.Default(75)).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if q, err := jpeg.Tables(data); err == nil {
			for _, v := range q {
				if v == 0 {
					t.Fatal("a zero in a quantiser table")
				}
			}
		}
	})
}

// Whatever the picture, every splice is what Encode writes.
func FuzzSplices(f *testing.F) {
	f.Add(uint8(40), uint8(24), uint8(1), float32(0.3), uint64(1))
	f.Add(uint8(17), uint8(33), uint8(2), float32(3), uint64(2))
	f.Fuzz(func(t *testing.T, w, h, run uint8, busy float32, seed uint64) {
		if w == 0 || h == 0 || !(busy >= 0 && busy < 100) {
			return
		}
		m := scene(int(w), int(h), 1+int(run%4), busy, seed)
		p := m.Write()
		rng := rand.New(rand.NewPCG(seed, 3))
		got, frame := choose(m, p, func(int) int { return rng.IntN(2) })
		if !bytes.Equal(got, frame.Encode()) {
			t.Fatal("the splice is not what an encoder writes")
		}
	})
}
