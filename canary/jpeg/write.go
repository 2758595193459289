package jpeg

import "encoding/binary"

// header is everything before the entropy-coded data; in a progressive dialect,
// before the first scan's tables.
func (f *Frame) header() []byte {
	out := []byte{0xff, 0xd8}
	for _, p := range f.parts {
		out = segment(out, p.marker, p.body)
		if p.marker == sof0 || p.marker == sof2 {
			size := out[len(out)-len(p.body)+1:]
			binary.BigEndian.PutUint16(size, uint16(f.H))
			binary.BigEndian.PutUint16(size[2:], uint16(f.W))
		}
	}
	return out
}

func segment(out []byte, marker byte, body []byte) []byte {
	out = append(out, 0xff, marker)
	out = binary.BigEndian.AppendUint16(out, uint16(len(body)+2))
	return append(out, body...)
}

// dcs are the DC values of the blocks before, per component.
type dcs [3]int16

// mcu writes one MCU and updates the DC values.
func (w *writer) mcu(f *Frame, mx, my int, d *dcs) {
	for i := range f.Across * f.Down {
		b := f.Luma.At(f.lumaAt(mx, my, i))
		w.block(b, d[0], lumaDC, lumaAC)
		d[0] = b[0]
	}
	w.chroma(f, mx, my, d)
}

func (w *writer) chroma(f *Frame, mx, my int, d *dcs) {
	for i, g := range []*Grid{&f.Cb, &f.Cr} {
		b := g.At(mx, my)
		w.block(b, d[i+1], chromaDC, chromaAC)
		d[i+1] = b[0]
	}
}

// Encode writes the frame as an ordinary file. In a dialect of Huffman tables
// made for each file these are the best for the frame.
func (f *Frame) Encode() []byte {
	if f.Progressive() {
		return f.encodeProgressive()
	}
	if f.Optimal {
		var c counts
		c.frame(f)
		g := *f
		g.Dialect = f.settled(&c)
		f = &g
	}
	w := writer{buf: f.header(), codes: newCodes(&f.specs)}
	cols, rows := f.MCUs()
	var d dcs
	for my := range rows {
		for mx := range cols {
			w.mcu(f, mx, my, &d)
		}
	}
	w.finish()
	return append(w.buf, 0xff, 0xd9)
}
