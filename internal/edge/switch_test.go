package edge

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"birdring/canary"
	"birdring/registry/stream"
)

// What was told last counts, also when it comes late or twice, and an export only if
// it is newer and says neutral.
func TestSwitches(t *testing.T) {
	dir := t.TempDir()
	open := func() *switches {
		t.Helper()
		s, err := openSwitches(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, begin := open(), time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	at := func(second int) time.Time { return begin.Add(time.Duration(second) * time.Second) }
	say := func(second int, neutral bool) stream.Message {
		return stream.Message{Data: canary.EdgeSwitch{Neutral: neutral}.Marshal(), At: at(second)}
	}
	want := func(when string, neutral, export bool, exported int) {
		t.Helper()
		for _, s := range []*switches{s, open()} { // what is kept says the same
			if got := s.neutral(export, at(exported)); got != neutral {
				t.Errorf("%s: neutral %v, want %v", when, got, neutral)
			}
		}
	}
	want("nothing was told", true, true, -100)
	want("nothing was told", false, false, 0)
	for _, c := range []struct {
		when    string
		all     []stream.Message
		neutral bool
	}{
		{"on", []stream.Message{say(1, true)}, true},
		{"nonsense", []stream.Message{{Data: []byte("off"), At: at(2)}}, true},
		{"off, and on late", []stream.Message{say(9, false), say(1, true)}, false},
		{"on again", []stream.Message{say(10, true)}, true},
		{"off late", []stream.Message{say(9, false)}, true},
	} {
		if err := s.take(c.all); err != nil {
			t.Fatal(err)
		}
		want(c.when, c.neutral, false, 0)
	}
	want("an export of copies of their own, newer than on", true, false, 11)
	if err := s.take([]stream.Message{say(20, false)}); err != nil {
		t.Fatal(err)
	}
	want("an older export that says neutral", false, true, 19)
	want("a newer one", true, true, 21)
	if err := os.WriteFile(filepath.Join(dir, "switch.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSwitches(dir, s.log); err == nil {
		t.Error("a damaged note was taken for none")
	}
}
