package ring

import "sync"

// Informed is a find read with the rings of viewers already accused: what they
// explain tells more about who else was in the coalition (Meerwald-Furon). It is
// valid because while a viewer is not accused, who is does not depend on its ring.
type Informed struct {
	reading *Reading
	table   *table
	models  int
	pool    sync.Pool // *room
}

// MostKnown is the number of accused viewers that a find is read with at most.
const MostKnown = 16

// Given reads a find with the rings of known members of the coalition.
func (r *Reading) Given(known []uint64) *Informed {
	known = known[:min(len(known), MostKnown)]
	words := make([][]uint64, len(known))
	for i, v := range known {
		words[i] = make([]uint64, r.book.Words())
		r.book.Codeword(words[i], v)
	}
	type key struct{ symbol, ones int }
	var rows []symbolRow
	seen := map[key]int32{}
	var models [classes][MostKnown + 1][]model
	of := make([]int32, len(r.of))
	var fits [][]float64 // per row: its log likelihood under each model
	f := &Informed{reading: r, models: len(coalitionSizes(len(known))) * len(strategies)}
	fit := make([]float64, f.models)
	for k, i := range r.of {
		of[k] = -1
		if i < 0 {
			continue
		}
		pos, ones := r.book.order[k], 0
		for _, w := range words {
			ones += int(w[pos>>6] >> (pos & 63) & 1)
		}
		at, ok := seen[key{int(i), ones}]
		if !ok {
			s := r.symbols[i]
			m := &models[s.class][ones]
			if *m == nil {
				*m = coalitions(s.class, len(known), ones)
			}
			row := symbolRow{make([]Nats, f.models), make([]Nats, f.models)}
			fits = append(fits, make([]float64, f.models))
			mixedBets(s, *m, row.one, row.zero, fits[len(rows)], 1)
			at = int32(len(rows))
			seen[key{int(i), ones}] = at
			rows = append(rows, row)
		}
		of[k] = at
		for g, l := range fits[at] {
			fit[g] += l
		}
	}
	f.table = r.tabulateRows(f.models, rows, of)
	f.table.weights = modelWeights(fit)
	f.pool.New = func() any { return &room{word: make([]uint64, r.book.Words()), lanes: make([]Nats, f.models)} }
	return f
}

// Score is the evidence against one more viewer, the same on every track.
func (f *Informed) Score(v uint64) (out Score) {
	room := f.pool.Get().(*room)
	defer f.pool.Put(room)
	f.reading.book.Codeword(room.word, v)
	f.table.sum(room.word, room.lanes)
	l := room.mix(f.table.weights, room.lanes)
	for t := range out {
		out[t] = l
	}
	return bounded(out)
}

// Gated is Score, or Nothing for a viewer that the gate drops.
func (f *Informed) Gated(g Gate, v uint64) Score {
	if !f.reading.Pass(g, v) {
		return Nothing
	}
	return f.Score(v)
}
