package canary_test

import (
	"bytes"
	"image"
	stdjpeg "image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"birdring/canary"
	"birdring/canary/ring"
)

func TestDev(t *testing.T) {
	files, _ := filepath.Glob("../../shared/photos/*.jpg")
	for _, f := range files {
		data, _ := os.ReadFile(f)
		img, _, err := image.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		key := make([]byte, 32)
		began := time.Now()
		p, rep, err := canary.Prepare(img, canary.PrepareOptions{ID: "x", Code: ring.D, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		r, err := canary.NewRenderer(p, key)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			out := r.Append(nil, canary.Viewer(rand.Uint32()>>8))
			if len(out) != p.Size() {
				t.Fatal("size")
			}
			if _, err := stdjpeg.Decode(bytes.NewReader(out)); err != nil {
				t.Fatal(err)
			}
			os.WriteFile("/tmp/br/x.jpg", out, 0o600)
			back, err := exec.Command("jpegtran", "-copy", "all", "/tmp/br/x.jpg").Output()
			if err != nil || !bytes.Equal(back, out) {
				t.Errorf("jpegtran differs %v %d %d", err, len(back), len(out))
			}
		}
		t.Logf("%s m=%d psnr %.2f ssim %.4f gain %.2f bytes %d plain %d (%.2f%%) bare %d  %v self %.0f run %d", filepath.Base(f), p.Segments(), rep.PSNR, rep.SSIM, rep.Gain, rep.Bytes, rep.PlainBytes, 100*float64(rep.Bytes-rep.PlainBytes)/float64(rep.PlainBytes), rep.Bare, took, rep.SelfBits, p.Run)
	}
}
