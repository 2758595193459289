package registry

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

// viewersFile lists every number with whom it was given to (RFC 4180: number,
// account, session), the number rising. It only grows, except that a forgotten
// account's name goes from it. It stands beside the database: with it alone the
// table of numbers can be made again.
const viewersFile = "viewers.csv"

// ViewerNumber is a number and whom it was given to.
type ViewerNumber struct {
	Number           canary.Viewer
	Account, Session string
}

func (r *Registry) viewersPath() string { return filepath.Join(r.dir, viewersFile) }

// appendViewers brings the file up to date. A line that was cut off is written again.
func (r *Registry) appendViewers(ctx context.Context) error {
	f, err := os.OpenFile(r.viewersPath(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	last, end, err := lastViewer(f)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err == nil {
		err = r.writeViewers(ctx, f, last)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", viewersFile, err)
	}
	return nil
}

// writeViewers writes the numbers above last.
func (r *Registry) writeViewers(ctx context.Context, to io.Writer, last canary.Viewer) error {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT v.number, a.name, v.session FROM viewers v JOIN accounts a ON a.id = v.account WHERE v.number > ? ORDER BY v.number`, last)
	if err != nil {
		return sqlstore.Explain(err)
	}
	defer rows.Close()
	out := csv.NewWriter(to)
	for rows.Next() {
		var v ViewerNumber
		if err := rows.Scan(&v.Number, &v.Account, &v.Session); err != nil {
			return err
		}
		if err := out.Write([]string{strconv.FormatUint(uint64(v.Number), 10), v.Account, v.Session}); err != nil {
			return err
		}
	}
	out.Flush()
	return errors.Join(sqlstore.Explain(rows.Err()), out.Error())
}

// lastViewer finds the last number in the file, and where its line ends. No field
// has a line break in it: control characters are no part of names.
func lastViewer(f *os.File) (last canary.Viewer, end int64, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return 0, 0, err
	}
	const most = 4 << 10 // more than two lines
	from := max(0, size-most)
	tail := make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return 0, 0, err
	}
	cut := bytes.LastIndexByte(tail, '\n')
	if cut < 0 {
		if from > 0 {
			return 0, 0, errors.New("it is damaged at its end: move it away, it is made anew")
		}
		return 0, 0, nil
	}
	line := tail[:cut]
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	field, _, _ := bytes.Cut(line, []byte(","))
	n, err := strconv.ParseUint(string(field), 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("its last line %.40q has no number: move it away, it is made anew", line)
	}
	return canary.Viewer(n), from + int64(cut) + 1, nil
}

// rewriteViewersFile writes the file anew, without names that were forgotten.
func (r *Registry) rewriteViewersFile(ctx context.Context) error {
	lock, err := r.lockLedger() // whoever appends holds it too
	if err != nil {
		return err
	}
	defer lock.Close()
	tmp := r.viewersPath() + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = r.writeViewers(ctx, f, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", viewersFile, err)
	}
	if err := os.Rename(tmp, r.viewersPath()); err != nil {
		return err
	}
	return syncFolder(r.dir)
}

// ReadViewersFile reads the file's form: what stands behind a number.
func ReadViewersFile(in io.Reader, visit func(ViewerNumber) error) error {
	c := csv.NewReader(bufio.NewReaderSize(in, 1<<16))
	c.FieldsPerRecord, c.ReuseRecord = 3, true
	last := canary.Viewer(0)
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvError(err)
		}
		n, err := strconv.ParseUint(record[0], 10, 64)
		v := ViewerNumber{canary.Viewer(n), record[1], record[2]}
		line, _ := c.FieldPos(0)
		if err != nil || v.Number < canary.FirstViewer || v.Number <= last || v.Number > canary.MaxTokenViewer {
			return fmt.Errorf("line %d: number %.24q does not rise from %d on: %w", line, record[0], canary.FirstViewer, ErrInvalid)
		}
		last = v.Number
		if err := visit(v); err != nil {
			return err
		}
	}
}
