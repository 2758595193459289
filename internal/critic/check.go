package critic

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"birdring/canary/handle"
)

// maxLine bounds a line of a list of names in bytes; of a longer one the beginning is
// read, and it is a name for nobody.
const maxLine = 4096

// ReadNames visits the names of a list, one a line, without the blanks around them;
// empty lines are passed over. It stops at visit's first error.
func ReadNames(r io.Reader, visit func(line int, name string) error) error {
	in := bufio.NewReaderSize(r, maxLine)
	for line := 1; ; line++ {
		text, more, err := in.ReadLine()
		name := strings.TrimSpace(string(text))
		for more && err == nil {
			_, more, err = in.ReadLine()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if line == 1 {
			name = strings.TrimPrefix(name, "\ufeff")
		}
		if name == "" {
			continue
		}
		if err := visit(line, name); err != nil {
			return err
		}
	}
}

// Check is what handles are judged by.
type Check struct {
	Plan       *handle.Plan // draws them, unless Ours is given
	Ours       []string
	Real       []string // names that our model was not fitted to
	Background []string // names that it was fitted to; may be none
	Count      int      // names a side
	Seed       uint64
	Step       func(what string, done, total int)
	Model      bool // let an attacker try who also fitted our model to the background
}

// Verdict is what an attacker comes to.
type Verdict struct {
	Attacker string `json:"attacker"`
	Names    int    `json:"names"` // a side
	AUC      round3 `json:"auc"`
	Error    round3 `json:"auc_error"`
	Recall   round3 `json:"recall_at_1"`
	Best     string `json:"best_means"` // which of his means says most alone
	Result   Result `json:"-"`
}

// round3 is a number told to three places.
type round3 float64

// MarshalJSON writes three places.
func (r round3) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%.3f", float64(r)), nil }

// The attackers, by what they own besides names and found-out handles.
const (
	NamesOnly      = "names"
	WithBackground = "background"
	WithModel      = "model"
)

// Run lets the attackers try, the weakest first.
func (c Check) Run() (out []Verdict, err error) {
	rng := rand.New(rand.NewPCG(c.Seed, 0x4ead))
	real := shuffled(c.Real, rng)
	ours := shuffled(c.Ours, rng)
	if c.Plan != nil {
		ours = Draws(c.Plan, c.Count, rng)
	}
	if len(real) < Fewest || len(ours) < Fewest {
		return nil, tooFew(len(real), len(ours))
	}
	n := min(len(real), len(ours), c.Count)
	task := Task{Real: real[:n], Ours: ours[:n], Seed: c.Seed}
	attackers := []string{NamesOnly}
	if len(c.Background) > 0 {
		attackers = append(attackers, WithBackground)
		if c.Model && c.Plan != nil {
			attackers = append(attackers, WithModel)
		}
	}
	for _, a := range attackers {
		if a != NamesOnly {
			task.Background = c.Background
		}
		if a == WithModel {
			task.Bits = c.Plan.Bits
		}
		if c.Step != nil {
			task.Step = func(done, total int) { c.Step("attacker with "+a, done, total) }
		}
		r, err := Run(task)
		if err != nil {
			return out, err
		}
		out = append(out, Verdict{a, n, round3(r.AUC), round3(r.Error), round3(r.Recall), r.Parts[0].Name, r})
	}
	return out, nil
}

func shuffled(names []string, rng *rand.Rand) []string {
	out := slices.Clone(names)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// Draws draws n handles as a planting would, no two alike.
func Draws(p *handle.Plan, n int, rng *rand.Rand) []string {
	next := func() uint16 { return uint16(rng.Uint32()) }
	var given handle.Given
	out := make([]string, 0, n)
	for tries := 0; len(out) < n && tries < 200*n; tries++ {
		if h, _, ok, _ := p.Draw(next); ok && !given.Clash(h) {
			given.Add(h)
			out = append(out, h)
		}
	}
	return out
}

// Chances is what a plan's bits promise, against what is seen.
type Chances struct {
	Floor float64 `json:"floor"`
	Kept  round3  `json:"kept"` // share of draws that the filters leave
	P5    round3  `json:"bits_p5"`
	P50   round3  `json:"bits_p50"`
	Least round3  `json:"bits_least"`
	Reach round3  `json:"real_reach"` // share of real names that the floor never passes over
	// AUCLeast is what no generator with the floor can be below, were the model right:
	// that of an attacker who sees real names, passed over as the floor demands, among
	// real names.
	AUCLeast  round3  `json:"auc_least"`
	Draws     int     `json:"draws"`
	Names     int     `json:"names"`     // real names not fitted to
	Predicted round3  `json:"predicted"` // draws that are one of them
	Observed  int     `json:"observed"`
	Z         round3  `json:"z"`           // in standard deviations of a Poisson count
	PerBig    float64 `json:"per_billion"` // real names out of 1e9 that one handle is expected to meet, worst case
	Pairs     round3  `json:"pairs_expected"`
	PairsSeen int     `json:"pairs_seen"` // equal draws among them
}

// Coincide draws from a plan and counts how many draws are real names.
func Coincide(p *handle.Plan, real []string, draws int, seed uint64) Chances {
	c := Chances{Floor: p.Floor(), Kept: round3(p.Kept()), Draws: draws}
	names := map[string]bool{}
	predicted, reach := 0.0, 0
	var natural []float64
	for _, name := range real {
		if names[name] {
			continue
		}
		names[name] = true
		bits := p.Bits(name)
		natural = append(natural, p.Natural().Bits(name))
		if p.Gives(name) {
			predicted += math.Exp2(-bits)
		}
	}
	c.Names = len(names)
	rng := rand.New(rand.NewPCG(seed, 0xc01c))
	next := func() uint16 { return uint16(rng.Uint32()) }
	seen := map[string]int{}
	var all []float64
	sumP := 0.0
	for len(all) < draws {
		h, bits, ok, _ := p.Draw(next)
		if !ok {
			continue
		}
		all = append(all, bits)
		sumP += math.Exp2(-bits)
		if names[h] {
			c.Observed++
		}
		c.PairsSeen += seen[h]
		seen[h]++
	}
	slices.Sort(all)
	n := float64(draws)
	c.P5, c.P50, c.Least = round3(all[draws/20]), round3(all[draws/2]), round3(all[0])
	c.Predicted = round3(predicted * n)
	c.Z = round3((float64(c.Observed) - predicted*n) / math.Sqrt(max(predicted*n, 1)))
	c.PerBig = 1e9 * math.Exp2(-all[0])
	c.Pairs = round3(sumP / n * n * (n - 1) / 2)
	if len(names) > 0 {
		keeps := thin(natural, p.Floor())
		for _, k := range keeps {
			if k == 1 {
				reach++
			}
		}
		c.Reach = round3(float64(reach) / float64(len(names)))
		c.AUCLeast = round3(leastAUC(keeps))
	}
	return c
}

// thin returns the chances with which names have to be passed over so that none is
// drawn oftener than a floor allows, and else as often as it is. bits is how often each is.
func thin(bits []float64, floor float64) []float64 {
	keeps := make([]float64, len(bits))
	kept := 1.0
	for range 60 { // the more are passed over, the oftener each of the others is drawn
		sum := 0.0
		for i, b := range bits {
			keeps[i] = min(1, math.Exp2(b-floor+math.Log2(kept)))
			sum += keeps[i]
		}
		kept = max(sum/float64(len(bits)), 1e-9)
	}
	return keeps
}

// leastAUC is the AUC of telling names from the same names kept with these chances, by
// the chances.
func leastAUC(keeps []float64) float64 {
	slices.Sort(keeps)
	sum, kept, n := 0.0, 0.0, float64(len(keeps))
	for from := 0; from < len(keeps); {
		to := from
		for to < len(keeps) && keeps[to] == keeps[from] {
			to++
		}
		same := float64(to - from)
		kept += same * keeps[from]
		sum += same * keeps[from] * (float64(from) + same/2)
		from = to
	}
	if kept == 0 {
		return 1
	}
	return sum / kept / n
}
