package handle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Plan draws the handles of one floor. Its shapes are weighted so that what passes
// the floor looks most like what it was fitted to.
type Plan struct {
	m       *Model
	floor   float64  // bits each handle is to have at least
	least   float64  // bits before the filters that this takes
	kept    uint32   // share of draws that the filters keep, in parts of 65536
	weights []uint32 // by shape; they add up to 1<<32
	upTo    []uint64 // their sums
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
		counts[i] = float64(w)
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
	return p.rawBits(h) + math.Log2(p.Kept())
}

// Gives says whether the plan could give h out: no filter of its own passes over it.
func (p *Plan) Gives(h string) bool {
	bits := p.rawBits(h)
	return !math.IsInf(bits, 1) && p.refuse(h, bits) == ""
}

// Draw draws one candidate: ok is false if it must be passed over, with the reason.
// Bits is what a kept one is worth.
func (p *Plan) Draw(next Source) (h string, bits float64, ok bool, why Reason) {
	h, most := p.raw(next)
	if most < p.least {
		return h, 0, false, BelowFloor // nearly always so, and it saves the sum over all ways
	}
	bits = p.rawBits(h)
	if why = p.refuse(h, bits); why != "" {
		return h, 0, false, why
	}
	return h, bits + math.Log2(p.Kept()), true, ""
}

// Reason says why a candidate was passed over.
type Reason string

// The reasons, in the order in which they are looked at.
const (
	AgainstRules Reason = "platform rules"
	BelowFloor   Reason = "below the floor"
	Offends      Reason = "offensive"
	TooFamous    Reason = "famous"
	Fitted       Reason = "one of the handles fitted to"
	Clashes      Reason = "too like another decoy's"
	Taken        Reason = "taken"
)

// Reasons in their order.
var Reasons = []Reason{AgainstRules, BelowFloor, Offends, TooFamous, Fitted, Clashes, Taken}

// refuse says why the filters that need nothing but the model pass over h.
func (p *Plan) refuse(h string, bits float64) Reason {
	switch {
	case !p.m.rules.Allow(h):
		return AgainstRules
	case bits < p.least:
		return BelowFloor
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

// powers are tried in turn until a plan keeps enough of its draws. A power is the part
// of what the floor takes from a shape that is made up for by weighting the shape: all
// of it keeps the shapes as they are among people, at the price of many draws for one;
// none leaves more of the long shapes.
var powers = []float64{1, 0.8, 0.6, 0.4, 0.2, 0}

// keptEnough is the share of draws that a plan ought to keep: of few handles that are
// to be hard to meet, dark decoys', less will do.
func keptEnough(floor float64) float64 {
	if floor > 35 {
		return 0.1
	}
	return 0.42
}

// trial is a draw from the plan without a floor.
type trial struct {
	shape   int
	bits    float64
	refused bool
}

// plan weighs the shapes for a floor and finds what it takes to keep it. counts are
// the shapes' natural weights.
func (m *Model) plan(floor float64, counts []float64) (*Plan, error) {
	rng := rand.New(rand.NewPCG(uint64(floor)+1, 77)) // fixed: the model is a function of what it was fitted to
	next := func() uint16 { return uint16(rng.Uint32()) }
	p := &Plan{m: m, floor: floor, weights: whole32(counts)}
	p.sum()
	if floor > 0 {
		p.reweigh(p.trials(next), counts)
	}
	p.settle(p.trials(next))
	if p.Kept() < 1.0/64 {
		return nil, fmt.Errorf("hardly any handle of this platform carries %v bits: fit the model to more handles, or be content with fewer bits", floor)
	}
	return p, nil
}

func (p *Plan) trials(next Source) []trial {
	out := make([]trial, planDraws)
	for i := range out {
		h, _ := p.raw(next)
		t := trial{bits: p.rawBits(h)}
		t.shape, _ = slices.BinarySearch(p.m.shapes, Shape(h))
		t.refused = p.refuse(h, t.bits) != ""
		out[i] = t
	}
	return out
}

// reweigh finds the highest power at which enough of the draws are kept, going by
// the trials without it.
func (p *Plan) reweigh(trials []trial, counts []float64) {
	drawn, kept := make([]float64, len(counts)), make([]float64, len(counts))
	for _, t := range trials {
		drawn[t.shape]++
		if t.bits >= p.floor {
			kept[t.shape]++
		}
	}
	natural := p.weights
	for _, power := range powers {
		again := make([]float64, len(counts))
		for i, n := range counts {
			// What was hardly drawn says nothing: lean on keeping half.
			again[i] = n * math.Pow((kept[i]+1)/(drawn[i]+2), -power)
		}
		p.weights = whole32(again)
		all, good := 0.0, 0.0
		for _, t := range trials {
			ratio := float64(p.weights[t.shape]) / float64(natural[t.shape])
			all += ratio
			if !t.refused && t.bits-math.Log2(ratio) > p.floor+1 {
				good += ratio
			}
		}
		if good/all >= keptEnough(p.floor) {
			break
		}
	}
	p.sum()
}

// settle finds the bits that a draw needs so that those kept have the floor: the
// higher the line, the fewer are kept, and each loses what the others gain.
func (p *Plan) settle(trials []trial) {
	var bits []float64
	for _, t := range trials {
		if !t.refused {
			bits = append(bits, t.bits)
		}
	}
	slices.Sort(bits)
	for i, b := range bits {
		share := float64(len(bits)-i) / float64(len(trials))
		if p.floor == 0 || b+math.Log2(share) >= p.floor {
			p.kept = uint32(share * parts)
			if p.floor > 0 {
				p.least = b
			}
			return
		}
	}
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
