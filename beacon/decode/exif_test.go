package decode

import "testing"

func FuzzOrientation(f *testing.F) {
	f.Add([]byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"))
	f.Add([]byte("II*\x00\xff\xff\xff\xff"))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II*\x00\x08\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range []orientation{exifOrientation(data), jpegOrientation(data), pngOrientation(data), tiffOrientation(data)} {
			if o < 1 || o > 8 {
				t.Fatalf("orientation %d", o)
			}
		}
		jpegProgressive(data)
		gifFrames(data)
		if len(data) >= 12 {
			if s, err := firstFrame(data); err == nil && (s.frames < 1 || len(s.file) > len(data)+64) {
				t.Fatalf("%d frames, %d bytes out of %d", s.frames, len(s.file), len(data))
			}
		}
	})
}

func TestPlaceIsABijection(t *testing.T) {
	const w, h = 3, 2
	for o := orientation(1); o <= 8; o++ {
		tw, th := o.size(w, h)
		seen := map[int]bool{}
		for y := range h {
			for x := range w {
				tx, ty := o.place(x, y, w, h)
				if tx < 0 || ty < 0 || tx >= tw || ty >= th {
					t.Fatalf("orientation %d puts %d,%d outside", o, x, y)
				}
				seen[ty*tw+tx] = true
			}
		}
		if len(seen) != w*h {
			t.Errorf("orientation %d loses pixels", o)
		}
	}
}
