package canary_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/draw"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func testName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

// byTurns is the median duration of each f in seconds, over 15 rounds in which
// they take turns, each as often as fits into two milliseconds, once at least.
func byTurns(fs ...func()) []float64 {
	rounds := make([][]float64, len(fs))
	for range 15 {
		for i, f := range fs {
			began, n := time.Now(), 0
			for n == 0 || time.Since(began) < 2*time.Millisecond {
				f()
				n++
			}
			rounds[i] = append(rounds[i], time.Since(began).Seconds()/float64(n))
		}
	}
	out := make([]float64, len(fs))
	for i, r := range rounds {
		slices.Sort(r)
		out[i] = r[len(r)/2]
	}
	return out
}

// withChecksum appends the checksum of format BRP2.
func withChecksum(body []byte) []byte {
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	return binary.LittleEndian.AppendUint32(bytes.Clone(body), sum)
}

// ppm is img, times times one below the other, as a PPM file.
func ppm(img image.Image, times int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(m, m.Rect, img, img.Bounds().Min, draw.Src)
	out := fmt.Appendf(nil, "P6 %d %d 255\n", m.Rect.Dx(), times*m.Rect.Dy())
	for range times {
		for i := 0; i < len(m.Pix); i += 4 {
			out = append(out, m.Pix[i:i+3]...)
		}
	}
	return out
}
