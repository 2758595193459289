package critic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"birdring/canary/handle"
)

func named(n int, seed uint64, words []string) []string {
	rng := rand.New(rand.NewPCG(seed, 3))
	out := make([]string, n)
	for i := range out {
		out[i] = words[rng.IntN(len(words))] + words[rng.IntN(len(words))]
		if rng.IntN(3) == 0 {
			out[i] += fmt.Sprint(rng.IntN(100))
		}
	}
	return out
}

var people = strings.Fields("anna bela carlo dora emil fritz gina hanno ilse jonas kira lars mona nils olga paul rita sven tina udo adler berg clausen dorn engel falk gerber holm")

// Two halves of one list cannot be told apart; another list can.
func TestAttackerIsHonestAndAble(t *testing.T) {
	real := named(1500, 1, people)
	r, err := Run(Task{Real: real, Ours: named(1500, 2, people), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	// Five standard errors.
	if math.Abs(r.AUC-0.5) > 5*r.Error {
		t.Errorf("AUC %.3f ± %.3f of one list's halves", r.AUC, r.Error)
	}
	other := named(1500, 2, append(strings.Fields("banana cloud river stone"), people...))
	if r, err = Run(Task{Real: real, Ours: other, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if r.AUC < 0.6 {
		t.Errorf("AUC %.3f where a sixth of the words differ", r.AUC)
	}
	if _, err := Run(Task{Real: real[:10], Ours: other}); err == nil {
		t.Error("ten names were enough")
	}
}

func TestAUCAndRecall(t *testing.T) {
	if a := AUC([]float64{2, 3, 4}, []float64{1, 2}); math.Abs(a-5.5/6) > 1e-12 {
		t.Errorf("AUC %v", a)
	}
	real := make([]float64, 100)
	for i := range real {
		real[i] = float64(i)
	}
	if r := RecallAt(real, []float64{-1, 0.5, 1.5, 50}, 0.01); r != 0.5 {
		t.Errorf("recall %v", r)
	}
}

// Bits promise how often draws are names of a list; they keep it.
func TestCoincidences(t *testing.T) {
	f := handle.NewFitter(handle.Rules{Name: "test", Min: 2, Max: 24})
	for _, h := range named(3000, 5, people) {
		if err := f.Add(h); err != nil {
			t.Fatal(err)
		}
	}
	m, err := f.Model(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Plan(0)
	if err != nil {
		t.Fatal(err)
	}
	c := Coincide(p, named(3000, 77, people), 20000, 1)
	if c.Predicted < 50 || math.Abs(float64(c.Z)) > 6 {
		t.Errorf("predicted %v, observed %d", c.Predicted, c.Observed)
	}
	if seen := float64(c.PairsSeen); seen < 0.7*float64(c.Pairs) || seen > 1.4*float64(c.Pairs) {
		t.Errorf("%v equal pairs, %v predicted", seen, c.Pairs)
	}
}

// A list among itself cannot be told; where half of it is passed over, three quarters
// of the pairs can.
func TestLeastAUC(t *testing.T) {
	for _, c := range []struct {
		keeps []float64
		want  float64
	}{{[]float64{1, 1, 1}, 0.5}, {[]float64{0, 1, 1, 0}, 0.75}, {[]float64{0, 0}, 1}, {[]float64{0.5, 1}, (0.5*0.5 + 1.5) / 1.5 / 2}} {
		if a := leastAUC(c.keeps); math.Abs(a-c.want) > 1e-12 {
			t.Errorf("%v: %v, want %v", c.keeps, a, c.want)
		}
	}
}

func TestReadNames(t *testing.T) {
	var got []string
	err := ReadNames(strings.NewReader("\ufeffanna \r\n\n bela\ncarlo"), func(line int, name string) error {
		got = append(got, fmt.Sprint(line, name))
		return nil
	})
	if err != nil || strings.Join(got, " ") != "1anna 3bela 4carlo" {
		t.Errorf("%q %v", got, err)
	}
	n := 0
	err = ReadNames(strings.NewReader(strings.Repeat("a", 10000)+"\nb"), func(line int, name string) error {
		n += line*10000 + len(name)
		return nil
	})
	if err != nil || n != 3*10000+maxLine+1 {
		t.Errorf("%d %v", n, err)
	}
}

func TestPlot(t *testing.T) {
	var b strings.Builder
	if err := Plot(&b, Verdict{Attacker: "names", Result: Result{Real: []float64{1, 2, 3}, Ours: []float64{0, 1, 2}}}); err != nil || !strings.HasSuffix(b.String(), "</svg>\n") {
		t.Errorf("%v %q", err, b.String())
	}
}
