package decode

import (
	"encoding/binary"
	"image"

	"golang.org/x/image/draw"

	"birdring/canary/mark"
)

// orientation is how a stored picture must be turned to stand upright, as in
// tag 274 of EXIF and TIFF, 1..8.
type orientation uint8

const upright orientation = 1

// exifOrientation reads the orientation out of a TIFF structure, as EXIF holds
// one; whatever is wrong with it means upright. Only the first directory is
// looked at, and nothing outside data is ever touched.
func exifOrientation(data []byte) orientation {
	if len(data) < 8 {
		return upright
	}
	var order binary.ByteOrder
	switch string(data[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := uint64(order.Uint32(data[4:]))
	if at+2 > uint64(len(data)) {
		return upright
	}
	entries := data[at+2:]
	for n := int(order.Uint16(data[at:])); n > 0 && len(entries) >= 12; n, entries = n-1, entries[12:] {
		const tagOrientation, typeShort = 274, 3
		if order.Uint16(entries) != tagOrientation {
			continue
		}
		v := order.Uint16(entries[8:])
		if order.Uint16(entries[2:]) != typeShort || order.Uint32(entries[4:]) != 1 || v < 1 || v > 8 {
			return upright
		}
		return orientation(v)
	}
	return upright
}

// tiffOrientation is the orientation of a TIFF file, which is such a structure.
func tiffOrientation(data []byte) orientation { return exifOrientation(data) }

// jpegSegments visits the marker segments before the first scan, until visit
// returns false.
func jpegSegments(data []byte, visit func(marker byte, body []byte) bool) {
	for at := 2; at+4 <= len(data); {
		if data[at] != 0xff {
			return
		}
		marker := data[at+1]
		switch {
		case marker == 0xff: // fill byte
			at++
			continue
		case marker == 0x01 || marker >= 0xd0 && marker <= 0xd8: // without a body
			at += 2
			continue
		case marker == 0xd9 || marker == 0xda: // end, scan
			return
		}
		size := int(binary.BigEndian.Uint16(data[at+2:]))
		if size < 2 || at+2+size > len(data) {
			return
		}
		if !visit(marker, data[at+4:at+2+size]) {
			return
		}
		at += 2 + size
	}
}

// jpegOrientation looks for the EXIF segment of a JPEG file.
func jpegOrientation(data []byte) orientation {
	out := upright
	jpegSegments(data, func(marker byte, body []byte) bool {
		const head = "Exif\x00\x00"
		if marker != 0xe1 || len(body) < len(head) || string(body[:len(head)]) != head {
			return true
		}
		out = exifOrientation(body[len(head):])
		return false
	})
	return out
}

// jpegProgressive says whether decoding needs all coefficients in memory.
func jpegProgressive(data []byte) bool {
	found := false
	jpegSegments(data, func(marker byte, _ []byte) bool {
		found = found || marker == 0xc2
		return !found
	})
	return found
}

// pngOrientation looks for the eXIf chunk of a PNG file before its pixels.
func pngOrientation(data []byte) orientation {
	for at := 8; at+12 <= len(data); {
		size := int(binary.BigEndian.Uint32(data[at:]))
		kind := string(data[at+4 : at+8])
		if size < 0 || size > len(data)-at-12 || kind == "IEND" {
			break
		}
		if kind == "eXIf" {
			return exifOrientation(data[at+8 : at+8+size])
		}
		at += 12 + size
	}
	return upright
}

// place says where the pixel x,y of a w x h picture goes when it is turned.
func (o orientation) place(x, y, w, h int) (int, int) {
	switch o {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return h - 1 - y, x
	case 7:
		return h - 1 - y, w - 1 - x
	case 8:
		return y, w - 1 - x
	}
	return x, y
}

// size is the size of a turned w x h picture.
func (o orientation) size(w, h int) (int, int) {
	if o >= 5 {
		return h, w
	}
	return w, h
}

// turn turns a picture upright.
func (o orientation) turn(img image.Image) image.Image {
	if o <= upright || o > 8 {
		return img
	}
	b := img.Bounds()
	src, ok := img.(*image.RGBA)
	if !ok {
		src = image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		draw.Draw(src, src.Bounds(), img, b.Min, draw.Src)
	}
	w, h := b.Dx(), b.Dy()
	tw, th := o.size(w, h)
	out := image.NewRGBA(image.Rect(0, 0, tw, th))
	for y := range h {
		for x := range w {
			tx, ty := o.place(x, y, w, h)
			copy(out.Pix[out.PixOffset(tx, ty):][:4], src.Pix[src.PixOffset(x, y):][:4])
		}
	}
	return out
}

// turnPlane turns a plane upright.
func (o orientation) turnPlane(p mark.Plane) mark.Plane {
	if o <= upright || o > 8 {
		return p
	}
	tw, th := o.size(p.W, p.H)
	out := mark.Plane{W: tw, H: th, Pix: make([]float32, len(p.Pix))}
	for y := range p.H {
		for x := range p.W {
			tx, ty := o.place(x, y, p.W, p.H)
			out.Pix[ty*tw+tx] = p.Pix[y*p.W+x]
		}
	}
	return out
}
