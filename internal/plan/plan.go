// Package plan says how many pictures a site must republish until one of the
// accounts that feed it is attributed: the planted pictures' copies are changed as
// the site would change them, read, and the farm is simulated on what was read.
package plan

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/assay/change"
	"birdring/registry"
)

// short are names of changes that people say, beside those of assay.
var short = map[string]string{"q75": "jpeg75", "q50": "jpeg50", "crop75": "crop75_centre", "clone": "combo_clone"}

// Known returns the change of a name - assay's, or a short one -, nil if there is none.
func Known(name string) *change.Change {
	if full, ok := short[name]; ok {
		name = full
	}
	return change.ByName(name)
}

// Changes are the names of what can be planned for: assay's, whose table says what each does.
func Changes() []string {
	var out []string
	for _, c := range change.List() {
		out = append(out, c.Name)
	}
	return out
}

// Request asks for a plan.
type Request struct {
	Accounts  int    // of the platform
	Coalition int    // accounts that feed the site, at most
	Change    string // what the site does to pictures, by a name that Known knows
	Days      int
	Pictures  int // measured, at most; 0: 12
	Runs      int // simulated, per size of the farm; 0: 400
	Progress  func(done, total int, name string)
}

// Row is the plan for one size of the farm.
type Row struct {
	Change       string  `json:"change"`
	Coalition    int     `json:"coalition"`
	Measured     int     `json:"measured"`         // planted pictures read after the change
	Lost         int     `json:"lost"`             // of them not found in what the change left
	Bits         float64 `json:"bits_per_picture"` // median, for the account whose copy it is
	Half         *int    `json:"pictures_50"`      // found until the first account is attributed, in 50 % of runs
	Most         *int    `json:"pictures_99"`      // in 99 %; null: not within 2000
	DecoysFound  *int    `json:"decoys_found"`     // that hold that many pictures
	DecoysShown  *int    `json:"decoys_shown"`     // to be planted: the farm's coins let it meet enough, and an account is attributed, in 99 %
	ExposuresDay *int    `json:"exposures_per_day"`
	Bound        float64 `json:"bound"` // on any false attribution, for one more site
}

// mostPictures is where a simulation gives up.
const mostPictures = 2000

// sample is one planted picture after the change.
type sample struct {
	book *ring.Book
	y    []int16
	bits []bool // of the copy it was read from, per segment
}

// Make measures and simulates: one row for every power of two up to the coalition, and it.
func Make(ctx context.Context, reg *registry.Registry, q Request) ([]Row, error) {
	made := Known(q.Change)
	if made == nil {
		return nil, fmt.Errorf("change %q is not known: one of %s is", q.Change, strings.Join(Changes(), ", "))
	}
	if q.Pictures == 0 {
		q.Pictures = 12
	}
	if q.Runs == 0 {
		q.Runs = 400
	}
	decoys, err := reg.Decoys(ctx)
	if err != nil {
		return nil, err
	}
	share, perDecoy, n := 0., 0, 0
	var photos []string
	err = eachPhoto(ctx, reg, func(photo string) { photos = append(photos, photo) })
	if err != nil {
		return nil, err
	}
	for _, d := range decoys {
		if d.Kind == canary.Shared {
			share += d.Share
			n++
		}
	}
	if n == 0 || len(photos) == 0 {
		return nil, fmt.Errorf("no shared decoys are planted: plant some with birdring seed, the plan measures their pictures")
	}
	share /= float64(n)
	perDecoy = max(1, len(photos)/len(decoys))
	samples, lost, err := measure(ctx, reg, spread(photos, q.Pictures), made, q.Progress)
	if err != nil {
		return nil, err
	}
	if len(samples) == 0 {
		return nil, fmt.Errorf("after %s none of %d pictures is found any more: handles, links and probes are left", q.Change, lost)
	}
	var rows []Row
	for c := 1; ; c *= 2 {
		c = min(c, q.Coalition)
		row := Row{Change: q.Change, Coalition: c, Measured: len(samples) + lost, Lost: lost, Bits: bitsPerPicture(samples), Bound: float64(q.Accounts) * 0x1p-64}
		used := simulate(samples, float64(lost)/float64(len(samples)+lost), c, q.Runs)
		row.Half, row.Most = within(used, .5), within(used, .99)
		if row.Most != nil {
			found := (*row.Most + perDecoy - 1) / perDecoy
			shown := plant(used, perDecoy, 1-math.Pow(1-share, float64(c)))
			perDay := int(math.Ceil(float64(shown) * share * float64(q.Accounts) / float64(max(1, q.Days))))
			row.DecoysFound, row.DecoysShown, row.ExposuresDay = &found, &shown, &perDay
		}
		rows = append(rows, row)
		if c >= q.Coalition {
			return rows, nil
		}
	}
}

func eachPhoto(ctx context.Context, reg *registry.Registry, visit func(string)) error {
	return reg.Rows(ctx, "decoys", time.Time{}, 0, func(row any) error {
		if d, ok := row.(registry.DecoyRow); ok {
			for _, p := range d.Photos {
				visit(p.Photo)
			}
		}
		return nil
	})
}

// spread picks n of all, evenly.
func spread(all []string, n int) []string {
	if len(all) <= n {
		return all
	}
	out := make([]string, n)
	for i := range out {
		out[i] = all[i*len(all)/n]
	}
	return out
}

// measure reads changed copies of a control, whose numbers are given to nobody.
func measure(ctx context.Context, reg *registry.Registry, photos []string, c *change.Change, progress func(int, int, string)) (out []sample, lost int, err error) {
	for i, photo := range photos {
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		data, err := reg.Rendition(nil, photo, canary.MaxControl)
		if err != nil {
			return nil, 0, err
		}
		made, err := c.Make(data, uint64(i))
		if err != nil {
			return nil, 0, err
		}
		book, err := reg.Book(ctx, photo)
		if err != nil {
			return nil, 0, err
		}
		y, err := reg.ReadCopy(ctx, photo, made.Data)
		if progress != nil {
			progress(i+1, len(photos), photo)
		}
		if err != nil {
			lost++ // too little is left of it to be recognised
			continue
		}
		out = append(out, sample{book, y, ringOf(book, uint64(canary.MaxControl))})
	}
	return out, lost, nil
}

// ringOf are a viewer's bits by segment.
func ringOf(b *ring.Book, v uint64) []bool {
	word := make([]uint64, b.Words())
	b.Codeword(word, v)
	out := make([]bool, b.M())
	for k, pos := range b.Order() {
		out[k] = word[pos>>6]>>(pos&63)&1 == 1
	}
	return out
}

// as is what would have been read out of another viewer's copy: as right and as
// wrong, segment by segment, as what was read.
func (s sample) as(v uint64) []int16 {
	y := slices.Clone(s.y)
	for k, bit := range ringOf(s.book, v) {
		if bit != s.bits[k] {
			y[k] = -y[k]
		}
	}
	return y
}

func bitsPerPicture(samples []sample) float64 {
	var all []float64
	for _, s := range samples {
		r, err := ring.NewReading(s.book, s.y)
		if err == nil {
			all = append(all, float64(r.Score(uint64(canary.MaxControl)).Alone())/1000)
		}
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// simulate returns for every run how many pictures were found until the first of
// c accounts was attributed, each picture one random account's copy; seeds are fixed.
func simulate(samples []sample, lost float64, c, runs int) []int {
	used := make([]int, runs)
	unit := ring.Unit("")
	for i := range used {
		rng := rand.New(rand.NewPCG(uint64(c), uint64(i)))
		sums := make([]ring.Sums, c)
		for used[i] = 1; used[i] < mostPictures; used[i]++ {
			if rng.Float64() < lost {
				continue
			}
			s := samples[rng.IntN(len(samples))]
			// Fresh numbers stand for the rings of a fresh picture.
			base := 1<<32 + rng.Uint64N(1<<32)
			who := rng.IntN(c)
			r, err := ring.NewReading(s.book, s.as(base+uint64(who)))
			if err != nil {
				return nil
			}
			done := false
			for j := range sums {
				var seen ring.Sightings
				seen.See(r.Score(base + uint64(j)))
				f := seen.Factor("")
				sums[j].Swap(&unit, &f)
				done = done || sums[j].Most().Millibits() >= ring.AttributedMillibits && ring.Passes(sums[j:j+1]).Millibits() >= ring.AttributedMillibits
			}
			if done {
				break
			}
		}
	}
	slices.Sort(used)
	return used
}

// plant is the least number of decoys of which a farm, that meets each with chance
// met and republishes what it meets, meets enough to be found out in 99 % of cases:
// over how many it meets (binomial) and how many pictures that takes (used, sorted).
func plant(used []int, perDecoy int, met float64) int {
	power := func(n int) (sum float64) {
		chance := binomial(n, met)
		for k, p := range chance {
			suffice, _ := slices.BinarySearch(used, k*perDecoy+1)
			sum += p * float64(suffice) / float64(len(used))
		}
		return sum
	}
	// Power grows with n, so double and halve.
	high := 1
	for power(high) < .99 && high < 1<<20 {
		high *= 2
	}
	return sort.Search(high, func(n int) bool { return power(n) >= .99 })
}

// binomial are the chances of 0..n successes.
func binomial(n int, p float64) []float64 {
	out := make([]float64, n+1)
	if p >= 1 {
		out[n] = 1
		return out
	}
	all, _ := math.Lgamma(float64(n + 1))
	for k := range out {
		a, _ := math.Lgamma(float64(k + 1))
		b, _ := math.Lgamma(float64(n - k + 1))
		out[k] = math.Exp(all - a - b + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	}
	return out
}

// within is how many pictures suffice in a share of the runs.
func within(used []int, share float64) *int {
	if len(used) == 0 {
		return nil
	}
	n := used[min(len(used)-1, int(math.Ceil(share*float64(len(used))))-1)]
	if n >= mostPictures {
		return nil
	}
	return &n
}
