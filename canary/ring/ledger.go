package ring

import (
	"errors"
	"fmt"
	"math"
)

// Evidence besides rings. Each kind is drawn with a key label of its own, so what
// was found of different kinds, and of one kind on different decoys, multiplies;
// the types below are the only way in. Decoys of which nothing was found count
// too, as e-values of 0 mixed with 1: leaving them out would be choosing by result.

// mostProof caps one find of a handle, link or probe at 2^64.
const mostProof = 64_000

// HandleProof is what finding the handle of a personal decoy says about its account.
type HandleProof struct{ proof }

// LinkProof is what finding an account's sealed link on a page we fetched says about it.
type LinkProof struct{ proof }

// ProbeProof is what being the first to look up a dark decoy says about an account.
type ProbeProof struct{ proof }

// proof is an e-value with its secret.
type proof struct {
	label Label
	nats  Nats
}

// Handle is the e-value of a personal decoy's handle, drawn with a chance of
// 2^-bits (millibits; the share that filters kept included), met as the index-th
// of the strings found next to matched pictures, or with index 0 anywhere in what
// was crawled: 1/2 2^h / (i(i+1)) or 1/2 2^h / 2^30 (statistics section 5b).
func Handle(decoy string, millibits int64, index int) HandleProof {
	l := bitsLog(min(millibits, mostProof)) - math.Ln2
	if index > 0 {
		l -= log(float64(index) * float64(index+1))
	} else {
		l -= bitsLog(30_000)
	}
	return HandleProof{proof{Label{KindHandle, decoy}, down(l)}}
}

// Link is the e-value of a link found by our own fetch, met as the index-th of
// the strings on the site that have the form of a token (from 1 on):
// 2^64 / (i(i+1)), never above 2^63. A string that was not copied from the
// viewer's link is that link, a given block of 128 bits, with a chance of 2^-128; it
// is counted as 2^-64, the chance of opening as any token at all (of the first
// layout): the rest is margin. Weighted by 1/(i(i+1)), which sums to 1, all strings together expect at most 1.
func Link(decoy string, index int) LinkProof {
	i := float64(max(1, index))
	return LinkProof{proof{Label{KindLink, decoy}, down(bitsLog(mostProof) - log(i) - log(i+1))}}
}

// Probe is the e-value of the first look-up of a dark decoy: its handle's
// surprisal less the look-ups that its window may have held.
func Probe(decoy string, millibits int64, lookups int) ProbeProof {
	return ProbeProof{proof{Label{KindProbe, decoy}, down(bitsLog(min(millibits, mostProof)) - log(float64(max(1, lookups))))}}
}

func bitsLog(millibits int64) float64 { return float64(float64(millibits) / 1000 * math.Ln2) }

// channel is the product over decoys of one kind of proof, per share; found or not.
type channel struct {
	open  bool // something could have been found
	found int
	sums  [len(shares)]cell
}

func (c *channel) add(l Nats) {
	c.open = true
	if l != Never {
		c.found++
	}
	for pi := range shares {
		c.sums[pi] += mix(l, pi)
	}
}

// heard is the weight of a channel against 1: silence of it costs log2(1/0.9) bits.
const heard = .1

func (c *channel) log() float64 {
	if c.found == 0 {
		return log(1 - heard) // it is a little more; less is always allowed
	}
	logs := []float64{log(1 - heard)}
	for pi, w := range sharePrior {
		logs = append(logs, log(w*heard)+c.sums[pi].float())
	}
	return logSum(logs)
}

// Coalition sizes of the coin's mixture (statistics section 5d).
var coinSizes = [...]int{1, 2, 4, 8, 16, 32}

// coins is the product over found shared decoys, per size of the farm.
type coins struct {
	n    int
	sums [len(coinSizes)]float64
}

func (c *coins) add(share float64, heads bool) {
	for i, size := range coinSizes {
		miss := 1.
		for range size {
			miss = float64(miss * (1 - share))
		}
		q := share / (1 - miss)
		ratio := (1 - q) / (1 - share)
		if heads {
			ratio = q / share
		}
		if ratio <= 0 {
			c.sums[i] = math.Inf(-1)
			continue
		}
		c.sums[i] += log(ratio)
	}
	c.n++
}

func (c *coins) log() float64 {
	logs := []float64{-math.Ln2}
	for _, s := range c.sums {
		logs = append(logs, s-math.Ln2-log(float64(len(coinSizes))))
	}
	return logSum(logs)
}

// Ledger is all evidence against one account on one site. Only what it takes
// multiplies, and each secret once.
type Ledger struct {
	taken                map[Label]bool
	passes               []Sums
	handles, links, dark channel
	coins                coins
}

// ErrTwice is returned for a second factor of one secret.
var ErrTwice = errors.New("one secret may not multiply twice")

// take notes a secret.
func (l *Ledger) take(x Label) error {
	if l.taken[x] {
		return fmt.Errorf("%w: %s of %s", ErrTwice, x.Kind, x.Of)
	}
	if l.taken == nil {
		l.taken = map[Label]bool{}
	}
	l.taken[x] = true
	return nil
}

// Rings enters a photo group: what was found of it without side information,
// then with that of each further pass.
func (l *Ledger) Rings(passes ...Factor) error {
	if err := l.take(passes[0].label); err != nil {
		return err
	}
	for len(l.passes) < len(passes) {
		if n := len(l.passes); n > 0 {
			l.passes = append(l.passes, l.passes[n-1]) // a pass begins where the one before it stands
		} else {
			l.passes = append(l.passes, Sums{})
		}
	}
	unit := Unit(passes[0].label.Of)
	for i := range l.passes {
		l.passes[i].Swap(&unit, &passes[min(i, len(passes)-1)])
	}
	return nil
}

// Enter takes the sums of all photo groups at once, as a site's cache keeps them.
func (l *Ledger) Enter(passes []Sums) { l.passes = passes }

// Handle enters a found handle.
func (l *Ledger) Handle(p HandleProof) error { return l.enter(&l.handles, p.proof) }

// Link enters a found link.
func (l *Ledger) Link(p LinkProof) error { return l.enter(&l.links, p.proof) }

// Probe enters a dark decoy that the account was the first to look up.
func (l *Ledger) Probe(p ProbeProof) error { return l.enter(&l.dark, p.proof) }

func (l *Ledger) enter(c *channel, p proof) error {
	if err := l.take(p.label); err != nil {
		return err
	}
	c.add(p.nats)
	return nil
}

// Silent says that the account could have left handles, links or probes and none was found.
func (l *Ledger) Silent(k Kind) {
	if c := l.channel(k); c != nil {
		c.open = true
	}
}

func (l *Ledger) channel(k Kind) *channel {
	switch k {
	case KindHandle:
		return &l.handles
	case KindLink:
		return &l.links
	case KindProbe:
		return &l.dark
	}
	return nil
}

// Missing enters a decoy of which the account could have left a handle, link or
// probe and did not.
func (l *Ledger) Missing(k Kind, decoy string) error {
	if err := l.take(Label{k, decoy}); err != nil {
		return err
	}
	if c := l.channel(k); c != nil {
		c.add(Never)
	}
	return nil
}

// Coin enters the outcome of the account's coin for a shared decoy that was found.
func (l *Ledger) Coin(decoy string, share float64, heads bool) error {
	if !(share > 0 && share < 1) {
		return nil
	}
	if err := l.take(Label{KindCoin, decoy}); err != nil {
		return err
	}
	l.coins.add(share, heads)
	return nil
}

const (
	// CoinsFrom is the evidence from which coins are asked: they confirm, and asking
	// them for every account would cost a MAC each.
	CoinsFrom = 16_000
	// darkAlone is how many dark decoys an account must have come for before
	// they count without other evidence of confirming or more.
	darkAlone  = 3
	confirming = 10_000
)

// Parts are what the kinds of evidence come to, in millibits; 0 for one with nothing to say.
type Parts struct{ Rings, Handles, Links, Coins, Probes int64 }

// Parts splits up Millibits. The parts do not count what the account was not asked about.
func (l *Ledger) Parts() Parts {
	of := func(any bool, f float64) int64 {
		if !any {
			return 0
		}
		return down(f).Millibits()
	}
	p := Parts{
		Handles: of(l.handles.open, l.handles.log()), Links: of(l.links.open, l.links.log()),
		Probes: of(l.dark.open, l.dark.log()), Coins: of(l.coins.n > 0, l.coins.log()),
	}
	if len(l.passes) > 0 {
		p.Rings = Passes(l.passes).Millibits()
	}
	return p
}

// Millibits is all evidence, rounded down. Coins and a few probes confirm other
// evidence and count only beside it; that lowers an e-value, never raises one.
func (l *Ledger) Millibits() int64 {
	p := l.Parts()
	sum := p.Rings + p.Handles + p.Links
	if p.Probes < 0 || sum >= confirming || l.dark.found >= darkAlone {
		sum += p.Probes
	}
	if sum >= CoinsFrom {
		sum += p.Coins
	}
	return sum
}
