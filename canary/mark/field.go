package mark

// Field says how far a suspect is bent: the pixel at x, y shows what an unbent
// one would show at (x, y) + At(x, y), in pixels of the suspect. It is the sum of a smooth
// part, bilinear between nodes, and of one shift a column and a row, which
// removed columns and rows leave behind.
type Field struct {
	Step   float64   // pixels between nodes; the first stands at 0, 0
	NX, NY int       // nodes, at least 1 x 1
	Nodes  []float32 // dx, dy of node (i, j) at 2*(j*NX+i)
	Cols   []float32 // dx of every column
	Rows   []float32 // dy of every row
}

// At is the displacement at a place; outside the picture that of its edge.
func (f *Field) At(x, y float64) (dx, dy float64) {
	i, u := nodeAt(x/f.Step, f.NX)
	j, v := nodeAt(y/f.Step, f.NY)
	a := f.Nodes[2*(j*f.NX+i):]
	b := f.Nodes[2*(min(j+1, f.NY-1)*f.NX+i):]
	right := 2 * min(1, f.NX-1-i)
	mix := func(k int) float64 {
		top := (1-u)*float64(a[k]) + u*float64(a[right+k])
		low := (1-u)*float64(b[k]) + u*float64(b[right+k])
		return (1-v)*top + v*low
	}
	dx, dy = mix(0), mix(1)
	if n := len(f.Cols); n > 0 {
		dx += float64(f.Cols[min(max(int(x), 0), n-1)])
	}
	if n := len(f.Rows); n > 0 {
		dy += float64(f.Rows[min(max(int(y), 0), n-1)])
	}
	return dx, dy
}

// nodeAt is the node before f of n, and how far f lies beyond it.
func nodeAt(f float64, n int) (i int, u float64) {
	f = min(max(f, 0), float64(n-1))
	i = min(int(f), max(n-2, 0))
	return i, f - float64(i)
}

// whole says that the field has all its nodes.
func (f *Field) whole() bool {
	return f.Step > 0 && f.NX > 0 && f.NY > 0 && len(f.Nodes) == 2*f.NX*f.NY
}

// onto evaluates the field for the pixels of a w x h window whose pixel (0, 0) is
// at x0, y0 and whose pixels are fx and fy of the suspect's pixels apart, in
// pixels of the window: dx, dy by turns.
func (f *Field) onto(w, h int, x0, y0, fx, fy float64) []float32 {
	out := make([]float32, 0, 2*w*h)
	for y := range h {
		for x := range w {
			dx, dy := f.At(x0+(float64(x)+0.5)*fx, y0+(float64(y)+0.5)*fy)
			out = append(out, float32(dx/fx), float32(dy/fy))
		}
	}
	return out
}

// reach is how far a field displaces at most, in pixels.
func reach(off []float32) float64 {
	var far float32
	for _, d := range off {
		far = max(far, d, -d)
	}
	return float64(far)
}
