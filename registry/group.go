package registry

import "birdring/canary/mark"

// main says whether a picture is the largest of its photo group. Only these are
// looked up by what a file shows; the smaller sizes follow from them.
func (p *picture) main() bool { return p.group == p.id }

// scaled turns transforms that lead from picture p to a found file into those
// that lead there from q, another size of the same photo.
func scaled(rough []mark.Affine, p, q *picture) []mark.Affine {
	sx, sy := float64(p.width)/float64(q.width), float64(p.height)/float64(q.height)
	out := make([]mark.Affine, len(rough))
	for i, t := range rough {
		out[i] = mark.Affine{A: t.A * sx, B: t.B * sy, C: t.C, D: t.D * sx, E: t.E * sy, F: t.F}
	}
	return out
}

// wholeGroup makes add, which notes where a picture may lie in a file, note it
// for every size of the photo: the file may come from any of them.
func (w *world) wholeGroup(add func(int, ...mark.Affine)) func(int, ...mark.Affine) {
	return func(i int, rough ...mark.Affine) {
		p := &w.pictures[i]
		for _, j := range w.groups[p.group] {
			add(j, scaled(rough, p, &w.pictures[j])...)
		}
	}
}
