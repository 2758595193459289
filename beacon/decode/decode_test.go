package decode_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"birdring/beacon/decode"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

var scene = sync.OnceValue(func() *image.RGBA { return paint.Scene(5, 160, 112) })

func encoded(t testing.TB, encode func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, img, &jpeg.Options{Quality: 92}) })
}

func asPNG(t testing.TB, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, img) })
}

// differ is the mean absolute difference of two pictures' luma.
func differ(t *testing.T, a, b *decode.Image) float64 {
	t.Helper()
	if a.Luma.W != b.Luma.W || a.Luma.H != b.Luma.H {
		t.Fatalf("sizes differ: %d x %d, %d x %d", a.Luma.W, a.Luma.H, b.Luma.W, b.Luma.H)
	}
	sum := 0.0
	for i, v := range a.Luma.Pix {
		sum += math.Abs(float64(v - b.Luma.Pix[i]))
	}
	return sum / float64(len(a.Luma.Pix))
}

func decoded(t *testing.T, data []byte) *decode.Image {
	t.Helper()
	img, err := decode.Decode(t.Context(), data, decode.Default())
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Img.Bounds(); b.Min != (image.Point{}) || b.Dx() != img.Luma.W || b.Dy() != img.Luma.H {
		t.Fatalf("bounds %v and plane %d x %d disagree", b, img.Luma.W, img.Luma.H)
	}
	return img
}

func TestFormatsByContent(t *testing.T) {
	img := scene()
	want := decoded(t, asPNG(t, img))
	deep := image.NewNRGBA64(img.Bounds())
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			deep.Set(x, y, img.At(x, y))
		}
	}
	for _, c := range []struct {
		format string
		data   []byte
		within float64
	}{
		{"jpeg", asJPEG(t, img), 2},
		{"png", asPNG(t, img), 0},
		{"png", asPNG(t, deep), 0.01},
		{"gif", encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, img, nil) }), 8},
		{"bmp", encoded(t, func(b *bytes.Buffer) error { return bmp.Encode(b, img) }), 0},
		{"tiff", encoded(t, func(b *bytes.Buffer) error {
			return tiff.Encode(b, img, &tiff.Options{Compression: tiff.Deflate, Predictor: true})
		}), 0},
	} {
		got := decoded(t, c.data)
		if got.Format != c.format || got.Frames != 1 {
			t.Errorf("%s: format %s, %d frames", c.format, got.Format, got.Frames)
		}
		if d := differ(t, got, want); d > c.within {
			t.Errorf("%s: luma is %.3f off, want %.3f", c.format, d, c.within)
		}
		if (got.Quant != nil) != (c.format == "jpeg") {
			t.Errorf("%s: quantiser %v", c.format, got.Quant)
		}
	}
}

// TestForeignEncoders decodes what other software writes, against what that
// software says the pixels are.
func TestForeignEncoders(t *testing.T) {
	convert := testkit.Tool(t, "convert")
	dir := t.TempDir()
	source := filepath.Join(dir, "source.png")
	if err := os.WriteFile(source, asPNG(t, scene()), 0o600); err != nil {
		t.Fatal(err)
	}
	want := decoded(t, asPNG(t, scene()))
	for _, c := range []struct {
		name, args string
		within     float64
	}{
		{"progressive.jpg", "-interlace JPEG -quality 92", 2},
		{"444.jpg", "-sampling-factor 4:4:4 -quality 92", 2},
		{"411.jpg", "-sampling-factor 4:1:1 -quality 92", 2},
		{"422.jpg", "-sampling-factor 4:2:2 -quality 92", 2},
		{"grey.jpg", "-colorspace Gray -quality 92", 3},
		{"cmyk.jpg", "-colorspace CMYK -quality 95", 4},
		{"16.png", "-depth 16", 0.6},
		{"palette.png", "-colors 64", 12},
		{"1.gif", "", 12},
		{"lzw.tif", "-compress lzw", 0.5},
		{"16.tif", "-depth 16 -compress none", 0.6},
		{"3.bmp", "-type truecolor", 0.5},
		{"lossless.webp", "-define webp:lossless=true", 0.5},
		{"lossy.webp", "-quality 95", 2.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(dir, c.name)
			if msg, err := exec.Command(convert, append(append([]string{source}, strings.Fields(c.args)...), out)...).CombinedOutput(); err != nil {
				testkit.Lack(t, fmt.Sprintf("convert cannot make it (%v: %s)", err, msg))
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if d := differ(t, decoded(t, data), want); d > c.within {
				t.Errorf("luma is %.2f off, want %.2f", d, c.within)
			}
		})
	}
}

// TestWebPLuma holds the luma of a lossy WebP against the format's own decoder:
// VP8 samples are not JPEG's.
func TestWebPLuma(t *testing.T) {
	cwebp, dwebp := testkit.Tool(t, "cwebp"), testkit.Tool(t, "dwebp")
	dir := t.TempDir()
	in, mid, out := filepath.Join(dir, "a.png"), filepath.Join(dir, "b.webp"), filepath.Join(dir, "c.png")
	if err := os.WriteFile(in, asPNG(t, scene()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{exec.Command(cwebp, "-quiet", "-q", "80", in, "-o", mid), exec.Command(dwebp, mid, "-o", out)} {
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, msg)
		}
	}
	a, err := os.ReadFile(mid)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	ours := decoded(t, a)
	if d := differ(t, ours, decoded(t, b)); d > 0.7 {
		t.Errorf("luma is %.2f off the reference decoder's", d)
	}
	if d := differ(t, decoded(t, asPNG(t, ours.Img)), ours); d > 0.7 {
		t.Errorf("picture and luma plane differ by %.2f", d)
	}
}

func TestAnimations(t *testing.T) {
	frame := image.NewPaletted(image.Rect(0, 0, 40, 30), color.Palette{color.Black, color.White})
	for i := range frame.Pix {
		frame.Pix[i] = uint8(i % 2)
	}
	data := encoded(t, func(b *bytes.Buffer) error {
		return gif.EncodeAll(b, &gif.GIF{Image: []*image.Paletted{frame, frame, frame}, Delay: []int{1, 1, 1}})
	})
	if img := decoded(t, data); img.Frames != 3 || img.Luma.Pix[0] != 0 || img.Luma.Pix[1] != 255 {
		t.Errorf("%d frames, luma %v", img.Frames, img.Luma.Pix[:2])
	}
}

func TestTransparencyIsLaidOnWhite(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	img.SetNRGBA(0, 0, color.NRGBA{0, 0, 0, 255})
	got := decoded(t, asPNG(t, img))
	if got.Luma.Pix[0] != 0 || got.Luma.Pix[1] != 255 {
		t.Errorf("luma %v, want 0 and 255", got.Luma.Pix)
	}
}

// exif is the smallest TIFF structure that states an orientation.
func exif(order binary.AppendByteOrder, v uint16) []byte {
	mark := "II*\x00"
	if order == binary.AppendByteOrder(binary.BigEndian) {
		mark = "MM\x00*"
	}
	out := order.AppendUint32([]byte(mark), 8)
	out = order.AppendUint16(out, 1)
	out = order.AppendUint16(out, 274)
	out = order.AppendUint16(out, 3)
	out = order.AppendUint32(out, 1)
	out = order.AppendUint16(out, v)
	return append(out, 0, 0, 0, 0, 0, 0)
}

// withEXIF puts an orientation into a JPEG file.
func withEXIF(data, structure []byte) []byte {
	body := append([]byte("Exif\x00\x00"), structure...)
	seg := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2))
	return append(append(append([]byte{}, data[:2]...), append(seg, body...)...), data[2:]...)
}

func TestOrientation(t *testing.T) {
	const w, h = 48, 32
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for y := range 16 { // the top left corner is black
		for x := range 16 {
			img.SetRGBA(x, y, color.RGBA{A: 255})
		}
	}
	data := asJPEG(t, img)
	// Where the stored top left corner shows: right? bottom? and is the picture on its side?
	for v, want := range map[uint16][3]bool{
		1: {false, false, false}, 2: {true, false, false}, 3: {true, true, false}, 4: {false, true, false},
		5: {false, false, true}, 6: {true, false, true}, 7: {true, true, true}, 8: {false, true, true},
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			got := decoded(t, withEXIF(data, exif(order, v)))
			if tall := got.Luma.H > got.Luma.W; tall != want[2] {
				t.Errorf("orientation %d: %d x %d", v, got.Luma.W, got.Luma.H)
			}
			x, y := 4, 4
			if want[0] {
				x = got.Luma.W - 4
			}
			if want[1] {
				y = got.Luma.H - 4
			}
			if l := got.Luma.Pix[y*got.Luma.W+x]; l > 60 {
				t.Errorf("orientation %d: corner at %d,%d has luma %.0f", v, x, y, l)
			}
			if r, _, _, _ := got.Img.At(x, y).RGBA(); r > 60<<8 {
				t.Errorf("orientation %d: picture and plane differ", v)
			}
			if (got.Quant == nil) != (v != 1) {
				t.Errorf("orientation %d: quantiser %v", v, got.Quant)
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	good := asJPEG(t, scene())
	small := decode.Limits{MaxBytes: 1 << 20, MaxPixels: 160 * 112}
	bomb := asPNG(t, image.NewGray(image.Rect(0, 0, 8000, 8000)))
	for name, c := range map[string]struct {
		data []byte
		lim  decode.Limits
		want error
	}{
		"empty":         {nil, decode.Default(), decode.ErrEmpty},
		"text":          {[]byte("<html>not found</html>"), decode.Default(), decode.ErrFormat},
		"cut jpeg":      {good[:len(good)/2], decode.Default(), decode.ErrTruncated},
		"cut header":    {good[:30], decode.Default(), decode.ErrTruncated},
		"cut png":       {asPNG(t, scene())[:900], decode.Default(), decode.ErrTruncated},
		"cut webp":      {[]byte("RIFF\x10\x00\x00\x00WEBPVP8 "), decode.Default(), decode.ErrTruncated},
		"too big":       {good, decode.Limits{MaxBytes: 100, MaxPixels: 1 << 20}, decode.ErrTooLarge},
		"one too many":  {good, decode.Limits{MaxBytes: 1 << 20, MaxPixels: 160*112 - 1}, decode.ErrTooLarge},
		"bomb":          {bomb, decode.Default(), decode.ErrTooLarge},
		"damaged":       {bytes.Replace(asPNG(t, scene()), []byte("IDAT"), []byte("IDAT\x00\x01\x02"), 1), decode.Default(), decode.ErrDamaged},
		"just allowed":  {good, small, nil},
		"jpeg in a bmp": {append([]byte("BM"), good...), decode.Default(), decode.ErrDamaged},
	} {
		_, err := decode.Decode(t.Context(), c.data, c.lim)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error is %v, want %v", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error takes more than a line: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := decode.Decode(ctx, good, decode.Default()); !errors.Is(err, context.Canceled) {
		t.Errorf("error after the context's end: %v", err)
	}
}

func TestShrink(t *testing.T) {
	got := decode.Shrink(scene(), 40)
	if b := got.Bounds(); b.Dx() != 40 || b.Dy() != 28 {
		t.Errorf("size %v", b)
	}
	if decode.Shrink(scene(), 500).Bounds() != scene().Bounds() {
		t.Error("a small picture changed its size")
	}
	thin := decode.Shrink(image.NewGray(image.Rect(0, 0, 3000, 2)), 100)
	if b := thin.Bounds(); b.Dx() != 100 || b.Dy() != 1 {
		t.Errorf("size of a thin picture %v", b)
	}
}

func FuzzDecode(f *testing.F) {
	img := paint.Scene(5, 24, 16)
	f.Add(asJPEG(f, img))
	f.Add(withEXIF(asJPEG(f, img), exif(binary.BigEndian, 6)))
	f.Add(asPNG(f, img))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return gif.Encode(b, img, nil) }))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return bmp.Encode(b, img) }))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return tiff.Encode(b, img, nil) }))
	f.Add([]byte("RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x0f\x00\x00\x0f\x00\x00ANMF\x00\x00\x00\x00"))
	lim := decode.Limits{MaxBytes: 1 << 16, MaxPixels: 1 << 16}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decode.Decode(t.Context(), data, lim)
		if err != nil {
			return
		}
		if n := got.Luma.W * got.Luma.H; n < 1 || n > lim.MaxPixels || len(got.Luma.Pix) != n || got.Frames < 1 {
			t.Fatalf("%d x %d pixels, %d frames", got.Luma.W, got.Luma.H, got.Frames)
		}
	})
}

// TestQuantiserOfProgressive: a suspect's tables are read whatever its scans are.
func TestQuantiserOfProgressive(t *testing.T) {
	convert := testkit.Tool(t, "convert")
	dir := t.TempDir()
	source := filepath.Join(dir, "source.jpg")
	if err := os.WriteFile(source, asJPEG(t, scene()), 0o600); err != nil {
		t.Fatal(err)
	}
	var dc [2]uint16
	for i, args := range [2]string{"-interlace none -quality 60", "-interlace JPEG -quality 60"} {
		out := filepath.Join(dir, "out.jpg")
		if msg, err := exec.Command(convert, append(append([]string{source}, strings.Fields(args)...), out)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, msg)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		img := decoded(t, data)
		if img.Quant == nil {
			t.Fatalf("%s: no quantiser", args)
		}
		dc[i] = img.Quant[0]
	}
	if dc[0] != 13 || dc[1] != 13 { // 16 at quality 50, times 0.8
		t.Errorf("constant term's step is %v, want 13", dc)
	}
}

// TestLargePicturesHaveHalfAPlane: memory is bounded, coordinates can be had back.
func TestLargePicturesHaveHalfAPlane(t *testing.T) {
	testkit.Long(t)
	img := image.NewGray(image.Rect(0, 0, 4001, 3101))
	for i := range img.Pix {
		img.Pix[i] = uint8(i % img.Stride / 16)
	}
	got, err := decode.Decode(t.Context(), asPNG(t, img), decode.Default())
	if err != nil {
		t.Fatal(err)
	}
	if got.Step != 2 || got.Luma.W != 2000 || got.Luma.H != 1550 || got.Img.Bounds().Dx() != 4001 {
		t.Fatalf("step %d, plane %d x %d", got.Step, got.Luma.W, got.Luma.H)
	}
	for x, v := range got.Luma.Pix[:2000] {
		if want := float32(x / 8); v != want && v != want-0.5 && v != float32(uint8(want)) {
			t.Fatalf("sample %d is %v, want %v", x, v, want)
		}
	}
	if small := decoded(t, asPNG(t, scene())); small.Step != 1 {
		t.Errorf("step %d", small.Step)
	}
}
