// Package jpeg writes baseline and progressive JPEG files out of coefficients, reads
// them back, and writes one picture in two variants that can be joined run by run:
// every mixture of the two is byte for byte the file that an ordinary encoder writes
// for the coefficients so chosen (ITU-T T.81; structure as libjpeg's, no restart
// markers). What such files look like - tables, subsampling, header, scans - is a
// Dialect, learned from files or libjpeg's default.
//
// The trick is in pair.go: both variants of a run are brought to the same
// number of bits, stuffing included, so that a run starts at the same bit
// whatever was chosen before, and its ragged last bits belong to chroma, which
// no variant touches. progressive_pair.go does the same with the pieces of a run in
// the few scans that carry the mark.
package jpeg

// Frame is a picture as quantised coefficients.
type Frame struct {
	W, H int // pixels
	*Dialect
	Luma Grid // padded to whole MCUs
	Cb   Grid
	Cr   Grid
}

// Block holds 64 quantised coefficients in zigzag order.
type Block [64]int16

// Grid is a component's blocks, row by row.
type Grid struct {
	W, H   int // in blocks
	Blocks []Block
}

// At is block (x, y).
func (g *Grid) At(x, y int) *Block { return &g.Blocks[y*g.W+x] }

// NewFrame makes an empty frame of a dialect.
func NewFrame(w, h int, d *Dialect) *Frame {
	f := &Frame{W: w, H: h, Dialect: d}
	f.alloc()
	return f
}

// alloc makes room for the blocks of all whole MCUs.
func (f *Frame) alloc() {
	cols, rows := f.MCUs()
	f.Luma = newGrid(f.Across*cols, f.Down*rows)
	f.Cb, f.Cr = newGrid(cols, rows), newGrid(cols, rows)
}

func newGrid(w, h int) Grid { return Grid{W: w, H: h, Blocks: make([]Block, w*h)} }

// MCUs is the size of the picture in MCUs.
func (f *Frame) MCUs() (cols, rows int) {
	w, h := f.MCU()
	return (f.W + w - 1) / w, (f.H + h - 1) / h
}

// Real says whether luma block (x, y) covers pixels of the picture; the others
// only fill up MCUs.
func (f *Frame) Real(x, y int) bool { return 8*x < f.W && 8*y < f.H }

// lumaAt is where the i-th luma block of the MCUs from (mx, my) on lies, in scan order.
func (d *Dialect) lumaAt(mx, my, i int) (x, y int) {
	n := d.Across * d.Down
	return d.Across*(mx+i/n) + i%d.Across, d.Down*my + i%n/d.Across
}

// FillDummies gives luma blocks outside the picture what libjpeg gives them: no
// AC, and the DC of the block before them in MCU order (for whole rows below
// the picture: of the last block of the row before).
func (f *Frame) FillDummies() {
	cols, rows := f.MCUs()
	for my := range rows {
		for mx := range cols {
			var before int16
			for i := range f.Across * f.Down {
				x, y := f.lumaAt(mx, my, i)
				b := f.Luma.At(x, y)
				if !f.Real(x, y) {
					*b = Block{}
					b[0] = before
				}
				before = b[0]
			}
		}
	}
}

// zigzag[z] is the natural index (8*row + column) of the z-th coefficient.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// Zigzag returns the natural index (8*row + column) of zigzag position z.
func Zigzag(z int) int { return int(zigzag[z]) }

// Annex K.1 tables in natural order.
var (
	baseLuma = [64]uint8{
		16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
		18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
	}
	baseChroma = [64]uint8{
		17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
	}
)
