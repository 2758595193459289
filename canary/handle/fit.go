package handle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Bounds of fitting: memory stays below about 300 MB and a model's tables below
// 20 MB, however many handles there are.
const (
	maxGrams  = 4 << 20  // runs of signs counted at a time; the rarest are forgotten
	maxShapes = 1 << 16  // of a model; the rarest are forgotten
	maxKnown  = 2 << 20  // handles whose folded form is kept
	maxSize   = 19 << 20 // bytes of a model's tables
)

// fewest is how many handles a model is fitted to at least.
const fewest = 200

// Fitter counts handles, one after the other, in bounded memory.
type Fitter struct {
	rules    Rules
	shapes   map[string]uint32
	grams    *counter
	known    []uint64
	held     []string  // until words are learnt from them
	first    []string  // what a taste is learnt from
	splitter *splitter // nil until then
	fitted   uint64
}

// NewFitter returns a Fitter of handles under a platform's rules.
func NewFitter(rules Rules) *Fitter {
	return &Fitter{rules: rules, shapes: map[string]uint32{}, grams: newCounter(1<<12, maxGrams)}
}

// Add counts a handle, whatever its case. An error says why it is none; nothing is counted then.
func (f *Fitter) Add(handle string) error {
	h := strings.ToLower(handle)
	if err := f.rules.Check(h); err != nil {
		return err
	}
	f.fitted++
	if len(f.first) < tasteMost {
		f.first = append(f.first, h)
	}
	shape := Shape(h)
	f.shapes[shape]++
	if len(f.shapes) > 4*maxShapes {
		f.shapes = commonest(f.shapes, 2*maxShapes)
	}
	if f.splitter == nil {
		if f.held = append(f.held, h); len(f.held) >= splitFrom {
			f.learnWords()
		}
	} else {
		f.countSigns(h)
	}
	if len(f.known) < maxKnown {
		f.known = append(f.known, nameHash(Fold(h)))
	}
	return nil
}

// countSigns counts the signs of a handle, seams put where its words meet.
func (f *Fitter) countSigns(h string) {
	runs(Shape(h), func(from, to int, digit bool) {
		at := place{before: newHistory(), digit: digit}
		var seams []bool
		if !digit {
			seams = f.splitter.split(h[from:to])
		}
		for i := from; i < to; i++ {
			at.left = to - 1 - i
			if !digit && seams[i-from] {
				f.count(&at, seam)
				at.before = newHistory()
			}
			f.count(&at, h[i])
			at.before = at.before.then(h[i])
		}
	})
}

func (f *Fitter) count(at *place, c byte) {
	f.grams.add(contextKey(at.before, order, at.digit, at.left)<<6|code(c), 1)
}

// learnWords learns where words meet from the first handles, then counts those.
func (f *Fitter) learnWords() {
	f.splitter = newSplitter(f.held)
	for _, h := range f.held {
		f.countSigns(h)
	}
	f.held = nil
}

// commonest keeps about n of the shapes.
func commonest(shapes map[string]uint32, n int) map[string]uint32 {
	counts := make([]uint32, 0, len(shapes))
	for _, c := range shapes {
		counts = append(counts, c)
	}
	slices.SortFunc(counts, func(a, b uint32) int { return cmp.Compare(b, a) })
	least := counts[min(n, len(counts)-1)]
	out := map[string]uint32{}
	for s, c := range shapes {
		if c > least || len(counts) <= n {
			out[s] = c
		}
	}
	return out
}

// Model makes the model of what was added. step, which may be nil, is told how far it is.
func (f *Fitter) Model(step func(done, total int)) (*Model, error) {
	if step == nil {
		step = func(int, int) {}
	}
	if len(f.first) < tasteFrom {
		return f.model(Floors, nil, step)
	}
	const steps = 1 + tasteParts // of the taste
	t, err := learnTaste(f.first, f.rules, tasteSize, func(i, _ int) { step(i, steps+modelSteps) })
	if err != nil {
		return nil, err
	}
	return f.model(Floors, t, func(i, _ int) { step(steps+i, steps+modelSteps) })
}

// modelSteps of making a model: its tables, then the plans.
const modelSteps = 1 + 3

// model makes the model with a taste, or without one, and the plans of some floors.
func (f *Fitter) model(floors []float64, t *taste, step func(done, total int)) (*Model, error) {
	if f.fitted < fewest {
		return nil, fmt.Errorf("%d handles are too few to fit a model to: %d at least are needed, a million are better", f.fitted, fewest)
	}
	m := &Model{rules: f.rules, fitted: f.fitted, known: newNames(len(f.known)), taste: t}
	for _, h := range f.known {
		m.known.add(h)
	}
	if f.splitter == nil {
		f.learnWords()
	}
	m.weigh(f.levels())
	step(1, modelSteps)
	shapes := f.shapes
	if len(shapes) > maxShapes {
		shapes = commonest(shapes, maxShapes)
	}
	counts := make([]float64, 0, len(shapes))
	for s := range shapes {
		m.shapes = append(m.shapes, s)
	}
	slices.Sort(m.shapes)
	for _, s := range m.shapes {
		counts = append(counts, float64(shapes[s]))
	}
	for i, floor := range floors {
		// A floor that the platform's handles do not reach has no plan.
		if p, err := m.plan(floor, counts); err == nil {
			m.plans = append(m.plans, p)
		} else if i == 0 {
			return nil, err
		}
		step(2+i, modelSteps)
	}
	m.id = fileID(m.Marshal())
	return m, nil
}

// levels makes the counts of all levels.
func (f *Fitter) levels() *[order + 1][]entry {
	var levels [order + 1][]entry
	grams := f.grams.sorted()
	for level := order; level >= 0; level-- {
		levels[level] = grams
		grams = shorter(grams, level)
	}
	return &levels
}

// entry is a run of signs: its key (context key << 6 | sign), how often it was
// seen, and for how many different signs before it.
type entry struct {
	key         uint64
	seen, kinds uint32
}

// counter counts keys, open-addressed. When it is full it forgets the rarest.
type counter struct {
	keys   []uint64 // key + 1; 0: free
	counts []uint32
	n      int
	most   int    // keys kept at a time
	least  uint32 // what is seen no more often is forgotten next
}

func newCounter(size, most int) *counter {
	return &counter{keys: make([]uint64, size), counts: make([]uint32, size), most: most, least: 1}
}

func (c *counter) add(key uint64, n uint32) {
	mask := uint64(len(c.keys) - 1)
	at := spread(key) & mask
	for c.keys[at] != 0 && c.keys[at] != key+1 {
		at = (at + 1) & mask
	}
	if c.keys[at] == 0 {
		c.keys[at] = key + 1
		c.n++
	}
	c.counts[at] += n
	if 2*c.n > len(c.keys) {
		c.rebuild()
	}
}

// rebuild doubles the counter, or forgets what is rarest once it is as large as it may be.
func (c *counter) rebuild() {
	size, forget := 2*len(c.keys), uint32(0)
	if c.n >= c.most {
		size, forget = len(c.keys), c.least
		c.least++
	}
	old := *c
	c.keys, c.counts, c.n = make([]uint64, size), make([]uint32, size), 0
	mask := uint64(size - 1)
	for i, k := range old.keys {
		if k == 0 || old.counts[i] <= forget {
			continue
		}
		at := spread(k-1) & mask
		for c.keys[at] != 0 {
			at = (at + 1) & mask
		}
		c.keys[at], c.counts[at] = k, old.counts[i]
		c.n++
	}
}

func (c *counter) sorted() []entry {
	out := make([]entry, 0, c.n)
	for i, k := range c.keys {
		if k != 0 {
			out = append(out, entry{k - 1, c.counts[i], 1})
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	return out
}

// shorter makes the runs of one sign less of those of a level.
func shorter(grams []entry, level int) []entry {
	if level == 0 {
		return nil
	}
	out := make([]entry, len(grams))
	for i, g := range grams {
		context := g.key >> 6
		low := context & (1<<(4+6*(level-1)) - 1)
		out[i] = entry{(uint64(level-1)<<levelShift|low)<<6 | g.key&63, g.seen, 1}
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	n := 0
	for _, g := range out {
		if n > 0 && out[n-1].key == g.key {
			out[n-1].seen += g.seen
			out[n-1].kinds++
			continue
		}
		out[n] = g
		n++
	}
	return slices.Clone(out[:n])
}

// tally is how often a run counts in its context: at the highest level and at the
// start of a handle as often as it was seen, else by how many different signs came
// before it (Kneser and Ney 1995).
func (g entry) tally(level int) uint32 {
	if level == order || level > 0 && g.key>>(6+4+6*(level-1))&63 == start {
		return g.seen
	}
	return g.kinds
}

// weigh makes the contexts' integer weights, and the look-up table.
func (m *Model) weigh(levels *[order + 1][]entry) {
	for least := uint32(1); ; least++ { // contexts seen more rarely go, until the model is small enough
		m.index(m.gather(levels, least))
		if m.Size() <= maxSize {
			return
		}
	}
}

func (m *Model) gather(levels *[order + 1][]entry, least uint32) (contexts []context) {
	m.signs = nil
	for level, grams := range levels {
		if level == 0 {
			contexts = m.whole(contexts, grams)
			continue
		}
		d := discounts(grams, level)
		for i := 0; i < len(grams); {
			end, total, seen := i, uint32(0), uint32(0)
			for end < len(grams) && grams[end].key>>6 == grams[i].key>>6 {
				total += grams[end].tally(level)
				seen += grams[end].seen
				end++
			}
			if seen >= least && !repeats(grams[i].key, level) {
				contexts = append(contexts, m.take(grams[i:end], level, total, d))
			}
			i = end
		}
	}
	return contexts
}

// repeats says whether a context only repeats that the word began: its two oldest
// signs both stand before it.
func repeats(key uint64, level int) bool {
	return level > 1 && key>>(10+6*(level-1))&63 == start && key>>(10+6*(level-2))&63 == start
}

// take makes one context.
func (m *Model) take(grams []entry, level int, total uint32, d [4]float64) context {
	taken := 0.0
	for _, g := range grams {
		taken += d[min(g.tally(level), 3)]
	}
	kept := float64(total) - taken
	signs, weights := make([]byte, 0, len(grams)), make([]float64, 0, len(grams))
	for _, g := range grams {
		t := g.tally(level)
		signs = append(signs, letter(g.key&63))
		weights = append(weights, (float64(t)-d[min(t, 3)])/kept)
	}
	l := taken / float64(total)
	l = l * courage / (1 - l + l*courage)
	return m.newContext(grams[0].key>>6, uint16(min(l*parts, parts-1)), signs, weights)
}

// courage scales the odds of leaving a context. What is best for the likelihood of
// names unseen leaves too often for drawing: it has to allow for everything people
// do, and most of what it then draws nobody does. Chosen by the attacker of package
// critic: without a floor his AUC is 0.724, 0.714, 0.700 and 0.738 at 0.15, 0.3, 0.6
// and 1, with seven signs looked at; with five 0.698 and 0.742 at 0.6 and 1.
const courage = 0.6

// newContext appends a context's signs, their weights as integers of at least one that
// add up to parts.
func (m *Model) newContext(key uint64, leave uint16, signs []byte, weights []float64) context {
	rest, most, from := int64(parts), 0, len(m.signs)
	for i, v := range weights {
		w := max(1, int64(v*float64(parts-len(weights))))
		rest -= w
		m.signs = append(m.signs, sign{uint16(w - 1), signs[i]})
		if v > weights[most] {
			most = i
		}
	}
	m.signs[from+most].less = uint16(int64(m.signs[from+most].less) + rest)
	return context{key, uint32(from), leave, uint8(len(signs))}
}

// whole appends the contexts that look at no sign before: complete ones, in which
// a sign never seen is rare, not impossible.
func (m *Model) whole(contexts []context, grams []entry) []context {
	counts := map[uint64]float64{}
	for _, g := range grams {
		counts[g.key] = float64(g.tally(0))
	}
	for _, digit := range []bool{false, true} {
		signs := signsOf(digit)
		for left := range lefts + 1 {
			k := contextKey(0, 0, digit, left)
			total := 0.0
			for _, c := range []byte(signs) {
				total += counts[k<<6|code(c)] + 0.5
			}
			var weights []float64
			for _, c := range []byte(signs) {
				weights = append(weights, (counts[k<<6|code(c)]+0.5)/total)
			}
			contexts = append(contexts, m.newContext(k, 0, []byte(signs), weights))
		}
	}
	return contexts
}

// letter is the sign of a code.
func letter(code uint64) byte { return "?abcdefghijklmnopqrstuvwxyz0123456789_.-^|"[code] }

// discounts are those of Chen and Goodman for tallies of one, two, and three and more.
func discounts(grams []entry, level int) (d [4]float64) {
	var n [5]float64
	for _, g := range grams {
		if t := g.tally(level); t <= 4 {
			n[t]++
		}
	}
	y := n[1] / max(1, n[1]+2*n[2])
	for i := 1; i <= 3; i++ {
		d[i] = 0.5 * float64(i) // what is right when there is too little to tell
		if n[i] > 0 && n[i+1] > 0 {
			d[i] = float64(i) - float64(i+1)*y*n[i+1]/n[i]
		}
		d[i] = min(max(d[i], 0.1), float64(i)-0.05)
	}
	return d
}
