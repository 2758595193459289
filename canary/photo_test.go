package canary_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	stdjpeg "image/jpeg"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"birdring/canary"
	"birdring/canary/jpeg"
	"birdring/canary/mark"
	"birdring/canary/ring"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

// subjects are photos and painted scenes, one in -short.
func subjects(t testing.TB) map[string]image.Image {
	t.Helper()
	out := map[string]image.Image{}
	paths := testkit.Photos(t)
	if testing.Short() {
		paths = paths[:1]
	}
	for _, path := range paths {
		out[testName(path)] = loadPhoto(t, path)
	}
	if !testing.Short() {
		out["painted, odd sides"] = paint.Scene(31, 803, 601)
		out["painted, upright"] = paint.Scene(32, 648, 1080)
	}
	return out
}

// preparedSubject prepares a subject once for all tests: the same photo gives the same
// picture (TestPrepareIsDeterministic).
func preparedSubject(t testing.TB, name string, img image.Image) *readySubject {
	t.Helper()
	made, _ := subjectsMade.LoadOrStore(name, sync.OnceValue(func() *readySubject {
		p, rep, r := prepare(t, img)
		return &readySubject{p, rep, r}
	}))
	return made.(func() *readySubject)()
}

// subjectsMade are the subjects prepared so far, by name.
var subjectsMade sync.Map

type readySubject struct {
	picture  *canary.Picture
	report   *canary.Report
	renderer *canary.Renderer
}

// Every photo takes the mark in every segment, near enough to the unringed
// picture whatever the ring; renditions are ordinary files for foreign software.
func TestPhotosTakeTheMark(t *testing.T) {
	for name, img := range subjects(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ready := preparedSubject(t, name, img)
			p, rep, r := ready.picture, ready.report, ready.renderer
			t.Logf("%d segments, PSNR %.2f dB, SSIM %.4f, gain %.2f, %d bytes (%+d), self-check %.0f bits",
				p.Segments(), rep.PSNR, rep.SSIM, rep.Gain, rep.Bytes, rep.Bytes-rep.PlainBytes, rep.SelfBits)
			if rep.Bare != 0 {
				t.Errorf("%d segments left bare", rep.Bare)
			}
			if rep.PSNR < 50 || rep.SSIM < 0.996 {
				t.Errorf("PSNR %.2f dB, SSIM %.4f", rep.PSNR, rep.SSIM)
			}
			if over := float64(rep.Bytes)/float64(rep.PlainBytes) - 1; over > 0.005 || over < -0.005 {
				t.Errorf("the mark costs %.2f %% of the bytes", 100*over)
			}
			plain, err := canary.PreparePlain(img, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := lumaOf(t, plain)
			for _, v := range []canary.Viewer{canary.Neutral, canary.MaxControl, canary.FirstViewer + 41} {
				data := r.Append(nil, v)
				if len(data) != p.Size() {
					t.Fatalf("viewer %d: %d bytes, want %d", v, len(data), p.Size())
				}
				if got := mark.PSNR(want, lumaOf(t, data)); got < 50 || got < rep.PSNR-0.1 {
					t.Errorf("viewer %d: PSNR %.2f dB, the report says at least %.2f", v, got, rep.PSNR)
				}
			}
			t.Run("foreign software", func(t *testing.T) {
				data := r.Append(nil, canary.FirstViewer)
				checkSame(t, data)
				checkForeign(t, data)
			})
		})
	}
}

// lumaOf is the luma that image/jpeg decodes.
func lumaOf(t testing.TB, data []byte) mark.Plane {
	t.Helper()
	img, err := stdjpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	ycc, ok := img.(*image.YCbCr)
	if !ok {
		t.Fatalf("decoded as %T", img)
	}
	w, h := ycc.Rect.Dx(), ycc.Rect.Dy()
	p := mark.Plane{W: w, H: h, Pix: make([]float32, 0, w*h)}
	for y := range h {
		for _, v := range ycc.Y[y*ycc.YStride : y*ycc.YStride+w] {
			p.Pix = append(p.Pix, float32(v))
		}
	}
	return p
}

// checkSame: libjpeg writes the same file for a rendition's coefficients.
func checkSame(t *testing.T, data []byte) {
	t.Helper()
	if back := pipe(t, data, testkit.Tool(t, "jpegtran"), "-copy", "all"); !bytes.Equal(back, data) {
		t.Error("jpegtran -copy all gives back other bytes")
	}
}

// checkForeign gives a rendition to other software. libjpeg decodes it, without a
// warning, to the pixels of its own file of these coefficients, which is progressive
// if the rendition is not; so does image/jpeg. jpeginfo and ImageMagick find nothing wrong with it.
func checkForeign(t *testing.T, data []byte) {
	jpegtran, djpeg := testkit.Tool(t, "jpegtran"), testkit.Tool(t, "djpeg")
	if got := string(pipe(t, data, testkit.Tool(t, "jpeginfo"), "-c", "-")); !strings.HasSuffix(strings.TrimSpace(got), "OK") {
		t.Errorf("jpeginfo -c: %s", got)
	}
	if got := string(pipe(t, data, testkit.Tool(t, "identify"), "-regard-warnings", "-format", "%m %[colorspace]", "jpeg:-")); got != "JPEG sRGB" {
		t.Errorf("identify: %s", got)
	}
	style := "-progressive"
	if bytes.Contains(data, []byte{0xff, 0xc2, 0, 17}) {
		style = "-optimize"
	}
	other := pipe(t, data, jpegtran, style, "-copy", "all")
	if bytes.Contains(other, []byte{0xff, 0xc2, 0, 17}) != (style == "-progressive") {
		t.Fatal("jpegtran wrote a file of the same kind")
	}
	if !bytes.Equal(pipe(t, data, djpeg, "-strict"), pipe(t, other, djpeg, "-strict")) {
		t.Error("djpeg: pixels differ from those of an ordinary encoding")
	}
	ours, err := stdjpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := stdjpeg.Decode(bytes.NewReader(other))
	if err != nil {
		t.Fatal(err)
	}
	a, b := image.NewRGBA(ours.Bounds()), image.NewRGBA(theirs.Bounds())
	draw.Draw(a, a.Rect, ours, image.Point{}, draw.Src)
	draw.Draw(b, b.Rect, theirs, image.Point{}, draw.Src)
	if !bytes.Equal(a.Pix, b.Pix) {
		t.Error("image/jpeg: pixels differ from those of an ordinary encoding")
	}
}

// pipe runs a program on data; anything on its standard error is a failure.
func pipe(t *testing.T, data []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(data), &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %v: %v: %s", filepath.Base(name), args, err, &complaints)
	}
	return out.Bytes()
}

// one is a small prepared picture that several tests share.
var one = sync.OnceValue(func() image.Image { return paint.Scene(5, 515, 421) })

func TestAppendWritesIntoTheGivenRoom(t *testing.T) {
	p, _, r := prepare(t, one())
	want := r.Append(nil, 70000)
	got := r.Append([]byte("before"), 70000)
	if string(got[:6]) != "before" || !bytes.Equal(got[6:], want) {
		t.Error("Append does not append")
	}
	buf := make([]byte, 0, p.Size())
	v := canary.FirstViewer
	if n := testing.AllocsPerRun(200, func() { buf = r.Append(buf[:0], v); v++ }); n != 0 {
		t.Errorf("%v allocations a rendition", n)
	}
	if bytes.Equal(r.Append(nil, 70001), want) {
		t.Error("two viewers have the same copy")
	}
	// Every segment is the one that the codebook chooses.
	word := make([]uint64, r.Book().Words())
	r.Book().Codeword(word, 70000)
	checkSegments(t, p, r, want, word)
}

// checkSegments compares a rendition's decoded segments with the reference's two variants.
func checkSegments(t *testing.T, p *canary.Picture, r *canary.Renderer, data []byte, word []uint64) {
	t.Helper()
	ref, err := p.Reference()
	if err != nil {
		t.Fatal(err)
	}
	got := lumaOf(t, data)
	for k, pos := range r.Book().Order() {
		sign := float32(2*int(word[pos>>6]>>(pos&63)&1) - 1)
		x0, y0, x1, y1 := ref.Grid.Rect(k)
		for y := y0; y < y1; y++ {
			for i := y*p.W + x0; i < y*p.W+x1; i++ {
				d := got.Pix[i] - max(0, min(255, ref.Mean.Pix[i]+sign*ref.Half.Pix[i]))
				if d > 1.2 || d < -1.2 {
					t.Fatalf("segment %d, pixel %d is %.2f off the variant the ring chooses", k, i, d)
				}
			}
		}
	}
}

func TestRendererIsSafeForConcurrentUse(t *testing.T) {
	p, _, r := prepare(t, one())
	var want [8][]byte
	for v := range want {
		want[v] = r.Append(nil, canary.FirstViewer+canary.Viewer(v))
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			buf := make([]byte, 0, p.Size())
			for i := range 200 {
				v := i % len(want)
				if buf = r.Append(buf[:0], canary.FirstViewer+canary.Viewer(v)); !bytes.Equal(buf, want[v]) {
					t.Error("a rendition differs when several are made at once")
					return
				}
			}
		})
	}
	group.Wait()
}

// The same photo, options and key give the same picture; another key gives other signs.
func TestPrepareIsDeterministic(t *testing.T) {
	a, _, _ := prepare(t, one())
	b, _, _ := prepare(t, one())
	c, _, err := canary.Prepare(one(), canary.PrepareOptions{ID: "p", Num: 5, Code: ring.D, Epoch: 1, Key: bytes.Repeat([]byte{9}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	da, db, dc := marshal(t, a), marshal(t, b), marshal(t, c)
	if !bytes.Equal(da, db) {
		t.Error("prepared twice, the pictures differ")
	}
	if bytes.Equal(da, dc) {
		t.Error("the key does not matter")
	}
}

// Pictures held in other types of image.Image are the same photo.
func TestPrepareTakesAnyImage(t *testing.T) {
	rgba := one().(*image.RGBA)
	whole := image.NewNRGBA(image.Rect(3, 5, 3+rgba.Rect.Dx()+10, 5+rgba.Rect.Dy()+10))
	for y := range rgba.Rect.Dy() {
		for x := range rgba.Rect.Dx() {
			whole.Set(3+4+x, 5+6+y, rgba.At(x, y))
		}
	}
	part := whole.SubImage(image.Rect(7, 11, 7+rgba.Rect.Dx(), 11+rgba.Rect.Dy()))
	a, err := canary.PreparePlain(rgba, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := canary.PreparePlain(part, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("a part of a larger picture is encoded differently")
	}
}

// The unringed JPEG is what libjpeg makes of the same pixels, byte for byte.
func TestPlainIsWhatLibjpegWrites(t *testing.T) {
	cjpeg := testkit.Tool(t, "cjpeg")
	for name, args := range map[string][]string{
		"default":    {"-quality", "90"},
		"4:2:2":      {"-quality", "85", "-sample", "2x1"},
		"4:4:4":      {"-quality", "92", "-sample", "1x1"},
		"best":       {"-quality", "80", "-optimize"},
		"many scans": {"-quality", "85", "-progressive"},
	} {
		for _, img := range []image.Image{one(), paint.Scene(8, 328, 264), paint.Scene(9, 64, 57)} {
			theirs := pipe(t, ppm(img, 1), cjpeg, args...)
			d, _, err := jpeg.Learn([]jpeg.Sample{{Data: theirs}})
			if err != nil {
				t.Fatal(err)
			}
			ours, err := canary.PreparePlain(img, d)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("%s, %v: our file differs from libjpeg's", name, img.Bounds().Max)
			}
		}
	}
}

// Flat photos take segments of two MCUs.
func TestFlatPhotosTakeLongerSegments(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	img := image.NewGray(image.Rect(0, 0, 1000, 700))
	for i := range img.Pix {
		x, y := i%1000, i/1000
		img.Pix[i] = uint8(90 + float64(x)*0.06 + float64(y)*0.04 + rng.NormFloat64()*1.2)
	}
	p, rep, r := prepare(t, img)
	if p.Run != 2 || p.Segments() != 32*44 {
		t.Errorf("run %d, %d segments", p.Run, p.Segments())
	}
	if rep.PSNR < 50 || rep.SSIM < 0.996 || rep.Bare != 0 {
		t.Errorf("PSNR %.2f, SSIM %.4f, %d bare", rep.PSNR, rep.SSIM, rep.Bare)
	}
	checkSame(t, r.Append(nil, 99999))
}

func TestRefusals(t *testing.T) {
	o := canary.PrepareOptions{ID: "p", Code: ring.D, Key: testKey}
	for name, c := range map[string]struct {
		img  image.Image
		want error
	}{
		"empty":         {image.NewGray(image.Rectangle{}), canary.ErrTooSmall},
		"narrow":        {paint.Scene(1, 2000, 300), canary.ErrTooSmall},
		"few segments":  {paint.Scene(1, 360, 360), canary.ErrTooSmall},
		"wide":          {image.NewGray(image.Rect(0, 0, 4097, 400)), canary.ErrTooLarge},
		"one colour":    {image.NewUniform(color.Gray{128}), canary.ErrTooLarge}, // endless
		"black":         {image.NewGray(image.Rect(0, 0, 800, 600)), canary.ErrTooPlain},
		"white":         {filled(800, 600, 255), canary.ErrTooPlain},
		"black on half": {halfBlack(), nil},
	} {
		_, rep, err := canary.Prepare(c.img, o)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v (%+v)", name, err, c.want, rep)
		}
		t.Logf("%s: %v", name, err)
	}
	if _, _, err := canary.Prepare(one(), canary.PrepareOptions{ID: "p", Code: ring.D, Key: testKey[:5]}); err == nil {
		t.Error("a short key was taken")
	}
	if _, _, err := canary.Prepare(one(), canary.PrepareOptions{ID: "p", Code: 9, Key: testKey}); err == nil {
		t.Error("an unknown code was taken")
	}
}

func filled(w, h int, v uint8) image.Image {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = v
	}
	return img
}

func halfBlack() image.Image {
	img := paint.Scene(3, 800, 600)
	clear(img.Pix[:len(img.Pix)/2])
	return img
}

func marshal(t testing.TB, p *canary.Picture) []byte {
	t.Helper()
	data, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMarshalledPicturesAreTheSame(t *testing.T) {
	p, _, r := prepare(t, one())
	data := marshal(t, p)
	q, err := canary.UnmarshalPicture(data)
	if err != nil {
		t.Fatal(err)
	}
	if q.ID != "p" || q.Num != 5 || q.Epoch != 1 || q.Code != ring.D || q.W != p.W || q.H != p.H || q.Run != p.Run || q.Segments() != p.Segments() || q.Size() != p.Size() {
		t.Errorf("%+v", q)
	}
	s, err := canary.NewRenderer(q, testKey)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Append(nil, 80000), s.Append(nil, 80000)) {
		t.Error("renditions differ")
	}
	if !bytes.Equal(data, marshal(t, q)) {
		t.Error("marshalled again, the bytes differ")
	}
	if bytes.Contains(data, testKey[:8]) {
		t.Error("the key is in the file")
	}
	for n := range len(data) {
		if n > 3000 && n%997 != 0 && n < len(data)-50 {
			continue
		}
		if _, err := canary.UnmarshalPicture(data[:n]); err == nil {
			t.Fatalf("the first %d bytes were taken", n)
		}
		broken := bytes.Clone(data)
		broken[n] ^= 0x10
		if _, err := canary.UnmarshalPicture(broken); err == nil {
			t.Fatalf("a changed byte %d was not noticed", n)
		}
	}
}

// Pictures stored before dialects were known have MCUs of 16 x 16.
func TestUnmarshalReadsTheOlderFormat(t *testing.T) {
	p, _, r := prepare(t, one())
	data := marshal(t, p)
	const mcu = 24 // where BRP2 has the MCU's size
	older := append(append([]byte("BRP1"), data[4:mcu]...), data[mcu+2:len(data)-4]...)
	q, err := canary.UnmarshalPicture(withChecksum(older))
	if err != nil {
		t.Fatal(err)
	}
	s, err := canary.NewRenderer(q, testKey)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Append(nil, 80000), s.Append(nil, 80000)) || q.Grid() != p.Grid() {
		t.Error("read in the older format, the picture is another one")
	}
}

// withPasses is a body of format BRP2 in BRP3.
func withPasses(body []byte, passes ...byte) []byte {
	const idAt = 26
	id := idAt + 1 + int(body[idAt])
	out := append([]byte("BRP3"), body[4:id]...)
	return append(append(append(out, byte(len(passes))), passes...), body[id:]...)
}

// Progressive pictures are stored with how their pieces lie.
func TestUnmarshalReadsPasses(t *testing.T) {
	p, _, r := prepare(t, one())
	body := marshal(t, p)
	body = body[:len(body)-4]
	q, err := canary.UnmarshalPicture(withChecksum(withPasses(body, 1)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := canary.NewRenderer(q, testKey)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Append(nil, 80000), s.Append(nil, 80000)) || q.Segments() != p.Segments() {
		t.Error("read with its passes, the picture is another one")
	}
	for _, passes := range [][]byte{{}, {0}, {3}, {2}, {1, 1}, bytes.Repeat([]byte{1}, 255)} {
		if _, err := canary.UnmarshalPicture(withChecksum(withPasses(body, passes...))); err == nil {
			t.Errorf("passes %v were taken", passes)
		}
	}
}

// A file in format BRP2 or BRP3 whose checksum fits may still lie in every field.
func FuzzUnmarshalPicture(f *testing.F) {
	p, _, err := canary.Prepare(paint.Scene(5, 400, 400), canary.PrepareOptions{ID: "p", Code: ring.D, Key: testKey})
	if err != nil {
		f.Fatal(err)
	}
	data, err := p.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:len(data)-4])
	f.Add(data[:200])
	f.Add(withPasses(data[:len(data)-4], 1))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := canary.UnmarshalPicture(withChecksum(body))
		if err != nil {
			return
		}
		r, err := canary.NewRenderer(p, testKey)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Append(nil, 70000)) != p.Size() {
			t.Fatal("a rendition of another size")
		}
		// Its parts need not be pictures, but nothing may panic.
		_, _ = p.Reference()
		again, err := p.MarshalBinary()
		if err != nil || !bytes.Equal(again, withChecksum(body)) && string(body[:4]) != "BRP1" {
			t.Fatalf("marshalled again, the bytes differ: %v", err)
		}
	})
}
