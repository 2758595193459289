package critic

import (
	"math"
	"slices"
	"strings"
	"time"

	"birdring/canary"
)

// Line is one number of a check of decoys, with the range it ought to lie in.
type Line struct {
	What   string  `json:"check"`
	Value  float64 `json:"value"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	OK     bool    `json:"ok"`
	Judged int     `json:"profiles"`
}

// Profile is a drawn decoy as a scraper sees it.
type Profile struct {
	canary.Draft
	Handle string
	At     time.Time // when it was drawn
}

// checks collects lines.
type checks struct {
	n     int
	lines []Line
}

func (c *checks) put(what string, value, low, high float64) {
	value = math.Round(value*1000) / 1000
	c.lines = append(c.lines, Line{what, value, low, high, value >= low && value <= high, c.n})
}

// Profiles judges drawn decoys by the numbers that detectors of fake accounts look
// at; real, which may be empty, are real profiles' numbers that theirs should be like,
// and words, as far as they are known, what the same profiles say.
func Profiles(all []Profile, real canary.Population, words []Real) []Line {
	c := &checks{n: len(all)}
	c.names(all)
	c.times(all)
	c.texts(all, real)
	c.numbers(all, real)
	c.whole(all, real, words)
	return c.lines
}

func (c *checks) names(all []Profile) {
	shared, locales := 0.0, map[string]float64{}
	for _, p := range all {
		locales[p.Locale]++
		for _, word := range strings.Fields(strings.ToLower(p.DisplayName)) {
			if len(word) >= 4 && strings.Contains(p.Handle, word) {
				shared++
				break
			}
		}
	}
	most := 0.0
	for _, n := range locales {
		most = max(most, n)
	}
	c.put("share of handles that share a name with the display name", shared/float64(len(all)), 0.2, 0.55)
	c.put("locales", float64(len(locales)), 8, 1000)
	c.put("share of the commonest locale", most/float64(len(all)), 0, 0.5)
}

func (c *checks) times(all []Profile) {
	var hours [24]float64
	var gaps, seconds []float64
	stories, wrong, young, total := 0.0, 0.0, 0.0, 0.0
	ids, double := map[string]bool{}, 0.0
	for _, p := range all {
		var last time.Time
		for _, q := range p.Posts {
			if ids[q.ID] {
				double++
			}
			ids[q.ID] = true
			if q.At.Before(p.Joined) || q.At.After(p.At) {
				young++
			}
			if q.Story {
				stories++
				if q.Expires.Sub(q.At) != canary.StoryLife {
					wrong++
				}
				continue
			}
			total++
			hours[(q.At.UTC().Hour()+p.Zone+24)%24]++
			seconds = append(seconds, float64(q.At.Second()))
			if !last.IsZero() {
				gaps = append(gaps, last.Sub(q.At).Hours())
			}
			last = q.At
		}
	}
	night := hours[1] + hours[2] + hours[3] + hours[4]
	evening := hours[18] + hours[19] + hours[20] + hours[21]
	mean, sd := moments(gaps)
	zero := 0.0
	for _, s := range seconds {
		if s == 0 {
			zero++
		}
	}
	c.put("share of posts from 1 to 5 at night, local time", night/max(1, total), 0, 0.1)
	c.put("share of posts from 18 to 22, local time", evening/max(1, total), 0.25, 0.65)
	c.put("coefficient of variation of the gaps between posts", sd/max(mean, 1e-9), 1, 10)
	c.put("share of posts at second 0", zero/max(1, total), 0, 0.03)
	c.put("stories that do not live 24 h exactly", wrong, 0, 0)
	c.put("stories", stories, 1, 1e9)
	c.put("post ids used twice", double, 0, 0)
	c.put("posts before joining or after now", young, 0, 0)
}

func (c *checks) texts(all []Profile, real canary.Population) {
	empty, tagged, posts := 0.0, 0.0, 0.0
	captions, repeated := map[string]bool{}, 0.0
	for _, p := range all {
		if p.Bio == "" {
			empty++
		}
		for _, q := range p.Posts {
			posts++
			if captions[q.Caption] {
				repeated++
			}
			captions[q.Caption] = true
			if len(q.Tags) > 0 {
				tagged++
			}
		}
	}
	low, high := 0.03, 0.5
	bare, told := 0., 0.
	for _, n := range real {
		if n.BioLength >= 0 {
			told++
		}
		if n.BioLength == 0 {
			bare++
		}
	}
	if told > 0 {
		low, high = bare/told-0.03, bare/told+0.03
	}
	c.put("share of empty bios", empty/float64(len(all)), low, high)
	c.put("share of posts with hashtags", tagged/max(1, posts), 0.2, 0.9)
	c.put("captions said before by another post", repeated, 0, 0)
	c.put("bios said before by another decoy", saidTwice(all), 0, 0)
}

func saidTwice(all []Profile) (n float64) {
	seen := map[string]bool{}
	for _, p := range all {
		if seen[p.Bio] && len(p.Bio) >= 8 { // of a sign or two there are few
			n++
		}
		seen[p.Bio] = true
	}
	return n
}

func (c *checks) numbers(all []Profile, real canary.Population) {
	var followers, following, ages []float64
	for _, p := range all {
		followers = append(followers, float64(p.Followers))
		following = append(following, float64(p.Following))
		ages = append(ages, p.At.Sub(p.Joined).Hours()/24)
	}
	if len(real) == 0 {
		c.put("median of followers", median(followers), 150, 245)
		c.put("median of following", median(following), 205, 335)
		c.put("rank correlation of followers and following", rankCorrelation(followers, following), 0.35, 0.8)
		return
	}
	var a, b, age []float64
	for _, n := range real {
		a, b = append(a, float64(n.Followers)), append(b, float64(n.Following))
		if n.AgeDays > 0 {
			age = append(age, float64(n.AgeDays))
		}
	}
	// Two equal populations of these sizes differ so far once in a million.
	noise := 2.7 * math.Sqrt(1/float64(len(all))+1/float64(len(real)))
	limit := max(0.05, noise)
	c.put("followers against yours (Kolmogorov-Smirnov)", ks(followers, a), 0, limit)
	c.put("following against yours (Kolmogorov-Smirnov)", ks(following, b), 0, limit)
	if len(age) > 0 {
		c.put("account age against yours (Kolmogorov-Smirnov)", ks(ages, age), 0, 0.25)
	}
	c.put("rank correlation of followers and following less yours", rankCorrelation(followers, following)-rankCorrelation(a, b), -0.1, 0.1)
}

// whole puts how well decoys are told from real profiles.
func (c *checks) whole(all []Profile, real canary.Population, words []Real) {
	if len(words) == 0 {
		words = make([]Real, len(real)) // only their numbers are known
	}
	auc, alone, err := WholeAUC(all, words, real)
	if err != nil {
		return // too few to judge by
	}
	var names []string
	for _, p := range alone {
		names = append(names, p.Name)
		if len(alone) > 1 {
			c.put("AUC of "+p.Name+" alone against yours", p.AUC, 0, 0.7)
		}
	}
	c.put("joint AUC of the whole profile against yours: "+strings.Join(names, ", "), auc, 0, 0.7)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func moments(v []float64) (mean, sd float64) {
	for _, x := range v {
		mean += x
	}
	mean /= max(1, float64(len(v)))
	for _, x := range v {
		sd += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(sd / max(1, float64(len(v))))
}

// ks is the largest difference of two samples' distributions.
func ks(a, b []float64) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	most := 0.0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return most
}

// rankCorrelation is Spearman's.
func rankCorrelation(a, b []float64) float64 {
	x, y := ranks(a), ranks(b)
	mx, sx := moments(x)
	my, sy := moments(y)
	sum := 0.0
	for i := range x {
		sum += (x[i] - mx) * (y[i] - my)
	}
	return sum / float64(len(x)) / (sx * sy)
}

func ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case v[i] < v[j]:
			return -1
		case v[i] > v[j]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(v))
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && v[order[to]] == v[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to-1) / 2
		}
		from = to
	}
	return out
}
