package canary_test

import (
	"bytes"
	"image"
	stdjpeg "image/jpeg"
	"os"
	"os/exec"
	"testing"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/testkit"
)

func loadPhoto(t testing.TB, path string) image.Image {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

var testKey = bytes.Repeat([]byte{7}, 32)

func prepare(t testing.TB, img image.Image) (*canary.Picture, *canary.Report, *canary.Renderer) {
	t.Helper()
	p, rep, err := canary.Prepare(img, canary.PrepareOptions{ID: "p", Num: 5, Code: ring.D, Epoch: 1, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	r, err := canary.NewRenderer(p, testKey)
	if err != nil {
		t.Fatal(err)
	}
	return p, rep, r
}

// BenchmarkAppend makes renditions for one viewer after another. It reports how
// many times a plain copy of the same bytes that takes, and how many times
// longer the encoders of Go and libjpeg-turbo take; the three rounds by turns, so
// that the machine's load falls on all of them.
func BenchmarkAppend(b *testing.B) {
	for _, path := range testkit.Photos(b)[:3] {
		img := loadPhoto(b, path)
		p, _, r := prepare(b, img)
		dst, src := make([]byte, 0, p.Size()), r.Append(nil, canary.Neutral)
		b.Run(testName(path), func(b *testing.B) {
			v := canary.FirstViewer
			b.SetBytes(int64(p.Size()))
			b.ReportAllocs()
			for b.Loop() {
				dst = r.Append(dst[:0], v)
				v++
			}
			var buf bytes.Buffer
			took := byTurns(
				func() { dst = r.Append(dst[:0], v); v++ },
				func() { copy(dst, src) },
				func() {
					buf.Reset()
					if err := stdjpeg.Encode(&buf, img, &stdjpeg.Options{Quality: 90}); err != nil {
						b.Fatal(err)
					}
				})
			b.ReportMetric(float64(p.Size())/float64(p.Segments()), "bytes/segment")
			b.ReportMetric(took[0]/took[1], "x-memcpy")
			b.ReportMetric(took[2]/took[0], "x-faster-than-image/jpeg")
			if libjpeg := cjpegSeconds(b, img); libjpeg > 0 {
				b.ReportMetric(libjpeg/took[0], "x-faster-than-cjpeg")
			}
		})
	}
}

// cjpegSeconds is what cjpeg takes for the photo, reading its pixels included,
// starting the program not: user time of ten photos less that of one. 0 without cjpeg.
func cjpegSeconds(b *testing.B, img image.Image) float64 {
	cjpeg, err := exec.LookPath("cjpeg")
	if err != nil {
		return 0
	}
	user := func(times int) float64 {
		data := ppm(img, times)
		var least float64
		for i := range 5 {
			cmd := exec.CommandContext(b.Context(), cjpeg, "-quality", "90")
			cmd.Stdin = bytes.NewReader(data)
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
			if s := cmd.ProcessState.UserTime().Seconds(); i == 0 || s < least {
				least = s
			}
		}
		return least
	}
	return (user(10) - user(1)) / 9
}

// BenchmarkPrepare prepares a photo of 1080 px.
func BenchmarkPrepare(b *testing.B) {
	img := loadPhoto(b, testkit.Photos(b)[1])
	for b.Loop() {
		prepare(b, img)
	}
}

// BenchmarkReference decodes both variants for the reader.
func BenchmarkReference(b *testing.B) {
	p, _, _ := prepare(b, loadPhoto(b, testkit.Photos(b)[1]))
	for b.Loop() {
		if _, err := p.Reference(); err != nil {
			b.Fatal(err)
		}
	}
}
