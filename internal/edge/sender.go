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

	"birdring/beacon/journal"
	"birdring/registry/stream"
)

// sender sends what is in the journal to the stream.
type sender struct {
	source  string // what the journal is called
	path    string // of the file that says how far it is sent
	journal *journal.Journal
	stream  stream.Stream
	log     *slog.Logger

	mu    sync.Mutex // guards what follows
	sent  journal.Position
	count uint64    // records sent by this process
	err   error     // why the newest attempt failed
	since time.Time // since when
}

// Bounds of what is sent at once.
const (
	parcelBytes = 512 << 10 // of records in a parcel; one record more is below stream.MaxData, as hits are short
	parcels     = 16
)

// Pauses of the sender.
const (
	idlePause  = 50 * time.Millisecond // until it looks again
	firstPause = 100 * time.Millisecond
	mostPause  = 2 * time.Second
)

func newSender(dir string, j *journal.Journal, s stream.Stream, log *slog.Logger) (*sender, error) {
	source, err := j.Source()
	if err != nil {
		return nil, err
	}
	q := &sender{source: source, path: filepath.Join(dir, "sent.json"), journal: j, stream: s, log: log}
	data, err := os.ReadFile(q.path)
	if errors.Is(err, fs.ErrNotExist) {
		return q, nil // from the beginning: what was sent before is dropped by registries
	}
	if err == nil {
		err = json.Unmarshal(data, &q.sent)
	}
	if err != nil {
		return nil, fmt.Errorf("how far hits are sent: %s: %w: remove it to send all again, none is counted twice", q.path, err)
	}
	end := j.End()
	if q.sent.Segment > end.Segment || q.sent.Segment == end.Segment && q.sent.Offset > end.Offset {
		// Its files were removed: places come again with other records, under another name.
		if q.source, err = j.Rename(); err != nil {
			return nil, err
		}
		q.sent = journal.Position{}
	}
	return q, nil
}

// run sends until ctx ends.
func (s *sender) run(ctx context.Context) {
	pause := firstPause
	for {
		n, err := s.send(ctx)
		s.note(n, err)
		wait := idlePause
		switch {
		case err != nil && ctx.Err() == nil:
			if wait, pause = pause, min(2*pause, mostPause); pause == mostPause {
				s.log.WarnContext(ctx, "hits wait in the journal", "error", err)
			}
		case n > 0:
			wait, pause = 0, firstPause
		}
		if n == 0 || err != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// last sends what is left until ctx ends or the stream does not take it.
func (s *sender) last(ctx context.Context) {
	for {
		n, err := s.send(ctx)
		s.note(n, err)
		if err != nil {
			s.log.WarnContext(ctx, "hits stay in the journal until the next start", "error", err)
		}
		if err != nil || n == 0 {
			return
		}
	}
}

// send sends some parcels and returns how many records that were. How far it
// came is stored after the broker has acknowledged them: a crash in between
// sends them again, and registries drop what they have.
func (s *sender) send(ctx context.Context) (n int, err error) {
	all, to, err := s.journal.Pack(s.position(), s.source, parcelBytes, parcels)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	messages := make([]stream.Message, len(all))
	for i := range all {
		data, err := all[i].MarshalBinary()
		if err != nil {
			return 0, err
		}
		messages[i] = stream.Message{ID: all[i].ID(), Key: s.source, Data: data}
		n += len(all[i].Records)
	}
	if err := s.stream.Publish(ctx, stream.Journals, messages); err != nil {
		return 0, err
	}
	if err := s.store(to); err != nil {
		return n, err
	}
	_, err = s.journal.Remove(to)
	return n, err
}

func (s *sender) position() journal.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// store notes how far the journal is sent. Losing the note to a power loss costs
// sending again.
func (s *sender) store(to journal.Position) error {
	s.mu.Lock()
	s.sent = to
	s.mu.Unlock()
	if err := keep(s.path, to); err != nil {
		return fmt.Errorf("note how far hits are sent: %w", err)
	}
	return nil
}

// keep replaces a note by another whole one. A power loss may cost it.
func keep(path string, note any) error {
	data, err := json.Marshal(note)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (s *sender) note(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.err == nil {
		s.since = time.Now().UTC()
	}
	s.count += uint64(n)
	s.err = err
}

// state says how far the journal is sent and why no further.
func (s *sender) state() (sent journal.Position, count uint64, since time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, s.count, s.since, s.err
}
