package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"birdring/canary"
)

// EdgeDecoysFile is the file that says what an edge serves, beside the pictures.
const EdgeDecoysFile = "decoys.json"

// EdgeExport says what was written for an edge.
type EdgeExport struct {
	Dir      string `json:"dir"`
	Decoys   int    `json:"decoys"`
	Pictures int    `json:"pictures"`
	Written  int    `json:"written"` // pictures that were not there
	Bytes    int64  `json:"bytes"`   // of them
}

// ExportEdgePictures writes what an edge serves to dir: the prepared pictures, as
// <photo>.brp, and decoys.json, which comes last and replaces the old one at
// once. No key is in it (ExportEdge has those). An edge that runs on
// dir sees the new files within seconds. platforms are the SHA-256 of the
// platform's API keys, in hex.
func (r *Registry) ExportEdgePictures(ctx context.Context, dir string, platforms []string) (EdgeExport, error) {
	out := EdgeExport{Dir: dir}
	w, err := r.world(ctx)
	if err != nil {
		return out, err
	}
	neutral, err := r.NeutralOnly(ctx)
	if err != nil {
		return out, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return out, fmt.Errorf("export for an edge: %w", err)
	}
	e := canary.EdgeDecoys{PublicURL: r.publicURL, Neutral: neutral, Platforms: platforms, Decoys: []canary.EdgeDecoy{}}
	if e.Platforms == nil {
		e.Platforms = []string{}
	}
	for i := range w.decoys {
		d := &w.decoys[i]
		show := canary.EdgeDecoy{Decoy: d.ID, Num: d.Num, Kind: d.Kind, Handle: d.Handle, Photos: []canary.EdgePhoto{}}
		for _, j := range w.of[i] {
			p := &w.pictures[j]
			if err := r.exportPicture(ctx, dir, p.id, &out); err != nil {
				return out, fmt.Errorf("export picture %s: %w", p.id, err)
			}
			show.Photos = append(show.Photos, canary.EdgePhoto{Photo: p.id, Num: p.num, Width: p.width, Height: p.height, SizeOf: p.group})
		}
		// The links of a personal decoy were made by the registry; what was recalled is shown to nobody.
		if d.Kind != canary.Personal && d.Recalled.IsZero() {
			e.Decoys = append(e.Decoys, show)
		}
	}
	out.Decoys = len(e.Decoys)
	data, err := e.Marshal()
	if err != nil {
		return out, err
	}
	if err := replaceFile(filepath.Join(dir, EdgeDecoysFile), data, 0o644); err != nil {
		return out, fmt.Errorf("export for an edge: %w", err)
	}
	return out, syncFolder(dir)
}

// exportPicture copies a prepared picture unless it is there. It never changes
// under its name.
func (r *Registry) exportPicture(ctx context.Context, dir, id string, out *EdgeExport) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	out.Pictures++
	data, err := os.ReadFile(r.pictureFile(id))
	if err != nil {
		return err
	}
	to := filepath.Join(dir, id+".brp")
	has, err := os.ReadFile(to)
	if err == nil && bytes.Equal(has, data) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out.Written++
	out.Bytes += int64(len(data))
	return replaceFile(to, data, 0o644)
}

// replaceFile writes a file that appears whole under its name.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = errors.Join(tmp.Chmod(mode), tmp.Sync())
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// ExportEdgeKeys writes the keys of an edge that serves everything to a file that
// only its owner may read.
func (r *Registry) ExportEdgeKeys(ctx context.Context, path string) error {
	data, _, err := r.ExportEdge(ctx, nil)
	if err != nil {
		return err
	}
	if err := replaceFile(path, data, 0o600); err != nil {
		return fmt.Errorf("export keys of an edge: %w", err)
	}
	return nil
}
