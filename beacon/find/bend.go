package find

import (
	"context"
	"math"

	"birdring/canary/mark"
)

// Limits of the local registration, in suspect pixels where nothing else is said.
const (
	bendSide   = 1200 // longer side of the overlap on the finest level
	bendNodes  = 20   // pixels of the finest level between nodes
	bendStep   = 1.0  // largest move of a node at once, in pixels of the level
	bendSpread = 0.6  // usual difference of neighbouring nodes
	bendLook   = 270  // longer side of the level on which a suspect may be called straight
	bendLeast  = 0.2  // a suspect whose structure lies less off (root mean square) is straight
	bendGain   = 0.8  // most of what does not correlate that a bend may leave: noise bends a little too
	bendHint   = 0.93 // the same one level before the finest, where it costs a third to say so
	bendRounds = 6    // steps on every level
	// Neighbouring pixels of the structure planes err alike: so many count as one.
	bendAlike = 24
)

// Bend registers a suspect cell by cell after Align: where random bending, mesh
// warps or dropped rows and columns moved its pixels off the affine map t. It
// returns nil for a suspect that is straight, and when ctx ends.
//
// Coarse to fine, every node of a grid moves by Gauss-Newton on local structure,
// tied to its neighbours; then every column and every row moves as a whole. Only
// the picture's structure is looked at.
func Bend(ctx context.Context, ref, suspect mark.Plane, t mark.Affine) *mark.Field {
	if min(ref.W, ref.H, suspect.W, suspect.H) < 4*leastSide ||
		len(ref.Pix) < ref.W*ref.H || len(suspect.Pix) < suspect.W*suspect.H {
		return nil
	}
	a := aligner{ctx: ctx, ref: newMips(ref), suspect: newMips(suspect)}
	if !a.sane(t) {
		return nil
	}
	// A straight suspect is told on a coarse level, at little cost.
	coarse := a.levels(t, bendLook, bendLook)
	levels := a.levels(t, 2*coarseSide, bendSide)
	if len(coarse) == 0 || len(levels) == 0 {
		return nil
	}
	b := newBender(suspect, bendNodes/levels[len(levels)-1])
	if w := a.prepare(t, coarse[len(coarse)-1]); !b.settle(ctx, &w, 2) || b.off(&w) < bendLeast {
		return nil
	}
	for i, c := range levels {
		w := a.prepare(t, c)
		if !b.settle(ctx, &w, bendRounds) {
			return nil
		}
		if i < len(levels)-2 {
			continue
		}
		gain := bendGain
		if i == len(levels)-2 { // what is to gain nearly all on the finest level has begun here
			gain = bendHint
		}
		if b.off(&w) < bendLeast || 1-b.correlation(&w) > gain*(1-w.correlation()) {
			return nil
		}
	}
	return &b.f
}

// bender holds the field as it grows.
type bender struct {
	f     mark.Field
	cells []normal // one a node
	rows  []profile
	cols  []profile
}

// normal holds the normal equations of one node.
type normal struct{ xx, xy, yy, bx, by float64 }

// profile holds those of one row or column.
type profile struct{ a, b float64 }

func newBender(s mark.Plane, step float64) *bender {
	b := &bender{f: mark.Field{
		Step: step, NX: int(math.Ceil(float64(s.W)/step)) + 1, NY: int(math.Ceil(float64(s.H)/step)) + 1,
		Cols: make([]float32, s.W), Rows: make([]float32, s.H),
	}}
	b.f.Nodes = make([]float32, 2*b.f.NX*b.f.NY)
	b.cells = make([]normal, b.f.NX*b.f.NY)
	return b
}

// visit calls do for suspect pixels of a level: where they lie (suspect px), their
// value, what the bent reference shows there, and its gradient in pixels of the level.
func (b *bender) visit(w *work, do func(px, py int, x, y float64, s, r, hx, hy float32)) {
	inv, ok := invert(w.toRef)
	if !ok {
		return
	}
	back, ok := invert(w.suspectScale)
	if !ok {
		return
	}
	box := imageOf(inv, w.ref.W, w.ref.H, w.suspect.W, w.suspect.H)
	left, right := clampInt(box.x0, edge, w.suspect.W-edge), clampInt(box.x1+1, edge, w.suspect.W-edge)
	top, bottom := clampInt(box.y0, edge, w.suspect.H-edge), clampInt(box.y1+1, edge, w.suspect.H-edge)
	t := w.toRef
	step := max(1, int(math.Sqrt(float64((right-left)*(bottom-top))/(8*budget))+0.5))
	scale := w.suspectScale.A
	for v := top; v < bottom; v++ {
		for u := left + (v*7)%step; u < right; u += step {
			x, y := apply(back, float64(u)+0.5, float64(v)+0.5)
			dx, dy := b.f.At(x, y)
			fu, fv := float64(u)+0.5+dx*scale, float64(v)+0.5+dy*scale
			r, gx, gy, ok := w.ref.sample(t.A*fu+t.B*fv+t.C, t.D*fu+t.E*fv+t.F)
			if !ok {
				continue
			}
			hx := gx*float32(t.A) + gy*float32(t.D)
			hy := gx*float32(t.B) + gy*float32(t.E)
			do(u, v, x, y, w.suspect.Pix[v*w.suspect.W+u], r, hx, hy)
		}
	}
}

// settle moves nodes, then columns and rows, so many times; false when there is
// nothing to see or the time is up.
func (b *bender) settle(ctx context.Context, w *work, rounds int) bool {
	for range rounds {
		if ctx.Err() != nil || !b.step(w) {
			return false
		}
	}
	return true
}

// step moves nodes, then columns and rows, once.
func (b *bender) step(w *work) bool {
	c := w.suspectScale.A
	seen := w.look(false)
	gain, bias, scale, _ := tone(seen)
	if len(seen) < leastSide*leastSide/2 || !(gain > 0.02) {
		return false
	}
	clear(b.cells)
	b.rows, b.cols = make([]profile, w.suspect.H), make([]profile, w.suspect.W)
	limit := 1 / (scale * scale)
	g, o := float32(gain), float32(bias)
	b.visit(w, func(_, _ int, x, y float64, s, r, hx, hy float32) {
		e := s - g*r - o
		k := 1 / (1 + float64(e*e)*limit)
		k *= k
		gx, gy := float64(g*hx), float64(g*hy)
		i, j := int(x/b.f.Step+0.5), int(y/b.f.Step+0.5)
		q := &b.cells[min(j, b.f.NY-1)*b.f.NX+min(i, b.f.NX-1)]
		q.xx += k * gx * gx
		q.xy += k * gx * gy
		q.yy += k * gy * gy
		q.bx += k * gx * float64(e)
		q.by += k * gy * float64(e)
	})
	noise := scale * scale / 9 * bendAlike // scale is three deviations
	b.relax(noise, c)
	b.visit(w, func(u, v int, _, _ float64, s, r, hx, hy float32) {
		e := s - g*r - o
		k := 1 / (1 + float64(e*e)*limit)
		k *= k
		gx, gy := float64(g*hx), float64(g*hy)
		b.cols[u].a += k * gx * gx
		b.cols[u].b += k * gx * float64(e)
		b.rows[v].a += k * gy * gy
		b.rows[v].b += k * gy * float64(e)
	})
	place := w.suspectScale
	shift(b.f.Cols, b.cols, place.A, place.C, noise, c)
	shift(b.f.Rows, b.rows, place.E, place.F, noise, c)
	return true
}

// relax moves the nodes: data against ties to the neighbours, by Gauss-Seidel.
// Displacements are in suspect pixels, c of the level's make one of them.
func (b *bender) relax(noise, c float64) {
	nx, ny := b.f.NX, b.f.NY
	tie := noise / (bendSpread * bendSpread)
	old := append([]float32(nil), b.f.Nodes...)
	for range 24 {
		for j := range ny {
			for i := range nx {
				q := &b.cells[j*nx+i]
				// In suspect pixels the gradients are c times as steep.
				xx, xy, yy := q.xx*c*c, q.xy*c*c, q.yy*c*c
				at := 2 * (j*nx + i)
				ox, oy := float64(old[at]), float64(old[at+1])
				rx, ry := q.bx*c+xx*ox+xy*oy, q.by*c+xy*ox+yy*oy
				add := func(at int) {
					xx, yy = xx+tie, yy+tie
					rx, ry = rx+tie*float64(b.f.Nodes[at]), ry+tie*float64(b.f.Nodes[at+1])
				}
				if i > 0 {
					add(at - 2)
				}
				if i+1 < nx {
					add(at + 2)
				}
				if j > 0 {
					add(at - 2*nx)
				}
				if j+1 < ny {
					add(at + 2*nx)
				}
				det := xx*yy - xy*xy
				if !(det > 1e-12) {
					continue
				}
				dx, dy := (rx*yy-ry*xy)/det, (ry*xx-rx*xy)/det
				b.f.Nodes[at] = float32(ox + min(max(dx-ox, -bendStep/c), bendStep/c))
				b.f.Nodes[at+1] = float32(oy + min(max(dy-oy, -bendStep/c), bendStep/c))
			}
		}
	}
}

// shift moves columns or rows, a few neighbours together; scale and offset lead
// from suspect pixels to the level's.
func shift(of []float32, sums []profile, scale, offset, noise, c float64) {
	const near = 2
	move := make([]float64, len(sums))
	for i := range sums {
		var a, b float64
		for j := max(0, i-near); j <= min(len(sums)-1, i+near); j++ {
			// A triangle: a plain mean would turn fine ripples round and feed them.
			k := float64(near + 1 - max(i-j, j-i))
			a += k * sums[j].a
			b += k * sums[j].b
		}
		d := b / (a + noise*16)
		move[i] = min(max(d, -bendStep), bendStep) / c
	}
	for i := range of {
		at := int((float64(i)+0.5)*scale + offset)
		if at >= 0 && at < len(move) {
			of[i] += float32(move[at])
		}
	}
}

// off is the root mean square of the displacement across what is to be seen,
// in suspect pixels: a flat area has no place of its own.
func (b *bender) off(w *work) float64 {
	var sum, all float64
	b.visit(w, func(_, _ int, x, y float64, _, _, hx, hy float32) {
		dx, dy := b.f.At(x, y)
		d := float64(hx)*dx + float64(hy)*dy
		sum += d * d
		all += float64(hx*hx+hy*hy) / 2
	})
	return math.Sqrt(sum / math.Max(all, 1e-9))
}

// correlation is that of the two structures with the field.
func (b *bender) correlation(w *work) float64 {
	var n, ss, sr, sss, srr, ssr float64
	b.visit(w, func(_, _ int, _, _ float64, s, r, _, _ float32) {
		p, q := float64(s), float64(r)
		n, ss, sr, sss, srr, ssr = n+1, ss+p, sr+q, sss+p*p, srr+q*q, ssr+p*q
	})
	if n < 2 {
		return 0
	}
	vs, vr := sss/n-ss/n*ss/n, srr/n-sr/n*sr/n
	if !(vs > 1e-9 && vr > 1e-9) {
		return 0
	}
	return (ssr/n - ss/n*sr/n) / math.Sqrt(vs*vr)
}
