package find

import (
	"math"
	"math/rand/v2"

	"birdring/canary/mark"
)

// What a match by keypoints needs. Foreign pictures reach 9 agreeing points, but
// those sit in one or two spots, at absurd scales (measured, OpenCV's ORB).
const (
	minInliers = 8
	minCells   = 5   // different cells of 1/16 of the longer side that inliers lie in
	minScale   = 0.2 // suspect px per planted px, both reduced to at most baseSide
	maxScale   = 5
	maxStretch = 2 // larger to smaller axis scale
)

// pair is a tentative match: a place in the planted picture and one in the
// suspect, both in pixels of the full pictures.
type pair struct {
	rx, ry, sx, sy float64
	grow           float64 // suspect px per planted px by the levels
	turn           float64 // radians by the orientations
	tol            float64 // how far off an inlier may be, in suspect px
}

// located is a transform that many pairs agree on.
type located struct {
	t       mark.Affine
	inliers int
}

// locate finds the transform most pairs agree on; ok is false when that could
// be chance. rw, rh, sw, sh are the sizes of planted picture and suspect; tests
// says among how many planted pictures the search chose.
func locate(pairs []pair, rw, rh, sw, sh, tests int) (best located, ok bool) {
	if len(pairs) < minInliers {
		return located{}, false
	}
	for _, group := range clusters(pairs) {
		if l := consensus(group, pairs); l.inliers > best.inliers {
			best = l
		}
	}
	return best, best.inliers >= minInliers && plausible(best, pairs, rw, rh, sw, sh, tests)
}

// clusters groups pairs that agree on turn and growth, the three largest groups
// (overlapping bins of 1/12 turn and half an octave).
func clusters(pairs []pair) [][]pair {
	const turns, octaves = 12, 16
	var count [octaves][turns]int
	bin := func(p *pair) (int, int) {
		t := int(math.Floor(p.turn / (2 * math.Pi) * turns))
		o := int(math.Floor(math.Log2(p.grow)*2)) + octaves/2
		return min(max(o, 0), octaves-1), ((t % turns) + turns) % turns
	}
	for i := range pairs {
		o, t := bin(&pairs[i])
		count[o][t]++
	}
	near := func(o, t, o2, t2 int) bool {
		d := ((t-t2)%turns + turns) % turns
		return o2-o <= 1 && o-o2 <= 1 && (d <= 1 || d == turns-1)
	}
	var out [][]pair
	var taken [octaves][turns]bool
	for range 3 {
		bo, bt, most := -1, -1, minInliers/2
		for o := range octaves {
			for t := range turns {
				sum := 0
				for d := -1; d <= 1; d++ {
					for e := -1; e <= 1; e++ {
						if o+d >= 0 && o+d < octaves {
							sum += count[o+d][(t+e+turns)%turns]
						}
					}
				}
				if sum > most && !taken[o][t] {
					bo, bt, most = o, t, sum
				}
			}
		}
		if bo < 0 {
			break
		}
		var group []pair
		for i := range pairs {
			if o, t := bin(&pairs[i]); near(bo, bt, o, t) {
				group = append(group, pairs[i])
			}
		}
		out = append(out, group)
		for o := range octaves {
			for t := range turns {
				taken[o][t] = taken[o][t] || near(bo, bt, o, t)
			}
		}
	}
	return out
}

// consensus is RANSAC over a group: similarities through two pairs, the best
// ones refined to an affine map over all pairs. The seed is fixed, so the same
// pictures always give the same answer.
func consensus(group, all []pair) (best located) {
	if len(group) < 4 {
		return located{}
	}
	rng := rand.New(rand.NewPCG(7, uint64(len(group))))
	most := 3
	for range 400 {
		i, j := rng.IntN(len(group)), rng.IntN(len(group))
		if i == j {
			continue
		}
		t, ok := similarity(&group[i], &group[j])
		if !ok {
			continue
		}
		if n := agreeing(t, group, nil); n > most {
			most = n
			if l := polish(t, all); l.inliers > best.inliers {
				best = l
			}
		}
	}
	return best
}

// similarity is the turn, growth and shift through two pairs; ok is false when
// it contradicts what the keypoints themselves say.
func similarity(p, q *pair) (t mark.Affine, ok bool) {
	dx, dy := q.rx-p.rx, q.ry-p.ry
	ex, ey := q.sx-p.sx, q.sy-p.sy
	d2 := dx*dx + dy*dy
	if d2 < 16*p.tol*p.tol/(p.grow*p.grow) {
		return t, false
	}
	a, b := (dx*ex+dy*ey)/d2, (dx*ey-dy*ex)/d2
	if grow := math.Hypot(a, b); grow < p.grow/1.6 || grow > p.grow*1.6 {
		return t, false
	}
	if off := math.Remainder(math.Atan2(b, a)-p.turn, 2*math.Pi); math.Abs(off) > 0.5 {
		return t, false
	}
	t = mark.Affine{A: a, B: -b, D: b, E: a}
	t.C = p.sx - (t.A*p.rx + t.B*p.ry)
	t.F = p.sy - (t.D*p.rx + t.E*p.ry)
	return t, true
}

// agreeing counts the pairs that t maps within their tolerance, and collects
// their indices when asked.
func agreeing(t mark.Affine, pairs []pair, into *[]int) int {
	n := 0
	for i := range pairs {
		p := &pairs[i]
		x, y := apply(t, p.rx, p.ry)
		if dx, dy := x-p.sx, y-p.sy; dx*dx+dy*dy <= p.tol*p.tol {
			n++
			if into != nil {
				*into = append(*into, i)
			}
		}
	}
	return n
}

// polish fits an affine map to the pairs that agree, until no more join.
func polish(t mark.Affine, pairs []pair) located {
	var in []int
	best := located{t, agreeing(t, pairs, &in)}
	for range 8 {
		if len(in) < 4 {
			break
		}
		next, ok := fitAffine(pairs, in)
		if !ok {
			break
		}
		in = in[:0]
		n := agreeing(next, pairs, &in)
		if n < best.inliers {
			break
		}
		done := n == best.inliers
		best = located{next, n}
		if done {
			break
		}
	}
	return best
}

// fitAffine is the least-squares affine map of some pairs, weighted by their tolerance.
func fitAffine(pairs []pair, in []int) (t mark.Affine, ok bool) {
	var m [3][3]float64
	var u, v [3]float64
	for _, i := range in {
		p := &pairs[i]
		w := 1 / (p.tol * p.tol)
		row := [3]float64{p.rx, p.ry, 1}
		for a := range row {
			for b := range row {
				m[a][b] += w * row[a] * row[b]
			}
			u[a] += w * row[a] * p.sx
			v[a] += w * row[a] * p.sy
		}
	}
	// A little pull towards no shear keeps few or nearly aligned points sane.
	rows := [][]float64{}
	for a := range m {
		rows = append(rows, append(append([]float64{}, m[a][:]...), u[a], v[a]))
	}
	sol, ok := solve(rows, 2)
	if !ok {
		return t, false
	}
	return mark.Affine{A: sol[0][0], B: sol[1][0], C: sol[2][0], D: sol[0][1], E: sol[1][1], F: sol[2][1]}, true
}

// solve is Gauss-Jordan elimination with pivoting on n x (n + right) rows; it
// returns the right-hand columns of the solution.
func solve(rows [][]float64, right int) ([][]float64, bool) {
	n := len(rows)
	for c := range n {
		pivot := c
		for r := c + 1; r < n; r++ {
			if math.Abs(rows[r][c]) > math.Abs(rows[pivot][c]) {
				pivot = r
			}
		}
		if !(math.Abs(rows[pivot][c]) > 1e-12) {
			return nil, false
		}
		rows[c], rows[pivot] = rows[pivot], rows[c]
		for r := range n {
			if r == c {
				continue
			}
			f := rows[r][c] / rows[c][c]
			for k := c; k < n+right; k++ {
				rows[r][k] -= f * rows[c][k]
			}
		}
	}
	out := make([][]float64, n)
	for c := range n {
		out[c] = make([]float64, right)
		for k := range right {
			out[c][k] = rows[c][n+k] / rows[c][c]
		}
	}
	return out, true
}

// plausible says that a transform is one a picture can have gone through, and
// that so many agreeing pairs are no chance.
func plausible(l located, pairs []pair, rw, rh, sw, sh, tests int) bool {
	t := l.t
	big, small := axes(t)
	unit := float64(min(max(sw, sh), baseSide)) / float64(max(sw, sh)) * float64(max(rw, rh)) / float64(min(max(rw, rh), baseSide))
	grow := math.Sqrt(big*small) * unit
	if !(grow >= minScale && grow <= maxScale) || t.A*t.E-t.B*t.D <= 0 || big > maxStretch*small {
		return false
	}
	if l.inliers < 16 && big > 1.35*small {
		return false
	}
	var in []int
	agreeing(t, pairs, &in)
	cell := float64(max(rw, rh)) / 16
	cellS := cell * math.Sqrt(big*small)
	here, there := map[[2]int]bool{}, map[[2]int]bool{}
	chance := 0.0
	for i := range pairs {
		chance += math.Pi * pairs[i].tol * pairs[i].tol
	}
	for _, i := range in {
		p := &pairs[i]
		here[[2]int{int(p.rx / cell), int(p.ry / cell)}] = true
		there[[2]int{int(p.sx / cellS), int(p.sy / cellS)}] = true
	}
	if min(len(here), len(there)) < minCells {
		return false
	}
	// Expected number of such agreements among unrelated pictures, as if
	// wrong pairs fell anywhere: choices of points x chance that all but the
	// two that fix the transform fall right.
	chance = math.Min(chance/float64(len(pairs))/(float64(sw)*float64(sh)), 1)
	n, k := float64(len(pairs)), float64(l.inliers)
	return logChoose(n, k)+(k-2)*math.Log(chance)+math.Log(n*n*float64(tests)) < math.Log(1e-6)
}

// axes returns the larger and the smaller singular value of the linear part.
func axes(t mark.Affine) (big, small float64) {
	e, f := (t.A+t.E)/2, (t.A-t.E)/2
	g, h := (t.D+t.B)/2, (t.D-t.B)/2
	q, r := math.Hypot(e, h), math.Hypot(f, g)
	return q + r, math.Abs(q - r)
}

func logChoose(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}
