package canary_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/draw"
	"path/filepath"
	"strings"
)

func testName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
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
