package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"birdring/canary"
	"birdring/registry/keystore"
	"birdring/registry/sqlstore"
)

// Init makes new keys and an empty registry in dir and returns the keys'
// commitment, which may be published. It refuses to overwrite either, and
// leaves nothing behind when it fails.
func Init(ctx context.Context, dir string) (commitment string, err error) {
	return InitWith(ctx, dir, InitOptions{})
}

// InitIn is Init with the registry in the PostgreSQL database of a URL, which
// must hold none.
func InitIn(ctx context.Context, dir, url string) (commitment string, err error) {
	return InitWith(ctx, dir, InitOptions{Database: url})
}

// InitOptions say what a registry is to be for all time.
type InitOptions struct {
	Database   string // URL of a PostgreSQL database that holds no registry; "": a file in the folder
	KMS        string // URI of the service that wraps the keys; "": they stand open
	Pseudonyms bool   // accounts are kept under keyed pseudonyms
}

// InitWith is Init with options.
func InitWith(ctx context.Context, dir string, o InitOptions) (commitment string, err error) {
	url := o.Database
	made, err := makeFolder(dir)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil && made {
			err = errors.Join(err, os.Remove(dir))
		}
	}()
	if err := clearWay(ctx, dir); err != nil {
		return "", err
	}
	stage, err := os.MkdirTemp(dir, ".init-*")
	if err != nil {
		return "", fmt.Errorf("make registry: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	keys, err := canary.NewKeyring()
	if err != nil {
		return "", err
	}
	if _, err := keystore.MakeKEK(o.KMS); err != nil {
		return "", err
	}
	if err := writeKeys(filepath.Join(stage, keysFile), keys, o.KMS); err != nil {
		return "", err
	}
	facts := map[string]string{"commitment": keys.Commitment(), "public_url": DefaultPublicURL, "created_at": now().Format(time.RFC3339)}
	if o.Pseudonyms {
		facts[pseudonymsKey] = "1"
	}
	if url != "" {
		// The keys come first: of a database without them nothing could be read, and
		// nothing removes a registry from a server.
		if err := os.Link(filepath.Join(stage, keysFile), filepath.Join(dir, keysFile)); err != nil {
			return "", fmt.Errorf("make registry: %w", err)
		}
		if err := emptyDatabase(ctx, url, facts); err != nil {
			return "", errors.Join(fmt.Errorf("make registry: %w", err), os.Remove(filepath.Join(dir, keysFile)))
		}
		if err := syncFolder(dir); err != nil {
			return "", err
		}
		return keys.Commitment(), beginIn(ctx, dir, url)
	}
	if err := emptyDatabase(ctx, filepath.Join(stage, databaseFile), facts); err != nil {
		return "", err
	}
	if err := moveIn(stage, dir); err != nil {
		return "", err
	}
	return keys.Commitment(), beginIn(ctx, dir, "")
}

// beginIn opens a new registry once: its ledger begins with the commitment to the
// keys, under a signed head before anything is planted.
func beginIn(ctx context.Context, dir, url string) error {
	r, err := Open(ctx, dir, Options{Database: url})
	if err != nil {
		return err
	}
	return r.Close()
}

// makeFolder makes dir and reports whether it was not there before.
func makeFolder(dir string) (made bool, err error) {
	if st, err := os.Stat(dir); err == nil {
		if !st.IsDir() {
			return false, fmt.Errorf("%s is no folder: choose another with --data", dir)
		}
		return false, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make registry: %w", err)
	}
	return true, nil
}

// clearWay refuses a folder that holds keys or a registry. What an interrupted
// init left, a registry in which nothing happened and to which no keys exist, is
// removed.
func clearWay(ctx context.Context, dir string) error {
	keys, database := filepath.Join(dir, keysFile), filepath.Join(dir, databaseFile)
	if _, err := os.Lstat(keys); err == nil {
		return fmt.Errorf("%s holds keys already: they are never overwritten, choose another folder with --data", dir)
	}
	if _, err := os.Lstat(database); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	used, err := inUse(ctx, database)
	if err != nil || used {
		return errors.Join(fmt.Errorf("%s holds a registry already but no %s: restore its keys from a backup, or choose another folder with --data", dir, keysFile), err)
	}
	// Nothing happened there: its ledger is the commitment to keys that nobody has.
	return errors.Join(os.RemoveAll(filepath.Join(dir, ledgerDir)), os.Remove(database))
}

// inUse says whether anything was ever planted or shown.
func inUse(ctx context.Context, database string) (used bool, err error) {
	db, err := sqlstore.Open(ctx, database, sqlstore.Options{ReadOnly: true})
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM decoys) OR EXISTS (SELECT 1 FROM viewers)`).Scan(&used)
	return used, err
}

// writeNew writes a file that must not exist and waits until it is on disk.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func emptyDatabase(ctx context.Context, path string, facts map[string]string) (err error) {
	db, err := sqlstore.Create(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Write(ctx, func(tx *sql.Tx) error {
		for key, value := range facts {
			if _, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?)`, key, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// moveIn puts both files in their place. A link is refused where a file is, so
// of two inits at once one wins. The keys come last: a registry without keys is
// one that was never used.
func moveIn(stage, dir string) error {
	database := filepath.Join(dir, databaseFile)
	if err := os.Link(filepath.Join(stage, databaseFile), database); err != nil {
		return fmt.Errorf("make registry: %w", err)
	}
	if err := os.Link(filepath.Join(stage, keysFile), filepath.Join(dir, keysFile)); err != nil {
		return errors.Join(fmt.Errorf("make registry: %w", err), os.Remove(database))
	}
	return syncFolder(dir)
}

// syncFolder waits until the names in dir are on disk.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
