package beacon_test

import (
	"errors"
	"testing"
	"time"

	"birdring/beacon"
	"birdring/canary"
)

func TestTemplates(t *testing.T) {
	for s, want := range map[string]string{
		"http://clone.example/u/{handle}":              "http://clone.example/u/a_b.c",
		"https://clone.example:8443/?q={handle}&x=1":   "https://clone.example:8443/?q=a_b.c&x=1",
		"http://clone.example/{handle}/posts/{handle}": "http://clone.example/a_b.c/posts/a_b.c",
	} {
		tpl, err := beacon.ParseTemplate(s)
		if err != nil || tpl.URL("a_b.c") != want {
			t.Errorf("%s: %q, %v", s, tpl.URL("a_b.c"), err)
		}
	}
	tpl, err := beacon.ParseTemplate("http://clone.example/{handle}")
	if err != nil || tpl.URL("a/../?b c") != "http://clone.example/a%2F..%2F%3Fb%20c" || tpl.Host() != "clone.example" {
		t.Errorf("a handle leaves its place: %q", tpl.URL("a/../?b c"))
	}
	for _, bad := range []string{
		"", "http://clone.example/", "{handle}", "ftp://x/{handle}", "http://{handle}.example/", "http:///{handle}",
		"http://user:secret@x/{handle}", "http://x/#{handle}", "http://x{handle}/", "javascript:{handle}", "http://%zz/{handle}",
	} {
		if tpl, err := beacon.ParseTemplate(bad); err == nil {
			t.Errorf("%q was taken: it asks %s", bad, tpl.URL("h"))
		}
	}
}

func TestMomentsKeepTheirWindow(t *testing.T) {
	from := time.Unix(1000, 0)
	w := beacon.Window{From: from, To: from.Add(time.Hour)}
	for _, u := range []float64{-1, 0, .5, .999999, 1, 2} {
		if at := w.At(u); at.Before(w.From) || !at.Before(w.To) {
			t.Errorf("%v at %v", u, at)
		}
	}
	if w := (beacon.Window{From: from, To: from}); w.At(.5) != from {
		t.Error("an empty window has one moment")
	}
}

func TestRequesterIsTheFirstAfterTheQuestion(t *testing.T) {
	asked := time.Unix(1000, 0)
	look := func(v canary.Viewer, s float64) beacon.Look {
		return beacon.Look{Viewer: v, At: asked.Add(time.Duration(s * float64(time.Second)))}
	}
	for name, c := range map[string]struct {
		looks []beacon.Look
		want  canary.Viewer
		err   error
	}{
		"nobody":           {nil, 0, beacon.ErrNobodyCame},
		"too late":         {[]beacon.Look{look(70000, 11)}, 0, beacon.ErrNobodyCame},
		"one":              {[]beacon.Look{look(70000, 3)}, 70000, nil},
		"first of several": {[]beacon.Look{look(70001, 5), look(70000, 3), look(70002, 4)}, 70000, nil},
		"known before":     {[]beacon.Look{look(70000, 3), look(70001, -1)}, 0, beacon.ErrSpoiled},
	} {
		got, err := beacon.Requester(asked, 10*time.Second, c.looks)
		if got.Viewer != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: viewer %d, %v", name, got.Viewer, err)
		}
	}
}
