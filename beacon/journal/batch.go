package journal

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// batches lends Append its buffers.
var batches = sync.Pool{New: func() any { return new(Batch) }}

// Batch collects records that are written together. Its zero value is empty.
type Batch struct {
	framed []byte
	n      int
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.framed, b.n = b.framed[:0], 0 }

// Len is the number of records.
func (b *Batch) Len() int { return b.n }

// Add puts a record of 1 to MaxRecord bytes behind the others.
func (b *Batch) Add(rec []byte) error {
	if len(rec) == 0 || len(rec) > MaxRecord {
		return fmt.Errorf("journal record has %d bytes, want 1 to %d", len(rec), MaxRecord)
	}
	b.framed = appendRecord(b.framed, rec)
	b.n++
	return nil
}

// Visit visits the records in order until one is not accepted; rec is valid until visit returns.
func (b *Batch) Visit(visit func(rec []byte) error) error {
	for rest := b.framed; len(rest) > 0; {
		n := recordHeaderSize + int(binary.LittleEndian.Uint32(rest[4:]))
		if err := visit(rest[recordHeaderSize:n:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}
