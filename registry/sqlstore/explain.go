package sqlstore

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Why a database was not opened or a transaction did not happen. In each case
// nothing of it was stored.
var (
	ErrNewer    = errors.New("the registry was written by a newer birdring")
	ErrReadOnly = errors.New("the registry is open for reading only")
	ErrFull     = errors.New("the disk of the registry is full: nothing was stored, make room and try again")
	ErrBusy     = errors.New("another process keeps the registry busy: nothing was stored, try again")
	ErrDamaged  = errors.New("the registry's database is damaged: restore a backup")
	ErrIO       = errors.New("the disk of the registry does not work: nothing was stored")
	ErrClosed   = errors.New("the registry is closed")
)

// Explain puts the engine's error codes into words; other errors pass.
func Explain(err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return fmt.Errorf("%w (%v)", ErrFull, e)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return fmt.Errorf("%w (%v)", ErrBusy, e)
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return fmt.Errorf("%w (%v)", ErrDamaged, e)
	case sqlite3.ErrReadonly:
		return fmt.Errorf("%w (%v)", ErrReadOnly, e)
	case sqlite3.ErrIoErr, sqlite3.ErrCantOpen:
		return fmt.Errorf("%w (%v)", ErrIO, e)
	}
	return err
}

// storage says that the database as a whole refuses, not one statement.
func storage(err error) bool {
	for _, e := range []error{ErrFull, ErrBusy, ErrDamaged, ErrIO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// failure remembers the last write that the database refused.
type failure struct {
	mu  sync.Mutex // guards the rest
	err error
	at  time.Time
}

// note keeps what the database refused for LastFailure and passes err on. A
// later success clears it.
func (d *DB) note(err error) error {
	d.lastFail.mu.Lock()
	defer d.lastFail.mu.Unlock()
	switch {
	case err == nil:
		d.lastFail.err = nil
	case storage(err):
		d.lastFail.err, d.lastFail.at = err, time.Now().UTC()
	}
	return err
}

// LastFailure is the error of the last write, if the database refused it and
// none succeeded since.
func (d *DB) LastFailure() (at time.Time, err error) {
	d.lastFail.mu.Lock()
	defer d.lastFail.mu.Unlock()
	return d.lastFail.at, d.lastFail.err
}
