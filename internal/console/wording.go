package console

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"birdring/canary/mark"
	"birdring/registry"
)

// sentence says what the evidence says, and no more: the subject is a copy,
// never a person.
func sentence(site, account string, matched, pictures int, millibits int64) string {
	return fmt.Sprintf("Pictures on %s descend from the copy served to account %s: %d of %s, evidence %s bits.",
		site, account, matched, count(pictures, "matched picture"), bits(millibits))
}

// limits says what a verdict does not prove. chances is the number of viewers
// numbered times the number of sites and traces: how often chance had its turn.
func limits(accounts []string, chances float64, single bool) []string {
	if len(accounts) == 0 {
		return []string{
			"No account is named: that no copy reached 64 bits is no sign that no account fed this site.",
			"Finds without a readable ring still show that the site republishes our decoys.",
		}
	}
	who := "this account's"
	if len(accounts) > 1 {
		who = "these accounts'"
	}
	out := []string{
		fmt.Sprintf("If %s copies were not involved, evidence of 64 bits or more for any viewer, on any site, has a probability below %s.", who, probability(chances*math.Exp2(-64))),
		"It does not show who operated the account. Accounts are often taken over: review it, look at its sessions and clients, before acting against its owner.",
		"It does not show that the account uploaded anything to the site directly: a copy may have passed through other hands.",
		"The list need not be complete: other accounts may feed the site as well.",
	}
	if single {
		out = append(out, "Evidence marked single_source rests on one picture alone. Automatic action wants two decoys or two kinds of evidence, so that no single defect suffices.")
	}
	return out
}

// openSet is said of a ring that is nobody's among the candidates.
const openSet = "Marked copy, viewer not among those exposed: the log may be purged, a cache shared, or a picture's address replayed."

// action is what an engineer does next.
func action(site registry.SiteView) string {
	if len(site.Accounts) == 0 {
		return ""
	}
	sure := slices.ContainsFunc(site.Accounts, func(a registry.AccountView) bool { return len(a.Decoys) > 1 })
	if !sure {
		return "Review the accounts: sessions, clients, networks, what else they fetched. All finds come from one decoy: wait for a second one before anything automatic, and scan the site again."
	}
	return "Review the accounts: sessions, clients, networks, what else they fetched. Revoke tokens where a session was taken over. Acting on all of them at once tells the site which decoys gave it away."
}

// probability writes a small chance as 1.2e-09, and never a smaller one than it is.
func probability(p float64) string {
	if p >= 1 {
		return "1"
	}
	if p <= 0 {
		return "1e-19"
	}
	exp := math.Floor(math.Log10(p))
	lead := math.Ceil(p/math.Pow(10, exp)*10) / 10
	if lead >= 10 {
		lead, exp = 1, exp+1
	}
	return fmt.Sprintf("%.1fe%+03.0f", lead, exp)
}

// bits writes millibits, rounded down to a tenth.
func bits(millibits int64) string { return fmt.Sprintf("%d.%d", millibits/1000, millibits%1000/100) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// when writes a time of the past for a table.
func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// day writes a time of the past for a narrow column.
func day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// duration writes a delay with its two largest units.
func duration(d time.Duration) string {
	if d < time.Second {
		return "under 1 s"
	}
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	var parts []string
	for _, u := range units {
		if n := d / u.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.size
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// geometry says in words how the found picture lies on the served one.
func geometry(t mark.Affine) string {
	det := t.A*t.E - t.B*t.D
	sx, sy := math.Hypot(t.A, t.D), math.Hypot(t.B, t.E)
	text := fmt.Sprintf("scale %.3f", sx)
	if math.Abs(sx/max(sy, 1e-9)-1) > 0.002 {
		text = fmt.Sprintf("scale %.3f x %.3f", sx, sy)
	}
	if det < 0 {
		text += ", mirrored"
	}
	return text
}

// story notes that a picture was taken while it was a 24 h story and outlived it.
func story(at, expires time.Time) string {
	if expires.IsZero() || !at.After(expires) {
		return ""
	}
	return fmt.Sprintf("A story: it vanished from the platform on %s and was still on the site %s later.", when(expires), duration(at.Sub(expires)))
}
