package decode_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"birdring/beacon/decode"
	"birdring/internal/testkit"
)

// fuzzBusy is what one input of a fuzzer may take.
const fuzzBusy = time.Second / 2

// samples are the pictures that come with the decoders' modules: one photo in
// many forms, 512 x 512 where the name does not say otherwise.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, module := range []string{"avif", "heic"} {
		dir, err := exec.Command(testkit.Tool(t, "go"), "list", "-m", "-f", "{{.Dir}}", "github.com/gen2brain/"+module).Output()
		if err != nil {
			t.Fatal(err)
		}
		paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "testdata", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(p)] = data
		}
	}
	if len(out) < 6 {
		t.Fatalf("only %d samples", len(out))
	}
	return out
}

// TestAVIFAndHEIC: two libraries, 8 and 10 bits, colour and grey show one photo.
func TestAVIFAndHEIC(t *testing.T) {
	testkit.Long(t)
	all := samples(t)
	want := decoded(t, all["test8.avif"])
	if want.Format != "avif" || want.Luma.W != 512 || want.Luma.H != 512 || want.Quant != nil {
		t.Fatalf("%s of %d x %d", want.Format, want.Luma.W, want.Luma.H)
	}
	for name, within := range map[string]float64{"test10.avif": 4, "test8.heic": 4, "gray.heic": 10} {
		got := decoded(t, all[name])
		if got.Format != strings.TrimPrefix(filepath.Ext(name), ".") {
			t.Errorf("%s is taken for %s", name, got.Format)
		}
		if d := differ(t, got, want); d > within {
			t.Errorf("%s: luma is %.2f off, want %.0f", name, d, within)
		}
	}
	if got := decoded(t, all["test.avifs"]); got.Frames != 17 || got.Luma.W != 500 || got.Luma.H != 360 {
		t.Errorf("animation: %d frames of %d x %d", got.Frames, got.Luma.W, got.Luma.H)
	}
}

// TestHEIFIsBounded: sizes are judged by the boxes, before any decoder runs; what
// lies, is cut off or takes too long ends in one clear error.
func TestHEIFIsBounded(t *testing.T) {
	testkit.Long(t)
	for name, data := range map[string][]byte{"avif": samples(t)["test8.avif"], "heic": samples(t)["test8.heic"]} {
		lim := decode.Default()
		lim.MaxPixels = 1000
		if _, err := decode.Decode(t.Context(), data, lim); !errors.Is(err, decode.ErrTooLarge) {
			t.Errorf("%s over the limit: %v", name, err)
		}
		at := strings.Index(string(data), "ispe") + 8
		huge := append([]byte{}, data...)
		binary.BigEndian.PutUint32(huge[at:], 60_000)
		binary.BigEndian.PutUint32(huge[at+4:], 60_000)
		if _, err := decode.Decode(t.Context(), huge, decode.Default()); !errors.Is(err, decode.ErrTooLarge) {
			t.Errorf("%s that claims 60000 x 60000: %v", name, err)
		}
		tiny := append([]byte{}, data...)
		binary.BigEndian.PutUint32(tiny[at:], 8)
		binary.BigEndian.PutUint32(tiny[at+4:], 8)
		if img, err := decode.Decode(t.Context(), tiny, decode.Default()); err == nil && img.Luma.W*img.Luma.H > 64 {
			t.Errorf("%s that claims 8 x 8 gives %d x %d", name, img.Luma.W, img.Luma.H)
		}
		if _, err := decode.Decode(t.Context(), data[:len(data)/2], decode.Default()); err == nil {
			t.Errorf("half a %s decodes", name)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if _, err := decode.Decode(ctx, data, decode.Default()); !errors.Is(err, context.Canceled) {
			t.Errorf("%s under a context that ended: %v", name, err)
		}
	}
}

// FuzzHEIF feeds broken AVIF and HEIC files through boxes and sandboxes. Both
// libraries are compiled beforehand, which takes longer than any input may; one that
// keeps its decoder busy ends by its context, which is an error like any other.
func FuzzHEIF(f *testing.F) {
	for name, data := range samples(f) {
		if strings.HasPrefix(name, "test8") {
			if _, err := decode.Decode(f.Context(), data, decode.Default()); err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	lim := decode.Limits{MaxBytes: 1 << 16, MaxPixels: 1 << 18}
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, stop := context.WithTimeout(t.Context(), fuzzBusy)
		defer stop()
		got, err := decode.Decode(ctx, data, lim)
		if err != nil {
			return
		}
		if n := got.Luma.W * got.Luma.H; n < 1 || n > lim.MaxPixels || len(got.Luma.Pix) != n || got.Frames < 1 {
			t.Fatalf("%d x %d pixels, %d frames", got.Luma.W, got.Luma.H, got.Frames)
		}
	})
}
