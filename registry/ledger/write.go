package ledger

import (
	"errors"
	"os"
	"path/filepath"
)

// many is from how many files on they are forced to disk together.
const many = 16

// writeAll writes files and waits until all are on disk; flushed says that Flush
// wrote some before.
func (f Folder) writeAll(files []file, flushed bool) error {
	each := syncEach || !flushed && len(files) < many
	for _, q := range files {
		if err := f.put(q, each); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	if !each {
		return syncAll(string(f))
	}
	return f.folders(files, syncFolder)
}

// put writes one file whole: a tile is never seen half.
func (f Folder) put(q file, sync bool) error {
	path := filepath.Join(string(f), q.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return replace(path, q.data, sync)
}

// replace writes a file beside and moves it in.
func replace(path string, data []byte, sync bool) error {
	tmp := path + ".new"
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	if err == nil && sync {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Rename(tmp, path)
}

// folders visits the folders of files up to the ledger's own, each once.
func (f Folder) folders(files []file, visit func(string) error) error {
	seen := map[string]bool{}
	for _, q := range files {
		for dir := filepath.Dir(filepath.Join(string(f), q.path)); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			if err := visit(dir); err != nil {
				return err
			}
			if dir == string(f) {
				break
			}
		}
	}
	return nil
}

// syncFolder waits until the names in a folder are on disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
