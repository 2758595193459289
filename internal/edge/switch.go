package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"birdring/canary"
	"birdring/registry/stream"
)

// switches follows what the registry tells edges, and keeps it over a restart.
type switches struct {
	path string // of the file that says what was told
	log  *slog.Logger

	mu    sync.RWMutex // guards what follows
	told  told
	err   error // why nothing can be heard
	since time.Time
}

// told is the newest of what was told.
type told struct {
	Neutral bool      `json:"neutral"`
	At      time.Time `json:"at"` // by the broker's clock; zero: nothing yet
}

const switchPause = time.Second // before a stream that failed is tried again

func openSwitches(dir string, log *slog.Logger) (*switches, error) {
	s := &switches{path: filepath.Join(dir, "switch.json"), log: log}
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s.told)
	}
	if err != nil {
		return nil, fmt.Errorf("what the registry told this edge: %s: %w: remove it to go by the export until it tells again", s.path, err)
	}
	return s, nil
}

// neutral says whether copies are neutral: if the registry told so, or if an export
// says so that is newer than what it told. When the two clocks disagree copies are
// rather neutral than not.
func (s *switches) neutral(export bool, exported time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.told.Neutral || export && exported.After(s.told.At)
}

// follow listens until ctx ends, every edge in a group of its own.
func (s *switches) follow(ctx context.Context, from stream.Stream, source string) {
	for ctx.Err() == nil {
		// While nothing comes a stream says nothing: what does not fail for so long works.
		settled := time.AfterFunc(15*time.Second, func() { s.note(nil) })
		err := from.Consume(ctx, stream.Switches, "edge-"+source, func(_ context.Context, all []stream.Message) error {
			err := s.take(all)
			s.note(err)
			return err
		})
		settled.Stop()
		if err == nil || ctx.Err() != nil {
			continue
		}
		s.note(err)
		select {
		case <-ctx.Done():
		case <-time.After(switchPause):
		}
	}
}

// take keeps the newest of some messages. They may come twice, or late.
func (s *switches) take(all []stream.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.told
	for _, m := range all {
		e, err := canary.ParseEdgeSwitch(m.Data)
		if err != nil {
			s.log.Error("message of the registry to edges passed over", "error", err)
			continue
		}
		if !m.At.Before(next.At) {
			next = told{e.Neutral, m.At}
		}
	}
	if next == s.told {
		return nil
	}
	if err := keep(s.path, next); err != nil {
		return fmt.Errorf("keep what the registry told: %w", err)
	}
	if next.Neutral != s.told.Neutral {
		s.log.Warn("switch for neutral copies changed", "on", next.Neutral)
	}
	s.told = next
	return nil
}

func (s *switches) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.err == nil {
		s.since = time.Now().UTC()
	}
	s.err = err
}

// problem says why the registry cannot be heard, "" if it can.
func (s *switches) problem() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.err == nil {
		return ""
	}
	return fmt.Sprintf("the switch for neutral copies is not heard since %s: %v", s.since.Format(time.RFC3339), s.err)
}
