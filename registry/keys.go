package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"birdring/canary"
	"birdring/registry/keystore"
)

// pendingFile holds keys whose commitment is about to be stored: they become the
// keys once it is.
const pendingFile = keysFile + ".new"

// readKeys reads the keys of a folder, and those on their way, nil if there are none.
func readKeys(dir string) (keys, pending *canary.Keyring, err error) {
	data, err := os.ReadFile(filepath.Join(dir, keysFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(dir, databaseFile)); err == nil {
			return nil, nil, fmt.Errorf("%s is missing in %s: without the keys no ring can be read, restore the file from a backup", keysFile, dir)
		}
		return nil, nil, fmt.Errorf("no registry at %s: run birdring init", dir)
	case err != nil:
		return nil, nil, fmt.Errorf("read keys: %w", err)
	}
	if keys, _, err = keystore.Parse(data); err != nil {
		return nil, nil, fmt.Errorf("read keys %s: %w", filepath.Join(dir, keysFile), err)
	}
	if data, err = os.ReadFile(filepath.Join(dir, pendingFile)); err != nil {
		return keys, nil, nil
	}
	if pending, _, err = keystore.Parse(data); err != nil {
		pending = nil // it was being written
	}
	return keys, pending, nil
}

// settleKeys chooses the keys that the registry is committed to. A rotation that
// was cut off after its commitment was stored is finished.
func settleKeys(dir string, keys, pending *canary.Keyring, want string) (*canary.Keyring, error) {
	if got := keys.Commitment(); got == want {
		return keys, nil
	} else if pending == nil || pending.Commitment() != want {
		return nil, fmt.Errorf("%s in %s are not the keys of this registry (commitment %.12s, the registry has %.12s): put the right file back", keysFile, dir, got, want)
	}
	err := os.Rename(filepath.Join(dir, pendingFile), filepath.Join(dir, keysFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // another process was faster
		return nil, fmt.Errorf("finish the rotation of keys: %w", err)
	}
	return pending, syncFolder(dir)
}

// writeKeys writes a new file that only its owner may read, and waits for the disk.
func writeKeys(path string, keys *canary.Keyring, kms string) error {
	data, err := keystore.Marshal(keys, kms)
	if err != nil {
		return err
	}
	return writeNew(path, data, 0o600)
}

// keysKMS is how the keys of the folder are wrapped.
func (r *Registry) keysKMS() (keystore.Info, error) {
	data, err := os.ReadFile(filepath.Join(r.dir, keysFile))
	if err != nil {
		return keystore.Info{}, err
	}
	_, info, err := keystore.Parse(data)
	return info, err
}

// lockKeys waits until nobody else changes the keys.
func (r *Registry) lockKeys() (*os.File, error) {
	return lockFile(filepath.Join(r.dir, "keys.lock"), syscall.LOCK_EX)
}

// replaceKeys writes keys of the same commitment over those of the folder.
func (r *Registry) replaceKeys(keys *canary.Keyring, kms string) error {
	pending := filepath.Join(r.dir, pendingFile)
	if err := r.stageKeys(keys, kms); err != nil {
		return err
	}
	if err := os.Rename(pending, filepath.Join(r.dir, keysFile)); err != nil {
		return err
	}
	return syncFolder(r.dir)
}

func (r *Registry) stageKeys(keys *canary.Keyring, kms string) error {
	pending := filepath.Join(r.dir, pendingFile)
	if err := os.Remove(pending); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeKeys(pending, keys, kms); err != nil {
		return err
	}
	return syncFolder(r.dir)
}

// MoveKeys writes the keys in today's format, wrapped by the service of a URI, or
// open for "". The keys stay the same.
func (r *Registry) MoveKeys(ctx context.Context, kms string) error {
	lock, err := r.lockKeys()
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := keystore.MakeKEK(kms); err != nil {
		return err
	}
	if err := r.RefreshKeys(); err != nil {
		return err
	}
	if err := r.replaceKeys(r.keys, kms); err != nil {
		return fmt.Errorf("move keys: %w", err)
	}
	return r.Note(ctx, AuditRow{Action: ActRotate, Subject: "keys.json", Reason: "moved to " + kmsName(kms)})
}

func kmsName(kms string) string {
	if kms == "" {
		return "an open keyset"
	}
	return kms
}

// RefreshKeys takes up epochs that another process added.
func (r *Registry) RefreshKeys() error {
	if r.foreign {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(r.dir, keysFile))
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	now, _, err := keystore.Parse(data)
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	return r.keys.Adopt(now)
}

// keysEvery is how soon a server takes up keys that another process changed.
const keysEvery = time.Second

// WatchKeys takes up new epochs until ctx ends.
func (r *Registry) WatchKeys(ctx context.Context) error {
	var seen time.Time
	return Every(ctx, keysEvery, func(ctx context.Context) {
		if st, err := os.Stat(filepath.Join(r.dir, keysFile)); err == nil && !st.ModTime().Equal(seen) {
			if err := r.RefreshKeys(); err != nil {
				r.log.ErrorContext(ctx, "keys changed but cannot be taken up, the old ones stay in use", "error", err)
			}
			seen = st.ModTime()
		}
	})
}

// EpochRow is one epoch of the keys.
type EpochRow struct {
	Epoch      uint8      `json:"epoch"`
	State      string     `json:"state"` // in use, former, standby, leaked
	Pictures   int        `json:"pictures"`
	Committed  *time.Time `json:"committed"`
	Commitment *string    `json:"commitment"`   // of the keyring when the epoch was added
	Leaked     *time.Time `json:"leaked_since"` // what is found from then on says nothing
	KMS        *string    `json:"kms"`
	Format     int        `json:"format"` // of keys.json
}

// Epochs lists the epochs of the keys, oldest first.
func (r *Registry) Epochs(ctx context.Context) ([]EpochRow, error) {
	info, err := r.keysKMS()
	if err != nil {
		return nil, err
	}
	var out []EpochRow
	for _, e := range r.keys.Epochs() {
		row := EpochRow{Epoch: e.Number, State: "former", KMS: orNil(info.KMS), Format: info.Version}
		switch {
		case e.Standby:
			row.State = "standby"
		case e.Number == r.keys.Epoch():
			row.State = "in use"
		}
		var at, since sql.NullInt64
		var commitment sql.NullString
		err := r.db.Read().QueryRowContext(ctx, `SELECT (SELECT count(*) FROM pictures WHERE epoch = ?1), (SELECT at FROM commitments WHERE epoch = ?1),
			(SELECT commitment FROM commitments WHERE epoch = ?1), (SELECT since FROM leaks WHERE epoch = ?1)`, int64(e.Number)).Scan(&row.Pictures, &at, &commitment, &since)
		if err != nil {
			return nil, err
		}
		row.Committed, row.Leaked, row.Commitment = timeOrNil(at), timeOrNil(since), orNil(commitment.String)
		if since.Valid {
			row.State = "leaked"
		}
		out = append(out, row)
	}
	return out, nil
}
