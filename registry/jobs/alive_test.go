package jobs

import (
	"context"
	"errors"
	"log/slog"
	"testing"
)

// A worker is dead once its number stood still for so many looks, not before, and
// not if it moved, left or came back in between.
func TestWatch(t *testing.T) {
	w := watch{}
	for i := range looksDead {
		if dead := w.look(map[string]int64{"still": 7, "moves": int64(i)}); len(dead) > 0 {
			t.Fatalf("look %d: %v", i, dead)
		}
	}
	if dead := w.look(map[string]int64{"still": 7, "moves": 99}); len(dead) != 1 || dead[0] != "still" {
		t.Fatalf("dead: %v", dead)
	}
	w.look(map[string]int64{"moves": 99}) // it was buried
	for i := range looksDead {
		if dead := w.look(map[string]int64{"still": 7, "moves": int64(i)}); len(dead) > 0 {
			t.Fatalf("back again, look %d: %v", i, dead)
		}
	}
}

// A worker that others may think dead stops what it does, and goes on with what comes.
func TestGiveUp(t *testing.T) {
	q := &Queue{c: Config{Log: slog.New(slog.DiscardHandler)}}
	q.span.Store(newSpan())
	before, done := q.under(t.Context())
	defer done()
	q.giveUp(t.Context())
	<-before.Done()
	if err := q.stopped(before, context.Cause(before)); !errors.Is(context.Cause(before), errGivenUp) || errors.Is(err, errGivenUp) {
		t.Errorf("%v, told as %v", context.Cause(before), err)
	}
	after, done := q.under(t.Context())
	defer done()
	if after.Err() != nil {
		t.Error("what comes later is stopped too")
	}
}
