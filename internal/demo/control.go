package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"birdring/canary"
	"birdring/registry"
	"birdring/registry/sqlstore"
)

// setAside copies the data folder as it is before anything was found. Pictures
// are only read by then, so both folders share them.
func (s *stage) setAside(ctx context.Context) error {
	s.spare = s.Dir + "-control"
	if err := os.Mkdir(s.spare, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"keys.json", "ledger"} {
		if err := copyTree(filepath.Join(s.Dir, name), filepath.Join(s.spare, name)); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Join(s.Dir, "pictures"), filepath.Join(s.spare, "pictures")); err != nil {
		return err
	}
	return sqlstore.Backup(ctx, filepath.Join(s.Dir, "registry.db"), filepath.Join(s.spare, "registry.db"), nil)
}

// copyTree copies a file or a folder.
func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// controlSites is how many of the sites the control run hunts: a live one and three others.
const controlSites = 4

// control hunts once more, under keys that were never used: whoever is named
// then is named by chance or by a defect of ours.
func (s *stage) control(ctx context.Context) error {
	keys, err := canary.NewKeyring()
	if err != nil {
		return err
	}
	reg, err := registry.Open(ctx, s.spare, registry.Options{ForeignKeys: keys})
	if err != nil {
		return err
	}
	defer reg.Close()
	if err := s.hunt(ctx, reg, s.sites[:min(controlSites, len(s.sites))]); err != nil {
		return err
	}
	found := 0
	count := func(n *int) func(any) error { return func(any) error { *n++; return nil } }
	if err := reg.Rows(ctx, "sightings", time.Time{}, 0, count(&found)); err != nil {
		return err
	}
	if err := reg.Rows(ctx, "attributions", time.Time{}, 0, count(&s.named)); err != nil {
		return err
	}
	if found == 0 {
		return errors.New("the control run found no picture, so it proves nothing")
	}
	fmt.Fprintf(s.Log, "  control run: %d sightings, %d accounts named\n", found, s.named)
	return nil
}
