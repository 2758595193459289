package jpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// parseProgressive is Parse for a file of many scans.
func parseProgressive(data []byte) (*Frame, error) {
	p := progressiveParser{parser: parser{d: &Dialect{}}}
	if err := p.walk(data, p.decode); err != nil {
		return nil, err
	}
	p.d.scans = p.scans
	p.f.FillDummies() // scans of luma alone leave them out
	return p.f, nil
}

// readScript reads all headers of a progressive file, not its data: its dialect,
// with tables made for each file and of the APP and COM segments those that keep wants.
func readScript(data []byte, keep func(marker byte, body []byte) bool) (*Dialect, error) {
	p := progressiveParser{parser: parser{d: &Dialect{}}, keep: keep}
	if err := p.walk(data, func(_ *scan, data []byte) ([]byte, error) { return skip(data), nil }); err != nil {
		return nil, err
	}
	p.d.scans, p.d.Optimal = p.scans, true
	for i := range p.scans {
		for _, segment := range p.scans[i].dht {
			for k := range segment {
				segment[k].spec = spec{}
			}
		}
	}
	return p.d, nil
}

// skip passes entropy-coded data, restart markers included.
func skip(data []byte) []byte {
	for i := 0; i+1 < len(data); i++ {
		if data[i] == 0xff && data[i+1] != 0 && data[i+1]&^7 != 0xd0 {
			return data[i:]
		}
	}
	return nil
}

type progressiveParser struct {
	parser
	keep  func(marker byte, body []byte) bool // nil: keep all, refuse restart markers
	f     *Frame
	dht   [][]table // since the scan before
	scans script
	last  int // bytes after the segment at hand: a short file must not claim memory for a large picture
}

// walk visits the segments of the file; scan takes what follows each scan header
// and returns what follows its data.
func (p *progressiveParser) walk(data []byte, scan func(*scan, []byte) ([]byte, error)) error {
	if len(data) < 2 || data[0] != 0xff || data[1] != 0xd8 {
		return errors.New("jpeg: not a JPEG file")
	}
	data = data[2:]
	for {
		if len(data) < 2 {
			return errShort
		}
		if data[0] != 0xff {
			return errors.New("jpeg: marker expected")
		}
		marker := data[1]
		if marker == 0xff { // fill byte
			data = data[1:]
			continue
		}
		if marker == eoi {
			if len(data) > 2 && p.keep == nil {
				return errors.New("jpeg: bytes after the end of the picture")
			}
			return p.scans.check()
		}
		if len(data) < 4 {
			return errShort
		}
		n := int(binary.BigEndian.Uint16(data[2:]))
		if n < 2 || len(data) < 2+n {
			return errShort
		}
		body := data[4 : 2+n]
		data = data[2+n:]
		p.last = len(data)
		if err := p.part(marker, body); err != nil {
			return err
		}
		if marker != sos {
			continue
		}
		if len(p.scans) == mostScans {
			return fmt.Errorf("jpeg: more than %d scans", mostScans)
		}
		s, err := p.header(body)
		if err != nil {
			return err
		}
		p.scans = append(p.scans, *s)
		if data, err = scan(s, data); err != nil {
			return err
		}
	}
}

// part reads a segment.
func (p *progressiveParser) part(marker byte, body []byte) (err error) {
	kept := bytes.Clone(body)
	switch marker {
	case sos:
		return nil
	case dht:
		return p.huffman(body)
	case dqt:
		if len(p.scans) > 0 {
			return errors.New("jpeg: quantiser table after a scan")
		}
		err = tables(body, &p.quant)
	case sof2:
		if err = p.sof(body, kept); err == nil {
			p.f = &Frame{W: p.w, H: p.h, Dialect: p.d}
		}
	case dri:
		if p.keep != nil {
			return nil
		}
		if len(body) != 2 || binary.BigEndian.Uint16(body) != 0 {
			err = errors.New("jpeg: restart markers are not supported")
		}
	case sof0, 0xc1, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf:
		err = fmt.Errorf("jpeg: frame type %#x is not progressive", marker)
	}
	if err != nil || p.keep != nil && marker >= app0 && !p.keep(marker, body) {
		return err
	}
	if len(p.scans) > 0 {
		return errors.New("jpeg: a segment between the scans")
	}
	p.d.add(marker, kept)
	return nil
}

// huffman keeps tables until the scan that they are for.
func (p *progressiveParser) huffman(body []byte) error {
	var segment []table
	for len(body) > 0 {
		id, s, rest, err := readSpec(body)
		if err != nil {
			return err
		}
		segment = append(segment, table{id, *s})
		body = rest
	}
	p.dht = append(p.dht, segment)
	return nil
}

// header reads a scan header; with the first one, the quantisers must be there.
func (p *progressiveParser) header(body []byte) (*scan, error) {
	f := p.frame
	if f == nil {
		return nil, errors.New("jpeg: no frame header before the scan")
	}
	if len(p.scans) == 0 {
		if err := p.quantisers(); err != nil {
			return nil, err
		}
	}
	s, err := newScan(body, [3]byte{f[6], f[9], f[12]})
	if err != nil {
		return nil, err
	}
	s.dht, p.dht = p.dht, nil
	return s, nil
}

// decode reads the data of a scan into the frame.
func (p *progressiveParser) decode(s *scan, data []byte) ([]byte, error) {
	if len(p.scans) == 1 {
		cols, rows := p.f.MCUs()
		// A block takes a code in some DC scan.
		if p.last*8 < cols*rows*(p.f.Across*p.f.Down+2) {
			return nil, errShort
		}
		p.f.alloc()
	}
	// What goes beyond the script so far could not be decoded.
	if err := p.scans.check(); err != nil && !errors.Is(err, errMissing) {
		return nil, err
	}
	d := scanDecoder{s: s, r: reader{data: data}, tables: make([]*decoder, len(s.comps)), before: make([]int32, len(s.comps))}
	for i := range s.comps {
		if !s.coded() {
			break
		}
		var err error
		if d.tables[i], err = newDecoder(*s.spec(s.uses(i))); err != nil {
			return nil, err
		}
	}
	err := p.f.each(s, func(i int, b *Block) error {
		if err := d.block(i, b); err != nil {
			return err
		}
		if int(d.r.n) < d.r.over {
			return errShort
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if d.run > 0 || int(d.r.n)-d.r.over >= 8 || len(d.r.data) < 2 || d.r.data[0] != 0xff {
		return nil, errors.New("jpeg: a scan goes on after its last block")
	}
	return d.r.data, nil
}

// scanDecoder reads the blocks of a scan (T.81 G.2).
type scanDecoder struct {
	s      *scan
	r      reader
	tables []*decoder
	before []int32
	run    int // blocks still to come of which nothing follows: EOBRUN
}

func (d *scanDecoder) block(i int, b *Block) error {
	switch s := d.s; {
	case s.ss == 0 && s.ah == 0:
		return d.dc(i, b)
	case s.ss == 0:
		b[0] |= int16(d.bit()) << s.al
		return nil
	case d.run > 0:
		d.run--
		if s.ah > 0 {
			d.pass(b, s.ss, 64)
		}
		return nil
	case s.ah == 0:
		return d.first(b)
	default:
		return d.refine(b)
	}
}

func (d *scanDecoder) bit() uint64 {
	if d.r.n < 1 {
		d.r.fill()
	}
	d.r.n--
	return d.r.acc >> d.r.n & 1
}

func (d *scanDecoder) dc(i int, b *Block) error {
	n, err := d.r.symbol(d.tables[i])
	if err != nil {
		return err
	}
	if n > 11 {
		return errors.New("jpeg: DC difference too large")
	}
	d.before[i] += d.r.value(uint(n))
	v := d.before[i] << d.s.al
	if v < -1024 || v > 1023 {
		return errors.New("jpeg: DC value too large")
	}
	b[0] = int16(v)
	return nil
}

// symbol reads an AC symbol: run and size of a coefficient, or size 0 and 16
// zeros (run 15) or the end of this block and some to come, which it notes.
func (d *scanDecoder) symbol() (run int, n uint, err error) {
	v, err := d.r.symbol(d.tables[0])
	run, n = int(v>>4), uint(v&15)
	if err == nil && n == 0 && run < 15 {
		d.r.n -= uint(run)
		d.run = 1<<run - 1 + int(d.r.acc>>d.r.n)&(1<<run-1)
	}
	return run, n, err
}

func (d *scanDecoder) first(b *Block) error {
	for z := d.s.ss; z <= d.s.se; z++ {
		run, n, err := d.symbol()
		if err != nil {
			return err
		}
		if n == 0 {
			if run < 15 {
				return nil
			}
			z += 15
			continue
		}
		if z += run; z > d.s.se || int(n)+d.s.al > 10 {
			return errBadAC
		}
		b[z] = int16(d.r.value(n) << d.s.al)
	}
	return nil
}

func (d *scanDecoder) refine(b *Block) error {
	for z := d.s.ss; z <= d.s.se; z++ {
		run, n, err := d.symbol()
		if err != nil {
			return err
		}
		if n == 0 && run < 15 {
			d.pass(b, z, 64)
			return nil
		}
		if n > 1 {
			return errBadAC
		}
		v := int16(0)
		if n == 1 {
			v = (2*int16(d.bit()) - 1) << d.s.al
		}
		if z = d.pass(b, z, run); z > d.s.se {
			if v != 0 {
				return errBadAC
			}
			return nil
		}
		b[z] = v
	}
	return nil
}

// pass reads correction bits from z on, up to the zero after so many others.
func (d *scanDecoder) pass(b *Block, z, zeros int) int {
	for ; z <= d.s.se; z++ {
		switch step := int16(1) << d.s.al; {
		case b[z] == 0:
			if zeros--; zeros < 0 {
				return z
			}
		case d.bit() == 0:
		case b[z] > 0:
			b[z] += step
		default:
			b[z] -= step
		}
	}
	return z
}
