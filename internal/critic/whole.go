package critic

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"

	"birdring/canary"
	"birdring/canary/handle/forest"
)

// Real is a real profile as far as its row tells. What no row tells is "" or none.
type Real struct {
	canary.Numbers
	Handle, DisplayName, Bio string
	Captions                 []string
	Posted                   []time.Time
}

// mostReal bounds the profiles that are read: the attacker looks at no more.
const mostReal = 20000

// ReadReal reads the words of real profiles from the table that canary.ReadPopulation
// reads their numbers from: columns handle, display_name, bio, captions (one a line in
// its field) and posted (times by RFC 3339 with blanks between), each where it is there.
func ReadReal(r io.Reader) ([]Real, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	at := map[string]int{}
	for i, name := range header {
		at[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	var out []Real
	for len(out) < mostReal {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		field := func(name string) string {
			if i, ok := at[name]; ok {
				return strings.TrimSpace(record[i])
			}
			return ""
		}
		p := Real{Handle: strings.ToLower(field("handle")), DisplayName: field("display_name"), Bio: field("bio")}
		for caption := range strings.Lines(field("captions")) {
			p.Captions = append(p.Captions, strings.TrimSpace(caption))
		}
		for _, t := range strings.Fields(field("posted")) {
			when, err := time.Parse(time.RFC3339, t)
			if err != nil {
				line, _ := in.FieldPos(0)
				return nil, fmt.Errorf("line %d: posted %q is no time like 2026-11-28T09:30:00Z", line, t)
			}
			p.Posted = append(p.Posted, when)
		}
		out = append(out, p)
	}
	return out, nil
}

// asReal is a drawn decoy as one such row.
func (p *Profile) asReal() Real {
	r := Real{Handle: p.Handle, DisplayName: p.DisplayName, Bio: p.Bio}
	r.Followers, r.Following = p.Followers, p.Following
	r.AgeDays, r.BioLength = int(p.At.Sub(p.Joined).Hours()/24), len([]rune(p.Bio))
	for _, q := range p.Posts {
		r.Captions, r.Posted = append(r.Captions, q.Caption), append(r.Posted, q.At)
	}
	return r
}

// a sense is one of the things that an attacker looks at in a profile.
type sense struct {
	name string
	has  func(r *Real) bool
	text func(r *Real) string    // what is read run by run, nil if nothing is
	rest func(r *Real) []float64 // what is counted
}

func senses(ages, bios bool) []sense {
	return []sense{
		{"handle", func(r *Real) bool { return r.Handle != "" }, func(r *Real) string { return r.Handle }, func(r *Real) (out []float64) {
			build(r.Handle, func(_ string, v float64) { out = append(out, v) })
			return append(out, shares(r.Handle, r.DisplayName))
		}},
		{"display name", func(r *Real) bool { return r.DisplayName != "" }, func(r *Real) string { return r.DisplayName }, func(r *Real) []float64 { return written(r.DisplayName) }},
		{"bio", func(r *Real) bool { return r.Bio != "" }, func(r *Real) string { return r.Bio }, func(r *Real) []float64 { return written(r.Bio) }},
		{"captions", func(r *Real) bool { return len(r.Captions) > 0 }, func(r *Real) string { return strings.Join(r.Captions, "\n") }, func(r *Real) []float64 {
			return append(written(strings.Join(r.Captions, "\n")), float64(len(r.Captions)), distinct(r.Captions))
		}},
		{"posting times", func(r *Real) bool { return len(r.Posted) > 1 }, nil, func(r *Real) []float64 { return cadence(r.Posted) }},
		{"numbers", func(*Real) bool { return true }, nil, func(r *Real) []float64 {
			out := []float64{float64(r.Followers), float64(r.Following), float64(r.Followers) / (1 + float64(r.Following)), float64(r.Followers % 10), float64(r.Following % 10)}
			if ages {
				out = append(out, float64(r.AgeDays), float64(r.Followers)/(1+float64(r.AgeDays)))
			}
			if bios {
				out = append(out, float64(r.BioLength))
			}
			return out
		}},
	}
}

// shares says whether a word of the display name stands in the handle.
func shares(handle, name string) float64 {
	for _, w := range strings.Fields(strings.ToLower(name)) {
		if len(w) >= 3 && strings.Contains(handle, w) {
			return 1
		}
	}
	return 0
}

// written counts how a text is written.
func written(s string) []float64 {
	var n, words, upper, digits, marks, far float64
	space := true
	for _, r := range s {
		n++
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case unicode.IsUpper(r):
			upper++
		case unicode.IsDigit(r):
			digits++
		case r > 0x2000:
			far++ // emoji and the like
		case !unicode.IsLetter(r):
			marks++
		}
		if space {
			words++
		}
		space = false
	}
	return []float64{n, words, upper, digits, marks, far, n / max(1, words)}
}

func distinct(all []string) float64 {
	seen := map[string]bool{}
	for _, s := range all {
		seen[s] = true
	}
	return float64(len(seen)) / float64(len(all))
}

// cadence counts when somebody posts, as the platform tells it: in UTC.
func cadence(times []time.Time) []float64 {
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	var x, y, night, round float64
	var gaps []float64
	for i, t := range times {
		hour := float64(t.UTC().Hour()) + float64(t.UTC().Minute())/60
		x, y = x+math.Cos(hour*math.Pi/12), y+math.Sin(hour*math.Pi/12)
		if hour < 6 {
			night++
		}
		if t.Second() == 0 {
			round++
		}
		if i > 0 {
			gaps = append(gaps, t.Sub(times[i-1]).Hours())
		}
	}
	n := float64(len(times))
	mean, sd := moments(gaps)
	return []float64{math.Atan2(y, x), math.Hypot(x, y) / n, night / n, round / n, math.Log1p(mean), sd / max(mean, 1e-9), slices.Min(gaps), slices.Max(gaps), n}
}

// WholeAUC lets an attacker tell decoys from real profiles by all that the rows tell
// at once, and by each of these things alone.
func WholeAUC(all []Profile, real []Real, numbers canary.Population) (whole float64, alone []Part, err error) {
	n := min(len(all), len(real), len(numbers), 6000)
	if n < Fewest {
		return 0, nil, fmt.Errorf("%d profiles are too few: %d of each at least", n, Fewest)
	}
	rng := rand.New(rand.NewPCG(1, 0x3b01))
	var rows []Real
	var label []bool
	for i, at := range rng.Perm(min(len(real), len(numbers)))[:n] {
		r := real[at]
		r.Numbers = numbers[at]
		rows, label = append(rows, r, all[i].asReal()), append(label, true, false)
	}
	ages := slices.ContainsFunc(numbers, func(r canary.Numbers) bool { return r.AgeDays > 0 })
	table := make([][]float64, len(rows))
	for _, s := range senses(ages, numbers[0].BioLength >= 0) {
		if !slices.ContainsFunc(real, func(r Real) bool { return s.has(&r) }) {
			continue // their rows do not tell
		}
		own := s.look(rows, label, rng)
		auc := tell(own, label, rng)
		alone = append(alone, Part{s.name, auc})
		for i := range table {
			table[i] = append(table[i], own[i]...)
		}
	}
	return tell(table, label, rng), alone, nil
}

// look returns the sense's features. What a row's score of runs rests on never saw
// the row.
func (s *sense) look(rows []Real, label []bool, rng *rand.Rand) [][]float64 {
	out := make([][]float64, len(rows))
	for i := range rows {
		switch {
		case s.has(&rows[i]):
			out[i] = append([]float64{1}, s.rest(&rows[i])...)
		default:
			out[i] = nil
		}
	}
	width := 0
	for _, r := range out {
		width = max(width, len(r))
	}
	for i := range out {
		out[i] = append(out[i], make([]float64, width-len(out[i]))...)
	}
	if s.text == nil {
		return out
	}
	texts := make([]string, len(rows))
	for i := range rows {
		texts[i] = s.text(&rows[i])
	}
	for fold := range folds {
		var rest sample
		for i := range rows {
			if i/2%folds != fold {
				rest.add([]string{texts[i]}, label[i])
			}
		}
		runs, real, ours := newLinear(rest, rng), learn(rest.of(true)), learn(rest.of(false))
		for i := range rows {
			if i/2%folds == fold {
				n := float64(len(texts[i]) + 1)
				out[i] = append(out[i], runs.score(texts[i]), (real.judge(texts[i]).logs[4]-ours.judge(texts[i]).logs[4])/n)
			}
		}
	}
	return out
}

// tell grows trees on two thirds and returns the AUC on the rest.
func tell(rows [][]float64, label []bool, rng *rand.Rand) float64 {
	cut := len(rows) / 2 * 2 / 3 * 2
	stacked := forest.Grow(rows[:cut], label[:cut], trees, rng)
	var a, b []float64
	for i := cut; i < len(rows); i++ {
		if s := stacked.Score(rows[i]); label[i] {
			a = append(a, s)
		} else {
			b = append(b, s)
		}
	}
	return AUC(a, b)
}
