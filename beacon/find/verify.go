package find

import (
	"math"

	"birdring/canary/mark"
)

// Locate says whether and how one planted picture lies in a suspect, as Search
// does for all of an index: for a page that names a decoy, whose pictures are
// tried on every image there.
func Locate(q *Query, p *Print) (Match, bool) {
	return verify(q, p, p.points, [2]bool{true, true}, 1)
}

// verify matches a suspect with one print, point by point, in the forms wanted
// (plain, mirrored).
func verify(q *Query, p *Print, points []point, forms [2]bool, tests int) (Match, bool) {
	d, mirror := q.distance(p)
	m := Match{Distance: d}
	ok := false
	for i, wanted := range forms {
		if !wanted {
			continue
		}
		form := i == 1
		l, good := locate(q.pairs(p, points, form), p.W, p.H, q.W, q.H, tests)
		if good && l.inliers > m.Inliers {
			if form {
				l.t = compose(flipped(identity, q.W), l.t)
			}
			m.Rough, m.Inliers, ok = l.t, l.inliers, true
		}
	}
	if !ok && d <= pdqSure && min(q.Quality, p.Quality) >= pdqDetail {
		m.Rough, ok = stretched(p.W, p.H, q.W, q.H), true
		if mirror {
			m.Rough = flipped(m.Rough, p.W)
		}
	}
	return m, ok
}

// pairs matches descriptors both ways round: a pair is kept when each is the
// other's nearest. With mirror the suspect is looked at in a mirror, and the
// pairs' suspect places are those of the mirror image.
func (q *Query) pairs(p *Print, points []point, mirror bool) []pair {
	q.describe(0, 1, 2, 3)
	nearest := make([]int32, len(q.points)) // planted point nearest to each of the suspect
	back := make([]int32, len(points))      // and the other way round
	backDist := make([]int, len(points))
	for i := range back {
		back[i], backDist[i] = -1, descMaybe+1
	}
	for i := range q.points {
		d := &q.points[i].desc
		if mirror {
			d = &q.mirrored[i]
		}
		best, at := descMaybe+1, int32(-1)
		for j := range points {
			n := points[j].desc.distance(d)
			if n > descMaybe {
				continue // nearly all
			}
			if n < best {
				best, at = n, int32(j)
			}
			if n < backDist[j] {
				back[j], backDist[j] = int32(i), n
			}
		}
		nearest[i] = at
	}
	var out []pair
	for i, j := range nearest {
		if j >= 0 && back[j] == int32(i) {
			out = append(out, q.pair(i, p, &points[j], mirror))
		}
	}
	return out
}

// pair places two keypoints in pixels of their pictures.
func (q *Query) pair(i int, p *Print, r *point, mirror bool) pair {
	s := &q.points[i]
	sizeR := float64(max(p.W, p.H)) / levelSide(r.level)
	sizeS := float64(max(q.W, q.H)) / levelSide(s.level)
	turnR, turnS := float64(r.angle)/256*2*math.Pi, float64(s.angle)/256*2*math.Pi
	out := pair{
		rx: float64(r.x) / 65536 * float64(p.W), ry: float64(r.y) / 65536 * float64(p.H),
		sx: float64(s.x) / 65536 * float64(q.W), sy: float64(s.y) / 65536 * float64(q.H),
		grow: sizeS / sizeR,
		tol:  2.5 * sizeS,
	}
	if mirror {
		out.sx = float64(q.W) - out.sx
		turnS = math.Pi - turnS
	}
	out.turn = math.Remainder(turnS-turnR, 2*math.Pi)
	return out
}

// Duplicate says whether a photo is already planted, also cropped, mirrored or
// recompressed, and as which picture.
func Duplicate(x *Index, photo mark.Plane) (id string, found bool) {
	if m := x.Search(NewQuery(photo), 1); len(m) > 0 {
		return m[0].ID, true
	}
	return "", false
}
