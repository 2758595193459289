package ring

import "math"

// Lines of evidence, in millibits.
const (
	AttributedMillibits = 64_000 // an account is attributed
	MarkedMillibits     = 58_000 // "some ring", judged without any ring
	ErrorMillibits      = 33_000 // a control here means a defect of ours (chance <= 2^-17 for 65,535 of them)
)

// ProbableMillibits is the line of the level `probable`: log2(20 x candidates), rounded up.
func ProbableMillibits(candidates int) int64 {
	return int64(math.Ceil(float64(1000/math.Ln2*log(20*float64(max(1, candidates)))) + 1e-6))
}

// Average joins hypotheses of which one is true at the most: the sessions of one
// account, or the pictures of a photo group that one file could come from.
func Average(of []Score) Score {
	if len(of) == 1 {
		return of[0]
	}
	n := down(-log(float64(max(1, len(of)))))
	out := Nothing
	for i := range of {
		for t, l := range of[i] {
			out[t] = logAdd(out[t], l.plus(n))
		}
	}
	return out
}

// Sightings joins the files that show one photo on one site, in the order in
// which they were found: the first weighs 31/32, and the rest share 1/32 as
// 1/(s(s+1)), s = 1, 2, .. The weights sum to 1, so it never exceeds what an
// e-value may, however often a photo is seen. (1/(s(s+1)) from the first sighting
// on, as statistics section 4 writes it, halves every picture: weak ones then need
// up to 1.6 times the pictures of its own table, which make sim prints.)
// The zero value has seen nothing.
type Sightings struct {
	n   int
	sum Score
}

// again is one over the weight of all sightings but the first.
const again = 32

var firstLog = down(log(1 - 1./again))

// See adds the next file.
func (s *Sightings) See(file Score) {
	if s.n == 0 {
		s.sum = Nothing
	}
	s.n++
	if file == Nothing {
		return
	}
	w := firstLog
	if s.n > 1 {
		w = down(-log(float64(again) * float64(s.n-1) * float64(s.n)))
	}
	for t, l := range file {
		s.sum[t] = logAdd(s.sum[t], l.plus(w))
	}
}

// Skip passes over files that say nothing about the viewer, who was dropped or
// shown the photo later.
func (s *Sightings) Skip(n int) {
	if s.n == 0 {
		s.sum = Nothing
	}
	s.n += n
}

// Count is the number of files seen and skipped.
func (s *Sightings) Count() int { return s.n }

// Label names a secret of ours: the ring of a photo group, the handle or the coin
// of a decoy, a link. What was found of two secrets multiplies; what was found
// of one never does.
type Label struct {
	Kind Kind
	Of   string // id of the photo group or decoy
}

// Kind is a kind of secret, each drawn with a key label of its own.
type Kind uint8

// The kinds.
const (
	KindRing Kind = iota + 1
	KindHandle
	KindLink
	KindCoin
	KindProbe
)

// String is the kind's name as `explain` prints it.
func (k Kind) String() string {
	return [...]string{"?", "ring", "handle", "link", "coin", "probe"}[min(k, 5)]
}

// Factor is all that was found of one photo group's ring. It is made by
// Sightings alone: a Score, or the Scores of two files, have no way into a product.
type Factor struct {
	label Label
	logs  Score
}

// Factor ends the sightings of a photo group.
func (s *Sightings) Factor(group string) Factor {
	f := Factor{Label{KindRing, group}, s.sum}
	if s.n == 0 {
		f.logs = Nothing
	}
	return f
}

// Unit is the factor 1 of a photo group nothing of which was found, or which the account was not shown.
func Unit(group string) Factor { return Factor{label: Label{KindRing, group}} }

// shares are the parts of a site's pictures that an account may have supplied.
// The first stands for all of them; the 2^-16 beside it keeps a picture that was
// dropped or is somebody else's from making the whole product 0.
var (
	shares     = [...]float64{1 - 0x1p-16, .5, .2, .08, .03, .01}
	sharePrior = [...]float64{.3, .2, .15, .15, .1, .1}
	shareLogs  = func() (out [len(shares)][2]float64) {
		for i, pi := range shares {
			out[i] = [2]float64{log(pi), log(1 - pi)}
		}
		return out
	}()
)

// trackPrior weighs the tracks: statistics section 3 for the single leaker's,
// the rest for what else may have been done to a picture.
var trackPrior = func() (out [Tracks]float64) {
	shapePrior := [...]float64{.55, .15, .15, .15}
	rhoPrior := [...]float64{.55, .2, .15, .1}
	for s, ps := range shapePrior {
		for i, pr := range rhoPrior {
			out[len(rhos)*s+i] = .78 * ps * pr
		}
	}
	out[trackHard], out[trackMixed], out[trackWindows], out[trackCentred] = .08, .08, .03, .03
	return out
}()

// cell is log(1 - pi + pi E) of one track and share, in units of 2^-8 nats rounded down.
type cell int32

func (c cell) float() float64 { return float64(float64(c) / cellUnit) }

const (
	cellUnit = 1 << 8
	mostCell = 2839 * cellUnit // one photo group counts 4096 bits at the most
	// MostGroups is how many photo groups of a site are counted: more than that
	// at their most would overflow a cell.
	MostGroups = 2900
)

// Sums is the product over distinct photo groups for one account on one site,
// kept apart for every track and share: the mixture stands outside. It is the
// cache of a site, 480 bytes an account, and exact: whatever the order, the same
// factors give the same sums.
type Sums [Tracks * len(shares)]cell

// Swap replaces a factor by another of the same photo group; Unit stands for
// none. It panics for two groups: that would multiply one of them twice.
func (s *Sums) Swap(old, new *Factor) {
	if old.label != new.label {
		panic("ring: internal error: one photo group replaced by another")
	}
	if old.logs == new.logs {
		return
	}
	for t := range new.logs {
		for pi := range shares {
			s[t*len(shares)+pi] += mix(new.logs[t], pi) - mix(old.logs[t], pi)
		}
	}
}

// mix is log(1 - pi + pi e^l), rounded down.
func mix(l Nats, pi int) cell {
	a := shareLogs[pi][1]
	if l == 0 {
		return 0
	}
	if l == Never {
		return cell(math.Floor(a * cellUnit))
	}
	b := shareLogs[pi][0] + l.float()
	if b < a {
		a, b = b, a
	}
	return cell(math.Floor(min((b+log(1+exp(a-b)))*cellUnit, mostCell)))
}

// Most bounds Nats from above at a fraction of its cost.
func (s *Sums) Most() Nats {
	most := s[0]
	for _, c := range s {
		most = max(most, c)
	}
	return Nats(most) * (natsUnit / cellUnit)
}

// Nats is the evidence: log of sum over tracks t and shares pi of v_t v_pi prod_d (1 - pi + pi E_d^t).
func (s *Sums) Nats() Nats {
	logs := make([]float64, 0, len(s))
	for t := range Tracks {
		for pi := range shares {
			logs = append(logs, mixLogs[t*len(shares)+pi]+s[t*len(shares)+pi].float())
		}
	}
	return down(logSum(logs))
}

// mixLogs are the logs of v_t v_pi.
var mixLogs = func() (out [Tracks * len(shares)]float64) {
	for t, v := range trackPrior {
		for pi, w := range sharePrior {
			out[t*len(shares)+pi] = log(float64(v * w))
		}
	}
	return out
}()

// Passes joins the passes over one account's photo groups: the first without
// side information, each further one with the rings of those accused before it,
// as sum over r of E^(r) / (r(r+1)).
func Passes(of []Sums) Nats {
	out := Never
	for i := range of {
		out = logAdd(out, of[i].Nats().plus(passLog(i+1)))
	}
	return out
}

func passLog(r int) Nats { return down(-log(float64(r) * float64(r+1))) }

// Alone is what one file says by itself about a viewer, in millibits.
func (s Score) Alone() int64 {
	var seen Sightings
	seen.See(s)
	return seen.Factor("").Alone()
}

// Alone is what a photo group says by itself.
func (f Factor) Alone() int64 {
	var s Sums
	unit := Unit(f.label.Of)
	s.Swap(&unit, &f)
	return Passes([]Sums{s}).Millibits()
}

// Mixed says that a viewer's bits explain a photo better as one of several that
// were mixed than as the only ones: then the viewer's ring, once it is accused,
// tells about the others. No other viewer's ring enters.
func (f Factor) Mixed() bool {
	const least, margin = 7 * natsUnit, 5 * natsUnit
	whole, part := f.logs[trackHard], f.logs[trackMixed]
	for t := range trackHard {
		if t%len(rhos) == 0 {
			whole = max(whole, f.logs[t])
		} else {
			part = max(part, f.logs[t])
		}
	}
	return part >= least && (whole == Never || part-whole >= margin)
}
