package canary_test

import (
	"bytes"
	"image"
	"testing"

	"birdring/canary"
	"birdring/canary/jpeg"
	"birdring/canary/mark"
	"birdring/canary/ring"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

// In every dialect a photo takes the mark, holds it in a thumbnail (Prepare
// reads one), and its renditions have the dialect's own header and are ordinary files.
func TestDialectsCarryTheMark(t *testing.T) {
	cjpeg := testkit.Tool(t, "cjpeg")
	img := paint.Scene(11, 424, 403) // odd: MCUs are cut at both edges
	for name, args := range map[string][]string{
		"4:2:2":              {"-quality", "88", "-sample", "2x1"},
		"4:4:4":              {"-quality", "90", "-sample", "1x1"},
		"coarse":             {"-quality", "70"},
		"optimised":          {"-quality", "90", "-optimize"},
		"progressive":        {"-quality", "85", "-progressive"},
		"progressive, 4:4:4": {"-quality", "75", "-progressive", "-sample", "1x1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs := pipe(t, ppm(paint.Scene(12, 300, 200), 1), cjpeg, args...)
			d, _, err := jpeg.Learn([]jpeg.Sample{{Name: name, Data: theirs}})
			if err != nil {
				t.Fatal(err)
			}
			p, rep, err := canary.Prepare(img, canary.PrepareOptions{ID: "p", Code: ring.D, Key: testKey, Dialect: d})
			if err != nil {
				t.Fatalf("%v (%+v)", err, rep)
			}
			t.Logf("%v: %d segments, %+v", d, p.Segments(), *rep)
			if rep.PSNR < 50 || rep.SSIM < 0.996 || rep.Bare*100 > p.Segments() {
				t.Errorf("%+v", *rep)
			}
			if p, err = canary.UnmarshalPicture(marshal(t, p)); err != nil {
				t.Fatal(err)
			}
			checkDialect(t, p, d, img, rep)
		})
	}
}

func checkDialect(t *testing.T, p *canary.Picture, d *jpeg.Dialect, img image.Image, rep *canary.Report) {
	t.Helper()
	r, err := canary.NewRenderer(p, testKey)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := canary.PreparePlain(img, d)
	if err != nil {
		t.Fatal(err)
	}
	data := r.Append(nil, canary.FirstViewer)
	if len(data) != p.Size() {
		t.Fatalf("%d bytes, want %d", len(data), p.Size())
	}
	if got := mark.PSNR(lumaOf(t, plain), lumaOf(t, data)); got < 50 || got < rep.PSNR-0.1 {
		t.Errorf("PSNR %.2f dB, the report says at least %.2f", got, rep.PSNR)
	}
	scan := bytes.Index(plain, []byte{0xff, 0xda})
	if !d.Optimal && !bytes.Equal(plain[:scan], data[:scan]) {
		t.Error("the header differs from an unringed file's")
	}
	word := make([]uint64, r.Book().Words())
	r.Book().Codeword(word, uint64(canary.FirstViewer))
	checkSegments(t, p, r, data, word)
	checkForeign(t, data)
	if !d.Optimal {
		checkSame(t, data)
	} else {
		style := "-optimize"
		if d.Progressive() {
			style = "-progressive"
		}
		best := pipe(t, data, testkit.Tool(t, "jpegtran"), style, "-copy", "all")
		// The best tables are all that tells libjpeg's file of these coefficients.
		f, err := jpeg.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if f.Dialect = d; !bytes.Equal(f.Encode(), best) {
			t.Error("libjpeg's file of these coefficients is another one")
		}
		over := 100 * (float64(len(data))/float64(len(best)) - 1)
		t.Logf("%.3f %% over the best tables for this copy", over)
		if over > 1 {
			t.Errorf("%.2f %% over the best tables for this copy", over)
		}
	}
}
