package vp8_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/image/webp"

	"birdring/beacon/decode/vp8"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

// encoded is a painted scene as libwebp writes it, the file's VP8 chunk, and the scene.
func encoded(t testing.TB, args ...string) (file, chunk []byte, scene *image.RGBA) {
	t.Helper()
	cwebp := testkit.Tool(t, "cwebp")
	scene = paint.Scene(5, 230, 170)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.png"), filepath.Join(dir, "out.webp")
	var buf bytes.Buffer
	if err := png.Encode(&buf, scene); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command(cwebp, append(append([]string{"-quiet"}, args...), in, "-o", out)...).CombinedOutput(); err != nil {
		t.Fatalf("cwebp: %v: %s", err, msg)
	}
	file, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if string(file[12:16]) != "VP8 " {
		t.Fatalf("first chunk is %q", file[12:16])
	}
	return file, file[20 : 20+binary.LittleEndian.Uint32(file[16:])], scene
}

// TestUnfiltered: without a loop filter the samples are those of the decoder this
// one was cut out of.
func TestUnfiltered(t *testing.T) {
	for _, q := range []string{"20", "60", "95"} {
		file, chunk, _ := encoded(t, "-q", q, "-f", "0")
		img, err := webp.Decode(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		want := img.(*image.YCbCr)
		got, err := vp8.Read(chunk)
		if err != nil {
			t.Fatal(err)
		}
		if got.W != 230 || got.H != 170 {
			t.Fatalf("%d x %d", got.W, got.H)
		}
		for y := range got.H {
			if !bytes.Equal(got.Pix[y*got.Stride:][:got.W], want.Y[y*want.YStride:][:got.W]) {
				t.Fatalf("quality %s: row %d differs", q, y)
			}
		}
	}
}

// TestBounds: what was encoded lies within the bounds, and hardly ever within much
// closer ones, so they are neither wrong nor idle.
func TestBounds(t *testing.T) {
	for _, q := range []string{"30", "75"} {
		_, chunk, scene := encoded(t, "-q", q)
		got, err := vp8.Read(chunk)
		if err != nil {
			t.Fatal(err)
		}
		inside, narrow, known, all := 0, 0, 0, 0
		for b := range got.Stride / 4 * (got.H / 4) {
			x0, y0 := b%(got.Stride/4)*4, b/(got.Stride/4)*4
			if x0+4 > got.W {
				continue
			}
			var off [16]float64 // of what was encoded from what was decoded
			for i := range off {
				x, y := x0+i%4, y0+i/4
				c := scene.RGBAAt(x, y)
				// libwebp's luma.
				luma := float64(16839*int(c.R)+33059*int(c.G)+6420*int(c.B)+1<<15+16<<16) / (1 << 16)
				off[i] = math.Floor(luma) - float64(got.Pix[y*got.Stride+x])
			}
			for z, c := range dct4(off) {
				low, high := float64(got.Low[16*b+z]), float64(got.High[16*b+z])
				all++
				if low == high {
					continue
				}
				known++
				const rounding = 1 // of samples and of integer transforms
				if c > low-rounding && c < high+rounding {
					inside++
				}
				if mid := (low + high) / 2; math.Abs(c-mid) < (high-low)/16 {
					narrow++
				}
			}
		}
		t.Logf("quality %s: %d of %d bounded, %.2f %% inside, %.1f %% in the middle eighth", q, known, all,
			100*float64(inside)/float64(known), 100*float64(narrow)/float64(known))
		if float64(inside) < 0.985*float64(known) || known < all*8/10 {
			t.Errorf("quality %s: %d of %d known bounds hold, of %d", q, inside, known, all)
		}
	}
}

// dct4 is the orthonormal transform of 4 x 4 samples, slowly.
func dct4(p [16]float64) (out [16]float64) {
	for v := range 4 {
		for u := range 4 {
			var sum float64
			for y := range 4 {
				for x := range 4 {
					sum += p[4*y+x] * math.Cos(float64(2*x+1)*float64(u)*math.Pi/8) * math.Cos(float64(2*y+1)*float64(v)*math.Pi/8)
				}
			}
			f := 0.5
			if u == 0 {
				f /= math.Sqrt2
			}
			if v == 0 {
				f /= math.Sqrt2
			}
			out[4*v+u] = f * sum
		}
	}
	return out
}

// FuzzRead: broken chunks end in an error, never in a panic.
func FuzzRead(f *testing.F) {
	for _, q := range []string{"10", "80"} {
		_, chunk, _ := encoded(f, "-q", q, "-segments", "4", "-partition_limit", "10")
		f.Add(chunk)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 9 && (int(data[6])|int(data[7]&0x3f)<<8)*(int(data[8])|int(data[9]&0x3f)<<8) > 1<<18 {
			return // callers check the size first
		}
		got, err := vp8.Read(data)
		if err == nil && (got.W > got.Stride || len(got.Pix)%got.Stride != 0 || len(got.Low) != len(got.Pix) || len(got.High) != len(got.Pix)) {
			t.Fatalf("%d x %d in rows of %d, %d samples, %d bounds", got.W, got.H, got.Stride, len(got.Pix), len(got.Low))
		}
	})
}
