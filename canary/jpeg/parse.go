package jpeg

import (
	"bytes"
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
		if marker == sos {
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
		case marker == dqt:
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

// Parse reads a file of three components without restart markers, luma not
// subsampled, baseline in one scan or progressive, as Encode and Write make them,
// back into coefficients; the frame's dialect is the file's own. It takes memory in
// proportion to the file's length and refuses everything else with a reason.
func Parse(data []byte) (*Frame, error) {
	p := parser{d: &Dialect{}}
	rest, err := segments(data, p.segment)
	if errors.Is(err, errProgressive) {
		return parseProgressive(data)
	}
	if err != nil {
		return nil, err
	}
	f := &Frame{W: p.w, H: p.h, Dialect: p.d}
	if err := p.scan(f, rest); err != nil {
		return nil, err
	}
	return f, nil
}

var errProgressive = errors.New("jpeg: a progressive file")

type parser struct {
	d     *Dialect
	w, h  int
	frame []byte // body of the frame header
	quant [4]*[64]uint16
	specs [2][2]*spec // by class and number
}

func (p *parser) segment(marker byte, body []byte) (err error) {
	kept := bytes.Clone(body)
	switch marker {
	case dqt:
		err = tables(body, &p.quant)
	case dht:
		err = p.huffman(body)
	case sof0:
		err = p.sof(body, kept)
	case dri:
		if len(body) != 2 || binary.BigEndian.Uint16(body) != 0 {
			err = errors.New("jpeg: restart markers are not supported")
		}
	case sos:
		err = p.sos(body)
	case sof2:
		err = errProgressive
	case 0xc1, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf:
		err = fmt.Errorf("jpeg: frame type %#x is not baseline", marker)
	}
	p.d.add(marker, kept)
	return err
}

// sof reads a frame header and takes the size out of the copy kept.
func (p *parser) sof(body, kept []byte) error {
	if p.frame != nil {
		return errors.New("jpeg: two frames")
	}
	if len(body) != 15 || body[0] != 8 || body[5] != 3 {
		return errors.New("jpeg: want three components of 8 bits")
	}
	across, down := int(body[7]>>4), int(body[7]&15)
	if across < 1 || across > 2 || down < 1 || down > 2 || body[10] != 0x11 || body[13] != 0x11 {
		return errors.New("jpeg: subsampling other than 4:2:0, 4:2:2, 4:4:0 and 4:4:4")
	}
	p.h, p.w = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if p.w == 0 || p.h == 0 || p.w*p.h > maxPixels {
		return fmt.Errorf("jpeg: %d x %d pixels, at most %d are read", p.w, p.h, maxPixels)
	}
	p.d.Across, p.d.Down = across, down
	p.frame = body
	clear(kept[1:5])
	return nil
}

// sos reads a scan header: now every table must be there.
func (p *parser) sos(body []byte) error {
	f := p.frame
	if f == nil || len(body) != 10 || body[0] != 3 || body[1] != f[6] || body[3] != f[9] || body[5] != f[12] || string(body[7:]) != "\x00\x3f\x00" {
		return errors.New("jpeg: not one baseline scan of three components")
	}
	if err := p.quantisers(); err != nil {
		return err
	}
	if body[4] != body[6] {
		return errOwnTables
	}
	for c, both := range [2]byte{body[2], body[4]} {
		for class, id := range [2]byte{both >> 4, both & 15} {
			if id > 1 || p.specs[class][id] == nil {
				return errors.New("jpeg: Huffman table missing")
			}
			p.d.specs[2*c+class] = *p.specs[class][id]
			p.d.ids[2*c+class] = byte(class)<<4 | id
		}
	}
	return nil
}

var errOwnTables = errors.New("jpeg: Cb and Cr have tables of their own")

// quantisers takes the tables that the frame header names into the dialect.
func (p *parser) quantisers() error {
	f := p.frame
	for c, id := range [2]byte{f[8], f[11]} {
		if id > 3 || p.quant[id] == nil {
			return errors.New("jpeg: quantiser table missing")
		}
		if slices.Max(p.quant[id][:]) > 255 {
			return errors.New("jpeg: quantiser of 16 bits in a file of 8 bits a sample")
		}
		p.d.Quant[c] = *p.quant[id]
	}
	if id := f[14]; id > 3 || p.quant[id] == nil || *p.quant[id] != p.d.Quant[1] {
		return errOwnTables
	}
	return nil
}

func (p *parser) huffman(body []byte) error {
	for len(body) > 0 {
		id, s, rest, err := readSpec(body)
		if err != nil {
			return err
		}
		p.specs[id>>4][id&15] = s
		body = rest
	}
	return nil
}

// readSpec reads the first table of a DHT segment, its class and number first.
func readSpec(body []byte) (id byte, s *spec, rest []byte, err error) {
	if len(body) < 17 {
		return 0, nil, nil, errShort
	}
	if id = body[0]; id>>4 > 1 || id&15 > 1 {
		return 0, nil, nil, errors.New("jpeg: bad Huffman table number")
	}
	s = new(spec)
	copy(s.counts[:], body[1:17])
	n := 0
	for _, c := range s.counts {
		n += int(c)
	}
	if n > 256 || len(body) < 17+n {
		return 0, nil, nil, errShort
	}
	s.values = bytes.Clone(body[17 : 17+n])
	return id, s, body[17+n:], nil
}

// scan reads the entropy-coded data.
func (p *parser) scan(f *Frame, data []byte) error {
	if p.frame == nil {
		return errors.New("jpeg: no frame header before the scan")
	}
	var huff [4]*decoder
	for i := range huff {
		var err error
		if huff[i], err = newDecoder(f.specs[i]); err != nil {
			return err
		}
	}
	cols, rows := f.MCUs()
	per := f.Across * f.Down
	// A block takes two codes: a short file must not claim memory for a large picture.
	if len(data)*8 < cols*rows*(per+2)*2 {
		return errShort
	}
	f.alloc()
	r := reader{data: data}
	var d dcs
	for my := range rows {
		for mx := range cols {
			for i := range per {
				if err := r.block(f.Luma.At(f.lumaAt(mx, my, i)), &d[0], huff[lumaDC], huff[lumaAC]); err != nil {
					return err
				}
			}
			for i, g := range []*Grid{&f.Cb, &f.Cr} {
				if err := r.block(g.At(mx, my), &d[i+1], huff[chromaDC], huff[chromaAC]); err != nil {
					return err
				}
			}
		}
	}
	return r.end()
}
