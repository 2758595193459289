package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
)

// Why a database was not opened or a transaction did not happen. In each case
// but ErrUnknown nothing of it was stored.
var (
	ErrNewer    = errors.New("the registry was written by a newer birdring")
	ErrReadOnly = errors.New("the registry is open for reading only")
	ErrFull     = errors.New("the disk of the registry is full: nothing was stored, make room and try again")
	ErrBusy     = errors.New("another process keeps the registry busy: nothing was stored, try again")
	ErrDamaged  = errors.New("the registry's database is damaged: restore a backup")
	ErrIO       = errors.New("the disk of the registry does not work: nothing was stored")
	ErrAway     = errors.New("the registry's PostgreSQL does not answer: nothing was stored, try again")
	ErrUnknown  = errors.New("the registry's PostgreSQL went away while it stored something: it is not known whether it did")
	ErrClosed   = errors.New("the registry is closed")
)

// Explain puts the engine's error codes into words; other errors pass.
func Explain(err error) error {
	if err == nil || storage(err) {
		return err
	}
	if e, ok := errors.AsType[sqlite3.Error](err); ok {
		return explained(err, sqliteWords[e.Code], e)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return explained(err, postgresWord(e.Code), e)
	}
	if away(err) {
		return explained(err, ErrAway, err)
	}
	return err
}

func explained(err, word, detail error) error {
	if word == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", word, detail)
}

var sqliteWords = map[sqlite3.ErrNo]error{
	sqlite3.ErrFull: ErrFull, sqlite3.ErrBusy: ErrBusy, sqlite3.ErrLocked: ErrBusy, sqlite3.ErrCorrupt: ErrDamaged,
	sqlite3.ErrNotADB: ErrDamaged, sqlite3.ErrReadonly: ErrReadOnly, sqlite3.ErrIoErr: ErrIO, sqlite3.ErrCantOpen: ErrIO,
}

// postgresWord knows the states and classes of PostgreSQL's appendix A.
func postgresWord(state string) error {
	switch state {
	case "53100": // disk_full
		return ErrFull
	case "40001", "40P01", "55P03", "53300": // serialization_failure, deadlock_detected, lock_not_available, too_many_connections
		return ErrBusy
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return ErrDamaged
	case "25006", "42501": // read_only_sql_transaction, insufficient_privilege
		return ErrReadOnly
	case "58030": // io_error
		return ErrIO
	case "57P01", "57P02", "57P03", "57P05": // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout
		return ErrAway
	}
	if strings.HasPrefix(state, "08") { // connection exception
		return ErrAway
	}
	return nil
}

// away says that the connection to PostgreSQL was lost or not made.
func away(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !isConnect(err) {
		return false
	}
	if errors.Is(err, ErrAway) {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return postgresWord(e.Code) == ErrAway
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return isConnect(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		err.Error() == "conn closed" // pgx's, which it does not name
}

func isConnect(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

// passing says that a transaction which failed so may succeed when it is run
// again: it met another one, or the server was restarted.
func passing(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == "40001" || e.Code == "40P01") {
		return true
	}
	return away(err)
}

// storage says that the database as a whole refuses, not one statement.
func storage(err error) bool {
	for _, e := range []error{ErrFull, ErrBusy, ErrDamaged, ErrIO, ErrAway, ErrUnknown} {
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
