package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"birdring/beacon"
	"birdring/canary"
	"birdring/registry"
)

// A drill tells a chain that works from one that mixes viewers up or changes bytes.
func TestDrill(t *testing.T) {
	r, _, d := oneDecoy(t)
	copyFor := func(path string) ([]byte, canary.Token) {
		token, ok := beacon.TokenIn(r.Keyring(), path)
		if !ok {
			t.Fatalf("asked for %s", path)
		}
		data, err := r.RenditionNum(nil, token.Object, token.Viewer)
		if err != nil {
			t.Error(err)
		}
		return data, token
	}
	var mu sync.Mutex
	var cached []byte
	chains := map[string]http.HandlerFunc{
		registry.DrillOwn: func(w http.ResponseWriter, q *http.Request) {
			data, _ := copyFor(q.URL.Path)
			w.Write(data)
		},
		registry.DrillOther: func(w http.ResponseWriter, q *http.Request) { // a cache that looks at the picture only
			mu.Lock()
			defer mu.Unlock()
			if cached == nil {
				cached, _ = copyFor(q.URL.Path)
			}
			w.Write(cached)
		},
		registry.DrillNeutral: func(w http.ResponseWriter, q *http.Request) {
			_, token := copyFor(q.URL.Path)
			data, err := r.RenditionNum(nil, token.Object, canary.Neutral)
			if err != nil {
				t.Error(err)
			}
			w.Write(data)
		},
		registry.DrillChanged: func(w http.ResponseWriter, q *http.Request) {
			data, _ := copyFor(q.URL.Path)
			w.Write(data[:len(data)-9])
		},
		registry.DrillFailed: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) },
	}
	for _, want := range []string{registry.DrillOwn, registry.DrillOther, registry.DrillNeutral, registry.DrillChanged, registry.DrillFailed} {
		srv := httptest.NewServer(chains[want])
		defer srv.Close()
		got := map[string]int{}
		wrong := 0
		err := r.Drill(t.Context(), registry.DrillRequest{Base: srv.URL + "/", Viewers: 3, Pictures: 5, Allow: []string{"127.0.0.0/8:*"}}, func(d registry.DrillResult) {
			got[d.Outcome]++
			if d.Wrong() {
				wrong++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		expected := map[string]int{want: 6}
		if want == registry.DrillOther { // the first one in the cache is its own
			expected = map[string]int{registry.DrillOwn: 2, registry.DrillOther: 4}
		}
		if fmt.Sprint(got) != fmt.Sprint(expected) || (wrong > 0) != (want != registry.DrillOwn && want != registry.DrillNeutral) {
			t.Errorf("%s: %v, %d wrong", want, got, wrong)
		}
	}
	rec, err := r.DrillRecord(t.Context())
	// 4 wrong of 18: the chance of 4 or fewer falls to 0.05 at a rate of 0.43888, summed exactly.
	if err != nil || rec.Fetched != 18 || rec.Wrong != 4 || rec.Changed != 6 || rec.Bound < 0.4388 || rec.Bound > 0.4390 || rec.Last == nil {
		t.Errorf("%+v, %v", rec, err)
	}
	if err := r.Drill(t.Context(), registry.DrillRequest{Viewers: 1, Pictures: 1}, nil); err == nil {
		t.Error("a drill with one viewer shows nothing about caches")
	}
	_ = d
}

// The neutral copies lie where the platform can serve them, and are nobody's.
func TestExportNeutral(t *testing.T) {
	t.Parallel()
	r, dir := fresh(t)
	d := planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 2})[0]
	out := filepath.Join(t.TempDir(), "neutral")
	for range 2 { // again over what is there
		var files []string
		if err := r.ExportNeutral(t.Context(), out, func(f registry.NeutralFile) { files = append(files, f.File) }); err != nil {
			t.Fatal(err)
		}
		if len(files) != 2 {
			t.Fatalf("files %v", files)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			want, err := r.Rendition(nil, strings.TrimSuffix(filepath.Base(f), ".jpg"), canary.Neutral)
			if err != nil || string(data) != string(want) || !strings.Contains(f, d.ID) {
				t.Errorf("%s is not the neutral copy: %v", f, err)
			}
		}
	}
	// The switch is seen by every process on the folder.
	other := open(t, dir, registry.Options{ReadOnly: true})
	for _, on := range []bool{true, false} {
		if err := r.SetNeutralOnly(t.Context(), on); err != nil {
			t.Fatal(err)
		}
		if got, err := other.NeutralOnly(t.Context()); err != nil || got != on {
			t.Errorf("switched %v, another process sees %v: %v", on, got, err)
		}
	}
}
