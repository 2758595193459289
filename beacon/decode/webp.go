package decode

import (
	"encoding/binary"
	"fmt"
	"image"

	"birdring/beacon/decode/vp8"
	"birdring/canary/mark"
)

// still is a WebP file reduced to one picture.
type still struct {
	file        []byte // a WebP file with nothing but the (first) picture
	frames      int
	orientation orientation
}

// chunk is one RIFF chunk.
type chunk struct {
	kind string
	body []byte
}

// chunks splits RIFF chunks; a cut-off last one is kept as far as it goes.
func chunks(data []byte) (out []chunk) {
	for len(data) >= 8 {
		size := uint64(binary.LittleEndian.Uint32(data[4:]))
		body := data[8:]
		body = body[:min(size, uint64(len(body)))]
		out = append(out, chunk{string(data[:4]), body})
		next := 8 + size + size&1
		if next >= uint64(len(data)) {
			break
		}
		data = data[next:]
	}
	return out
}

// firstFrame finds the picture of a WebP file, or of its first frame: the
// decoder we use knows stills only.
func firstFrame(data []byte) (still, error) {
	out := still{orientation: upright}
	var alpha, picture *chunk
	look := func(list []chunk) {
		for i := range list {
			switch c := &list[i]; {
			case c.kind == "ALPH" && picture == nil:
				alpha = c
			case (c.kind == "VP8 " || c.kind == "VP8L") && picture == nil:
				picture = c
			}
		}
	}
	top := chunks(data[12:])
	look(top)
	for _, c := range top {
		switch {
		case c.kind == "ANMF":
			out.frames++
			if picture == nil && len(c.body) > 16 {
				look(chunks(c.body[16:]))
			}
		case c.kind == "EXIF":
			body := c.body
			if len(body) >= 6 && string(body[:6]) == "Exif\x00\x00" { // some writers keep JPEG's prefix
				body = body[6:]
			}
			out.orientation = exifOrientation(body)
		}
	}
	out.frames = max(out.frames, 1)
	if picture == nil {
		return out, fmt.Errorf("webp %w", ErrTruncated)
	}
	var body []byte
	if alpha != nil && picture.kind == "VP8 " && len(picture.body) >= 10 {
		// Width and height stand in the picture's header, 14 bits each.
		w := binary.LittleEndian.Uint16(picture.body[6:]) & 0x3fff
		h := binary.LittleEndian.Uint16(picture.body[8:]) & 0x3fff
		head := make([]byte, 10)
		head[0] = 1 << 4 // alpha
		w, h = w-1, h-1
		head[4], head[5], head[7], head[8] = byte(w), byte(w>>8), byte(h), byte(h>>8)
		body = appendChunk(body, "VP8X", head)
		body = appendChunk(body, "ALPH", alpha.body)
	}
	body = appendChunk(body, picture.kind, picture.body)
	out.file = append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(len(body)+4))...)
	out.file = append(append(out.file, "WEBP"...), body...)
	return out, nil
}

func appendChunk(out []byte, kind string, body []byte) []byte {
	out = append(out, kind...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(body)))
	out = append(out, body...)
	if len(body)&1 == 1 {
		out = append(out, 0)
	}
	return out
}

// rounded takes luma and bounds out of the picture of a lossy WebP file, size w x
// h, as the encoder rounded it: before the loop filter. It returns nil when the
// file holds anything else.
func rounded(file []byte, w, h int) (mark.Plane, *mark.Rounded) {
	for _, c := range chunks(file[12:]) {
		if c.kind == "ALPH" {
			break
		}
		if c.kind != "VP8 " {
			continue
		}
		l, err := vp8.Read(c.body)
		if err != nil || l.W != w || l.H != h {
			break
		}
		p := mark.Plane{W: w, H: h, Pix: make([]float32, 0, w*h)}
		for y := range h {
			for _, v := range l.Pix[y*l.Stride : y*l.Stride+w] {
				p.Pix = append(p.Pix, min(max((float32(v)-16)*(255.0/219), 0), 255))
			}
		}
		for i := range l.Low {
			l.Low[i] *= 255.0 / 219
			l.High[i] *= 255.0 / 219
		}
		return p, &mark.Rounded{Across: l.Stride / 4, Low: l.Low, High: l.High}
	}
	return mark.Plane{}, nil
}

// fullRange widens the samples of a lossy WebP: VP8 keeps luma in 16..235 and
// chroma in 16..240, while Go's YCbCr means JPEG's 0..255. The luma plane is
// returned unrounded if wanted. Other pictures come back as they are, without a plane.
func fullRange(img image.Image, wanted bool) (image.Image, mark.Plane) {
	var m *image.YCbCr
	switch v := img.(type) {
	case *image.YCbCr:
		m = v
	case *image.NYCbCrA:
		m = &v.YCbCr
	default:
		return img, mark.Plane{}
	}
	b := img.Bounds()
	var plane mark.Plane
	if wanted {
		plane = mark.Plane{W: b.Dx(), H: b.Dy(), Pix: make([]float32, b.Dx()*b.Dy())}
	}
	for y := range plane.H {
		row := m.Y[m.YOffset(b.Min.X, b.Min.Y+y):]
		for x := range plane.W {
			v := (float32(row[x]) - 16) * (255.0 / 219)
			plane.Pix[y*plane.W+x] = min(max(v, 0), 255)
		}
	}
	widen(m.Y, 16, 0, 255.0/219)
	widen(m.Cb, 128, 128, 255.0/224)
	widen(m.Cr, 128, 128, 255.0/224)
	if _, transparent := img.(*image.NYCbCrA); transparent && !img.(*image.NYCbCrA).Opaque() {
		return img, mark.Plane{} // the luma is that of the picture laid on white
	}
	if a, ok := img.(*image.NYCbCrA); ok {
		return &a.YCbCr, plane
	}
	return img, plane
}

// widen maps every sample v to (v - from) * gain + to.
func widen(samples []byte, from, to, gain float32) {
	var table [256]byte
	for i := range table {
		v := (float32(i)-from)*gain + to
		table[i] = byte(min(max(v, 0), 255) + 0.5)
		if v >= 255 {
			table[i] = 255
		}
	}
	for i, v := range samples {
		samples[i] = table[v]
	}
}

// gifFrames counts the frames of a GIF file without decoding them, as far as
// the file goes.
func gifFrames(data []byte) int {
	n := 0
	if len(data) < 13 {
		return 1
	}
	at := 13 + gifTable(data[10])
	for at < len(data) {
		switch data[at] {
		case 0x21: // extension: label, then blocks
			at = gifBlocks(data, at+2)
		case 0x2c: // frame: head, colours, code size, blocks
			if at+10 > len(data) {
				return max(n, 1)
			}
			n++
			at = gifBlocks(data, at+10+gifTable(data[at+9])+1)
		default:
			return max(n, 1)
		}
	}
	return max(n, 1)
}

// gifTable is the size of the colour table that a flags byte announces.
func gifTable(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// gifBlocks skips data blocks up to their end mark.
func gifBlocks(data []byte, at int) int {
	for at < len(data) && data[at] != 0 {
		at += int(data[at]) + 1
	}
	return at + 1
}
