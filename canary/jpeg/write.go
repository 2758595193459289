package jpeg

import "encoding/binary"

// header is everything before the entropy-coded data, as libjpeg writes it.
func (f *Frame) header() []byte {
	out := []byte{0xff, 0xd8}
	out = segment(out, 0xe0, []byte{'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0})
	for i, q := range f.Quant {
		table := []byte{byte(i)}
		for _, v := range q {
			table = append(table, byte(v))
		}
		out = segment(out, 0xdb, table)
	}
	frame := binary.BigEndian.AppendUint16([]byte{8}, uint16(f.H))
	frame = binary.BigEndian.AppendUint16(frame, uint16(f.W))
	out = segment(out, 0xc0, append(frame, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1))
	for i, class := range []byte{0x00, 0x10, 0x01, 0x11} {
		table := append([]byte{class}, standard[i].counts[:]...)
		out = segment(out, 0xc4, append(table, standard[i].values...))
	}
	return segment(out, 0xda, []byte{3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0})
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
	for i := range 4 {
		b := f.Luma.At(2*mx+i&1, 2*my+i>>1)
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

// Encode writes the frame as an ordinary file.
func (f *Frame) Encode() []byte {
	w := writer{buf: f.header()}
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
