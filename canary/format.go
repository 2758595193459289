package canary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"birdring/canary/jpeg"
	"birdring/canary/ring"
)

// Format BRP2 of a prepared picture, integers little-endian:
//
//	"BRP2", layout u8, code u8, epoch u8, run u8, num u32, width u16, height u16,
//	segments u32, bytes of a rendition u32, MCU width and height in luma pixels u8 u8,
//	length of the id u8, the id,
//	uvarint length of the header, uvarint length of every segment,
//	a rendition of zeros only, the segments of one of ones only,
//	CRC-32C of all that u32
//
// BRP1 is the same without the MCU's size, which is 16 x 16. BRP3, of progressive
// files, has behind the id the number of passes u8 and the passes (jpeg.Owners) u8
// each, and pieces in the place of segments, which may be empty.
const (
	formatMagic = "BRP2"
	formatOne   = "BRP1"
	formatThree = "BRP3"
	formatFixed = len(formatMagic) + 4 + 4 + 2 + 2 + 4 + 4 + 2 + 1
)

// maxID is the most bytes a picture's id may have.
const maxID = 40

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// MarshalBinary returns the picture in format BRP2, or BRP3 if it is progressive. No
// key is in it.
func (p *Picture) MarshalBinary() ([]byte, error) {
	if len(p.ID) > maxID {
		return nil, fmt.Errorf("picture id of %d bytes: at most %d", len(p.ID), maxID)
	}
	if p.Segments() < 1 {
		return nil, errors.New("picture without segments: use Prepare")
	}
	first, last := p.starts[0], p.starts[len(p.starts)-1]
	out := make([]byte, 0, formatFixed+len(p.ID)+2*len(p.starts)+2*p.Size()+8)
	if p.passes != nil {
		out = append(out, formatThree...)
	} else {
		out = append(out, formatMagic...)
	}
	out = append(out, ring.Layout, byte(p.Code), p.Epoch, byte(p.Run))
	out = binary.LittleEndian.AppendUint32(out, p.Num)
	out = binary.LittleEndian.AppendUint16(out, uint16(p.W))
	out = binary.LittleEndian.AppendUint16(out, uint16(p.H))
	out = binary.LittleEndian.AppendUint32(out, uint32(p.Segments()))
	out = binary.LittleEndian.AppendUint32(out, uint32(p.Size()))
	out = append(out, byte(p.MCU[0]), byte(p.MCU[1]), byte(len(p.ID)))
	out = append(out, p.ID...)
	if p.passes != nil {
		out = append(append(out, byte(len(p.passes))), p.passes...)
	}
	before := uint32(0)
	for _, at := range p.starts {
		out = binary.AppendUvarint(out, uint64(at-before))
		before = at
	}
	out = append(out, p.variant(0)...)
	out = append(out, p.variant(1)[first:last]...)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli)), nil
}

// UnmarshalPicture reads formats BRP3, BRP2 and BRP1. The result shares no memory with data.
func UnmarshalPicture(data []byte) (*Picture, error) {
	fixed := formatFixed
	switch {
	case len(data) < len(formatMagic) || string(data[:3]) != formatMagic[:3]:
		return nil, errors.New("not a prepared picture")
	case string(data[:4]) == formatOne:
		fixed -= 2
	case string(data[:4]) != formatMagic && string(data[:4]) != formatThree:
		return nil, fmt.Errorf("prepared picture of format %q: this program reads %s, %s and %s", data[:4], formatThree, formatMagic, formatOne)
	}
	switch {
	case len(data) < fixed+4:
		return nil, errors.New("prepared picture is cut off")
	}
	body := data[:len(data)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[len(body):]) {
		return nil, errors.New("prepared picture is damaged: its checksum does not fit")
	}
	p := &Picture{
		Code: ring.Code(body[5]), Epoch: body[6], Run: int(body[7]), Num: binary.LittleEndian.Uint32(body[8:]),
		W: int(binary.LittleEndian.Uint16(body[12:])), H: int(binary.LittleEndian.Uint16(body[14:])), MCU: [2]int{16, 16},
	}
	if fixed == formatFixed {
		p.MCU = [2]int{int(body[24]), int(body[25])}
	}
	if body[4] != ring.Layout {
		return nil, fmt.Errorf("prepared picture of ring layout %d: this program knows %d", body[4], ring.Layout)
	}
	if err := p.Code.Check(); err != nil {
		return nil, fmt.Errorf("prepared picture: %w", err)
	}
	if p.W < 1 || p.H < 1 || p.W > maxSide || p.H > maxSide || p.Run < 1 || p.Run > maxSide/8 {
		return nil, fmt.Errorf("prepared picture of %d x %d pixels, run %d: out of bounds", p.W, p.H, p.Run)
	}
	for _, n := range p.MCU {
		if n != 8 && n != 16 {
			return nil, fmt.Errorf("prepared picture with MCUs of %d x %d pixels: 8 or 16 are known", p.MCU[0], p.MCU[1])
		}
	}
	segments, size := binary.LittleEndian.Uint32(body[16:]), binary.LittleEndian.Uint32(body[20:])
	if int64(segments) != int64(p.Grid().Segments()) {
		return nil, fmt.Errorf("prepared picture with %d segments: its size gives %d", segments, p.Grid().Segments())
	}
	rest := body[fixed:]
	n := int(body[fixed-1])
	if n > maxID || len(rest) < n {
		return nil, errors.New("prepared picture with a bad id")
	}
	p.ID, rest = string(rest[:n]), rest[n:]
	if string(data[:4]) == formatThree {
		var err error
		if rest, err = p.unmarshalPasses(rest); err != nil {
			return nil, err
		}
	}
	if err := p.unmarshalFiles(rest, int64(size)); err != nil {
		return nil, err
	}
	return p, nil
}

// unmarshalPasses reads how the pieces of a progressive file lie.
func (p *Picture) unmarshalPasses(rest []byte) ([]byte, error) {
	n := 0
	if len(rest) > 0 {
		n, rest = int(rest[0]), rest[1:]
	}
	if n == 0 || n > len(rest) {
		return nil, errors.New("prepared picture without passes")
	}
	p.passes, rest = bytes.Clone(rest[:n]), rest[n:]
	for _, split := range p.passes {
		if split != 1 && int(split) != p.MCU[1]/8 {
			return nil, fmt.Errorf("prepared picture with segments split in %d: MCUs of %d rows of blocks", split, p.MCU[1]/8)
		}
	}
	return rest, nil
}

// unmarshalFiles reads the lengths and both files. Nothing is allocated before
// rest is known to be long enough for it.
func (p *Picture) unmarshalFiles(rest []byte, size int64) error {
	m := p.Grid().Segments()
	if p.passes != nil {
		m = jpeg.Pieces(p.W, p.H, p.MCU, p.Run, p.passes)
	}
	if size < flipBytes || int64(len(rest)) < int64(m)+1+size {
		return errors.New("prepared picture is cut off")
	}
	p.starts = make([]uint32, m+1)
	at := int64(0)
	for i := range p.starts {
		v, n := binary.Uvarint(rest)
		if n <= 0 || v == 0 && (p.passes == nil || i == 0) || v > uint64(size-at) {
			return fmt.Errorf("prepared picture: bad length of segment %d", i-1)
		}
		if i == 0 && v < flipRoom {
			return fmt.Errorf("prepared picture with a header of %d bytes", v)
		}
		at += int64(v)
		p.starts[i] = uint32(at)
		rest = rest[n:]
	}
	first, last := int64(p.starts[0]), at
	if int64(len(rest)) != size+last-first {
		return errors.New("prepared picture: its parts do not add up")
	}
	ones := bytes.Clone(rest[:size])
	copy(ones[first:last], rest[size:])
	p.size = int(size)
	p.forms = p.plainForms([2][]byte{rest[:size], ones})
	return nil
}
