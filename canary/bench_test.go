package canary_test

import (
	"bytes"
	"image"
	"os"
	"testing"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/pace"
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

// BenchmarkAppend makes renditions for one viewer after another, and reports what
// package pace measures against a plain copy and libjpeg-turbo's encoder.
func BenchmarkAppend(b *testing.B) {
	turbo, err := pace.NewTurbo(b.Context())
	if err != nil {
		b.Log(err)
	} else {
		defer turbo.Close()
	}
	for _, path := range testkit.Photos(b)[:3] {
		img := loadPhoto(b, path)
		p, _, r := prepare(b, img)
		b.Run(testName(path), func(b *testing.B) {
			dst, v := make([]byte, 0, p.Size()), canary.FirstViewer
			b.SetBytes(int64(p.Size()))
			b.ReportAllocs()
			for b.Loop() {
				dst = r.Append(dst[:0], v)
				v++
			}
			row, err := pace.Measure(b.Context(), path, img, turbo)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(row.Hot, "x-memcpy-hot")
			b.ReportMetric(row.Cold, "x-memcpy-cold")
			b.ReportMetric(row.Ring, "of-it-ring")
			b.ReportMetric(row.Turbo, "x-faster-than-libjpeg-turbo")
		})
	}
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
