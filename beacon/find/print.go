package find

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"birdring/canary/mark"
)

// Print is what is kept of a planted picture to find it again. It is immutable
// and safe for concurrent use.
type Print struct {
	W, H    int  // size of the picture in pixels
	Hash    Hash // PDQ of the whole picture
	Quality int  // PDQ quality, 0..100
	points  []point
}

// NewPrint prints a planted picture.
func NewPrint(p mark.Plane) *Print {
	small := reduced(p)
	out := &Print{W: p.W, H: p.H}
	out.Hash, _, out.Quality = PDQ(p)
	out.points = newPyramid(small).points(printPoints)
	return out
}

// Points is the number of keypoints in the print.
func (p *Print) Points() int { return len(p.points) }

// Query is the print of a suspect, with what its mirror image would print. Its
// keypoints are described part by part when they are asked for: of a picture that
// shows nothing planted most never are.
type Query struct {
	W, H           int  // size of the suspect in pixels
	Hash, Mirrored Hash // PDQ of the suspect and of its mirror image
	Quality        int

	places    []place
	mu        sync.Mutex   // guards the rest
	levels    pyramid      // until all places are described
	described [parts]bool  // every parts-th place
	points    []point      // place by place
	mirrored  []descriptor // likewise, in the mirror image
}

// parts is in how many steps a suspect's keypoints are looked at.
const parts = 4

// NewQuery prints a suspect.
func NewQuery(p mark.Plane) *Query {
	out := &Query{W: p.W, H: p.H, levels: newPyramid(reduced(p))}
	out.Hash, out.Mirrored, out.Quality = PDQ(p)
	out.places = out.levels.places(queryPoints)
	out.points, out.mirrored = make([]point, len(out.places)), make([]descriptor, len(out.places))
	return out
}

// small says that a suspect shows so little that a planted picture in it may stand
// out from strangers hardly or not at all.
func (q *Query) small() bool { return max(q.W, q.H) < smallSide }

// describe describes the places of some parts, those that are not yet.
func (q *Query) describe(which ...int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, part := range which {
		if q.described[part] {
			continue
		}
		for i := part; i < len(q.places); i += parts {
			q.points[i], q.mirrored[i] = q.levels.point(q.places[i], true)
		}
		q.described[part] = true
	}
	if !slices.Contains(q.described[:], false) {
		q.levels = nil
	}
}

// distance is the smaller PDQ distance of the suspect and its mirror image.
func (q *Query) distance(p *Print) (d int, mirror bool) {
	d = q.Hash.Distance(p.Hash)
	if m := q.Mirrored.Distance(p.Hash); m < d {
		return m, true
	}
	return d, false
}

// The stored form of a print, version 1, little endian: magic "BRP" and
// version, width, height (uint32), quality (uint8), hash (4 x uint64), number
// of points (uint16), points of 38 bytes (x, y, angle, level, descriptor),
// CRC-32 (IEEE) of all that.
const (
	printMagic   = "BRP\x01"
	printHead    = 4 + 4 + 4 + 1 + 32 + 2
	printPoint   = 2 + 2 + 1 + 1 + 32
	maxSide      = 1 << 20
	maxPrintSize = printHead + maxPoints*printPoint + 4
	maxPoints    = 4096
)

// MarshalBinary writes the print, at most 14 kB.
func (p *Print) MarshalBinary() ([]byte, error) {
	if len(p.points) > maxPoints || p.W < 0 || p.H < 0 || p.W > maxSide || p.H > maxSide {
		return nil, fmt.Errorf("print of %d x %d pixels with %d points is out of range", p.W, p.H, len(p.points))
	}
	le := binary.LittleEndian
	out := make([]byte, 0, printHead+len(p.points)*printPoint+4)
	out = append(out, printMagic...)
	out = le.AppendUint32(out, uint32(p.W))
	out = le.AppendUint32(out, uint32(p.H))
	out = append(out, byte(p.Quality))
	out = appendWords(out, p.Hash)
	out = le.AppendUint16(out, uint16(len(p.points)))
	for i := range p.points {
		q := &p.points[i]
		out = le.AppendUint16(out, q.x)
		out = le.AppendUint16(out, q.y)
		out = append(out, q.angle, q.level)
		out = appendWords(out, q.desc)
	}
	return le.AppendUint32(out, crc32.ChecksumIEEE(out)), nil
}

func appendWords(out []byte, words [4]uint64) []byte {
	for _, w := range words {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

func readWords(data []byte) (words [4]uint64) {
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(data[8*i:])
	}
	return words
}

// ErrPrint is what UnmarshalPrint's errors wrap.
var ErrPrint = errors.New("no usable print: print the picture again")

// UnmarshalPrint reads what MarshalBinary wrote; its errors wrap ErrPrint.
func UnmarshalPrint(data []byte) (*Print, error) {
	le := binary.LittleEndian
	if len(data) < printHead+4 || len(data) > maxPrintSize || string(data[:3]) != printMagic[:3] {
		return nil, fmt.Errorf("%d bytes are no print: %w", len(data), ErrPrint)
	}
	if data[3] != printMagic[3] {
		return nil, fmt.Errorf("print has version %d, this program knows 1: %w", data[3], ErrPrint)
	}
	n := int(le.Uint16(data[printHead-2:]))
	if len(data) != printHead+n*printPoint+4 {
		return nil, fmt.Errorf("print with %d points has %d bytes: %w", n, len(data), ErrPrint)
	}
	body := data[:len(data)-4]
	if crc32.ChecksumIEEE(body) != le.Uint32(data[len(body):]) {
		return nil, fmt.Errorf("print is damaged (CRC): %w", ErrPrint)
	}
	p := &Print{W: int(le.Uint32(data[4:])), H: int(le.Uint32(data[8:])), Quality: int(data[12])}
	if p.W < 1 || p.H < 1 || p.W > maxSide || p.H > maxSide {
		return nil, fmt.Errorf("print of %d x %d pixels is out of range: %w", p.W, p.H, ErrPrint)
	}
	p.Hash = readWords(data[13:])
	p.points = make([]point, n)
	for i := range p.points {
		d := body[printHead+i*printPoint:]
		p.points[i] = point{x: le.Uint16(d), y: le.Uint16(d[2:]), angle: d[4], level: d[5], desc: readWords(d[6:])}
	}
	return p, nil
}
