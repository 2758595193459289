package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// openLast goes on in the last segment if it is whole, else in a new one.
func (j *Journal) openLast() error {
	numbers, err := segments(j.dir)
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		return j.create(1)
	}
	for _, n := range numbers {
		st, err := os.Stat(segmentPath(j.dir, n))
		if err != nil {
			return err
		}
		j.held += st.Size()
	}
	last := numbers[len(numbers)-1]
	path := segmentPath(j.dir, last)
	end, whole, err := check(path, last)
	if err != nil {
		return err
	}
	if !whole || end >= j.o.SegmentBytes {
		return j.create(last + 1)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	j.file, j.segment, j.end = f, last, end
	return nil
}

// check returns where the records of a segment end and whether nothing follows.
func check(path string, number uint64) (end int64, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	s, err := newScanner(f, number, st.Size())
	if err != nil {
		return 0, false, err
	}
	if !s.headed {
		return 0, false, nil
	}
	for {
		_, found, err := s.next()
		if err != nil {
			return 0, false, err
		}
		if !found {
			return s.at, s.at == st.Size() && s.skipped == 0, nil
		}
	}
}

// create begins a segment. Called with mu held or before anybody knows j.
func (j *Journal) create(number uint64) error {
	f, err := os.OpenFile(segmentPath(j.dir, number), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	header := binary.LittleEndian.AppendUint64([]byte(segmentMagic), number)
	if _, err := f.WriteAt(header, 0); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if err := syncDir(j.dir); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	j.file, j.segment, j.end = f, number, headerSize
	j.held += headerSize
	return nil
}

// syncDir makes new names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// write returns the running number of the batch's last record.
func (j *Journal) write(b *Batch) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return 0, j.broken
	}
	if j.o.Quota > 0 && j.held+int64(len(b.framed)) > j.o.Quota {
		j.err = fmt.Errorf("%w: %d of %d bytes wait to be taken in", ErrFull, j.held, j.o.Quota)
		return 0, j.err
	}
	if j.file == nil || j.end > headerSize && j.end+int64(len(b.framed)) > j.o.SegmentBytes {
		if err := j.rotate(); err != nil {
			j.err = err
			return 0, err
		}
	}
	if _, err := j.file.WriteAt(b.framed, j.end); err != nil {
		// Nobody must read half a record as the end of the segment while this
		// process goes on behind it.
		if cutErr := j.file.Truncate(j.end); cutErr != nil {
			err = errors.Join(err, cutErr, j.leave())
		}
		j.err = err
		return 0, err
	}
	j.end += int64(len(b.framed))
	j.held += int64(len(b.framed))
	j.written += uint64(b.n)
	j.err = nil
	return j.written, nil
}

func appendRecord(dst, rec []byte) []byte {
	dst = append(dst, recordMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(rec)))
	crc := crc32.Update(crc32.Checksum(dst[4:8], castagnoli), castagnoli, rec)
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	return append(dst, rec...)
}

// rotate goes on in a new segment. mu is held.
func (j *Journal) rotate() error {
	if j.file != nil {
		if err := j.leave(); err != nil {
			return err
		}
	}
	return j.create(j.segment + 1)
}

// leave makes the segment durable and closes it. mu is held.
func (j *Journal) leave() error {
	err := j.o.sync(j.file)
	if err != nil {
		j.broken = fmt.Errorf("records may not survive a power loss, restart: %w", err)
		return j.broken
	}
	err = j.file.Close()
	j.file = nil
	return err
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", number, suffix))
}

// segments returns the numbers of all segments, ascending.
func segments(dir string) (numbers []uint64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || len(base) != 16 {
			continue
		}
		if n, err := strconv.ParseUint(base, 16, 64); err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
