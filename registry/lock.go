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
	"time"

	"birdring/registry/sqlstore"
)

// errLocked says that another process holds a lock.
var errLocked = errors.New("locked")

// ErrServed is wrapped by the errors of LockServe about another server.
var ErrServed = errors.New("another birdring serve runs")

// served is such an error.
type served struct{ text string }

// Error says where it runs and what to do.
func (e served) Error() string { return e.text }

// Unwrap makes it an ErrServed.
func (served) Unwrap() error { return ErrServed }

// LockServe takes the folder, and a registry in PostgreSQL for all machines, for
// one server until the lock is closed or the process ends, however it ends. A
// second server is refused with ErrServed: it would sign the same ledger and say
// where links lead.
func (r *Registry) LockServe() (io.Closer, error) {
	path := filepath.Join(r.dir, "serve.lock")
	f, err := lockFile(path, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, errLocked) {
		pid, _ := os.ReadFile(path) // only to make the message helpful
		return nil, served{fmt.Sprintf("another birdring serve (process %s) runs on %s: stop it first, or start this one with --standby", strings.TrimSpace(string(pid)), r.dir)}
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
		err = served{fmt.Sprintf("another birdring serve runs on the registry %s, perhaps on another machine: stop it first, or start this one with --standby", sqlstore.Redacted(r.database))}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return locks{shared, f}, nil
}

// standbyEvery is how often a server that stands by looks whether the other is gone.
const standbyEvery = time.Second

// AwaitServe is LockServe that waits until no other server runs, and while
// PostgreSQL is away; it ends with ctx. waits is called once if it has to.
func (r *Registry) AwaitServe(ctx context.Context, waits func(why error)) (lock io.Closer, err error) {
	for told := false; ; told = true {
		lock, err = r.LockServe()
		if err == nil || !errors.Is(err, ErrServed) && !errors.Is(err, sqlstore.ErrAway) {
			return lock, err
		}
		if !told {
			waits(err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(standbyEvery):
		}
	}
}

// Ousted is an error once another server has taken the registry over, which it can
// while PostgreSQL was away from this one.
func (r *Registry) Ousted() error { return r.ingestion.ours() }

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
