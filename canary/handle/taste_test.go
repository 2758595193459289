package handle

import (
	"math/rand/v2"
	"sync"
	"testing"

	"birdring/canary/handle/forest"
)

// tasting is the model of fitted with a taste.
func tasting(t testing.TB) *Model {
	t.Helper()
	m, err := theTasting()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var theTasting = sync.OnceValues(func() (*Model, error) {
	names, rules := made(3000, 1), Rules{Name: "test", Min: 2, Max: 24, Separators: "_"}
	f := NewFitter(rules)
	for _, h := range names {
		if err := f.Add(h); err != nil {
			return nil, err
		}
	}
	t, err := learnTaste(names, rules, forest.Size{Rounds: 20, Depth: treeDepth, Rate: 0.2}, func(int, int) {})
	if err != nil {
		return nil, err
	}
	return f.model([]float64{0, 15}, t, func(int, int) {})
})

// A taste likes names that nothing was fitted to better than draws, and what it keeps
// is liker to them than what it is given.
func TestTasteKeepsWhatIsLikeNames(t *testing.T) {
	m := tasting(t)
	known := map[string]bool{}
	for _, n := range made(3000, 1) {
		known[n] = true
	}
	var names, draws, kept float64
	n := 0.0
	for _, name := range made(4000, 50) {
		if !known[name] {
			names += m.taste.score(name)
			n++
		}
	}
	names /= n
	next := random(6)
	for range 4000 {
		h, _ := m.plans[0].raw(next)
		draws += m.taste.score(h) / 4000
	}
	for i := 0; i < 4000; {
		if h, _, ok, _ := m.plans[0].Draw(next); ok {
			kept += m.taste.score(h) / 4000
			i++
		}
	}
	t.Logf("names score %.0f, draws %.0f, kept draws %.0f", names, draws, kept)
	if !(names > draws+50 && kept > draws+(names-draws)/2) {
		t.Errorf("%.0f names score %.0f, draws %.0f, kept draws %.0f", n, names, draws, kept)
	}
}

// Trees in whole numbers say what the forest does.
func TestPlantedTreesAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var rows [][]float64
	var first []bool
	for range 2000 {
		row := make([]float64, features)
		for i := range row {
			row[i] = float64(rng.IntN(200) - 100)
		}
		rows, first = append(rows, row), append(first, row[3] > 20 && row[5] < 0 || rng.IntN(5) == 0)
	}
	grown := forest.Grow(rows, first, forest.Size{Rounds: 30, Depth: treeDepth, Rate: 0.2}, rng)
	var planted taste
	planted.plant(grown)
	right := 0
	for i, row := range rows {
		var whole [features]int16
		for j, v := range row {
			whole[j] = int16(v)
		}
		// A leaf is rounded to half a part; the draws a name stands against come on top.
		want := grown.Score(row) + 0.693
		if got := float64(planted.judge(&whole)) / scale; got < want-31*0.5/scale-0.01 || got > want+31*0.5/scale+0.01 {
			t.Fatalf("row %d: %v, the forest says %v", i, got, want)
		}
		if (grown.Score(row) > 0) == first[i] {
			right++
		}
	}
	if right < 1600 {
		t.Errorf("the forest tells %d of 2000 rows", right)
	}
}
