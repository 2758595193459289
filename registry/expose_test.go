package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/canary"
	"birdring/registry"
)

func offer(account, decoy string) []registry.Exposure {
	return []registry.Exposure{{Account: account, Decoy: decoy, Surface: "profile", Kind: registry.Offered}}
}

func TestExposeRecordsAndHandsOutTheCopy(t *testing.T) {
	r, dir := fresh(t)
	d := planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 2, Stories: 1})[0]
	at := time.Date(2026, 11, 24, 8, 0, 0, 123456789, time.FixedZone("", 3600))
	copies, err := r.Expose(t.Context(), []registry.Exposure{{Account: "alice", Session: "s1", Decoy: d.ID, Surface: "search", At: at, Kind: registry.Offered}})
	if err != nil {
		t.Fatal(err)
	}
	c := copies[0]
	if c.Viewer != canary.FirstViewer || c.Handle != d.Handle || len(c.Photos) != 2 {
		t.Errorf("copy %+v", c)
	}
	token, err := r.Keyring().OpenToken(strings.TrimPrefix(c.Link, registry.DefaultPublicURL+"/l/"))
	if err != nil || token != (canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: c.Viewer}) {
		t.Errorf("link %s opens to %+v, %v", c.Link, token, err)
	}
	if want := registry.DefaultPublicURL + "/m/" + c.Photos[1].Token + ".jpg"; c.Photos[1].URL != want {
		t.Errorf("URL %s, want %s", c.Photos[1].URL, want)
	}
	// Another process sees it at once.
	other := open(t, dir, registry.Options{ReadOnly: true})
	got := rows[registry.ExposureRow](t, other, "exposures", time.Time{}, 0)
	if len(got) != 1 || got[0].Account != "alice" || *got[0].Session != "s1" || got[0].Decoy != d.ID || got[0].Kind != "offered" {
		t.Fatalf("exposures %+v", got)
	}
	if want := time.Date(2026, 11, 24, 7, 0, 0, 123456000, time.UTC); !got[0].Time.Equal(want) || got[0].Time.Location() != time.UTC {
		t.Errorf("time %v, want %v", got[0].Time, want)
	}
}

func TestExposeIsAllOrNothing(t *testing.T) {
	r, _, d := oneDecoy(t)
	for name, bad := range map[string]registry.Exposure{
		"unknown decoy":   {Account: "a", Decoy: "d-nobody"},
		"no account":      {Decoy: d.ID},
		"long account":    {Account: strings.Repeat("a", 201), Decoy: d.ID},
		"control sign":    {Account: "a\n", Decoy: d.ID},
		"no UTF-8":        {Account: "\xff", Decoy: d.ID},
		"control surface": {Account: "a", Decoy: d.ID, Surface: "\x00"},
		"far time":        {Account: "a", Decoy: d.ID, At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		_, err := r.Expose(t.Context(), []registry.Exposure{{Account: "good", Decoy: d.ID}, bad})
		if !errors.Is(err, registry.ErrInvalid) && !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
	if _, err := r.Expose(t.Context(), offer(strings.Repeat("é", 100), d.ID)); err != nil {
		t.Errorf("an account of 200 bytes: %v", err)
	}
}

func TestPersonalDecoyIsBoundForEver(t *testing.T) {
	r, dir := fresh(t)
	d := planted(t, r, registry.PlantRequest{Personal: 1, PerDecoy: 1})[0]
	other := open(t, dir, registry.Options{})
	if v, err := r.Visible(t.Context(), "alice", time.Now()); err != nil || len(v) != 0 {
		t.Errorf("visible before it is bound: %v, %v", v, err)
	}
	if _, err := r.Expose(t.Context(), offer("alice", d.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Expose(t.Context(), offer("bob", d.ID)); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("shown to another account: %v", err)
	}
	if err := other.BindPersonal(t.Context(), d.ID, "bob"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("bound to another account: %v", err)
	}
	if err := other.BindPersonal(t.Context(), d.ID, "alice"); err != nil {
		t.Error(err)
	}
	if v, err := other.Visible(t.Context(), "alice", time.Now()); err != nil || len(v) != 1 || v[0].Account != "alice" {
		t.Errorf("visible %v, %v", v, err)
	}
	if v, err := other.Visible(t.Context(), "bob", time.Now()); err != nil || len(v) != 0 {
		t.Errorf("visible to another %v, %v", v, err)
	}
	if got := rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0); len(got) != 1 {
		t.Errorf("exposures %+v", got)
	}
}

func TestVisibleFollowsTheCoin(t *testing.T) {
	r, _ := fresh(t)
	d := planted(t, r, registry.PlantRequest{Decoys: 1, Dark: 1, PerDecoy: 1, Share: 0.25})
	seen := 0
	for i := range 400 {
		account := fmt.Sprint("account-", i)
		v, err := r.Visible(t.Context(), account, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		want := r.Keyring().Coin(account, d[0].ID, 0.25)
		if (len(v) == 1) != want || len(v) > 1 {
			t.Fatalf("%s sees %d decoys, the coin says %v", account, len(v), want)
		}
		seen += len(v)
	}
	// Binomial(400, .25): beyond 40 or 160 lies less than 1e-11.
	if seen < 40 || seen > 160 {
		t.Errorf("%d of 400 accounts see the decoy", seen)
	}
}

// Many goroutines and two processes' worth of connections: numbers are dense and
// given once, nothing is lost.
func TestNumbersUnderConcurrency(t *testing.T) {
	r, dir, d := oneDecoy(t)
	regs := []*registry.Registry{r, open(t, dir, registry.Options{}), open(t, dir, registry.Options{})}
	const workers, accounts = 24, 60
	var wg sync.WaitGroup
	got := make([]map[string]canary.Viewer, workers)
	for w := range workers {
		got[w] = map[string]canary.Viewer{}
		wg.Go(func() {
			reg := regs[w%len(regs)]
			for i := range accounts {
				account := fmt.Sprint("account-", (i*7+w)%accounts)
				copies, err := reg.Expose(t.Context(), offer(account, d.ID))
				if err != nil {
					t.Error(err)
					return
				}
				got[w][account] = copies[0].Viewer
			}
		})
	}
	wg.Wait()
	numbers := map[canary.Viewer]string{}
	for account, v := range got[0] {
		if other, ok := numbers[v]; ok {
			t.Errorf("%s and %s are both %d", account, other, v)
		}
		numbers[v] = account
		if v < canary.FirstViewer || v >= canary.FirstViewer+accounts {
			t.Errorf("number %d is not dense", v)
		}
		for w := range workers {
			if got[w][account] != v {
				t.Errorf("%s is %d and %d", account, v, got[w][account])
			}
		}
	}
	if n := len(rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0)); n != workers*accounts {
		t.Errorf("%d exposures, want %d", n, workers*accounts)
	}
	h, err := r.Health(t.Context())
	if err != nil || h.Exposures != workers*accounts || h.Viewers != accounts || !h.OK {
		t.Errorf("health %+v, %v", h, err)
	}
	for v, account := range numbers {
		if name, session, err := r.AccountOf(t.Context(), v); name != account || session != "" || err != nil {
			t.Errorf("number %d is %q %q %v", v, name, session, err)
		}
	}
}

func TestFetchedIsAnExposure(t *testing.T) {
	r, _, d := oneDecoy(t)
	v, err := r.Number(t.Context(), "alice", "")
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("ab", 32)
	at := time.Now().UTC().Truncate(time.Microsecond)
	f := registry.Fetch{Viewer: v, Photo: d.Avatar, At: at, Address: "192.0.2.1", UserAgent: "x", SHA256: sum}
	for range 2 {
		if err := r.Fetched(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	got := rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0)
	if len(got) != 1 || got[0].Kind != "fetched" || *got[0].Photo != d.Avatar || *got[0].SHA256 != sum || *got[0].Address != "192.0.2.1" {
		t.Errorf("exposures %+v", got)
	}
	f.Viewer = 1 << 30
	if err := r.Fetched(t.Context(), f); err == nil {
		t.Error("a fetch by a viewer without a number was stored")
	}
	if last, err := r.LastExposure(t.Context(), "alice", time.Now()); err != nil || !last.Equal(at) {
		t.Errorf("last exposure %v, want %v, %v", last, at, err)
	}
	if last, err := r.LastExposure(t.Context(), "alice", at.Add(-time.Second)); err != nil || !last.IsZero() {
		t.Errorf("last exposure before the first %v, %v", last, err)
	}
}

func TestRendition(t *testing.T) {
	r, dir, d := oneDecoy(t)
	a, err := r.Rendition(nil, d.Avatar, 70000)
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, dir, registry.Options{}).Rendition([]byte("x"), d.Avatar, 70000)
	if err != nil || !bytes.Equal(b[1:], a) {
		t.Errorf("another process renders otherwise: %v", err)
	}
	n, err := r.Rendition(nil, d.Avatar, canary.Neutral)
	if err != nil || bytes.Equal(n, a) || len(n) != len(a) {
		t.Errorf("the neutral copy is a viewer's, or of another length: %v", err)
	}
	if _, err := r.Rendition(nil, "p-nobody", 70000); !errors.Is(err, registry.ErrNotFound) {
		t.Error(err)
	}
	if _, err := r.RenditionNum(nil, 999, 70000); !errors.Is(err, registry.ErrNotFound) {
		t.Error(err)
	}
}
