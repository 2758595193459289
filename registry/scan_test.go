package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"birdring/beacon/crawl"
	"birdring/canary"
	"birdring/internal/testkit"
	"birdring/registry"
)

var loopback = []string{"127.0.0.0/8:*"}

// clone is a site that republishes what it was given.
type clone struct {
	*httptest.Server
	files map[string][]byte
}

func newClone(t testing.TB, files map[string][]byte) *clone {
	c := &clone{files: files}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		data, ok := c.files[q.URL.Path]
		if !ok {
			http.NotFound(w, q)
			return
		}
		w.Header().Set("Content-Type", http.DetectContentType(data))
		_, _ = w.Write(data)
	}))
	t.Cleanup(c.Close)
	return c
}

func scan(t testing.TB, r *registry.Registry, address string) ([]registry.ScanSighting, []registry.SiteResult) {
	t.Helper()
	var seen []registry.ScanSighting
	results, err := r.Scan(t.Context(), registry.ScanRequest{URLs: []string{address}, Allow: loopback, MaxPages: 50},
		func(s registry.ScanSighting) { seen = append(seen, s) })
	if err != nil {
		t.Fatal(err)
	}
	return seen, results
}

func TestScan(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	r, _ := fresh(t)
	decoys := planted(t, r, registry.PlantRequest{Decoys: 2, PerDecoy: 3, Stories: 1, Photos: append(photos(t, 3), smalls(t, 3)...), StoryLife: time.Millisecond})
	crowd(t, r, 30, decoys...)
	d := decoys[0]
	mine := pictures(t, r, d.ID)
	copies, err := r.Expose(t.Context(), []registry.Exposure{{Account: "mole", Decoy: d.ID, Surface: "profile", Kind: registry.Offered}})
	if err != nil {
		t.Fatal(err)
	}
	v := copies[0].Viewer
	files := map[string][]byte{
		"/":      []byte(`<html><body><a href="/p/1">one</a> <a href="/plain">two</a></body></html>`),
		"/plain": []byte(`<html><body><p>nothing of yours</p><img src="/foreign.jpg"></body></html>`),
		"/p/1": fmt.Appendf(nil, `<html><head><title>%s photos</title></head><body><h1>@%s</h1><p>Look at the latest photos.</p>
			<a href="%s">bio</a><img src="/a.jpg"><img src="/b.jpg" alt="b"><img src="/broken.jpg"></body></html>`,
			d.Handle, strings.ToUpper(d.Handle), copies[0].Link),
		"/a.jpg": changed(t, rendition(t, r, mine[1], v), 640, 75), "/b.jpg": changed(t, rendition(t, r, mine[2], v), 150, 80),
		"/foreign.jpg": changed(t, foreign(t), 640, 75), "/broken.jpg": []byte("\xff\xd8\xff\xe0 no more"),
	}
	site := newClone(t, files)
	seen, results := scan(t, r, site.URL+"/")
	kinds := map[string]int{}
	for _, s := range seen {
		kinds[s.Kind]++
		if s.Site != crawl.Registrable(site.URL) || s.Decoy != d.ID || len(s.SHA256) != 64 || s.Captured.IsZero() {
			t.Errorf("sighting %+v", s)
		}
	}
	if kinds["picture"] != 2 || kinds["handle"] != 1 || kinds["link"] != 1 {
		t.Errorf("sightings: %v", kinds)
	}
	if len(results) != 1 || results[0].Account == nil || *results[0].Account != "mole" || results[0].Verdict != registry.VerdictAttributed || *results[0].Bits < 64 {
		t.Fatalf("results %+v", results)
	}
	t.Logf("%d pictures, %.1f bits, decoys %v", results[0].Pictures, *results[0].Bits, results[0].Decoys)

	stored := rows[registry.SightingRow](t, r, "sightings", time.Time{}, 0)
	for _, s := range stored {
		if s.Kind == "picture" && *s.Photo == mine[2] && s.StoryExpired != storyOf(t, r, d.ID, mine[2]) {
			t.Errorf("story: %+v", s)
		}
		if s.Kind == "handle" && (s.Context == nil || !strings.Contains(*s.Context, "latest photos")) {
			t.Errorf("handle without the text around it: %v", s.Context)
		}
	}

	// The same again adds nothing, and says the same.
	again, results2 := scan(t, r, site.URL+"/")
	if n := len(rows[registry.SightingRow](t, r, "sightings", time.Time{}, 0)); n != len(stored) || len(again) != len(seen) || *results2[0].Bits != *results[0].Bits {
		t.Errorf("scanned again: %d sightings stored, %d told; had %d and %d", n, len(again), len(stored), len(seen))
	}

	// A site without anything of ours.
	empty := newClone(t, map[string][]byte{"/": []byte("<p>hello</p>")})
	if seen, results := scan(t, r, empty.URL); len(seen) != 0 || len(results) != 1 || results[0].Verdict != registry.VerdictUnknown || results[0].Account != nil || results[0].Bits != nil || results[0].Decoys == nil {
		t.Errorf("empty site: %+v %+v", seen, results)
	}

	// Another site that copied from the first: named as well, by its own line.
	second := newClone(t, map[string][]byte{"/": []byte(`<img src="/x.jpg">`), "/x.jpg": files["/a.jpg"]})
	if _, results := scan(t, r, second.URL); len(results) != 1 || results[0].Account == nil || results[0].Pictures != 1 {
		t.Errorf("second site: %+v", results)
	}
	if n := len(rows[registry.AttributionRow](t, r, "attributions", time.Time{}, 0)); n != 2 {
		t.Errorf("%d attributions, want 2", n)
	}
}

// foreign is a photo that was never planted.
func foreign(t testing.TB) []byte {
	t.Helper()
	all := photos(t, 8)
	f, err := all[7].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return readAll(t, f)
}

func storyOf(t testing.TB, r *registry.Registry, decoy, photo string) bool {
	t.Helper()
	d, err := r.Decoy(t.Context(), decoy)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Posts {
		if p.Photo == photo {
			return p.Story
		}
	}
	return false
}

func TestProbe(t *testing.T) {
	testkit.Long(t)
	r, _ := fresh(t)
	dark := planted(t, r, registry.PlantRequest{Dark: 3, PerDecoy: 1})
	shown := true
	media := map[string][]byte{}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if data, ok := media[q.URL.Path]; ok {
			w.Header().Set("Content-Type", "image/jpeg")
			_, _ = w.Write(data)
			return
		}
		handle := strings.TrimPrefix(q.URL.Path, "/u/")
		d, err := r.DecoyByHandle(q.Context(), handle)
		if err != nil || !shown {
			http.NotFound(w, q)
			return
		}
		// A live site: one of its accounts fetches the profile when asked.
		c, err := r.Expose(q.Context(), []registry.Exposure{{Account: "bot-7", Decoy: d.ID, Surface: "lookup", Kind: registry.Offered}})
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(w, "<h1>@%s</h1>", d.Handle)
		for i, p := range c[0].Photos {
			path := fmt.Sprintf("/media/%s-%d.jpg", d.ID, i)
			media[path] = changed(t, rendition(t, r, p.Photo, c[0].Viewer), 0, 75)
			fmt.Fprintf(w, `<img src="%s">`, path)
		}
	}))
	t.Cleanup(site.Close)
	probe := func(n, lookups int) (out []registry.ProbeResult, err error) {
		err = r.Probe(t.Context(), registry.ProbeRequest{
			Site: site.URL, Template: site.URL + "/u/{handle}", Count: n, Lookups: lookups, Allow: loopback, Spread: 100 * time.Millisecond, Patience: 200 * time.Millisecond,
		}, func(p registry.ProbeResult) { out = append(out, p) })
		return out, err
	}
	worth := func() float64 {
		t.Helper()
		e, err := r.Explain(t.Context(), site.URL, "bot-7", false)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Same {
			t.Errorf("explained %.3f bits, stored %.3f", e.Bits, e.Stored)
		}
		return e.Parts.Probes
	}
	bitsOf := map[string]float64{}
	for _, d := range dark {
		bitsOf[d.ID] = d.HandleBits
	}
	// Where an account may look up a million handles while a probe waits, being asked
	// for says ten bits less than by default.
	all, err := probe(1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	one := worth()
	if most := min(bitsOf[all[0].Decoy]-2, 64) - 20; one > most || one < most-8 {
		t.Errorf("one probe among 2^20 look-ups says %.1f bits, at most %.1f", one, most)
	}
	more, err := probe(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if most := min(bitsOf[more[0].Decoy]-2, 64) - 10; worth()-one > most+.1 || worth()-one < most-4 {
		t.Errorf("the second among 2^10 adds %.1f bits, at most %.1f", worth()-one, most)
	}
	all = append(all, more...)
	for _, p := range all {
		if p.Requester == nil || *p.Requester != "bot-7" || !p.Answered || p.Bits == nil || *p.Bits < 64 {
			t.Errorf("probe %+v", p)
			continue
		}
		t.Logf("@%s: %s, %.1f bits", p.Handle, *p.Requester, *p.Bits)
	}
	a := rows[registry.AttributionRow](t, r, "attributions", time.Time{}, 0)
	if len(a) != 1 || a[0].Account != "bot-7" || a[0].Site != crawl.Registrable(site.URL) || len(a[0].Decoys) != 2 {
		t.Errorf("attributions %+v", a)
	}

	// A probe that nobody answers uses up its decoy as well.
	shown = false
	if all, err = probe(1, 0); err != nil || len(all) != 1 || all[0].Requester != nil || all[0].Answered || all[0].Bits != nil {
		t.Errorf("unanswered: %+v, %v", all, err)
	}
	if _, err := probe(1, 0); err == nil || !strings.Contains(err.Error(), "dark") {
		t.Errorf("a fourth probe of three dark decoys: %v", err)
	}
	if dark[0].Kind != canary.Dark {
		t.Error("no dark decoy was planted")
	}
}
