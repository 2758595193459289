package tell

import (
	"math"
	"math/rand/v2"
	"testing"

	"birdring/canary"
	"birdring/internal/demo/paint"
)

func TestAUC(t *testing.T) {
	for _, c := range []struct {
		scores []float64
		want   float64
	}{
		{[]float64{1, 2, 3, 4}, 0.75}, // labels no, yes, no, yes
		{[]float64{1, 3, 2, 4}, 1},
		{[]float64{3, 1, 4, 2}, 0},
		{[]float64{1, 1, 1, 1}, 0.5},
	} {
		if got := auc(c.scores, []bool{false, true, false, true}); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v: %v, want %v", c.scores, got, c.want)
		}
	}
}

// A small shift of one feature among many that vary is learned and found on
// photos that were not trained on; without it nothing is. Over 300 pairs the AUC
// of noise has a standard deviation of .024: .6 is passed by chance once in 60,000.
func TestJudgeFindsWhatIsThereAndNothingElse(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var all []sample
	for i := range 300 {
		s := sample{photo: i / 10}
		for range 30 {
			v := rng.NormFloat64()
			s.own, s.ringed, s.edited = append(s.own, v), append(s.ringed, rng.NormFloat64()), append(s.edited, rng.NormFloat64())
		}
		s.edited[7] += 1.5
		all = append(all, s)
	}
	own := func(s *sample) []float64 { return s.own }
	edited, ringed := judge(all, own, func(s *sample) []float64 { return s.edited }), judge(all, own, func(s *sample) []float64 { return s.ringed })
	if min(edited.Logistic, edited.Stumps) < 0.75 {
		t.Errorf("a shifted feature: AUC %+v", edited)
	}
	for _, got := range []float64{ringed.Logistic, ringed.Stumps} {
		if got > 0.6 || got < 0.4 {
			t.Errorf("noise: AUC %.3f", got)
		}
	}
}

// Features are finite, as many for every file, and see a changed coefficient.
func TestFeatures(t *testing.T) {
	plain, err := canary.PreparePlain(paint.Scene(3, 203, 155), nil)
	if err != nil {
		t.Fatal(err)
	}
	edited, err := nudged(plain, nil, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	a, err := features(plain)
	if err != nil {
		t.Fatal(err)
	}
	b, err := features(edited)
	if err != nil || len(a) != len(b) {
		t.Fatalf("%d and %d features, %v", len(a), len(b), err)
	}
	differ := 0
	for i, v := range a {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("feature %d is %v", i, v)
		}
		if v != b[i] {
			differ++
		}
	}
	if differ < 50 {
		t.Errorf("%d of %d features see the edit", differ, len(a))
	}
	if _, err := features([]byte("no file")); err == nil {
		t.Error("features of no file")
	}
}

// A difference that only shows beyond a threshold - one feature of the ringed files
// lies far from the middle, on either side - is no matter for a regression, which
// sees the same mean. Stumps find it; 300 pairs as above.
func TestStumpsSeeWhatARegressionCannot(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var all []sample
	for i := range 300 {
		s := sample{photo: i / 10}
		for range 10 {
			s.own, s.ringed = append(s.own, rng.NormFloat64()), append(s.ringed, rng.NormFloat64())
		}
		s.ringed[3] *= 4
		all = append(all, s)
	}
	got := judge(all, func(s *sample) []float64 { return s.own }, func(s *sample) []float64 { return s.ringed })
	if got.Stumps < 0.7 || got.Logistic > 0.6 || got.Stronger() != got.Stumps {
		t.Errorf("%+v", got)
	}
}
