package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"birdring/registry/sqlstore"
)

// errLocked says that another process holds a lock.
var errLocked = errors.New("locked")

// LockServe takes the folder, and a registry in PostgreSQL for all machines, for
// one server until the lock is closed or the process ends, however it ends. A
// second server is refused: it would take in the same journal.
func (r *Registry) LockServe() (io.Closer, error) {
	path := filepath.Join(r.dir, "serve.lock")
	f, err := lockFile(path, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, errLocked) {
		pid, _ := os.ReadFile(path) // only to make the message helpful
		return nil, fmt.Errorf("another birdring serve (process %s) runs on %s: stop it first", strings.TrimSpace(string(pid)), r.dir)
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteAt([]byte(fmt.Sprintf("%-10d\n", os.Getpid())), 0)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	shared, err := r.db.Lock(context.Background(), "serve", false, r.ingestion.taken)
	if errors.Is(err, sqlstore.ErrLocked) {
		err = fmt.Errorf("another birdring serve runs on the registry %s, perhaps on another machine: stop it first", sqlstore.Redacted(r.database))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return locks{shared, f}, nil
}

// locks are locks that are freed together.
type locks []io.Closer

// Close frees them.
func (l locks) Close() error {
	var errs []error
	for _, c := range l {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// lockFile opens and locks a file; errLocked if it is locked and how says not to wait.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
