package registry_test

import (
	"testing"
	"time"

	"birdring/registry"
)

// The machine's clock is set back by an hour, under a running process and before
// one starts: nothing looks back-dated, what is found after it was shown is not
// found before it, and alerts are due at once.
func TestClockSetBack(t *testing.T) {
	defer registry.SetClock(0)
	r, dir := fresh(t)
	d := planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 1})[0]
	if _, _, err := r.AddWebhook(t.Context(), "http://127.0.0.1:1/"); err != nil {
		t.Fatal(err)
	}
	find := func(r *registry.Registry, account, site string) {
		t.Helper()
		v, err := r.Number(t.Context(), account, "")
		if err != nil {
			t.Fatal(err)
		}
		data, err := r.Rendition(nil, d.Avatar, v)
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.Trace(t.Context(), registry.TraceRequest{Name: "find", Data: data, Site: site, PageDecoys: []string{d.ID}})
		if err != nil || len(res) != 1 || res[0].Verdict != registry.VerdictAttributed || res[0].Accounts[0].Account != account || !res[0].Accounts[0].Exposed {
			t.Fatalf("%+v, %v", res, err)
		}
		if due, err := r.DueWebhooks(t.Context()); err != nil || len(due) != 1 {
			t.Errorf("%d web hooks are due, %v", len(due), err)
		}
		seal(t, r)
		wantSound(t, r)
	}
	show := func(r *registry.Registry, account string) {
		t.Helper()
		if _, err := r.Expose(t.Context(), offer(account, d.ID)); err != nil {
			t.Fatal(err)
		}
	}
	show(r, "before")
	registry.SetClock(-time.Hour)
	find(r, "before", "one.example")
	show(r, "after")
	find(r, "after", "two.example")
	// Another process opens the registry under the clock as it is now.
	registry.ForgetTime()
	next := open(t, dir, registry.Options{})
	find(next, "before", "three.example")
	show(next, "later")
	find(next, "later", "four.example")
}
