package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/canary/ring"
	"birdring/internal/console"
	"birdring/registry"
)

// What an account scores below the line is nowhere: not stored, not logged, not told
// by the registry, and on no page of the console, no answer of the API, no metric.
func TestNoScoreBelowTheLineLeaves(t *testing.T) {
	s := newStage(t, 1)
	var logged lockedBuffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := open(t, s.Dir(), registry.Options{Log: log})
	const site = "weak.example"
	y := s.copyOf(t, s.photos[0], 3.2, 7, "crowd-003")
	score := s.alone(t, s.photos[0], y, "crowd-003")
	if score < 6_000 || score >= 62_000 {
		t.Fatalf("the find says %d millibits: it should lie between the levels", score)
	}
	quiet := s.everything(t, r, log, &logged)
	if err := r.Found(t.Context(), site, s.at, registry.Read{Photo: s.photos[0], Y: y}); err != nil {
		t.Fatal(err)
	}
	told := s.everything(t, r, log, &logged)
	if !strings.Contains(told["pages"], site) || !strings.Contains(told["registry"], site) || !strings.Contains(told["api"], site) {
		t.Fatal("the search does not reach the pages and lists where the find is told")
	}
	for where, text := range told {
		for _, number := range spellings(score) {
			if n := strings.Count(text, number); n > strings.Count(quiet[where], number) {
				t.Errorf("%s: %q, the score of an account below the line", where, strings.TrimSpace(number))
			}
		}
		if where != "stored" && strings.Contains(text, "crowd-003") && where != "logged" && !strings.Contains(quiet[where], "crowd-003") {
			t.Errorf("%s: the account below the line is named", where)
		}
	}
}

// spellings are how a score would be written, with and without what silence of links
// costs and the halves of passes: in millibits and bits, as JSON, SQL and pages write them.
func spellings(score int64) (out []string) {
	for d := int64(-1200); d <= 100; d++ {
		m := score + d
		exact := strconv.FormatFloat(float64(m)/1000, 'f', -1, 64)
		out = append(out, fmt.Sprintf("%d.%03d", m/1000, m%1000), fmt.Sprintf("|%d|", m), fmt.Sprintf("=%d ", m), fmt.Sprintf(":%d,", m), fmt.Sprintf(":%d}", m), ":"+exact+",", ":"+exact+"}", " "+exact+"\n")
		if m%100 == 0 {
			out = append(out, fmt.Sprintf(">%d.%d<", m/1000, m%1000/100), fmt.Sprintf("%d.%d bits", m/1000, m%1000/100))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// alone is what soft values say about an account, in millibits.
func (s *stage) alone(t *testing.T, photo string, y []int16, account string) int64 {
	t.Helper()
	v, err := s.Number(t.Context(), account, "")
	if err != nil {
		t.Fatal(err)
	}
	book, err := s.Book(t.Context(), photo)
	if err != nil {
		t.Fatal(err)
	}
	reading, err := ring.NewReading(book, y)
	if err != nil {
		t.Fatal(err)
	}
	return reading.Score(uint64(v)).Alone()
}

// everything is all that leaves the registry, by the way it leaves.
func (s *stage) everything(t *testing.T, r *registry.Registry, log *slog.Logger, logged *lockedBuffer) map[string]string {
	t.Helper()
	out := map[string]string{}
	var err error
	if out["stored"], err = r.Dump(t.Context()); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	encode := json.NewEncoder(&told)
	for _, what := range []string{"sightings", "sites", "attributions", "hits", "accounts", "decoys"} {
		if err := r.Rows(t.Context(), what, time.Time{}, 0, func(row any) error { return encode.Encode(row) }); err != nil {
			t.Fatal(err)
		}
	}
	views, err1 := r.SiteViews(t.Context(), time.Time{})
	finds, err2 := r.Finds(t.Context(), "weak.example", 10)
	clusters, err3 := r.Clusters(t.Context())
	health, err4 := r.Health(t.Context())
	for i, err := range []error{err1, err2, err3, err4} {
		if err != nil && !strings.Contains(err.Error(), "not found") {
			t.Fatal(i, err)
		}
	}
	if err := encode.Encode([]any{views, finds, clusters, health}); err != nil {
		t.Fatal(err)
	}
	out["registry"] = told.String()
	s.browse(t, log, out)
	out["logged"] = logged.String()
	for where, text := range out {
		out[where] = clock.ReplaceAllString(text, "")
	}
	return out
}

// clock is a time of day or how long something took: by chance it has the digits of a score.
var clock = regexp.MustCompile(`\d\d:\d\d:\d\d(\.\d+)?|\b\d+(\.\d+)?[mµn]s\b`)

// browse serves the folder, opens every page of the console that another leads to,
// asks every list of the API, and reads the metrics.
func (s *stage) browse(t *testing.T, log *slog.Logger, out map[string]string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan console.Ready, 1), make(chan error, 1)
	go func() {
		ended <- console.Serve(ctx, console.ServeOptions{Dir: s.Dir(), Database: databaseOf(s.Dir()), HTTP: "127.0.0.1:0", Log: log, Ready: func(r console.Ready) { ready <- r }})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	}()
	var at console.Ready
	select {
	case at = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatalf("serve: %v", err)
	}
	if at.Token != "" {
		s.token = at.Token
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	get := func(path string) (string, bool) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(path, "/v1/") || path == "/metrics" {
			req.Header.Set("Authorization", "Bearer "+s.token)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Contains(resp.Header.Get("Content-Type"), "text") || strings.Contains(resp.Header.Get("Content-Type"), "json")
		return string(body), text && resp.StatusCode == http.StatusOK
	}
	resp, err := client.PostForm(at.URL+"/login", url.Values{"token": {s.token}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	pages := []string{"/"}
	link := regexp.MustCompile(`(?:href|src|action)="(/[^"#]*)"`)
	for i := 0; i < len(pages) && i < 200; i++ {
		body, ok := get(pages[i])
		if !ok {
			continue
		}
		out["pages"] += body
		for _, m := range link.FindAllStringSubmatch(body, -1) {
			if path := strings.ReplaceAll(m[1], "&amp;", "&"); !slices.Contains(pages, path) && path != "/logout" {
				pages = append(pages, path)
			}
		}
	}
	var spec struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	text, _ := get("/openapi.json")
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	for path, methods := range spec.Paths {
		if methods["get"] != nil && !strings.Contains(path, "{") && path != "/v1/events" {
			body, _ := get(path)
			out["api"] += body + "\n"
		}
	}
	metrics, ok := get("/metrics")
	if !ok || !strings.Contains(metrics, "birdring_") {
		t.Fatal("no metrics")
	}
	out["metrics"] = metrics
}

// lockedBuffer is written to by whoever logs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
