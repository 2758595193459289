package jpeg

import "errors"

// decoder is a Huffman table for reading: short codes are looked up at once,
// longer ones by the first code and value index of each length.
type decoder struct {
	short        [1 << shortBits]uint16 // symbol<<8 | length; 0: longer than shortBits
	first, index [17]int32
	count        [17]int32
	values       []uint8
}

const shortBits = 9

func newDecoder(s spec) (*decoder, error) {
	d := &decoder{values: append([]uint8(nil), s.values...)}
	var c, i int32
	for n := 1; n <= 16; n++ {
		d.first[n], d.index[n], d.count[n] = c, i, int32(s.counts[n-1])
		if c+d.count[n] > 1<<n {
			return nil, errors.New("jpeg: over-full Huffman table")
		}
		if n <= shortBits {
			for k := range d.count[n] {
				from := (c + k) << (shortBits - n)
				for j := range int32(1) << (shortBits - n) {
					d.short[from+j] = uint16(d.values[i+k])<<8 | uint16(n)
				}
			}
		}
		c += d.count[n]
		i += d.count[n]
		c <<= 1
	}
	return d, nil
}

var errBadAC = errors.New("jpeg: bad AC coefficient")

// reader takes bits out of entropy-coded bytes.
type reader struct {
	data []byte
	acc  uint64 // the low n bits are unread
	n    uint
	over int // zero bits that stood in for missing ones
}

// fill makes at least 32 bits available, zeros after the end of the data.
func (r *reader) fill() {
	for r.n <= 48 {
		b := byte(0)
		switch {
		case len(r.data) == 0 || r.data[0] == 0xff && (len(r.data) == 1 || r.data[1] != 0):
			r.over += 8
		case r.data[0] == 0xff:
			b = 0xff
			r.data = r.data[2:]
		default:
			b = r.data[0]
			r.data = r.data[1:]
		}
		r.acc = r.acc<<8 | uint64(b)
		r.n += 8
	}
}

// end checks that exactly the padding and the end marker are left.
func (r *reader) end() error {
	if int(r.n) < r.over {
		return errShort
	}
	if int(r.n)-r.over >= 8 || len(r.data) != 2 || r.data[0] != 0xff || r.data[1] != 0xd9 {
		return errors.New("jpeg: the scan is not followed by the end of the file")
	}
	return nil
}

func (r *reader) symbol(d *decoder) (uint8, error) {
	if r.n < 32 {
		r.fill()
	}
	if s := d.short[r.acc>>(r.n-shortBits)&(1<<shortBits-1)]; s != 0 {
		r.n -= uint(s & 255)
		return uint8(s >> 8), nil
	}
	for n := uint(shortBits + 1); n <= 16; n++ {
		c := int32(r.acc>>(r.n-n)) & (1<<n - 1)
		if k := c - d.first[n]; k >= 0 && k < d.count[n] {
			r.n -= n
			return d.values[d.index[n]+k], nil
		}
	}
	return 0, errors.New("jpeg: bad Huffman code")
}

// value reads a magnitude of n <= 11 bits (T.81 F.2.2.1, EXTEND). At least 16 bits are there after symbol.
func (r *reader) value(n uint) int32 {
	if n == 0 {
		return 0
	}
	r.n -= n
	v := int32(r.acc>>r.n) & (1<<n - 1)
	if v < 1<<(n-1) {
		v -= 1<<n - 1
	}
	return v
}

// block reads one block; before is the DC value of the block before and is moved on.
func (r *reader) block(b *Block, before *int16, dc, ac *decoder) error {
	n, err := r.symbol(dc)
	if err != nil {
		return err
	}
	if n > 11 {
		return errors.New("jpeg: DC difference too large")
	}
	at := int32(*before) + r.value(uint(n))
	if at < -1024 || at > 1023 {
		return errors.New("jpeg: DC value too large")
	}
	*before = int16(at)
	b[0] = int16(at)
	for z := 1; z < 64; z++ {
		s, err := r.symbol(ac)
		if err != nil {
			return err
		}
		run, n := int(s>>4), uint(s&15)
		if n == 0 {
			if run != 15 {
				break
			}
			if z += 15; z > 62 {
				return errBadAC // zeros up to the end are no run of 16
			}
			continue
		}
		if z += run; z > 63 || n > 10 {
			return errBadAC
		}
		b[z] = int16(r.value(n))
	}
	if int(r.n) < r.over {
		return errShort
	}
	return nil
}
