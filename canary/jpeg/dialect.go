package jpeg

import "bytes"

// Dialect is how the files of one platform or program look, apart from their pixels.
type Dialect struct {
	Quant   [2][64]uint16 // luma, chroma; zigzag order
	Across  int           // luma blocks of an MCU side by side: 2 for 4:2:0 and 4:2:2, 1 for 4:4:4
	Down    int           // and one below the other: 2 for 4:2:0
	Optimal bool          // Huffman tables are made for each file, as jpegtran -optimize does
	parts   []part        // everything between the start of the file and the entropy-coded data, or the scans
	specs   [4]spec       // lumaDC, lumaAC, chromaDC, chromaAC
	ids     [4]byte       // their class and number, as DHT writes them
	scans   script        // of a progressive dialect, with tables in the place of specs; nil: baseline
}

// part is a marker segment. A frame header's size is zero in it.
type part struct {
	marker byte
	body   []byte
}

// Markers that have a meaning here.
const (
	sof0 = 0xc0
	sof2 = 0xc2
	dht  = 0xc4
	eoi  = 0xd9
	sos  = 0xda
	dqt  = 0xdb
	dri  = 0xdd
	app0 = 0xe0
	com  = 0xfe
)

// MCU is the size of an MCU in luma pixels.
func (d *Dialect) MCU() (w, h int) { return 8 * d.Across, 8 * d.Down }

// Subsampling is the dialect's name of it, such as 4:2:0.
func (d *Dialect) Subsampling() string {
	switch {
	case d.Across == 2 && d.Down == 2:
		return "4:2:0"
	case d.Across == 2:
		return "4:2:2"
	case d.Down == 2:
		return "4:4:0"
	}
	return "4:4:4"
}

// Progressive says whether files are written in many scans.
func (d *Dialect) Progressive() bool { return d.scans != nil }

// Standard says whether the Huffman tables are those of annex K.3.
func (d *Dialect) Standard() bool { return !d.Optimal && !d.Progressive() && d.uses(&standard) }

func (d *Dialect) uses(specs *[4]spec) bool {
	for i := range specs {
		if d.specs[i].counts != specs[i].counts || !bytes.Equal(d.specs[i].values, specs[i].values) {
			return false
		}
	}
	return true
}

// Default is what libjpeg writes for a quality 1..100: 4:2:0, tables of annex K, JFIF.
func Default(quality int) *Dialect {
	d := &Dialect{Across: 2, Down: 2, specs: standard, ids: [4]byte{0x00, 0x10, 0x01, 0x11}}
	scale := 200 - 2*quality
	if quality < 50 {
		scale = 5000 / quality
	}
	for c, base := range [2][64]uint8{baseLuma, baseChroma} {
		for z, natural := range zigzag {
			d.Quant[c][z] = uint16(max(1, min(255, (int(base[natural])*scale+50)/100)))
		}
	}
	d.add(app0, []byte{'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0})
	for i, q := range d.Quant {
		table := []byte{byte(i)}
		for _, v := range q {
			table = append(table, byte(v))
		}
		d.add(dqt, table)
	}
	d.add(sof0, []byte{8, 0, 0, 0, 0, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1})
	d.addTables()
	d.add(sos, []byte{3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0})
	return d
}

func (d *Dialect) add(marker byte, body []byte) { d.parts = append(d.parts, part{marker, body}) }

// addTables adds the Huffman tables as libjpeg does, each in a segment of its own.
func (d *Dialect) addTables() {
	for i := range d.specs {
		d.add(dht, d.specs[i].table(d.ids[i]))
	}
}

// table is a Huffman table as a DHT segment carries it.
func (s *spec) table(id byte) []byte {
	return append(append([]byte{id}, s.counts[:]...), s.values...)
}

// settled is the dialect with Huffman tables made for counts, in the segments
// and order of the tables it had.
func (d *Dialect) settled(c *counts) *Dialect {
	out := *d
	out.Optimal = false
	c.merge(d.ids)
	for i := range out.specs {
		out.specs[i] = c[i].spec()
	}
	out.parts = nil
	for _, p := range d.parts {
		if p.marker == dht {
			var body []byte
			for rest := p.body; len(rest) > 0; {
				n := 17
				for _, k := range rest[1:17] {
					n += int(k)
				}
				if i := bytes.IndexByte(d.ids[:], rest[0]); i >= 0 {
					body = append(body, out.specs[i].table(rest[0])...)
				}
				rest = rest[n:]
			}
			p.body = body
		}
		if p.marker != dht || len(p.body) > 0 {
			out.parts = append(out.parts, p)
		}
	}
	return &out
}
