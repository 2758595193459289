package find

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"birdring/canary/mark"
)

// Match is a planted picture found in a suspect.
type Match struct {
	ID       string
	Rough    mark.Affine // planted px -> suspect px, good to a few pixels
	Inliers  int         // keypoints that agree; 0 when PDQ alone found it
	Distance int         // PDQ distance, 0..256; small only for whole pictures
}

// Up to pdqSure bits apart a whole picture is taken for found (unrelated photos
// lie at 110 and more).
const (
	pdqSure    = 31
	pdqDetail  = 40 // least quality of both pictures for pdqSure
	descMaybe  = 64 // largest descriptor distance of a tentative match
	descNear   = 10 // how much farther than the nearest another print's keypoint may be
	candidates = 32 // planted pictures verified by keypoints per search
	patience   = 8  // of them one after another in vain, and the search ends
)

// Index holds the prints of all planted pictures. It is safe for concurrent
// use; adding is cheap at any time. A picture takes less than 32 kB of memory.
//
// A search looks up 16 pieces of the suspect's hash, each with one bit wrong, and
// 8 pieces of every keypoint's descriptor. Pieces of descriptors lengthen with the
// logarithm of the number of keypoints, so that a look-up visits about as many
// in an index of any size; those of hashes are visited in pictures / 65536 places.
type Index struct {
	mu     sync.RWMutex
	ids    []string
	prints []*Print
	first  []uint32 // first[i] is the number of the first keypoint of print i
	points links
	hashes hashLinks
	rooms  sync.Pool     // *room
	loaded atomic.Uint64 // what links.load read: it would be left out otherwise
}

// NewIndex makes an empty index.
func NewIndex() *Index {
	x := new(Index)
	x.rooms.New = func() any { return new(room) }
	x.points.resize(tableBits)
	x.hashes.init()
	return x
}

// Add adds the print of a planted picture. The print must not be changed after.
func (x *Index) Add(id string, p *Print) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hashes.add(p.Hash)
	x.ids = append(x.ids, id)
	x.first = append(x.first, uint32(x.points.n))
	for i := range p.points {
		x.points.add(&p.points[i])
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

// pointsOf collects the keypoints of a print; the lock is held.
func (x *Index) pointsOf(i int) []point {
	end := x.points.n
	if i+1 < len(x.first) {
		end = int(x.first[i+1])
	}
	out := make([]point, 0, end-int(x.first[i]))
	for p := int(x.first[i]); p < end; p++ {
		out = append(out, x.points.at(uint32(p)).point)
	}
	return out
}

// Search says which planted pictures a suspect shows, wholly or in part, at
// most limit of them, best first; nil when there is none.
func (x *Index) Search(q *Query, limit int) []Match {
	x.mu.RLock()
	defer x.mu.RUnlock()
	found := []Match{}
	vain := 0
	for _, c := range x.candidates(q) {
		if !c.forms[0] && !c.forms[1] {
			break // sorted: no other is worth it
		}
		m, ok := verify(q, x.prints[c.i], x.pointsOf(c.i), c.forms, len(x.ids))
		if vain++; ok {
			m.ID = x.ids[c.i]
			found = append(found, m)
			vain = 0
		}
		if vain >= patience && !q.small() {
			break
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
	scores [2]float32 // votes of one turn and scale, and nearness by PDQ
	sum    float32    // votes of any
	forms  [2]bool    // worth verifying
}

func (c candidate) best() float32 { return max(c.scores[0], c.scores[1]) }

// single says that enough votes are of one turn and scale: a picture that only
// looks alike, in an index of few, has many of all kinds. In a collage the other
// cells' keypoints vote for a picture that is there too, in all ways: many votes
// that agree are enough then.
func (c candidate) single(many float32) bool { return c.best() >= min(leastShare*c.sum, many) }

// strongest sorts candidates and keeps the first n.
func strongest(all []candidate, n int) []candidate {
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.best(), a.best()), cmp.Compare(a.i, b.i))
	})
	return all[:min(len(all), n)]
}

// room is what a search writes on; it is zero between searches.
type room struct {
	sums    []float32 // votes of any kind, per print
	near    []float32 // nearness by PDQ
	place   []int32   // in the shortlist, from 1
	nearest []hit
	touched []int32 // prints with anything of these
	votes   []vote
}

// borrow takes a room large enough for the index.
func (x *Index) borrow() *room {
	r := x.rooms.Get().(*room)
	if n := len(x.ids); len(r.sums) < n {
		n += n / 8
		*r = room{sums: make([]float32, n), near: make([]float32, n), place: make([]int32, n), nearest: make([]hit, n)}
	}
	return r
}

// giveBack clears what a search touched.
func (x *Index) giveBack(r *room) {
	for _, i := range r.touched {
		r.sums[i], r.near[i], r.place[i], r.nearest[i] = 0, 0, 0, hit{}
	}
	r.touched, r.votes = r.touched[:0], r.votes[:0]
	x.rooms.Put(r)
}

// touch notes that a print has something.
func (r *room) touch(i int32) {
	if r.sums[i] == 0 && r.near[i] == 0 && r.nearest[i].query == 0 {
		r.touched = append(r.touched, i)
	}
}

// candidates lists the prints worth verifying: near by PDQ, or with the most
// votes by keypoints that agree on how the picture is turned and enlarged.
func (x *Index) candidates(q *Query) []candidate {
	r := x.borrow()
	defer x.giveBack(r)
	x.hashes.near(q.Hash, func(i int32) { r.alike(i, x.prints[i].Hash.Distance(q.Hash)) })
	x.hashes.near(q.Mirrored, func(i int32) { r.alike(i, x.prints[i].Hash.Distance(q.Mirrored)) })
	x.votes(q, r, 0, 2)
	if len(q.points) >= manyPoints && !q.small() {
		if all := x.tallied(q, r); len(all) == 0 || all[0].best() < leastHalf || !slices.ContainsFunc(all, func(c candidate) bool { return c.single(manyAgree / 2) }) {
			return nil
		}
	}
	x.votes(q, r, 1, 3)
	all := x.tallied(q, r)
	if len(all) == 0 {
		return nil
	}
	// Strangers reach 1/40 of a picture that is there; a picture in a corner of a
	// collage has about its share of the area.
	for i := range all {
		least := max(leastVotes, all[0].best()/80)
		if all[0].best() < strangers && !q.small() {
			least = leastAlone
		}
		for form, score := range all[i].scores {
			all[i].forms[form] = score >= least && all[i].single(manyAgree)
		}
	}
	return all
}

// tallied lists the prints with the most votes, those of one turn and scale together, best first.
func (x *Index) tallied(q *Query, r *room) []candidate {
	all := x.shortlist(q, r)
	for i, c := range all {
		r.place[c.i] = int32(i + 1)
	}
	tallies := make([]tally, len(all))
	for _, v := range r.votes {
		if p := r.place[v.print]; p > 0 {
			tallies[p-1][v.form][v.turn][v.grow] += v.weight
		}
	}
	for i := range all {
		r.place[all[i].i] = 0
		for form := range 2 {
			all[i].scores[form] += tallies[i].most(form)
		}
	}
	return strongest(all, candidates)
}

// alike notes how near a print is by PDQ.
func (r *room) alike(i int32, d int) {
	if near := float32(2 * (pdqSure + 1 - d)); near > r.near[i] {
		r.touch(i)
		r.near[i] = near
	}
}

// shortlist keeps the prints with the most votes of any kind; the scores of the
// candidates it returns hold nearness by PDQ only.
func (x *Index) shortlist(q *Query, r *room) []candidate {
	var all []candidate
	for _, i := range r.touched {
		if r.sums[i]+r.near[i] < leastVotes {
			continue
		}
		c := candidate{i: int(i), scores: [2]float32{r.near[i] + r.sums[i], 0}, sum: r.sums[i]}
		if _, mirror := q.distance(x.prints[i]); mirror {
			c.scores[0], c.scores[1] = c.scores[1], c.scores[0]
		}
		all = append(all, c)
	}
	all = strongest(all, shortlisted)
	for i := range all {
		for form := range 2 {
			all[i].scores[form] = max(0, all[i].scores[form]-r.sums[all[i].i])
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
	strangers   = 5   // what the best of very many strangers has at most; a picture that fills a file has 10 and more
	manyPoints  = 400 // of a suspect: then every second of them tells whether the others are asked
	leastHalf   = 1.5 // what the best print must have for that; a picture that is there has 4 and more
	leastShare  = 0.3 // of a print's votes that agree; a picture that is there, alone, has .59 and more
	manyAgree   = 20  // votes that agree, however many others do not; a stranger has 15, a cell of a collage 24 and more
	leastAlone  = 2.5 // a print with less is not verified where nobody is stronger than strangers are
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

// votes lists for each print the suspect's keypoints that resemble one of its own, of
// the parts to look at; a keypoint that resembles many prints is worth less for each.
func (x *Index) votes(q *Query, r *room, which ...int) {
	q.describe(which...)
	var owners []int32
	for _, part := range which {
		for i := part; i < len(q.points); i += parts {
			if i/parts%batch == 0 {
				x.loaded.Store(x.points.load(q, i))
			}
			owners = x.vote(q, i, r, owners)
		}
	}
}

// vote lets one keypoint vote, as it is and in the mirror; owners is room.
func (x *Index) vote(q *Query, i int, r *room, owners []int32) []int32 {
	for form := range 2 {
		d, angle := &q.points[i].desc, q.points[i].angle
		if form == 1 {
			d, angle = &q.mirrored[i], 128-angle
		}
		owners = r.nearer(x.resembling(d, uint32(2*i+form+1), r, owners[:0]))
		for _, o := range owners {
			p := &x.points.at(r.nearest[o].point).point
			// Sizes of the pictures only shift the scale of all votes alike.
			w := float32(descMaybe+8-r.nearest[o].distance) / 32
			v := vote{
				print: uint32(o), form: uint8(form),
				turn:   (angle - p.angle) / (256 / voteTurns),
				grow:   (q.points[i].level - p.level) / 8 % voteGrows,
				weight: w * w / float32(len(owners)),
			}
			r.sums[o] += v.weight
			r.votes = append(r.votes, v)
		}
	}
	return owners
}

// nearer keeps the prints that resemble a keypoint nearly as much as the one that
// does most: of very many prints some always resemble it a little.
func (r *room) nearer(owners []int32) []int32 {
	best := descMaybe
	for _, o := range owners {
		best = min(best, r.nearest[o].distance)
	}
	return slices.DeleteFunc(owners, func(o int32) bool { return r.nearest[o].distance > best+descNear })
}

// hit is the nearest keypoint of a print to the suspect's keypoint number query,
// counted from 1.
type hit struct {
	query, point uint32
	distance     int
}

// resembling appends the prints that hold a keypoint near d, each once, and
// notes their nearest.
func (x *Index) resembling(d *descriptor, query uint32, r *room, owners []int32) []int32 {
	x.points.alike(d, func(p uint32, n int) {
		// The last print that starts at or before p: prints without
		// keypoints start where the next one does.
		at, _ := slices.BinarySearch(x.first, p+1)
		owner := int32(at - 1)
		switch h := &r.nearest[owner]; {
		case h.query != query:
			r.touch(owner)
			*h = hit{query, p, n}
			owners = append(owners, owner)
		case n < h.distance:
			h.point, h.distance = p, n
		}
	})
	return owners
}
