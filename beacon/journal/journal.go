// Package journal keeps records in files, in the order in which they came, and
// gives them back in that order.
//
// Append hands a record to the system before it returns: it survives the end of
// this process, however it ends. A timer makes records durable against power loss
// a little later (Options.SyncEvery), or Append waits for that (Options.SyncEach).
// Nothing is dropped: a record that cannot be written is an error, Err keeps
// saying so until a record is written again, and for ever if the system could not
// make written records durable, because nobody knows then which ones are.
//
// A journal is a folder of segments, 0000000000000001.hits and so on:
//
//	segment = "brdjrnl" version=1 | number u64
//	record  = "HIT1" | length u32 | CRC-32C of length and payload u32 | payload
//
// Numbers are little-endian. A record that a crash cut off at the end of a segment
// is ignored; the next Open starts a new segment behind it, so nothing is ever
// written over. Damage in the middle is stepped over and counted (Skipped).
package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Sizes of the format, in bytes.
const (
	headerSize       = 16
	recordHeaderSize = 12
	// MaxRecord is the longest payload.
	MaxRecord = 1 << 20
)

const (
	segmentMagic = "brdjrnl\x01"
	recordMagic  = "HIT1"
	suffix       = ".hits"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrInUse is wrapped by Open when another process writes to the folder.
var ErrInUse = errors.New("in use by another process")

// errClosed is returned after Close.
var errClosed = errors.New("journal is closed")

// Options of OpenWith. Zero values are the defaults.
type Options struct {
	SegmentBytes int64                // a new segment begins after so many bytes; 0: 64 MiB
	SyncEvery    time.Duration        // how long a written record may wait to be durable against power loss; 0: 50 ms
	SyncEach     bool                 // Append returns only when the record is durable against power loss
	sync         func(*os.File) error // makes a segment durable; nil: datasync
	Quota        int64                // bytes of records that may wait until they are removed; more are refused (ErrFull); 0: no bound
}

// ErrFull is wrapped by Append when more records wait than the quota allows:
// whoever reads the journal is behind.
var ErrFull = errors.New("journal has reached its quota")

// Journal is open for appending. It is safe for concurrent use.
type Journal struct {
	dir  string
	o    Options
	lock *os.File

	mu      sync.Mutex // guards what follows
	file    *os.File
	segment uint64
	end     int64  // of the valid bytes in file
	held    int64  // bytes of all segments
	written uint64 // records appended
	err     error  // why the newest record could not be written
	broken  error  // a failure that no later record can mend

	syncMu  sync.Mutex // held while syncing, taken before mu
	durable uint64     // records that are durable against power loss, guarded by syncMu

	stop    chan struct{}
	stopped sync.WaitGroup
}

// Open opens or makes the journal in dir for appending. Only one process at a
// time can have it open (ErrInUse).
func Open(dir string) (*Journal, error) { return OpenWith(dir, Options{}) }

// OpenWith is Open with options.
func OpenWith(dir string, o Options) (j *Journal, err error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = 50 * time.Millisecond
	}
	if o.sync == nil {
		o.sync = datasync
	}
	if o.Quota > 0 { // a segment goes as a whole, so that several must fit
		o.SegmentBytes = max(1<<10, min(o.SegmentBytes, o.Quota/4))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	j = &Journal{dir: dir, o: o, lock: lock, stop: make(chan struct{})}
	if err := j.openLast(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", dir, err), lock.Close())
	}
	j.stopped.Go(j.syncLoop)
	return j, nil
}

// lockDir takes the folder; the system gives it back when the process ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("journal %s is %w: stop it first", dir, ErrInUse)
		} else {
			err = fmt.Errorf("lock journal %s: %w", dir, err)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Append writes a record of 1 to MaxRecord bytes. When it returns nil the
// record survives the end of this process.
func (j *Journal) Append(rec []byte) error {
	b := batches.Get().(*Batch)
	defer batches.Put(b)
	b.Reset()
	if err := b.Add(rec); err != nil {
		return err
	}
	return j.AppendBatch(b)
}

// AppendBatch writes all records of a batch by one call to the system, or none.
// When it returns nil they survive the end of this process.
func (j *Journal) AppendBatch(b *Batch) error {
	if b.n == 0 {
		return nil
	}
	number, err := j.write(b)
	if err != nil {
		return fmt.Errorf("append to journal %s: %w", j.dir, err)
	}
	if j.o.SyncEach {
		return j.syncTo(number)
	}
	return nil
}

func (j *Journal) syncLoop() {
	tick := time.NewTicker(j.o.SyncEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-tick.C:
			_ = j.Sync() // remembered in j.broken, which every Append and Err returns
		}
	}
}

// Sync makes every record appended so far durable against power loss.
func (j *Journal) Sync() error {
	j.mu.Lock()
	number := j.written
	j.mu.Unlock()
	return j.syncTo(number)
}

// syncTo makes the records up to a running number durable. Callers that wait for
// each other share one call to the system.
func (j *Journal) syncTo(number uint64) error {
	j.syncMu.Lock()
	defer j.syncMu.Unlock()
	if j.durable >= number {
		return nil
	}
	j.mu.Lock()
	file, written, err := j.file, j.written, j.broken
	j.mu.Unlock()
	if err != nil {
		return err
	}
	if file != nil { // else every segment was left, and made durable then
		err = j.o.sync(file)
	}
	if err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		// Whoever left the segment meanwhile closed it, and made it durable before.
		if j.file == file {
			j.broken = fmt.Errorf("records may not survive a power loss, restart: %w", err)
		}
		if j.broken != nil {
			return j.broken
		}
	}
	j.durable = written
	return nil
}

// Err says why records cannot be written; nil while they can.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil && !errors.Is(j.broken, errClosed) {
		return fmt.Errorf("journal %s: %w", j.dir, j.broken)
	}
	if j.err != nil {
		return fmt.Errorf("journal %s: %w", j.dir, j.err)
	}
	return nil
}

// Held is how many bytes wait until they are removed, and how many may (0: no bound).
func (j *Journal) Held() (bytes, quota int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.held, j.o.Quota
}

// End is the position behind the last record.
func (j *Journal) End() Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Position{j.segment, j.end}
}

// Close makes everything durable and gives the folder back.
func (j *Journal) Close() error {
	j.mu.Lock()
	if errors.Is(j.broken, errClosed) {
		j.mu.Unlock()
		return nil
	}
	j.mu.Unlock()
	close(j.stop)
	j.stopped.Wait()
	err := j.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		err = errors.Join(err, j.file.Close())
		j.file = nil
	}
	j.broken = errClosed
	return errors.Join(err, j.lock.Close())
}

// Remove deletes segments that lie wholly before a position: whoever reads the
// journal says that it has stored everything up to there. It returns how many.
func (j *Journal) Remove(before Position) (removed int, err error) {
	numbers, err := segments(j.dir)
	if err != nil {
		return 0, err
	}
	current := j.End().Segment
	for _, n := range numbers {
		if n >= before.Segment || n >= current {
			break
		}
		path := segmentPath(j.dir, n)
		st, err := os.Stat(path)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			return removed, fmt.Errorf("remove journal segment: %w", err)
		}
		j.mu.Lock()
		j.held -= st.Size()
		j.mu.Unlock()
		removed++
	}
	return removed, nil
}
