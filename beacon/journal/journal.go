// Package journal keeps records in files, in the order in which they came.
package journal

import "time"

type Position struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
}

type Options struct {
	SegmentBytes int64
	SyncEvery    time.Duration
	SyncEach     bool
}

type Journal struct{}

func Open(dir string) (*Journal, error)                { panic("not yet") }
func OpenWith(dir string, o Options) (*Journal, error) { panic("not yet") }
func (j *Journal) Append(rec []byte) error             { panic("not yet") }
func (j *Journal) Sync() error                         { panic("not yet") }
func (j *Journal) Err() error                          { panic("not yet") }
func (j *Journal) Close() error                        { panic("not yet") }
func (j *Journal) Remove(before Position) (int, error) { panic("not yet") }

// Read visits the records from a position on; next is where the one after begins. It returns where to go on.
func (j *Journal) Read(from Position, visit func(rec []byte, next Position) error) (Position, error) {
	panic("not yet")
}
