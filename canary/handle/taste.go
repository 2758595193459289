package handle

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"birdring/canary/handle/forest"
)

// taste tells what people choose from what the model draws although they would not.
// The model looks at a few signs at a time and knows nothing of a name as a whole, so
// some of its draws are not pronounced, too long without a word, or too even. A draw
// is kept the oftener the liker it is to a name (Rosenfeld, Chen and Zhu 2001: whole-
// sentence models); what a kept one is worth stays exact, as the plan counts it.
//
// What a name looks like is learnt from names that the model it is held against was
// not fitted to: the names are cut into parts, and each part is told from the draws of
// a model fitted to the others. Learnt from the very names fitted to, it would like
// what is copied from them, and whoever owns them would see it.
type taste struct {
	eye   eye
	trees []tree
}

// tree is one of depth treeDepth, root first: the children of fork i are 2i+1 and
// 2i+2, the leaves behind the last. All its walks take as many steps, none of which a
// processor has to guess.
type tree struct {
	feature [forks]uint8
	cut     [forks]int16 // left: at most
	leaf    [forks + 1]int16
}

const (
	treeDepth = 5
	forks     = 1<<treeDepth - 1
	scale     = 256 // parts of a natural logarithm, in which leaves speak
)

// Bounds of learning a taste.
const (
	tasteFrom  = 20_000  // fewer names tell too little
	tasteMost  = 1 << 16 // more are not looked at
	tasteParts = 8
	tasteDraws = 2 // for each name
)

// choosy is from how many times likelier among names than among draws every draw is
// kept. The higher, the nearer what is kept comes to names, and the fewer are. Without
// a taste the attacker of package critic who owns the names fitted to has an AUC of
// .729 at a floor of 30 bits, with one of .686 at 2, .675 at 3 and, with fewer trees, .684
// at 6; balancing the lengths of what is kept on top made no difference.
const choosy = 3

// tasteSize is how large a taste's forest grows.
var tasteSize = forest.Size{Rounds: 200, Depth: treeDepth, Rate: 0.08}

// liking is the chance with which a draw is kept, in parts.
func (t *taste) liking(h string) uint32 {
	if t == nil {
		return parts
	}
	return uint32(parts * min(1, math.Exp2(t.score(h)/(scale*math.Ln2))/choosy))
}

// score is the logarithm of how many times likelier h is among names than among
// draws, in parts of scale.
func (t *taste) score(h string) float64 {
	var row [features]int16
	t.eye.look(h, &row)
	return float64(t.judge(&row))
}

// judge is the sum of what the trees say.
func (t *taste) judge(row *[features]int16) (sum int) {
	for i := range t.trees {
		tree, at := &t.trees[i], 0
		for range treeDepth {
			right := 0
			if row[tree.feature[at]] > tree.cut[at] {
				right = 1
			}
			at = 2*at + 1 + right
		}
		sum += int(tree.leaf[at-forks])
	}
	return sum
}

// size is its memory in bytes.
func (t *taste) size() int {
	if t == nil {
		return 0
	}
	return len(t.eye.pairs) + len(t.eye.triples) + 8*len(t.eye.pieces) + len(t.trees)*(5*forks+2)
}

// learnTaste learns from names that keep the rules. step, which may be nil, is told
// how far it is.
func learnTaste(names []string, rules Rules, size forest.Size, step func(done, total int)) (*taste, error) {
	rng := rand.New(rand.NewPCG(uint64(len(names)), 0x7a57)) // fixed: the model is a function of what it was fitted to
	names = append([]string{}, names...)
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var rows [][]float64
	var chosen []bool
	put := func(e *eye, name string, real bool) {
		var row [features]int16
		e.look(name, &row)
		out := make([]float64, features)
		for i, v := range row {
			out[i] = float64(v)
		}
		rows, chosen = append(rows, out), append(chosen, real)
	}
	for part := range tasteParts {
		var own, others []string
		for i, n := range names {
			if i%tasteParts == part {
				own = append(own, n)
			} else {
				others = append(others, n)
			}
		}
		f := NewFitter(rules)
		for _, n := range others {
			if err := f.Add(n); err != nil {
				return nil, err
			}
		}
		m, err := f.model(Floors[:1], nil, func(int, int) {})
		if err != nil {
			return nil, err
		}
		e := newEye(others)
		for _, n := range own {
			put(&e, n, true)
		}
		next := func() uint16 { return uint16(rng.Uint32()) }
		for drawn := 0; drawn < tasteDraws*len(own); {
			if h, _, ok, _ := m.plans[0].Draw(next); ok {
				put(&e, h, false)
				drawn++
			}
		}
		step(1+part, tasteParts+1)
	}
	rng.Shuffle(len(rows), func(i, j int) {
		rows[i], rows[j] = rows[j], rows[i]
		chosen[i], chosen[j] = chosen[j], chosen[i]
	})
	t := &taste{eye: newEye(names)}
	t.plant(forest.Grow(rows, chosen, size, rng))
	step(tasteParts+1, tasteParts+1)
	return t, nil
}

// plant takes over a forest's trees in whole numbers.
func (t *taste) plant(f *forest.Forest) {
	for i, grown := range f.Trees {
		var out tree
		var put func(at, n int)
		put = func(at, n int) {
			node := &grown[n]
			switch {
			case at >= forks:
				v := node.Value
				if i == 0 {
					v += math.Log(tasteDraws) // the forest's odds are for each name against so many draws
				}
				out.leaf[at-forks] = int16(math.Round(v * scale))
			case node.Feature < 0: // a leaf higher up: both ways lead to it
				put(2*at+1, n)
				put(2*at+2, n)
			default:
				out.feature[at], out.cut[at] = uint8(node.Feature), int16(math.Floor(node.Cut))
				put(2*at+1, node.Left)
				put(2*at+2, node.Right)
			}
		}
		put(0, 0)
		t.trees = append(t.trees, out)
	}
}

// eye looks at a name as a whole, in whole numbers.
type eye struct {
	pairs   []uint8  // what a sign costs after another, in eighths of a bit
	triples []uint8  // after two others
	pieces  []uint64 // runs of 4 to 8 signs of names looked at: a Bloom filter of one word a run
}

// edge stands before a name and behind it; alphabet counts it and all codes.
const (
	edge     = 0
	alphabet = 40
)

// Runs of signs that an eye knows.
const (
	shortestPiece = 4
	longestPiece  = 8
	pieceBits     = 6 // of the filter for each met; half of them were met before
)

func newEye(names []string) eye {
	e := eye{}
	var two [alphabet * alphabet]float64
	three := make([]float64, alphabet*alphabet*alphabet)
	runs := 0
	for _, n := range names {
		a, b := edge, edge
		for i := range len(n) + 1 {
			c := edge
			if i < len(n) {
				c = int(code(n[i]))
			}
			two[b*alphabet+c]++
			three[(a*alphabet+b)*alphabet+c]++
			a, b = b, c
		}
		for k := shortestPiece; k <= longestPiece; k++ {
			runs += max(0, len(n)+3-k)
		}
	}
	e.pairs, e.triples = make([]uint8, len(two)), make([]uint8, len(three))
	// Interpolated after Witten and Bell (1991), the pairs with equal chances.
	var chance [alphabet * alphabet]float64
	weigh := func(counts []float64, below func(c int) float64, put func(c int, p float64)) {
		total, kinds := 0.0, 0.0
		for _, v := range counts {
			total += v
			if v > 0 {
				kinds++
			}
		}
		for c, v := range counts {
			p := below(c)
			if total > 0 {
				p = (v + kinds*p) / (total + kinds)
			}
			put(c, p)
		}
	}
	cost := func(p float64) uint8 { return uint8(min(255, math.Round(-8*math.Log2(p)))) }
	for b := range alphabet {
		weigh(two[b*alphabet:][:alphabet], func(int) float64 { return 1.0 / alphabet }, func(c int, p float64) {
			chance[b*alphabet+c], e.pairs[b*alphabet+c] = p, cost(p)
		})
	}
	for ab := range alphabet * alphabet {
		b := ab % alphabet
		weigh(three[ab*alphabet:][:alphabet], func(c int) float64 { return chance[b*alphabet+c] }, func(c int, p float64) {
			e.triples[ab*alphabet+c] = cost(p)
		})
	}
	e.pieces = make([]uint64, max(1, runs*pieceBits/64))
	for _, n := range names {
		eachPiece(n, func(_ int, h uint64) {
			word, key := e.piece(h)
			*word |= key
		})
	}
	return e
}

// piece is where the filter keeps a run, and its bits there.
func (e *eye) piece(h uint64) (word *uint64, key uint64) {
	at, _ := bits.Mul64(h, uint64(len(e.pieces)))
	return &e.pieces[at], 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63)
}

// eachPiece visits the runs of signs in a name and its edges with a hash of each.
func eachPiece(name string, visit func(signs int, hash uint64)) {
	at := func(i int) uint64 {
		if i == 0 || i > len(name) {
			return edge
		}
		return code(name[i-1])
	}
	for i := range len(name) + 2 {
		h := uint64(0)
		for k := 1; k <= longestPiece && i+k <= len(name)+2; k++ {
			if h = h<<6 | at(i+k-1); k >= shortestPiece {
				visit(k, spread(spread(h+uint64(k)<<50)))
			}
		}
	}
}

// features is how many numbers an eye sees.
const features = 22

// look fills a row with what a name looks like.
func (e *eye) look(name string, row *[features]int16) {
	two, three, a, b := 0, 0, edge, edge
	for i := range len(name) + 1 {
		c := edge
		if i < len(name) {
			c = int(code(name[i]))
		}
		two += int(e.pairs[b*alphabet+c])
		three += int(e.triples[(a*alphabet+b)*alphabet+c])
		a, b = b, c
	}
	row[0], row[1] = int16(64*two/(len(name)+1)), int16(64*three/(len(name)+1))
	longest := 0
	eachPiece(name, func(k int, h uint64) {
		if word, key := e.piece(h); *word&key == key {
			longest = max(longest, k)
		} else {
			row[2+k-shortestPiece]++
		}
	})
	row[7] = int16(longest)
	build(name, row[8:])
}

// build is how a name is put together: 14 numbers.
func build(name string, row []int16) {
	var digits, separators, vowels, repeats, consonants, most, rare, changes, closing, opening int16
	var seen [alphabet + 2]uint8
	for i := range len(name) {
		c := name[i]
		seen[code(c)]++
		switch {
		case class(c) == '9':
			digits++
			closing++
			consonants = 0
		case class(c) != 'a':
			separators++
			closing, consonants = 0, 0
		default:
			closing = 0
			switch c {
			case 'a', 'e', 'i', 'o', 'u', 'y':
				vowels++
				consonants = 0
			case 'j', 'q', 'x', 'z', 'v', 'k', 'w':
				rare++
				consonants++
			default:
				consonants++
			}
			if int(opening) == i {
				opening++
			}
		}
		most = max(most, consonants)
		if i > 0 {
			if c == name[i-1] {
				repeats++
			}
			if class(c) != class(name[i-1]) {
				changes++
			}
		}
	}
	n := len(name)
	even := surprise[n]
	for _, v := range seen {
		even -= surprise[v]
	}
	year := int16(0)
	if closing == 4 && name[n-4:] >= "1940" && name[n-4:] <= "2030" {
		year = 1
	}
	letters := max(1, int16(n)-digits-separators)
	copy(row, []int16{
		int16(n), digits, separators, 64 * vowels / letters, repeats, most, rare, changes,
		int16(even / n), closing, year, int16(code(name[0])), int16(code(name[n-1])), opening,
	})
}

// surprise is n log2 n in 64ths of a bit: what tells how even a name's signs are.
var surprise = func() (t [maxSigns + 1]int) {
	for n := 2; n <= maxSigns; n++ {
		t[n] = int(math.Round(64 * float64(n) * math.Log2(float64(n))))
	}
	return t
}()
