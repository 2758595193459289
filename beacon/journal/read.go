package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
)

// Position is a place between two records. The zero value is the beginning.
type Position struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
}

// Read visits the records from a position on, oldest first, up to the last one
// that was whole when it began. rec is valid until visit returns; next is the
// position behind it, to be stored together with whatever the record led to. It
// returns the position to go on from, also with an error: that of the first
// record that visit did not accept.
func (j *Journal) Read(from Position, visit func(rec []byte, next Position) error) (Position, error) {
	r := reader{dir: j.dir, until: j.End()}
	return r.read(from, visit)
}

// Read is Journal.Read on a folder that another process may be writing to.
func Read(dir string, from Position, visit func(rec []byte, next Position) error) (Position, error) {
	r := reader{dir: dir}
	return r.read(from, visit)
}

// Skipped returns how many damaged bytes lie between the records of a journal.
// A record that a crash cut off counts, up to its last byte.
func Skipped(dir string) (int64, error) {
	r := reader{dir: dir}
	_, err := r.read(Position{}, func([]byte, Position) error { return nil })
	return r.skipped, err
}

// ErrBehind is returned for a position behind the end of the journal: segments
// were removed, or the position belongs to another journal. Going on would
// skip records silently.
var ErrBehind = errors.New("position lies behind the end of the journal: were its files removed?")

type reader struct {
	dir     string
	until   Position // the writer's end; zero: unknown
	skipped int64
}

func (r *reader) read(at Position, visit func([]byte, Position) error) (Position, error) {
	numbers, err := segments(r.dir)
	if err != nil {
		return at, fmt.Errorf("read journal: %w", err)
	}
	if r.until != (Position{}) {
		numbers = slices.DeleteFunc(numbers, func(n uint64) bool { return n > r.until.Segment })
	}
	if len(numbers) == 0 || at.Segment > numbers[len(numbers)-1] {
		if at == (Position{}) {
			return at, nil
		}
		return at, fmt.Errorf("read journal %s: %w", r.dir, ErrBehind)
	}
	for i, n := range numbers {
		if n < at.Segment {
			continue
		}
		if n > at.Segment {
			at = Position{Segment: n}
		}
		last := i == len(numbers)-1
		if at, err = r.segment(at, last, visit); err != nil {
			return at, err
		}
	}
	return at, nil
}

// segment visits the records of one segment.
func (r *reader) segment(at Position, last bool, visit func([]byte, Position) error) (Position, error) {
	f, err := os.Open(segmentPath(r.dir, at.Segment))
	if err != nil {
		return at, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return at, fmt.Errorf("read journal: %w", err)
	}
	size := st.Size()
	if at.Segment == r.until.Segment {
		size = min(size, r.until.Offset)
	}
	if at.Offset > size {
		return at, fmt.Errorf("read journal %s: %w", r.dir, ErrBehind)
	}
	s, err := newScanner(f, at.Segment, size)
	if err != nil {
		return at, fmt.Errorf("read journal: %w", err)
	}
	// In the last segment a record may be half written by another process: wait
	// for it instead of looking for the next one behind it.
	s.stopAtDamage = last && r.until == Position{}
	s.at = max(s.at, at.Offset)
	for {
		rec, found, err := s.next()
		if err != nil {
			return at, fmt.Errorf("read journal: %w", err)
		}
		if !found {
			r.skipped += s.skipped + max(0, size-s.at)
			return at, nil
		}
		next := Position{at.Segment, s.at}
		if err := visit(rec, next); err != nil {
			return at, err
		}
		at = next
	}
}

// scanner steps through the records of one segment.
type scanner struct {
	f            io.ReaderAt
	at           int64 // behind the last record
	size         int64
	headed       bool // the segment's header is whole
	skipped      int64
	stopAtDamage bool
	buf          []byte
	window       []byte // bytes of the file from windowAt on
	windowAt     int64
}

var errVersion = errors.New("written by a newer version of this program")

func newScanner(f io.ReaderAt, number uint64, size int64) (*scanner, error) {
	s := &scanner{f: f, size: size}
	if size < headerSize {
		s.at = size // a crash cut off the header: there is no record
		return s, nil
	}
	header, err := s.bytes(0, headerSize)
	if err != nil {
		return nil, err
	}
	switch {
	case string(header[:8]) == segmentMagic && binary.LittleEndian.Uint64(header[8:]) == number:
		s.at, s.headed = headerSize, true
	case string(header[:7]) == segmentMagic[:7] && header[7] != segmentMagic[7]:
		return nil, fmt.Errorf("segment %016x: %w", number, errVersion)
	}
	return s, nil // a damaged header is stepped over like any other damage
}

// next returns the next whole record; found is false at the end.
func (s *scanner) next() (rec []byte, found bool, err error) {
	for at := s.at; ; {
		rec, err := s.record(at)
		if err != nil {
			return nil, false, err
		}
		if rec != nil {
			s.skipped += at - s.at
			s.at = at + recordHeaderSize + int64(len(rec))
			return rec, true, nil
		}
		if s.stopAtDamage {
			return nil, false, nil
		}
		if at, err = s.findMagic(at + 1); err != nil || at < 0 {
			return nil, false, err
		}
	}
}

// record returns the payload of the record at an offset, nil if there is no whole one.
func (s *scanner) record(at int64) ([]byte, error) {
	if at+recordHeaderSize > s.size {
		return nil, nil
	}
	h, err := s.bytes(at, recordHeaderSize)
	if err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(h[4:]))
	if string(h[:4]) != recordMagic || n == 0 || n > MaxRecord || at+recordHeaderSize+n > s.size {
		return nil, nil
	}
	all, err := s.bytes(at, recordHeaderSize+int(n))
	if err != nil {
		return nil, err
	}
	rec := all[recordHeaderSize:]
	crc := crc32.Update(crc32.Checksum(all[4:8], castagnoli), castagnoli, rec)
	if crc != binary.LittleEndian.Uint32(all[8:]) {
		return nil, nil
	}
	s.buf = append(s.buf[:0], rec...)
	return s.buf, nil
}

// findMagic returns where the next record may begin, -1 if nowhere.
func (s *scanner) findMagic(from int64) (int64, error) {
	for from+recordHeaderSize <= s.size {
		n := int(min(windowSize, s.size-from))
		b, err := s.bytes(from, n)
		if err != nil {
			return -1, err
		}
		if i := bytes.Index(b, []byte(recordMagic)); i >= 0 {
			return from + int64(i), nil
		}
		from += int64(n - len(recordMagic) + 1)
	}
	return -1, nil
}

const windowSize = 64 << 10

// bytes returns n bytes at an offset; they lie within size.
func (s *scanner) bytes(at int64, n int) ([]byte, error) {
	if at >= s.windowAt && at+int64(n) <= s.windowAt+int64(len(s.window)) {
		return s.window[at-s.windowAt:][:n], nil
	}
	want := int(min(int64(max(n, windowSize)), s.size-at))
	if cap(s.window) < want {
		s.window = make([]byte, want)
	}
	s.window, s.windowAt = s.window[:want], at
	if _, err := s.f.ReadAt(s.window, at); err != nil {
		s.window = s.window[:0]
		return nil, err
	}
	return s.window[:n], nil
}
