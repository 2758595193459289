package ring

import (
	"math/bits"
	"slices"
)

// The tracks: bets on one picture that are kept apart when pictures multiply.
const (
	trackHard    = 16             // 4 shapes x 4 shares of positions come before; this one is for values of one size
	trackMixed   = trackHard + 1  // 61 models of what a coalition did
	trackWindows = trackMixed + 1 // only a dyadic window of the segments, in raster order, is the viewer's
	trackCentred = trackWindows + 1
	Tracks       = trackCentred + 1
)

// Score is the logarithm of what one file, read as a copy of one picture, says
// about one viewer, per track. Scores never multiply: they are averaged over what
// excludes one another, then seen by a Sightings.
type Score [Tracks]Nats

// Nothing is the score of a viewer that was dropped or not shown the picture: an e-value of 0.
var Nothing = func() (s Score) {
	for t := range s {
		s[t] = Never
	}
	return s
}()

// table holds what every four code positions add to a number of lanes.
type table struct {
	n     int
	start []Nats  // all bits 0
	quads []int32 // [position/4][value of the four bits][lane]
	// Of lanes that are mixed, the logs of the weights.
	weights []float64
}

// tabulate makes the table of n lanes; bets says what a 1 and a 0 are worth at a symbol.
func (r *Reading) tabulate(n int, bets func(s symbol, one, zero []Nats)) *table {
	rows := make([]symbolRow, len(r.symbols))
	room := make([]Nats, 2*n*len(rows))
	for i, s := range r.symbols {
		rows[i] = symbolRow{room[2*n*i : 2*n*i+n], room[2*n*i+n : 2*n*i+2*n]}
		bets(s, rows[i].one, rows[i].zero)
	}
	return r.tabulateRows(n, rows, r.of)
}

// symbolRow is what a 1 and a 0 are worth, per lane.
type symbolRow struct{ one, zero []Nats }

// tabulateRows makes a table out of one row for each segment, -1 for none.
func (r *Reading) tabulateRows(n int, rows []symbolRow, of []int32) *table {
	t := &table{n: n, start: make([]Nats, n), quads: make([]int32, 256*r.book.Words()*n)}
	at := make([]int32, 64*r.book.Words())
	for i := range at {
		at[i] = -1
	}
	for k, i := range of {
		if i < 0 {
			continue
		}
		at[r.book.order[k]] = i
		for l, d := range rows[i].zero {
			t.start[l] += d
		}
	}
	for g := range len(at) / 4 {
		for v := 1; v < 16; v++ {
			to, from := t.row(g, v), t.row(g, v&(v-1))
			copy(to, from)
			if i := at[4*g+bits.TrailingZeros(uint(v))]; i >= 0 {
				for l := range to {
					to[l] += int32(rows[i].one[l] - rows[i].zero[l])
				}
			}
		}
	}
	return t
}

func (t *table) row(g, v int) []int32 { return t.quads[(16*g+v)*t.n:][:t.n:t.n] }

// sum adds up a codeword, in order of code positions.
func (t *table) sum(word []uint64, out []Nats) {
	out = out[:len(t.start)]
	copy(out, t.start)
	at := 0
	for _, w := range word {
		for range 16 {
			row := t.quads[at+int(w&15)*t.n:]
			row = row[:len(out)]
			for i, d := range row {
				out[i] += Nats(d)
			}
			w >>= 4
			at += 16 * t.n
		}
	}
}

// Score is the evidence of this find against one viewer.
func (r *Reading) Score(v uint64) Score {
	room := r.pool.Get().(*room)
	defer r.pool.Put(room)
	r.book.Codeword(room.word, v)
	return r.score(room, room.word, open)
}

// ScoreRing is Score of a codeword itself, len(word) = the book's Words().
func (r *Reading) ScoreRing(word []uint64) Score {
	room := r.pool.Get().(*room)
	defer r.pool.Put(room)
	return r.score(room, word, open)
}

func (r *Reading) score(room *room, word []uint64, g Gate) (out Score) {
	r.plain.sum(word, room.plain[:])
	copy(out[:], room.plain[:])
	if !r.screen.strong {
		// Too little is read for models of mixed copies to be told apart.
		out[trackMixed], out[trackWindows], out[trackCentred] = out[1], out[0], out[2]
		return bounded(out)
	}
	if g.plain != Never && slices.Max(room.plain[:]) < g.plain {
		out[trackMixed], out[trackWindows], out[trackCentred] = Never, Never, Never
		return bounded(out)
	}
	lanes := room.lanes
	r.mixing().sum(word, lanes)
	out[trackMixed] = room.mix(r.mixing().weights, lanes[:mixed], out[0])
	out[trackCentred] = out[2]
	if r.book.code != U {
		out[trackCentred] = room.mean(lanes[mixed:])
	}
	out[trackWindows] = r.windows().score(r.book, room, word, out[0])
	return bounded(out)
}

// mix is the logarithm of a weighed sum of e-values.
func (room *room) mix(weights []float64, logs []Nats, more ...Nats) Nats {
	room.logs = room.logs[:0]
	for i, l := range logs {
		room.logs = append(room.logs, weights[i]+l.float())
	}
	for i, l := range more {
		room.logs = append(room.logs, weights[len(logs)+i]+l.float())
	}
	return down(logSum(room.logs))
}

// mean is the logarithm of the mean of e-values.
func (room *room) mean(logs []Nats) Nats {
	room.logs = room.logs[:0]
	for _, l := range logs {
		room.logs = append(room.logs, l.float())
	}
	return down(logSum(room.logs) - log(float64(len(room.logs))))
}

// bounded keeps sums over many pictures from overflowing; it only ever lowers.
func bounded(s Score) Score {
	for t, l := range s {
		if l < -mostNats {
			s[t] = Never
		}
		s[t] = min(s[t], mostNats)
	}
	return s
}

// windowed holds what is needed to score dyadic windows of the segments in raster
// order: a copy spliced from two accounts shows each in a part of it.
type windowed struct {
	leaves   int // 2, 4, .. 32; 1: the picture is too small to be cut
	one      []int32
	zero     []int32
	position []uint32
}

// leastWindow is the least number of segments that a window is worth looking at.
const leastWindow = 64

func (r *Reading) newWindows() *windowed {
	w := &windowed{leaves: 1, one: make([]int32, len(r.y)), zero: make([]int32, len(r.y)), position: r.book.order}
	for w.leaves < 32 && len(r.y)/(2*w.leaves) >= leastWindow {
		w.leaves *= 2
	}
	for k, i := range r.of {
		if i >= 0 {
			s := &r.symbols[i]
			one, zero := bet(s.ratio[0], s.class.p(), 1)
			w.one[k], w.zero[k] = int32(one), int32(zero)
		}
	}
	return w
}

// score is the mean over all windows but the whole.
func (w *windowed) score(b *Book, room *room, word []uint64, whole Nats) Nats {
	if w.leaves < 2 {
		return whole
	}
	var sums [64]Nats // a heap: window i is cut into 2i and 2i+1; leaves begin at w.leaves
	m := len(w.one)
	for leaf := range w.leaves {
		from, to := leaf*m/w.leaves, (leaf+1)*m/w.leaves
		var sum Nats
		for k := from; k < to; k++ {
			pos := w.position[k]
			d := w.zero[k]
			if word[pos>>6]>>(pos&63)&1 == 1 {
				d = w.one[k]
			}
			sum += Nats(d)
		}
		sums[w.leaves+leaf] = sum
	}
	for i := w.leaves - 1; i > 1; i-- {
		sums[i] = sums[2*i] + sums[2*i+1]
	}
	return room.mean(sums[2 : 2*w.leaves])
}
