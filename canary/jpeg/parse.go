package jpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// maxPixels bounds what Parse reads into memory.
const maxPixels = 64 << 20

var errShort = errors.New("jpeg: file ends in the middle")

// segments walks over the segments of a file up to the first scan: visit gets each
// segment's marker and body, and stops the walk by an error.
func segments(data []byte, visit func(marker byte, body []byte) error) (rest []byte, err error) {
	if len(data) < 2 || data[0] != 0xff || data[1] != 0xd8 {
		return nil, errors.New("jpeg: not a JPEG file")
	}
	data = data[2:]
	for {
		if len(data) < 4 {
			return nil, errShort
		}
		if data[0] != 0xff {
			return nil, errors.New("jpeg: marker expected")
		}
		if data[1] == 0xff { // fill byte
			data = data[1:]
			continue
		}
		marker, n := data[1], int(binary.BigEndian.Uint16(data[2:]))
		if n < 2 || len(data) < 2+n {
			return nil, errShort
		}
		if err := visit(marker, data[4:2+n]); err != nil {
			return nil, err
		}
		data = data[2+n:]
		if marker == 0xda {
			return data, nil
		}
	}
}

// tables reads a DQT segment into the four tables, zigzag order.
func tables(body []byte, q *[4]*[64]uint16) error {
	for len(body) > 0 {
		wide, id := body[0]>>4, body[0]&15
		body = body[1:]
		if wide > 1 || id > 3 || len(body) < 64*int(1+wide) {
			return errors.New("jpeg: bad quantiser table")
		}
		t := new([64]uint16)
		for z := range t {
			if wide == 1 {
				t[z] = binary.BigEndian.Uint16(body[2*z:])
			} else {
				t[z] = uint16(body[z])
			}
			if t[z] == 0 {
				return errors.New("jpeg: zero in a quantiser table")
			}
		}
		q[id] = t
		body = body[64*int(1+wide):]
	}
	return nil
}

// Tables returns the quantiser table of a file's first component (luma) in
// natural order. It reads headers only, of baseline and progressive files alike.
func Tables(data []byte) (*[64]uint16, error) {
	var q [4]*[64]uint16
	first := -1
	_, err := segments(data, func(marker byte, body []byte) error {
		switch {
		case marker == 0xdb:
			return tables(body, &q)
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			if len(body) < 9 {
				return errShort
			}
			first = int(body[8])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if first < 0 || first > 3 || q[first] == nil {
		return nil, errors.New("jpeg: no quantiser table for the first component")
	}
	var natural [64]uint16
	for z, n := range zigzag {
		natural[n] = q[first][z]
	}
	return &natural, nil
}

// Parse reads a baseline 4:2:0 file of one scan without restart markers, as Encode
// and Write make them, back into coefficients. It takes memory in proportion to
// the file's length and refuses everything else with a reason.
func Parse(data []byte) (*Frame, error) {
	p := parser{}
	rest, err := segments(data, p.segment)
	if err != nil {
		return nil, err
	}
	if p.f == nil {
		return nil, errors.New("jpeg: no frame header before the scan")
	}
	if err := p.scan(rest); err != nil {
		return nil, err
	}
	return p.f, nil
}

type parser struct {
	f     *Frame
	quant [4]*[64]uint16
	huff  [4]*decoder // lumaDC, lumaAC, chromaDC, chromaAC
}

func (p *parser) segment(marker byte, body []byte) error {
	switch marker {
	case 0xdb:
		return tables(body, &p.quant)
	case 0xc4:
		return p.huffman(body)
	case 0xc0:
		return p.frame(body)
	case 0xdd:
		if len(body) != 2 || binary.BigEndian.Uint16(body) != 0 {
			return errors.New("jpeg: restart markers are not supported")
		}
	case 0xda:
		if p.f == nil || len(body) != 10 || string(body) != "\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00" {
			return errors.New("jpeg: not one baseline scan of three components")
		}
	case 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf:
		return fmt.Errorf("jpeg: frame type %#x is not baseline", marker)
	}
	return nil
}

func (p *parser) frame(body []byte) error {
	if len(body) != 15 || body[0] != 8 || body[5] != 3 {
		return errors.New("jpeg: want three components of 8 bits")
	}
	if body[7] != 0x22 || body[10] != 0x11 || body[13] != 0x11 || body[8] > 3 || body[11] > 3 || body[11] != body[14] {
		return errors.New("jpeg: not 4:2:0")
	}
	h, w := int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if w == 0 || h == 0 || w*h > maxPixels {
		return fmt.Errorf("jpeg: %d x %d pixels, at most %d are read", w, h, maxPixels)
	}
	if p.f != nil || p.quant[body[8]] == nil || p.quant[body[11]] == nil {
		return errors.New("jpeg: quantiser tables missing or two frames")
	}
	for _, id := range [2]byte{body[8], body[11]} {
		if slices.Max(p.quant[id][:]) > 255 {
			return errors.New("jpeg: quantiser of 16 bits in a baseline file")
		}
	}
	p.f = &Frame{W: w, H: h, Quant: [2][64]uint16{*p.quant[body[8]], *p.quant[body[11]]}}
	return nil
}

func (p *parser) huffman(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return errShort
		}
		class, id := body[0]>>4, body[0]&15
		if class > 1 || id > 1 {
			return errors.New("jpeg: bad Huffman table number")
		}
		var s spec
		copy(s.counts[:], body[1:17])
		n := 0
		for _, c := range s.counts {
			n += int(c)
		}
		if n > 256 || len(body) < 17+n {
			return errShort
		}
		s.values = body[17 : 17+n]
		d, err := newDecoder(s)
		if err != nil {
			return err
		}
		p.huff[2*id+class] = d
		body = body[17+n:]
	}
	return nil
}

// scan reads the entropy-coded data.
func (p *parser) scan(data []byte) error {
	for _, h := range p.huff {
		if h == nil {
			return errors.New("jpeg: Huffman table missing")
		}
	}
	f := p.f
	cols, rows := f.MCUs()
	// An MCU takes two codes for each of its six blocks: a short file must not
	// claim memory for a large picture.
	if len(data)*8 < cols*rows*12 {
		return errShort
	}
	f.alloc()
	r := reader{data: data}
	var d dcs
	for my := range rows {
		for mx := range cols {
			for i := range 4 {
				if err := r.block(f.Luma.At(2*mx+i&1, 2*my+i>>1), &d[0], p.huff[lumaDC], p.huff[lumaAC]); err != nil {
					return err
				}
			}
			for i, g := range []*Grid{&f.Cb, &f.Cr} {
				if err := r.block(g.At(mx, my), &d[i+1], p.huff[chromaDC], p.huff[chromaAC]); err != nil {
					return err
				}
			}
		}
	}
	return r.end()
}
