package registry_test

import (
	"math"
	"testing"
	"time"

	"birdring/registry"
)

// Two sites share an account: one cluster. What the second shows, the first had
// published before: descent, not supply. A decoy seen and not leaked is told.
func TestSitesThatShareAnAccountAreOneOperator(t *testing.T) {
	s := newStage(t, 2)
	find := func(site string, photo int, after time.Duration, account string) {
		t.Helper()
		y := s.copyOf(t, s.photos[photo], .3, uint64(after), account)
		if err := s.Found(t.Context(), site, s.at.Add(after), registry.Read{Photo: s.photos[photo], Y: y}); err != nil {
			t.Fatal(err)
		}
	}
	find("first.example", 0, 0, "crowd-002")
	find("second.example", 0, time.Hour, "crowd-002")
	find("first.example", 1, 2*time.Hour, "crowd-007")
	find("alone.example", 1, 3*time.Hour, "crowd-009")
	all, err := s.Clusters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || len(all[0].Sites) != 2 || len(all[0].Members) != 2 || len(all[1].Members) != 1 || all[1].Members[0].Account != "crowd-009" {
		t.Fatalf("clusters %+v", all)
	}
	for _, site := range all[0].Sites {
		if site.Descent != (site.Site == "second.example") {
			t.Errorf("site %+v", site)
		}
	}
	for _, m := range all[0].Members {
		if len(m.Leaked) != 1 || len(m.Withheld) != 3 || len(m.Sessions) != 1 || m.Sessions[0].Decoys != 4 || m.Delay == nil || *m.Delay < .9 || *m.Delay > 4 {
			t.Errorf("member %+v", m)
		}
	}
	if u := all[0].Unseen; u.Seen != 2 || u.Events != 3 || u.High < u.Unseen || u.Estimator == "" {
		t.Errorf("unseen %+v", u)
	}
	if _, err := s.ClusterOf(t.Context(), "nowhere.example"); err == nil {
		t.Error("a site nobody feeds has an operator")
	}
}

func TestChao1(t *testing.T) {
	// Five accounts met once, two twice, one four times: 13 events.
	u := registry.Chao1([]int{1, 1, 1, 1, 1, 2, 2, 4, 0})
	if want := 12. / 13 * 5 * 4 / (2 * 3); math.Abs(u.Unseen-want) > 1e-9 || u.Seen != 8 || u.Events != 13 || !(u.Low < want && want < u.High) {
		t.Errorf("%+v, want %v unseen", u, want)
	}
	for _, none := range [][]int{nil, {0, 0}} {
		if u := registry.Chao1(none); u.Seen != 0 || u.Unseen != 0 || u.High != 0 {
			t.Errorf("%+v of nothing", u)
		}
	}
	if u := registry.Chao1([]int{9, 8}); u.Unseen != 0 || u.Low != 0 || u.High < 1 {
		t.Errorf("%+v of two accounts met often", u)
	}
}

// With all accounts, one that was given its number after the last look is scored too.
func TestAllAccountsAreAllOfThem(t *testing.T) {
	s := newStage(t, 1)
	for _, late := range []string{"late-1", "late-2"} {
		v, err := s.Number(t.Context(), late, "")
		if err != nil {
			t.Fatal(err)
		}
		data := changed(t, rendition(t, s.Registry, s.photos[0], v), 440, 80)
		res := trace(t, s.Registry, registry.TraceRequest{Data: data, AllAccounts: true})
		if len(res.Accounts) != 1 || res.Accounts[0].Account != late || res.Accounts[0].Exposed {
			t.Errorf("%s: %+v", late, res)
		}
		// The first file again, now that there are more accounts.
		if late == "late-2" {
			again := changed(t, rendition(t, s.Registry, s.photos[0], v-1), 440, 80)
			if res := trace(t, s.Registry, registry.TraceRequest{Data: again, AllAccounts: true}); len(res.Accounts) != 1 || res.Accounts[0].Account != "late-1" {
				t.Errorf("again: %+v", res)
			}
		}
	}
}
