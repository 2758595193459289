package registry

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

// NeutralOnly reports whether every picture is to be the neutral copy, on all edges.
func (r *Registry) NeutralOnly(ctx context.Context) (bool, error) {
	value, err := r.meta(ctx, "neutral")
	return value == "on", err
}

// SetNeutralOnly turns every decoy's pictures neutral, or back. Servers see it
// within seconds, and tell edges through the stream.
func (r *Registry) SetNeutralOnly(ctx context.Context, on bool) error {
	value := "off"
	if on {
		value = "on"
	}
	return sqlstore.Explain(r.setMeta(ctx, "neutral", value))
}

// NeutralFile is a neutral copy that was written.
type NeutralFile struct {
	Decoy string `json:"decoy"`
	Photo string `json:"photo"`
	File  string `json:"file"`
}

// ExportNeutral writes the neutral copy of every picture to dir/DECOY/PHOTO.jpg,
// for the platform's own storage: it is what a viewer gets while Birdring is away.
// Files of the same name are replaced at once, never half.
func (r *Registry) ExportNeutral(ctx context.Context, dir string, each func(NeutralFile)) error {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT d.id, p.id FROM pictures p JOIN decoys d ON d.num = p.decoy ORDER BY d.num, p.num`)
	files, err := collect(rows, err, func(rows *sql.Rows) (f NeutralFile, err error) {
		return f, rows.Scan(&f.Decoy, &f.Photo)
	})
	if err != nil {
		return err
	}
	var data []byte
	for _, f := range files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if data, err = r.Rendition(data[:0], f.Photo, canary.Neutral); err != nil {
			return fmt.Errorf("neutral copy of %s: %w", f.Photo, err)
		}
		folder := filepath.Join(dir, f.Decoy)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		f.File = filepath.Join(folder, f.Photo+".jpg")
		if err := replaceFile(f.File, data, 0o644); err != nil {
			return err
		}
		each(f)
	}
	return nil
}
