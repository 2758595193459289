package critic

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"birdring/canary"
)

// rowsOf are decoys written as rows of real profiles.
func rowsOf(all []Profile) (real []Real, numbers canary.Population) {
	for i := range all {
		r := all[i].asReal()
		real, numbers = append(real, r), append(numbers, r.Numbers)
	}
	return real, numbers
}

// An attacker tells nothing where the real profiles are drawn alike, and finds what
// one thing gives away, in it and in the whole.
func TestWholeProfile(t *testing.T) {
	all := profiles(t, nil)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	half := len(all) / 2
	real, numbers := rowsOf(all[half:])
	auc, alone, err := WholeAUC(all[:half], real, numbers)
	if err != nil {
		t.Fatal(err)
	}
	// Six standard errors of an AUC of 200 against 200.
	if limit := 6 * aucError(0.5, half/3, half/3); auc < 0.5-limit || auc > 0.5+limit {
		t.Errorf("AUC %.3f of profiles drawn alike", auc)
	}
	if len(alone) != 6 {
		t.Errorf("looked at %v", alone)
	}
	for i := range real {
		r := &real[i]
		r.Captions[0], r.DisplayName, r.Handle = "for sale: "+r.Captions[0], "The "+r.DisplayName, "xx"+r.Handle
		r.Posted[0] = r.Posted[0].Truncate(time.Hour)
	}
	auc, alone, err = WholeAUC(all[:half], real, numbers)
	if err != nil || auc < 0.99 {
		t.Errorf("AUC %.3f where nearly all differs, %v", auc, err)
	}
	for _, p := range alone {
		changed := p.Name != "bio" && p.Name != "numbers"
		if changed && p.AUC < 0.9 || !changed && p.AUC > 0.8 {
			t.Errorf("%s alone: AUC %.3f, changed: %v", p.Name, p.AUC, changed)
		}
	}
}

func TestReadReal(t *testing.T) {
	rows, err := ReadReal(strings.NewReader("followers,following,Handle,captions,posted,bio\n1,2,Anna_B,\"one\ntwo\",2026-11-28T09:30:00Z 2026-11-29T10:00:00+01:00,hi\n3,4,,,,\n"))
	if err != nil || len(rows) != 2 || rows[0].Handle != "anna_b" || len(rows[0].Captions) != 2 || len(rows[0].Posted) != 2 || rows[0].Bio != "hi" || rows[1].Captions != nil {
		t.Errorf("%+v %v", rows, err)
	}
	if _, err := ReadReal(strings.NewReader("followers,following,posted\n1,2,yesterday\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}
