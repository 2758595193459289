package handle

import (
	"fmt"
	"strconv"
	"strings"
)

// Rules say what a platform takes for a handle. Handles are in lower case.
type Rules struct {
	Name       string // as Platforms or ParseRules know it
	Min, Max   int    // signs
	Separators string // which of . _ - may stand in one
	// Inner separators stand neither first nor last, and never twice in a row.
	Inner string
	// Last are separators that a handle must not end with.
	Last string
}

// Platforms are the rules of well-known ones, as far as they are generally known
// (2026). X takes fifteen signs, though old accounts of three exist.
var Platforms = []Rules{
	{Name: "instagram", Min: 3, Max: 30, Separators: "._", Inner: "."},
	{Name: "x", Min: 3, Max: 15, Separators: "_"},
	{Name: "tiktok", Min: 2, Max: 24, Separators: "._", Last: "."},
	{Name: "mastodon", Min: 2, Max: 30, Separators: "_.-", Inner: ".-"},
	{Name: "github", Min: 3, Max: 39, Separators: "-", Inner: "-"},
}

// ParseRules reads a platform's name, or rules of one's own: MIN-MAX:SEPARATORS,
// such as 5-24:_ with the separators that may only stand inside behind a second
// colon (5-24:_.:.).
func ParseRules(s string) (Rules, error) {
	names := make([]string, 0, len(Platforms))
	for _, r := range Platforms {
		if strings.EqualFold(r.Name, s) {
			return r, nil
		}
		names = append(names, r.Name)
	}
	bad := fmt.Errorf("there are no rules %q: say %s, or your own as MIN-MAX:SEPARATORS, such as 5-24:_", s, strings.Join(names, ", "))
	fields := strings.Split(s, ":")
	low, high, ok := strings.Cut(fields[0], "-")
	if !ok || len(fields) < 2 || len(fields) > 3 || len(s) > 40 {
		return Rules{}, bad
	}
	least, err1 := strconv.Atoi(low)
	most, err2 := strconv.Atoi(high)
	r := Rules{Name: s, Min: least, Max: most, Separators: fields[1]}
	if len(fields) == 3 {
		r.Inner = fields[2]
	}
	if err1 != nil || err2 != nil {
		return Rules{}, bad
	}
	return r, r.sound()
}

// sound says what is wrong with rules.
func (r *Rules) sound() error {
	if r.Min < minSigns || r.Max > maxSigns || r.Min > r.Max {
		return fmt.Errorf("rules %q: %d to %d signs are possible, the smaller number first", r.Name, minSigns, maxSigns)
	}
	for _, c := range []byte(r.Separators + r.Inner + r.Last) {
		if !separator(c) || !strings.Contains(r.Separators, string(c)) {
			return fmt.Errorf("rules %q: separators are . _ and -, and inner ones are among them", r.Name)
		}
	}
	return nil
}

// Check says why h is no handle under the rules, nil if it is one.
func (r *Rules) Check(h string) error {
	if len(h) < r.Min || len(h) > r.Max {
		return fmt.Errorf("%d signs, %d to %d are wanted", len(h), r.Min, r.Max)
	}
	some := false
	for i := range len(h) {
		c := h[i]
		switch {
		case class(c) == 'a' || class(c) == '9':
			some = true
			continue
		case c >= 128:
			return fmt.Errorf("a sign is neither a letter of a to z nor a digit nor one of %q", r.Separators)
		case !separator(c) || !strings.Contains(r.Separators, string(c)):
			return fmt.Errorf("sign %q is not allowed", c)
		}
		last := i == len(h)-1
		if strings.IndexByte(r.Inner, c) >= 0 && (i == 0 || last || separator(h[i-1])) || last && strings.IndexByte(r.Last, c) >= 0 {
			return fmt.Errorf("%q stands where it must not", c)
		}
	}
	if !some {
		return fmt.Errorf("no letter or digit")
	}
	return nil
}

// Allow says whether h is a handle under the rules.
func (r *Rules) Allow(h string) bool { return r.Check(h) == nil }
