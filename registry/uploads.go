package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"birdring/beacon/crawl"
	"birdring/registry/sqlstore"
)

// Upload is a file that a worker traces.
type Upload struct {
	Upload  string        `json:"upload"`
	Name    string        `json:"name"`
	Site    *string       `json:"site"`
	At      time.Time     `json:"at"`
	Done    *time.Time    `json:"done"` // null: it waits
	Results []TraceResult `json:"results"`
}

// mostUpload bounds a file; what trace reads is bounded alike.
const mostUpload = 64 << 20

// AddUpload stores a file for workers to trace. With a site the find is stored as
// a sighting there.
func (r *Registry) AddUpload(ctx context.Context, name, site string, data []byte) (id string, err error) {
	switch {
	case len(data) == 0 || len(data) > mostUpload:
		return "", fmt.Errorf("file %s %w: it has %d bytes, 1 to %d are read", name, ErrInvalid, len(data), mostUpload)
	case site != "" && crawl.Registrable(site) == "":
		return "", fmt.Errorf("site %q %w: a domain, host:port or URL is wanted", site, ErrInvalid)
	}
	id = "upload-" + randomID(12)
	err = r.db.Group(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO uploads (id, name, site, at, data) VALUES (?, ?, ?, ?, ?)`, id, name, site, now().UnixMicro(), data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("store upload: %w", err)
	}
	return id, nil
}

// DueUploads lists files that wait to be traced, oldest first.
func (r *Registry) DueUploads(ctx context.Context, limit int) ([]string, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT id FROM uploads WHERE done_at IS NULL ORDER BY at, id LIMIT ?`, limit)
	return collect(rows, err, func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) })
}

// TraceUpload traces a file and stores the results; the file goes then. One that
// fails waits on if again, else the error is its result.
func (r *Registry) TraceUpload(ctx context.Context, id string, again bool) error {
	var q TraceRequest
	var at int64
	err := r.db.Read().QueryRowContext(ctx, `SELECT name, site, at, data FROM uploads WHERE id = ? AND done_at IS NULL`, id).Scan(&q.Name, &q.Site, &at, &q.Data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // traced meanwhile
	}
	if err != nil {
		return sqlstore.Explain(err)
	}
	q.CapturedAt = sqlstore.Time(at) // the same find if it is traced twice
	results, traceErr := r.Trace(ctx, q)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case traceErr != nil && again:
		return traceErr
	case traceErr != nil:
		results = []TraceResult{{Input: q.Name, Verdict: VerdictError, Error: traceErr.Error(), Accounts: []TraceAccount{}}}
	}
	text, err := json.Marshal(results)
	if err != nil {
		return err
	}
	err = r.db.Group(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE uploads SET done_at = ?, results = ?, data = NULL WHERE id = ? AND done_at IS NULL`, now().UnixMicro(), string(text), id)
		return err
	})
	return errors.Join(traceErr, err)
}

const uploadRows = `SELECT id, name, site, at, done_at, results FROM uploads`

func scanUpload(row interface{ Scan(...any) error }) (u Upload, err error) {
	var site string
	var at int64
	var done sql.NullInt64
	var results []byte
	if err = row.Scan(&u.Upload, &u.Name, &site, &at, &done, &results); err != nil {
		return u, err
	}
	u.Site, u.At, u.Done = orNil(site), sqlstore.Time(at), timeOrNil(done)
	return u, json.Unmarshal(results, &u.Results)
}

// Uploads lists files that were given to workers, newest last, with what came of them.
func (r *Registry) Uploads(ctx context.Context) ([]Upload, error) {
	rows, err := r.db.Read().QueryContext(ctx, uploadRows+` ORDER BY at, id`)
	return collect(rows, err, func(rows *sql.Rows) (Upload, error) { return scanUpload(rows) })
}

// Upload is one of them; ErrNotFound also after retention took it away.
func (r *Registry) Upload(ctx context.Context, id string) (Upload, error) {
	u, err := scanUpload(r.db.Read().QueryRowContext(ctx, uploadRows+` WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return u, fmt.Errorf("upload %q: %w", id, ErrNotFound)
	}
	return u, sqlstore.Explain(err)
}
