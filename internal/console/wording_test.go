package console_test

import (
	"strings"
	"testing"
	"time"

	"birdring/canary/mark"
	"birdring/internal/console"
)

// TestTheSubjectIsACopy: no sentence says that an account did anything.
func TestTheSubjectIsACopy(t *testing.T) {
	got := console.Sentence("w.example", "a", 7, 9, 213_456)
	if want := "Pictures on w.example descend from the copy served to account a: 7 of 9 matched pictures, evidence 213.4 bits."; got != want {
		t.Errorf("got %q", got)
	}
	text := strings.Join(console.Limits([]string{"a"}, 7e9, true), " ")
	for _, want := range []string{"below 3.8e-10", "does not show who operated", "uploaded", "single_source"} {
		if !strings.Contains(text, want) {
			t.Errorf("limits lack %q: %s", want, text)
		}
	}
	if strings.Contains(text, "scraped") {
		t.Error("limits accuse a person")
	}
}

func TestProbabilityIsNeverSmallerThanItIs(t *testing.T) {
	for p, want := range map[float64]string{3.79e-10: "3.8e-10", 3.71e-10: "3.8e-10", 9.99e-8: "1.0e-07", 0.5: "5.0e-01", 2: "1"} {
		if got := console.Probability(p); got != want {
			t.Errorf("%g: got %s, want %s", p, got, want)
		}
	}
}

func TestWordsForTimesAndShapes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		300 * time.Millisecond: "under 1 s", 61 * time.Second: "1 min 1 s", 50 * time.Hour: "2 d 2 h", 24*time.Hour + time.Second: "1 d 1 s",
	} {
		if got := console.Duration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
	if got := console.Geometry(mark.Affine{A: -0.5, C: 540, E: 0.5}); got != "scale 0.500, mirrored" {
		t.Errorf("got %s", got)
	}
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	if got := console.StoryNote(at, at.Add(-90*time.Minute)); !strings.Contains(got, "1 h 30 min later") {
		t.Errorf("got %q", got)
	}
	if got := console.StoryNote(at, at.Add(time.Minute)); got != "" {
		t.Errorf("a live story is called expired: %q", got)
	}
}

func TestPlotStartsAtTheLine(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	svg := string(console.Plot([]console.Point{{At: at, Millibits: 70_000}, {At: at.Add(time.Hour), Millibits: 300_000}}, []time.Time{at.Add(-time.Hour), at}, at.Add(2*time.Hour)))
	for _, want := range []string{"<svg", "64 bits", "<path", "</svg>"} {
		if !strings.Contains(svg, want) {
			t.Errorf("plot lacks %q", want)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "style=") {
		t.Errorf("plot is broken or breaks the content policy: %s", svg)
	}
	if console.Plot(nil, nil, at) != "" {
		t.Error("a plot of nothing")
	}
	one := string(console.Plot([]console.Point{{At: at, Millibits: 64_000}}, []time.Time{at}, at))
	if strings.Contains(one, "NaN") || strings.Contains(one, "Inf") {
		t.Errorf("plot of one point: %s", one)
	}
}

func FuzzExposuresBody(f *testing.F) {
	for _, s := range []string{`{"account":"a"}`, `[{"pass":"x","decoy":"d","time":"2026-11-24T00:00:00Z"}]`, `[]`, `null`, `[1]`, ``, `{"account":"a"} {}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if n, err := console.OneOrManyExposures(body); err == nil && (n < 1 || n > 100) {
			t.Fatalf("%d entries pass", n)
		}
	})
}
