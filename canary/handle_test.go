package canary_test

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"birdring/canary"
)

var plausible = regexp.MustCompile(`^[a-z0-9_]{5,24}$`)

func TestHandleIsRecomputable(t *testing.T) {
	k, m := keyring(t), canary.DefaultHandleModel()
	seen := map[string]bool{}
	for i := range 300 {
		h, bits := k.Handle(m, "decoy", uint32(i), 30)
		again, _ := k.Handle(m, "decoy", uint32(i), 30)
		if h != again {
			t.Fatalf("counter %d gave %q and %q", i, h, again)
		}
		if !plausible.MatchString(h) || bits < 30 || seen[canary.Fold(h)] {
			t.Errorf("handle %q with %.1f bits", h, bits)
		}
		if math.Abs(m.Bits(h)-bits) > 1e-9 {
			t.Errorf("%q: %.6f bits drawn, %.6f computed", h, bits, m.Bits(h))
		}
		seen[canary.Fold(h)] = true
		if i < 8 {
			t.Log(h, bits)
		}
	}
	if h, bits := k.Handle(m, "dark", 0, 43); bits < 43 {
		t.Errorf("dark handle %q has %.1f bits", h, bits)
	}
	if other, _ := keyring(t).Handle(m, "decoy", 0, 30); seen[canary.Fold(other)] {
		t.Errorf("another key gave the same handle %q", other)
	}
}

// The model's probabilities are those of what it draws: the share of draws below
// 20 bits must fit the sum of their probabilities.
func TestHandleBitsAreHonest(t *testing.T) {
	k, m := keyring(t), canary.DefaultHandleModel()
	counts := map[string]int{}
	const n = 20000
	for i := range n {
		h, _ := k.Handle(m, "honest", uint32(i), 0)
		counts[h]++
	}
	// Expected number of equal pairs: n(n-1)/2 sum p^2, estimated by the mean of p over draws.
	var meanP, pairs float64
	for h, c := range counts {
		meanP += float64(c) * math.Exp2(-m.Bits(h)) / n
		pairs += float64(c) * float64(c-1) / 2
	}
	want := meanP * n * (n - 1) / 2
	if pairs < want*0.6-20 || pairs > want*1.6+20 {
		t.Errorf("%v equal pairs among %d draws, the probabilities say %.1f", pairs, n, want)
	}
}

func TestPersonaIsAPerson(t *testing.T) {
	k := keyring(t)
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ids := map[string]bool{}
	followers, matched := 0, 0
	for i := range 400 {
		decoy := "d" + strings.Repeat("x", i%5) + string(rune('a'+i%26)) + string(rune('a'+i/26))
		handle, _ := k.Handle(canary.DefaultHandleModel(), decoy, 0, 30)
		d := k.Persona(decoy, handle, now, 5, 1)
		if again := k.Persona(decoy, handle, now, 5, 1); again.DisplayName != d.DisplayName || again.Posts[0].ID != d.Posts[0].ID {
			t.Fatal("a persona is not a function of its decoy")
		}
		stories := 0
		for _, p := range d.Posts {
			if ids[p.ID] || len(p.ID) != 18 {
				t.Errorf("post id %q", p.ID)
			}
			ids[p.ID] = true
			if p.At.After(now) || p.At.Before(d.Joined) {
				t.Errorf("post at %v, joined %v, now %v", p.At, d.Joined, now)
			}
			if p.Story {
				stories++
				if p.Expires.Sub(p.At) != 24*time.Hour || !p.Expires.After(now) {
					t.Errorf("story from %v to %v", p.At, p.Expires)
				}
			}
		}
		if stories != 1 || d.DisplayName == "" || d.Locale == "" {
			t.Errorf("%+v", d)
		}
		if d.Followers > 194 {
			followers++
		}
		if first, _, _ := strings.Cut(strings.ToLower(d.DisplayName), " "); len(first) > 3 && strings.Contains(handle, first) {
			matched++
		}
	}
	// The median is 194: 400 draws, six standard deviations of the count.
	if followers < 140 || followers > 260 {
		t.Errorf("%d of 400 have more than 194 followers", followers)
	}
	if matched < 20 {
		t.Errorf("only %d of 400 display names go with the handle", matched)
	}
	t.Logf("%d of 400 display names share a name with the handle", matched)
}

func BenchmarkHandle(b *testing.B) {
	k, m := keyring(b), canary.DefaultHandleModel()
	i := uint32(0)
	for b.Loop() {
		k.Handle(m, "bench", i, 30)
		i++
	}
}
