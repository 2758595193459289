package find

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"birdring/canary/mark"
)

// Match is a planted picture found in a suspect.
type Match struct {
	ID       string
	Rough    mark.Affine // planted px -> suspect px, good to a few pixels
	Inliers  int         // keypoints that agree; 0 when PDQ alone found it
	Distance int         // PDQ distance, 0..256; small only for whole pictures
}

// PDQ limits: below pdqSure a whole picture is taken for found (unrelated
// photos lie at 110 and more), below pdqMaybe keypoints are asked whatever the votes.
const (
	pdqSure    = 31
	pdqMaybe   = 90
	pdqDetail  = 40 // least quality of both pictures for pdqSure
	descMaybe  = 64 // largest descriptor distance of a tentative match
	candidates = 32 // planted pictures verified by keypoints per search
)

// tables of 16 bits each index the descriptors; with 88 bytes a keypoint in all
// a picture takes less than 32 kB of memory.
const (
	tables    = 12
	tableBits = 16
	noPoint   = math.MaxUint32
)

// Index holds the prints of all planted pictures. It is safe for concurrent
// use; adding is cheap at any time.
//
// A search costs a popcount per planted picture (PDQ) and, for keypoints, 12
// hash look-ups per descriptor whose chains grow with the number of planted
// pictures / 65536.
type Index struct {
	mu     sync.RWMutex
	ids    []string
	prints []*Print
	first  []uint32 // first[i] is the number of the first keypoint of print i
	points []point
	head   [tables][]uint32
	next   [][tables]uint32 // next[p][t] is the keypoint after p in its chain of table t
}

// NewIndex makes an empty index.
func NewIndex() *Index {
	x := new(Index)
	for t := range x.head {
		x.head[t] = make([]uint32, 1<<tableBits)
		for i := range x.head[t] {
			x.head[t][i] = noPoint
		}
	}
	return x
}

// Add adds the print of a planted picture. The print must not be changed after.
func (x *Index) Add(id string, p *Print) {
	x.mu.Lock()
	defer x.mu.Unlock()
	start := len(x.points)
	x.ids = append(x.ids, id)
	x.first = append(x.first, uint32(start))
	x.points = append(x.points, p.points...)
	for i := range p.points {
		var after [tables]uint32
		for t := range tables {
			slot := &x.head[t][key(&p.points[i].desc, t)]
			after[t], *slot = *slot, uint32(start+i)
		}
		x.next = append(x.next, after)
	}
	// The print's own points are kept once, in x.points.
	kept := *p
	kept.points = nil
	x.prints = append(x.prints, &kept)
}

// Len is the number of prints.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.ids)
}

// key is the part of a descriptor that table t looks at.
func key(d *descriptor, t int) uint16 { return uint16(d[t>>2] >> (t & 3 * 16)) }

// pointsOf returns the keypoints of a print; the lock is held.
func (x *Index) pointsOf(i int) []point {
	end := len(x.points)
	if i+1 < len(x.first) {
		end = int(x.first[i+1])
	}
	return x.points[x.first[i]:end]
}

// Search says which planted pictures a suspect shows, wholly or in part, at
// most limit of them, best first; nil when there is none.
func (x *Index) Search(q *Query, limit int) []Match {
	x.mu.RLock()
	defer x.mu.RUnlock()
	found := []Match{}
	for _, c := range x.candidates(q) {
		if m, ok := verify(q, x.prints[c.i], x.pointsOf(c.i), c.forms, len(x.ids)); ok {
			m.ID = x.ids[c.i]
			found = append(found, m)
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(b.strength(), a.strength()) })
	if len(found) == 0 || limit <= 0 {
		return nil
	}
	return found[:min(limit, len(found))]
}

// strength orders matches; a PDQ match counts as much as many keypoints.
func (m *Match) strength() int {
	return m.Inliers + max(0, 2*(pdqSure+1-m.Distance))
}

// candidate is a print worth verifying, as it is and in the mirror.
type candidate struct {
	i      int
	scores [2]float32 // votes, and nearness by PDQ
	forms  [2]bool    // worth verifying
}

func (c *candidate) best() float32 { return max(c.scores[0], c.scores[1]) }

// strongest sorts candidates and keeps the first n.
func strongest(all []candidate, n int) []candidate {
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.best(), a.best()), cmp.Compare(a.i, b.i))
	})
	return all[:min(len(all), n)]
}

// candidates lists the prints worth verifying: near by PDQ, or with the most
// votes by keypoints that agree on how the picture is turned and enlarged.
func (x *Index) candidates(q *Query) []candidate {
	votes := x.votes(q)
	all := x.shortlist(q, votes)
	place := make([]int32, len(x.ids)) // in the shortlist, from 1
	for i, c := range all {
		place[c.i] = int32(i + 1)
	}
	tallies := make([]tally, len(all))
	for _, v := range votes {
		if p := place[v.print]; p > 0 {
			tallies[p-1][v.form][v.turn][v.grow] += v.weight
		}
	}
	for i := range all {
		for form := range 2 {
			all[i].scores[form] += tallies[i].most(form)
		}
	}
	all = strongest(all, candidates)
	// Strangers reach 1/40 of a picture that is there; a picture in a corner of a
	// collage has about its share of the area.
	for i := range all {
		least := max(leastVotes, all[0].best()/80)
		all[i].forms = [2]bool{all[i].scores[0] >= least, all[i].scores[1] >= least}
	}
	return all
}

// shortlist keeps the prints with the most votes of any kind; the scores of the
// candidates it returns hold nearness by PDQ only.
func (x *Index) shortlist(q *Query, votes []vote) []candidate {
	sums := make([]float32, len(x.ids))
	for _, v := range votes {
		sums[v.print] += v.weight
	}
	var all []candidate
	for i, p := range x.prints {
		d, mirror := q.distance(p)
		near := float32(max(0, 2*(pdqMaybe+1-d)))
		if sums[i]+near < leastVotes {
			continue
		}
		c := candidate{i: i, scores: [2]float32{near + sums[i], 0}}
		if mirror {
			c.scores[0], c.scores[1] = c.scores[1], c.scores[0]
		}
		all = append(all, c)
	}
	all = strongest(all, shortlisted)
	for i := range all {
		for form := range 2 {
			all[i].scores[form] = max(0, all[i].scores[form]-sums[all[i].i])
		}
	}
	return all
}

// vote says that a keypoint of the suspect resembles one of a print.
type vote struct {
	print      uint32
	form       uint8 // 0 plain, 1 mirrored
	turn, grow uint8 // bins of how far it is turned, and of log2 of the scale
	weight     float32
}

// tally counts one print's votes by form, turn and scale, because the keypoints
// of a picture are all turned and enlarged alike.
type tally [2][voteTurns][voteGrows]float32

const (
	voteTurns   = 16
	voteGrows   = 8   // half octaves, around again after four octaves
	leastVotes  = 1   // a print with less is not looked at
	shortlisted = 500 // prints whose votes are told apart
)

// most is a form's best vote over two neighbouring bins of each kind.
func (v *tally) most(form int) float32 {
	best := float32(0)
	for t := range voteTurns {
		a, b := &v[form][t], &v[form][(t+1)%voteTurns]
		for g := range voteGrows {
			h := (g + 1) % voteGrows
			best = max(best, a[g]+a[h]+b[g]+b[h])
		}
	}
	return best
}

// votes lists for each print the suspect's keypoints that resemble one of its
// own; a keypoint that resembles many prints is worth less for each.
func (x *Index) votes(q *Query) []vote {
	var out []vote
	nearest := make([]hit, len(x.ids))
	var owners []int
	for i := range q.points {
		for form := range 2 {
			d, angle := &q.points[i].desc, q.points[i].angle
			if form == 1 {
				d, angle = &q.mirrored[i], 128-angle
			}
			owners = x.resembling(d, uint32(2*i+form+1), nearest, owners[:0])
			for _, o := range owners {
				p := &x.points[nearest[o].point]
				// Sizes of the pictures only shift the scale of all votes alike.
				w := float32(descMaybe+8-nearest[o].distance) / 32
				out = append(out, vote{
					print: uint32(o), form: uint8(form),
					turn:   (angle - p.angle) / (256 / voteTurns),
					grow:   (q.points[i].level - p.level) / 8 % voteGrows,
					weight: w * w / float32(len(owners)),
				})
			}
		}
	}
	return out
}

// hit is the nearest keypoint of a print to the suspect's keypoint number query.
type hit struct {
	query, point uint32
	distance     int
}

// resembling appends the prints that hold a keypoint near d, each once, and
// notes their nearest.
func (x *Index) resembling(d *descriptor, query uint32, nearest []hit, owners []int) []int {
	// Far longer chains than usual hold what many pictures have and tell nothing.
	limit := 64 + 8*len(x.points)>>tableBits
	for t := range tables {
		p := x.head[t][key(d, t)]
		for steps := 0; p != noPoint && steps < limit; steps++ {
			if n := x.points[p].desc.distance(d); n <= descMaybe {
				// The last print that starts at or before p: prints without
				// keypoints start where the next one does.
				owner, _ := slices.BinarySearch(x.first, p+1)
				owner--
				switch h := &nearest[owner]; {
				case h.query != query:
					*h = hit{query, p, n}
					owners = append(owners, owner)
				case n < h.distance:
					h.point, h.distance = p, n
				}
			}
			p = x.next[p][t]
		}
	}
	return owners
}

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
	nearest := make([]int32, len(q.points)) // planted point nearest to each of the suspect
	back := make([]int32, len(points))      // and the other way round
	backDist := make([]int, len(points))
	for i := range back {
		back[i], backDist[i] = -1, 257
	}
	for i := range q.points {
		d := &q.points[i].desc
		if mirror {
			d = &q.mirrored[i]
		}
		best, at := descMaybe+1, int32(-1)
		for j := range points {
			n := points[j].desc.distance(d)
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
