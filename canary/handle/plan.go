package handle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Plan draws the handles of one floor. What the model draws more often than the floor
// allows is passed over just so often that it is drawn as often as the floor allows:
// nothing that keeps the floor is nearer to the model.
type Plan struct {
	m       *Model
	floor   float64  // bits each handle is to have at least
	least   float64  // bits before the filters from which on every draw is kept
	kept    uint32   // share of draws that the filters keep, in parts of 65536
	weights []uint32 // by shape; they add up to 1<<32
	upTo    []uint64 // their sums
	// scarce is, by length, what share of its draws the floor leaves at most, in parts.
	// Shapes weigh that much less, and a taste keeps that much more: the same handles
	// come out of fewer draws.
	scarce [maxSigns + 1]uint32
}

// Floors are the floors a model has plans for: none, a site's dump of a hundred
// thousand names, and dark decoys, in bits.
var Floors = []float64{0, 30, 43}

// Plan returns the plan of a floor in bits. One that is not among Floors is made on
// the spot. The error says that the platform's handles do not reach the floor.
func (m *Model) Plan(floor float64) (*Plan, error) {
	for _, p := range m.plans {
		if p.floor == floor {
			return p, nil
		}
	}
	counts := make([]float64, len(m.shapes))
	for i, w := range m.plans[0].weights {
		counts[i] = float64(w) / float64(m.plans[0].scarce[len(m.shapes[i])])
	}
	return m.plan(floor, counts)
}

// Floor is the plan's floor in bits.
func (p *Plan) Floor() float64 { return p.floor }

// Kept is the share of draws that the floor and the words nobody wants leave.
func (p *Plan) Kept() float64 { return float64(p.kept) / parts }

// sum prepares drawing.
func (p *Plan) sum() {
	p.upTo = make([]uint64, len(p.weights))
	total := uint64(0)
	for i, w := range p.weights {
		total += uint64(w)
		p.upTo[i] = total
	}
}

// raw draws a handle before any filter, and says how many bits it has at most.
func (p *Plan) raw(next Source) (h string, most float64) {
	v := uint64(next())<<16 | uint64(next())
	i, _ := slices.BinarySearch(p.upTo, v+1)
	h, way := p.m.fill(p.m.shapes[i], next)
	return h, 32 - math.Log2(float64(p.weights[i])*way)
}

// rawBits is -log2 of the probability of raw drawing h, +Inf if it never does.
func (p *Plan) rawBits(h string) float64 {
	i, ok := slices.BinarySearch(p.m.shapes, Shape(h))
	if !ok || p.weights[i] == 0 {
		return math.Inf(1)
	}
	return 32 - math.Log2(float64(p.weights[i])) + p.m.signBits(h)
}

// Bits is -log2 of the probability that the plan gives h out, what it passes over
// accounted for; +Inf if it never does.
func (p *Plan) Bits(h string) float64 {
	if !p.m.rules.Allow(h) {
		return math.Inf(1)
	}
	raw := p.rawBits(h)
	keep := min(p.below(raw), p.liking(h))
	if keep == 0 {
		return math.Inf(1)
	}
	return raw + p.cost(keep)
}

// liking is the chance with which the taste keeps a draw of h, in parts.
func (p *Plan) liking(h string) uint32 {
	return min(parts, uint32(uint64(p.m.taste.liking(h))*parts/uint64(p.scarce[len(h)])))
}

// Natural is the model's plan without a floor.
func (p *Plan) Natural() *Plan { return p.m.plans[0] }

// cost is what the filters add to the bits of a handle that is kept with a chance of
// keep parts.
func (p *Plan) cost(keep uint32) float64 {
	return math.Log2(float64(p.kept)) - math.Log2(float64(keep))
}

// Gives says whether the plan could give h out: no filter of its own passes over it.
func (p *Plan) Gives(h string) bool {
	return !math.IsInf(p.Bits(h), 1) && p.refuse(h) == ""
}

// below is the chance, in parts, with which the floor keeps a handle of so many bits.
// Rounded down, so that its bits are never too few.
func (p *Plan) below(bits float64) uint32 {
	switch {
	case math.IsInf(bits, 1):
		return 0
	case bits >= p.least:
		return parts
	}
	return uint32(parts * math.Exp2(bits-p.least))
}

// Draw draws one candidate: ok is false if it must be passed over, with the reason.
// Bits is what a kept one is worth.
func (p *Plan) Draw(next Source) (h string, bits float64, ok bool, why Reason) {
	h, most := p.raw(next)
	coin := uint32(next())
	if coin >= p.below(most) {
		return h, 0, false, BelowFloor // true also of its bits, which are fewer, and it saves the sum over all ways
	}
	liking := p.liking(h)
	if coin >= liking {
		return h, 0, false, Odd
	}
	bits = p.rawBits(h)
	below := p.below(bits)
	if coin >= below {
		return h, 0, false, BelowFloor
	}
	if why = p.refuse(h); why != "" {
		return h, 0, false, why
	}
	return h, bits + p.cost(min(below, liking)), true, ""
}

// Reason says why a candidate was passed over.
type Reason string

// The reasons, in the order in which they are looked at.
const (
	AgainstRules Reason = "platform rules"
	BelowFloor   Reason = "below the floor"
	Odd          Reason = "unlike a name"
	Offends      Reason = "offensive"
	TooFamous    Reason = "famous"
	Fitted       Reason = "one of the handles fitted to"
	Clashes      Reason = "too like another decoy's"
	Taken        Reason = "taken"
)

// Reasons in their order.
var Reasons = []Reason{AgainstRules, BelowFloor, Odd, Offends, TooFamous, Fitted, Clashes, Taken}

// refuse says why the filters that need nothing but the model pass over h.
func (p *Plan) refuse(h string) Reason {
	switch {
	case !p.m.rules.Allow(h):
		return AgainstRules
	case offensive(h):
		return Offends
	case famous(h):
		return TooFamous
	case p.m.Knows(h):
		return Fitted
	}
	return ""
}

// planDraws is how many draws a plan is made from: its share of kept draws, and so
// every handle's bits, are known to 0.02 bits.
const planDraws = 10000

// trial is a draw before any filter.
type trial struct {
	signs   int
	bits    float64
	liking  uint32
	refused bool
}

// plan finds what it takes to keep a floor. counts are the shapes' natural weights.
func (m *Model) plan(floor float64, counts []float64) (*Plan, error) {
	rng := rand.New(rand.NewPCG(uint64(floor)+1, 77)) // fixed: the model is a function of what it was fitted to
	next := func() uint16 { return uint16(rng.Uint32()) }
	p := &Plan{m: m, floor: floor, weights: whole32(counts)}
	for i := range p.scarce {
		p.scarce[i] = parts
	}
	p.sum()
	trials := p.trials(next)
	p.settle(trials)
	if m.taste != nil {
		p.thin(trials, counts)
		p.sum()
		p.settle(p.trials(next))
	}
	if p.Kept() < 1.0/256 {
		return nil, fmt.Errorf("hardly any handle of this platform carries %v bits: fit the model to more handles, or be content with fewer bits", floor)
	}
	return p, nil
}

// thin sets scarce, and weighs the shapes by it.
func (p *Plan) thin(trials []trial, counts []float64) {
	var keeps [maxSigns + 1][]uint32
	for _, t := range trials {
		if !t.refused {
			keeps[t.signs] = append(keeps[t.signs], min(p.below(t.bits), t.liking))
		}
	}
	for n, k := range keeps {
		if len(k) >= 60 {
			slices.Sort(k)
			p.scarce[n] = min(max(k[len(k)*9/10], parts/64), parts) // one in ten is drawn less often than it could be
		}
	}
	weights := make([]float64, len(counts))
	for i, v := range counts {
		weights[i] = v * float64(p.scarce[len(p.m.shapes[i])])
	}
	p.weights = whole32(weights)
}

func (p *Plan) trials(next Source) []trial {
	n := planDraws
	if p.m.taste != nil {
		n *= 4 // fewer of them are kept
	}
	out := make([]trial, n)
	for i := range out {
		h, _ := p.raw(next)
		t := trial{signs: len(h), bits: p.rawBits(h), liking: p.liking(h), refused: p.refuse(h) != ""}
		out[i] = t
	}
	return out
}

// settle finds the bits that a draw needs so that those kept
// have the floor: the more are passed over, the oftener each of the others is drawn.
func (p *Plan) settle(trials []trial) {
	p.kept = uint32(p.keep(trials) * parts)
	if p.floor == 0 {
		return
	}
	least, most := 0.0, 2*p.floor+16
	for range 40 {
		p.least = (least + most) / 2
		if share := p.keep(trials); p.least+math.Log2(share) < p.floor {
			least = p.least
		} else {
			most = p.least
		}
	}
	p.least = most
	p.kept = uint32(p.keep(trials) * parts)
	p.least = p.floor - math.Log2(p.Kept()) + 1e-9 // whatever was rounded, nothing is below the floor
}

// keep is the share of trials that the plan as it is would keep.
func (p *Plan) keep(trials []trial) float64 {
	sum := 0.0
	for _, t := range trials {
		if !t.refused {
			sum += float64(min(p.below(t.bits), t.liking))
		}
	}
	return sum / float64(len(trials)) / parts
}

// whole32 scales weights to integers that add up to 1<<32, none of them zero that was not.
func whole32(weights []float64) []uint32 {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	out := make([]uint32, len(weights))
	rest, most := uint64(1)<<32, 0
	for i, w := range weights {
		out[i] = uint32(min(max(1, float64(w/total)*(1<<32-float64(len(weights)))), 1<<32-1))
		rest -= uint64(out[i])
		if out[i] > out[most] {
			most = i
		}
	}
	out[most] += uint32(rest)
	return out
}
