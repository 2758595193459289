package canary

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Draft is a persona before its pictures: what Persona draws for a decoy.
type Draft struct {
	Locale, DisplayName, Bio string
	Followers, Following     int
	Joined                   time.Time
	Posts                    []Post // newest first, without photos
	Zone                     int    // hours from UTC where it lives
}

// StoryLife is how long a platform shows a story.
const StoryLife = 24 * time.Hour

// PersonaRequest says whose profile is to be drawn.
type PersonaRequest struct {
	Decoy, Handle  string
	Now            time.Time
	Posts, Stories int        // stories are among the posts, and still running
	Like           Population // whose numbers to draw; empty: the usual ones
	Said           Said       // what other decoys say, which this one is not to repeat; its own texts are added
}

// Persona draws the profile of a decoy: an adult whose name goes with the handle in
// a part of the cases. The same key and request give the same persona. Its numbers
// are one row of the population; posts come in bursts, by day in the locale's time zone.
func (k *Keyring) Persona(q PersonaRequest) Draft {
	decoy, handle, now := q.Decoy, q.Handle, q.Now
	next := k.keyStream("persona/v3|" + decoy)
	l := pickLocale(next)
	if named := byHandle(handle); named != nil {
		l = named
	}
	n := q.Like.draw(next)
	d := Draft{Locale: l.tag, Zone: l.zone, DisplayName: displayName(l, handle, next), Bio: q.Said.fresh(func() string { return n.bio(l, next) }), Followers: n.Followers, Following: n.Following}
	d.Posts = k.posts(l, next, &q)
	oldest := now
	for _, p := range d.Posts {
		if p.At.Before(oldest) {
			oldest = p.At
		}
	}
	// As old as the row says, but never younger than its posts.
	d.Joined = now.Add(-time.Duration(n.AgeDays)*24*time.Hour - time.Duration(next(24*3600))*time.Second)
	if least := oldest.Add(-time.Duration(3+next(60))*24*time.Hour - time.Duration(next(24*3600))*time.Second); d.Joined.After(least) {
		d.Joined = least
	}
	d.Joined = d.Joined.Truncate(time.Second)
	return d
}

func pickLocale(next func(uint32) uint32) *locale {
	total := 0
	for i := range locales {
		total += locales[i].weight
	}
	v := int(next(uint32(total)))
	for i := range locales {
		if v -= locales[i].weight; v < 0 {
			return &locales[i]
		}
	}
	return &locales[0]
}

// byHandle finds the locale whose names stand in a handle, nil if none does.
func byHandle(handle string) *locale {
	for i := range locales {
		if first, _ := nameIn(&locales[i], handle); first != "" {
			return &locales[i]
		}
	}
	return nil
}

// nameIn finds the locale's names that a handle contains.
func nameIn(l *locale, handle string) (first, last string) {
	for _, f := range l.first {
		if len(f) >= 4 && strings.Contains(handle, strings.ToLower(f)) {
			first = f
		}
	}
	for _, f := range l.last {
		if len(f) >= 5 && strings.Contains(handle, strings.ToLower(f)) {
			last = f
		}
	}
	return first, last
}

// displayName goes with the handle where the handle names somebody.
func displayName(l *locale, handle string, next func(uint32) uint32) string {
	first, last := nameIn(l, handle)
	if own := ownWord(handle); first == "" && own != "" && next(100) < 45 {
		first = own // many go by their handle
	}
	if first == "" {
		first = l.first[next(uint32(len(l.first)))]
	}
	if last == "" {
		last = l.last[next(uint32(len(l.last)))]
	}
	switch next(8) {
	case 0, 1:
		return first
	case 2:
		return strings.ToLower(first)
	case 3:
		return first + " " + last[:1] + "."
	}
	return first + " " + last
}

// ownWord is the first word of a handle that could be a name, with a capital; "" if
// there is none.
func ownWord(handle string) string {
	for _, w := range strings.FieldsFunc(handle, func(r rune) bool { return r < 'a' || r > 'z' }) {
		if len(w) >= 4 && len(w) <= 11 {
			return strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return ""
}

// normal draws a standard normal number (Box and Muller 1958).
func normal(next func(uint32) uint32) float64 {
	u, v := (float64(next(1<<30))+1)/(1<<30), float64(next(1<<30))/(1<<30)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

func count(median, sd, z float64) int {
	return int(min(median*math.Exp(sd*z), 40000))
}

// posts draws when and what a persona posted; stories lie within the last hours.
func (k *Keyring) posts(l *locale, next func(uint32) uint32, q *PersonaRequest) []Post {
	out := make([]Post, 0, q.Posts)
	now, at := q.Now, q.Now
	for i := range q.Posts {
		p := Post{ID: k.postID(q.Decoy, i), Caption: q.Said.fresh(func() string { return l.speech.caption(next) })}
		for range next(3) {
			if t := l.tags[next(uint32(len(l.tags)))]; !slices.Contains(p.Tags, t) {
				p.Tags = append(p.Tags, t)
			}
		}
		if i < q.Stories {
			p.Story = true
			p.At = now.Add(-time.Duration(60+next(6*3600)) * time.Second).Truncate(time.Second)
			p.Expires = p.At.Add(StoryLife)
		} else {
			// Bursts: most gaps are short, some long (coefficient of variation above 1).
			gap := 0.4 * math.Exp(1.6*normal(next))
			at = at.Add(-time.Duration((0.5 + min(gap, 60)) * 24 * float64(time.Hour)))
			p.At = waking(at, l.zone, next)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Post) int { return b.At.Compare(a.At) })
	return out
}

// waking moves a time to an hour at which people post, most of them in the evening.
func waking(t time.Time, zone int, next func(uint32) uint32) time.Time {
	hours := []int{7, 8, 9, 12, 12, 13, 15, 17, 18, 18, 19, 19, 20, 20, 20, 21, 21, 22, 23}
	day := t.UTC().Truncate(24 * time.Hour)
	local := hours[next(uint32(len(hours)))]
	if next(25) == 0 {
		local = int(next(24)) // some do not sleep
	}
	hour := local - zone
	at := day.Add(time.Duration(hour)*time.Hour + time.Duration(next(3600))*time.Second)
	if at.After(t) {
		at = at.Add(-24 * time.Hour)
	}
	return at
}

// postID is 18 decimal digits that say nothing of the post's time.
func (k *Keyring) postID(decoy string, i int) string {
	return fmt.Sprint(k.uniform("post/v1", decoy, fmt.Sprint(i))%9e17 + 1e17)
}
