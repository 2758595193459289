package registry

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

// imported is one line of an import.
type imported struct {
	shown
	line int
}

// ImportExposures stores exposures from CSV (RFC 4180): account, decoy, time and
// optionally surface. A first line that says so is skipped. The same four values
// again are one exposure. A bad line is named and then nothing is stored.
//
// read counts lines, stored the new exposures, known those that were there.
func (r *Registry) ImportExposures(ctx context.Context, in io.Reader) (read, stored, known int, err error) {
	w, err := r.world(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	rows, err := parseExposures(w, in)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("%w: nothing was stored", err)
	}
	if len(rows) == 0 {
		return 0, 0, 0, nil
	}
	err = r.db.Write(ctx, func(tx *sql.Tx) (err error) {
		stored, err = r.importRows(ctx, tx, rows)
		return err
	})
	if err != nil {
		return 0, 0, 0, fmt.Errorf("import exposures: %w", err)
	}
	return len(rows), stored, len(rows) - stored, nil
}

// parseExposures reads the whole file before anything is stored.
func parseExposures(w *world, in io.Reader) ([]imported, error) {
	buffered := bufio.NewReaderSize(in, 1<<16)
	if mark, err := buffered.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		if _, err := buffered.Discard(3); err != nil {
			return nil, err
		}
	}
	c := csv.NewReader(buffered)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	surfaces := map[string]string{} // one string per surface, not per line
	var rows []imported
	for first := true; ; first = false {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, csvError(err)
		}
		if first && header(record) {
			continue
		}
		line, _ := c.FieldPos(0)
		row, err := parseExposure(w, record, surfaces)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		row.line = line
		rows = append(rows, row)
	}
}

// csvError names the line of a syntax error in our words.
func csvError(err error) error {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("line %d: %w CSV: %v", e.Line, ErrInvalid, e.Err)
	}
	return fmt.Errorf("read CSV: %w", err)
}

func header(record []string) bool {
	names := []string{"account", "decoy", "time", "surface"}
	return len(record) >= 3 && len(record) <= 4 && slices.Equal(record, names[:len(record)])
}

func parseExposure(w *world, record []string, surfaces map[string]string) (row imported, err error) {
	if len(record) < 3 || len(record) > 4 {
		return row, fmt.Errorf("%d fields: %w, account,decoy,time[,surface] are wanted", len(record), ErrInvalid)
	}
	i, ok := w.byID[record[1]]
	if !ok {
		return row, fmt.Errorf("decoy %q: %w", record[1], ErrNotFound)
	}
	at, err := time.Parse(time.RFC3339, record[2])
	if err != nil {
		return row, fmt.Errorf("time %q %w: RFC 3339 such as 2026-11-24T08:00:00Z is wanted", record[2], ErrInvalid)
	}
	surface := ""
	if len(record) == 4 {
		surface = record[3]
	}
	if err := errors.Join(CheckAccount(record[0]), checkText("surface", surface, maxSurface), checkTime(at)); err != nil {
		return row, err
	}
	if _, ok := surfaces[surface]; !ok {
		surface = strings.Clone(surface)
		surfaces[surface] = surface
	}
	row.shown = shown{
		key: viewerKey{account: strings.Clone(record[0])}, decoy: i, d: &w.decoys[i],
		at: at.UTC().Truncate(time.Microsecond), surface: surfaces[surface],
	}
	return row, nil
}

// importRows stores rows. Numbers are given and personal decoys bound in the
// order of the lines.
func (r *Registry) importRows(ctx context.Context, tx *sql.Tx, rows []imported) (stored int, err error) {
	keys := make([]viewerKey, len(rows))
	for i := range rows {
		keys[i] = rows[i].key
	}
	viewers := map[viewerKey]canary.Viewer{}
	if err := r.book.ensureViewers(ctx, tx, viewers, keys, now()); err != nil {
		return 0, err
	}
	places := map[string]int64{}
	sorted := make([]*shown, len(rows))
	for i := range rows {
		row := &rows[i]
		if row.d.Kind == canary.Personal {
			if err := r.book.bind(ctx, tx, row.d, row.key.account, row.at); err != nil {
				return 0, fmt.Errorf("line %d: %w", row.line, err)
			}
		}
		row.viewer = viewers[row.key]
		if row.place, err = r.book.place(ctx, tx, places, row.surface); err != nil {
			return 0, err
		}
		sorted[i] = &row.shown
	}
	// In the order of the table, so that the insert runs along it.
	slices.SortFunc(sorted, func(a, b *shown) int {
		return cmp.Or(cmp.Compare(a.d.Num, b.d.Num), cmp.Compare(a.viewer, b.viewer), a.at.Compare(b.at), cmp.Compare(a.place, b.place))
	})
	insert := r.insertPrepared
	if r.db.Engine() == sqlstore.PostgreSQL {
		insert = r.insertStaged
	}
	n, err := insert(ctx, tx, sorted)
	if err != nil {
		return 0, err
	}
	return int(n), nil
}

// insertPrepared stores exposures with one prepared statement of several rows.
func (r *Registry) insertPrepared(ctx context.Context, tx *sql.Tx, rows []*shown) (stored int64, err error) {
	chunk := sqlstore.Chunk(offerColumns)
	insert, err := tx.PrepareContext(ctx, offerInsert(chunk))
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	args := make([]any, 0, chunk*offerColumns)
	for some := range slices.Chunk(rows, chunk) {
		args = args[:0]
		for _, s := range some {
			args = s.values(args)
		}
		o := offers{query: offerInsert(len(some)), args: args}
		if len(some) == chunk {
			o.prepared = insert
		}
		n, err := offersOf(ctx, r.book, tx, some, o)
		if err != nil {
			return 0, err
		}
		stored += n
		if err := r.book.flushMany(ctx, tx); err != nil {
			return 0, err
		}
	}
	return stored, nil
}

// insertStaged has PostgreSQL COPY exposures into a table of this transaction,
// which may hold the same one twice, and moves what is new from there.
func (r *Registry) insertStaged(ctx context.Context, tx *sql.Tx, rows []*shown) (int64, error) {
	if _, err := tx.ExecContext(ctx, `CREATE TEMPORARY TABLE arriving (decoy bigint, viewer bigint, at bigint, surface int) ON COMMIT DROP`); err != nil {
		return 0, err
	}
	columns := []string{"decoy", "viewer", "at", "surface"}
	all := func(yield func([]any) bool) {
		values := make([]any, 0, offerColumns)
		for _, s := range rows {
			values = append(values[:0], int64(s.d.Num), int64(s.viewer), s.at.UnixMicro(), s.place)
			if !yield(values) {
				return
			}
		}
	}
	if _, err := r.db.Bulk(ctx, tx, "arriving", columns, all); err != nil {
		return 0, err
	}
	return offersOf(ctx, r.book, tx, rows, offers{query: `INSERT INTO exposures (decoy, viewer, at, surface) SELECT decoy, viewer, at, surface FROM arriving ON CONFLICT DO NOTHING`})
}
