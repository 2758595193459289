package critic

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"birdring/canary"
)

func profiles(t *testing.T, like canary.Population) (all []Profile) {
	t.Helper()
	k, err := canary.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	p, err := canary.DefaultHandleModel().Plan(30)
	if err != nil {
		t.Fatal(err)
	}
	now, said := time.Now().UTC(), canary.Said{}
	for i := range 1200 {
		id := fmt.Sprint("d", i)
		h, _, _ := k.Handle(p, id, 0)
		all = append(all, Profile{k.Persona(canary.PersonaRequest{Decoy: id, Handle: h, Now: now, Posts: 7, Stories: 1, Like: like, Said: said}), h, now})
	}
	return all
}

// Every number of the checklist is in its range, and the checks see what is out of it.
func TestDecoysPassTheirChecks(t *testing.T) {
	all := profiles(t, nil)
	for _, l := range Profiles(all, nil, nil) {
		if !l.OK {
			t.Errorf("%s: %v, want %v to %v", l.What, l.Value, l.Low, l.High)
		}
	}
	for i := range all {
		all[i].Followers = 7
		all[i].Posts[0].ID = "1"
		for j := range all[i].Posts {
			all[i].Posts[j].At = all[i].Posts[j].At.Truncate(time.Hour)
		}
	}
	bad := map[string]bool{}
	for _, l := range Profiles(all, nil, nil) {
		if !l.OK {
			bad[l.What] = true
		}
	}
	for _, what := range []string{"median of followers", "share of posts at second 0", "post ids used twice", "stories that do not live 24 h exactly"} {
		if !bad[what] {
			t.Errorf("%q passes", what)
		}
	}
}

func TestNumbersLikeTheOperators(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var like, other canary.Population
	for range 2000 {
		n := canary.Numbers{Followers: 50 + rng.IntN(400), Following: 20 + rng.IntN(900), AgeDays: 400 + rng.IntN(2000), BioLength: rng.IntN(100)}
		like = append(like, n)
		n.Followers *= 4
		other = append(other, n)
	}
	all := profiles(t, like)
	for _, l := range Profiles(all, like, nil) {
		if !l.OK {
			t.Errorf("%s: %v, want %v to %v", l.What, l.Value, l.Low, l.High)
		}
	}
	short := 0
	for _, l := range Profiles(all, other, nil) {
		if !l.OK {
			short++
		}
	}
	if short < 2 {
		t.Error("another population's numbers pass")
	}
}
