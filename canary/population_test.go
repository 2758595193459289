package canary_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"birdring/canary"
)

func TestReadPopulation(t *testing.T) {
	var b strings.Builder
	b.WriteString("Followers,name,following,bio_length,age_days\n")
	for i := range 100 {
		fmt.Fprintf(&b, "%d,\"x, y\",%d,%d,\n", 1000+i, 2000+i, i%40)
	}
	p, err := canary.ReadPopulation(strings.NewReader(b.String()))
	if err != nil || len(p) != 100 || p[7] != (canary.Numbers{Followers: 1007, Following: 2007, BioLength: 7}) {
		t.Fatalf("%v %v", p, err)
	}
	for name, text := range map[string]string{
		"":                 "header",
		"followers\n1\n":   "following",
		b.String() + "x\n": "wrong number of fields",
		strings.Replace(b.String(), "1003", "many", 1): "line 5",
		strings.Replace(b.String(), "1003", "-3", 1):   "line 5",
		"followers,following\n1,2\n":                   "too few",
	} {
		if _, err := canary.ReadPopulation(strings.NewReader(name)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%.30q: %v, want %q", name, err, text)
		}
	}
}

// Numbers are drawn row by row: who follows many is followed by many, as in the table.
func TestPersonaIsLikeThePopulation(t *testing.T) {
	var like canary.Population
	for i := range 400 {
		like = append(like, canary.Numbers{Followers: 10 * (i + 1), Following: 20 * (i + 1), AgeDays: 2000, BioLength: 10 * (i % 4)})
	}
	k := keyring(t)
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	empty := 0
	var followers []int
	for i := range 400 {
		d := k.Persona(canary.PersonaRequest{Decoy: fmt.Sprint("d", i), Handle: "xqz", Now: now, Posts: 3, Like: like})
		if r := float64(d.Following) / float64(d.Followers); r < 1.5 || r > 2.7 {
			t.Errorf("%d followers, %d following: no row of the table", d.Followers, d.Following)
		}
		if d.Bio == "" {
			empty++
		}
		if n := len([]rune(d.Bio)); n > 45 {
			t.Errorf("bio of %d signs, none of the table has more than 30", n)
		}
		if age := now.Sub(d.Joined).Hours() / 24; age < 1000 || age > 4000 {
			t.Errorf("%v days old", age)
		}
		followers = append(followers, d.Followers)
	}
	slices.Sort(followers)
	// Six standard deviations.
	if math.Abs(float64(empty)-100) > 55 || math.Abs(float64(followers[200])-2000) > 400 {
		t.Errorf("%d of 400 without bio, median %d", empty, followers[200])
	}
}

func FuzzReadPopulation(f *testing.F) {
	f.Add("followers,following\n1,2\n")
	f.Add("\ufefffollowers,following,age_days\n\"1\",2,\n")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := canary.ReadPopulation(strings.NewReader(s))
		if err == nil && len(p) < 50 {
			t.Errorf("%d profiles", len(p))
		}
	})
}
