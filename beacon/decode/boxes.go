package decode

import (
	"encoding/binary"
	"fmt"
)

// AVIF and HEIC files are boxes (ISO 14496-12): a length, a name, a body, some
// bodies boxes again. Before a decoder sees such a file its boxes say how large
// the picture, its tiles and its frames are.

// heif is what the boxes of an AVIF or HEIC file say.
type heif struct {
	w, h   int // of the largest picture in the file
	frames int // of an animation, at least 1
}

// brands tells AVIF from HEIC by the brands of a file's first box; "" is neither.
func brands(data []byte) string {
	if len(data) < 16 || string(data[4:8]) != "ftyp" {
		return ""
	}
	end := min(uint64(binary.BigEndian.Uint32(data)), uint64(len(data)), 512)
	for at := uint64(8); at+4 <= end; at += 4 {
		switch string(data[at : at+4]) {
		case "avif", "avis":
			return "avif"
		case "heic", "heix", "heim", "heis", "hevc", "hevx":
			return "heic"
		}
	}
	return ""
}

const (
	mostBoxes = 4096 // in one file; real ones hold some dozens
	mostDepth = 8
)

// container lists the boxes that hold boxes on the way to a size, with the
// bytes that stand before the first.
var container = map[string]int{
	"meta": 4, "iprp": 0, "ipco": 0, "moov": 0, "trak": 0, "mdia": 0, "minf": 0, "stbl": 0, "stsd": 8,
}

// readHEIF walks the boxes; it fails on a file that names no size.
func readHEIF(data []byte) (heif, error) {
	out := heif{frames: 1}
	left := mostBoxes
	if err := out.walk(data, 0, &left); err != nil {
		return out, err
	}
	if out.w < 1 || out.h < 1 {
		return out, fmt.Errorf("%w: it states no size", ErrDamaged)
	}
	return out, nil
}

func (f *heif) walk(data []byte, depth int, left *int) error {
	for len(data) >= 8 {
		if *left--; *left < 0 || depth > mostDepth {
			return fmt.Errorf("%w: too many boxes", ErrDamaged)
		}
		size, head := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		switch {
		case size == 1 && len(data) >= 16:
			size, head = binary.BigEndian.Uint64(data[8:]), 16
		case size == 0:
			size = uint64(len(data))
		}
		if size < head {
			return fmt.Errorf("%w: a box shorter than its head", ErrDamaged)
		}
		name := string(data[4:8])
		body := data[min(head, uint64(len(data))):min(size, uint64(len(data)))]
		if before, ok := container[name]; ok && len(body) >= before {
			if err := f.walk(body[before:], depth+1, left); err != nil {
				return err
			}
		} else {
			f.leaf(name, body)
		}
		if size >= uint64(len(data)) {
			break
		}
		data = data[size:]
	}
	return nil
}

// leaf takes up sizes: of a picture or tile (ispe), of a grid's canvas, of a
// track's frames (av01, hvc1, hev1) and how many of them there are (stsz).
func (f *heif) leaf(name string, body []byte) {
	be := binary.BigEndian
	switch {
	case name == "ispe" && len(body) >= 12:
		f.grow(uint64(be.Uint32(body[4:])), uint64(be.Uint32(body[8:])))
	case (name == "av01" || name == "hvc1" || name == "hev1") && len(body) >= 28:
		f.grow(uint64(be.Uint16(body[24:])), uint64(be.Uint16(body[26:])))
	case name == "stsz" && len(body) >= 12:
		f.frames = max(f.frames, int(min(be.Uint32(body[8:]), 1<<20)))
	}
}

// grow keeps the larger area; sides are cut off where any limit refuses them.
func (f *heif) grow(w, h uint64) {
	w, h = min(w, 1<<30), min(h, 1<<30)
	if w*h > uint64(f.w)*uint64(f.h) {
		f.w, f.h = int(w), int(h)
	}
}
