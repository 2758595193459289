package canary_test

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"birdring/canary"
	"birdring/canary/handle"
)

var plausible = regexp.MustCompile(`^[a-z0-9_]{5,24}$`)

func plan(t testing.TB, floor float64) *handle.Plan {
	t.Helper()
	p, err := canary.DefaultHandleModel().Plan(floor)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHandleIsRecomputable(t *testing.T) {
	k, p := keyring(t), plan(t, 30)
	seen := map[string]bool{}
	for i := range 300 {
		h, bits, counter := k.Handle(p, "decoy", uint32(1000*i))
		again, same, ok, _ := k.HandleDraw("decoy").At(p, counter)
		if h != again || bits != same || !ok {
			t.Fatalf("counter %d gave %q and %q", counter, h, again)
		}
		if !plausible.MatchString(h) || bits < 30 || seen[handle.Fold(h)] {
			t.Errorf("handle %q with %.1f bits", h, bits)
		}
		if math.Abs(p.Bits(h)-bits) > 1e-9 {
			t.Errorf("%q: %.6f bits drawn, %.6f computed", h, bits, p.Bits(h))
		}
		seen[handle.Fold(h)] = true
		if i < 8 {
			t.Log(h, bits)
		}
	}
	if h, bits, _ := k.Handle(plan(t, 43), "dark", 0); bits < 43 {
		t.Errorf("dark handle %q has %.1f bits", h, bits)
	}
	if other, _, _ := keyring(t).Handle(p, "decoy", 0); seen[handle.Fold(other)] {
		t.Errorf("another key gave the same handle %q", other)
	}
}

func TestPersonaIsAPerson(t *testing.T) {
	k, p := keyring(t), plan(t, 30)
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ids := map[string]bool{}
	followers, matched := 0, 0
	for i := range 400 {
		decoy := "d" + strings.Repeat("x", i%5) + string(rune('a'+i%26)) + string(rune('a'+i/26))
		handle, _, _ := k.Handle(p, decoy, 0)
		d := k.Persona(canary.PersonaRequest{Decoy: decoy, Handle: handle, Now: now, Posts: 5, Stories: 1})
		if again := k.Persona(canary.PersonaRequest{Decoy: decoy, Handle: handle, Now: now, Posts: 5, Stories: 1}); again.DisplayName != d.DisplayName || again.Posts[0].ID != d.Posts[0].ID {
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
	k, p := keyring(b), plan(b, 30)
	i := uint32(0)
	for b.Loop() {
		_, _, at := k.Handle(p, "bench", i)
		i = at + 1
	}
}
