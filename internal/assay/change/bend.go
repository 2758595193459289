package change

import "math"

// bent is the random geometry of StirMark (Petitcolas, Anderson and Kuhn 1998):
// the corners move a little, a slow wave pushes the middle, a faster one and a
// jitter follow, each at most a few pixels: nobody sees it, no affine map undoes it.
func bent(most float64) step {
	return func(k *work) error {
		b := k.img.Bounds()
		w, h := float64(b.Dx()), float64(b.Dy())
		lot := func(a float64) float64 { return (2*k.rng.Float64() - 1) * a }
		var corners [4][2]float64
		for i := range corners {
			corners[i] = [2]float64{lot(most), lot(most)}
		}
		slowX, slowY := lot(most), lot(most)
		fast, phaseX, phaseY := most/6, lot(math.Pi), lot(math.Pi)
		back := func(x, y float64) (float64, float64) {
			u, v := x/w, y/h
			for i, c := range corners {
				f := [2]float64{1 - u, u}[i%2] * [2]float64{1 - v, v}[i/2]
				x, y = x+f*c[0], y+f*c[1]
			}
			x += slowX*math.Sin(math.Pi*v) + fast*math.Sin(2*math.Pi*(3*u+5*v)+phaseX)
			y += slowY*math.Sin(math.Pi*u) + fast*math.Sin(2*math.Pi*(4*u-3*v)+phaseY)
			return x, y
		}
		k.remap(back)
		k.bend(back)
		return nil
	}
}

// meshed moves the knots of a mesh at random and everything between along.
func meshed(cell int, most float64) step {
	return func(k *work) error {
		b := k.img.Bounds()
		cols, rows := b.Dx()/cell+2, b.Dy()/cell+2
		knots := make([][2]float64, cols*rows)
		for i := range knots {
			knots[i] = [2]float64{(2*k.rng.Float64() - 1) * most, (2*k.rng.Float64() - 1) * most}
		}
		back := func(x, y float64) (float64, float64) {
			u, v := max(0, x/float64(cell)), max(0, y/float64(cell))
			i, j := min(int(u), cols-2), min(int(v), rows-2)
			u, v = ease(u-float64(i)), ease(v-float64(j))
			var d [2]float64
			for c := range d {
				top := knots[j*cols+i][c]*(1-u) + knots[j*cols+i+1][c]*u
				low := knots[(j+1)*cols+i][c]*(1-u) + knots[(j+1)*cols+i+1][c]*u
				d[c] = top*(1-v) + low*v
			}
			return x + d[0], y + d[1]
		}
		k.remap(back)
		k.bend(back)
		return nil
	}
}

// ease makes the mesh smooth at its knots.
func ease(t float64) float64 { return t * t * (3 - 2*t) }

// thinned takes out a few rows and columns at random.
func thinned(n int) step {
	return func(k *work) error {
		b := k.img.Bounds()
		cols, rows := k.kept(b.Dx(), n), k.kept(b.Dy(), n)
		out := plain(len(cols), len(rows), ground)
		for y, from := range rows {
			for x, at := range cols {
				copy(out.Pix[y*out.Stride+4*x:][:4], k.img.Pix[from*k.img.Stride+4*at:][:4])
			}
		}
		k.img = out
		back := func(x, y float64) (float64, float64) { return along(cols, x), along(rows, y) }
		// The mean map is the shrinking; the bend is what it leaves.
		before := k.truth.Back
		k.move(scaling(len(cols), b.Dx(), len(rows), b.Dy()), len(cols), len(rows))
		k.truth.Back = before
		k.bend(back)
		return nil
	}
}

// kept draws which of size lines stay when n are taken out.
func (k *work) kept(size, n int) []int {
	gone := map[int]bool{}
	for len(gone) < min(n, size/2) {
		gone[k.rng.IntN(size)] = true
	}
	var out []int
	for i := range size {
		if !gone[i] {
			out = append(out, i)
		}
	}
	return out
}

// along is where a place between the lines kept was before.
func along(kept []int, x float64) float64 {
	i := min(max(int(x), 0), len(kept)-1)
	return float64(kept[i]) + x - float64(i)
}
