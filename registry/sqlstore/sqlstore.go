// Package sqlstore keeps the registry in a SQL database: it opens it with the
// right settings, brings its schema up to date, runs transactions and says in
// plain words why one failed.
//
// The engine is SQLite: one file, WAL, every commit on disk before it returns
// (synchronous FULL), foreign keys on. Several processes share the file; a
// process has one connection that writes and a pool that only reads. Queries
// are the callers', next to the code they serve.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// busy is how long a transaction waits for another process's, in milliseconds.
const busy = "10000"

// DB is an open registry database. It is safe for concurrent use.
type DB struct {
	path    string
	writer  *sql.DB // one connection; nil when read-only
	readers *sql.DB

	jobs     chan *job     // work for the committer
	quit     chan struct{} // closed by Close
	stopped  sync.WaitGroup
	callers  sync.WaitGroup // of Group
	closing  sync.Mutex     // guards closed
	closed   bool
	lastFail failure
}

// Options of Open.
type Options struct {
	ReadOnly bool // refuse every write
	Readers  int  // connections that read; 0: twice the processors, at least 4
}

// Open opens the database at path, which must exist, and brings its schema up
// to date. ErrNewer says that a newer program wrote it.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return open(ctx, path, o)
}

// Create makes a new database at path, which must not exist, readable by its
// owner only.
func Create(ctx context.Context, path string) (*DB, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return open(ctx, path, Options{})
}

func open(ctx context.Context, path string, o Options) (_ *DB, err error) {
	if o.Readers <= 0 {
		o.Readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	d := &DB{path: path, jobs: make(chan *job, 1024), quit: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(Explain(err), d.closeConnections())
		}
	}()
	if err := d.update(ctx, o.ReadOnly); err != nil {
		return nil, err
	}
	if d.readers, err = connect(path, "&_query_only=1", o.Readers); err != nil {
		return nil, err
	}
	if err := d.readers.PingContext(ctx); err != nil {
		return nil, err
	}
	if o.ReadOnly {
		return d, nil
	}
	if d.writer, err = connect(path, "&_txlock=immediate", 1); err != nil {
		return nil, err
	}
	if err := d.writer.PingContext(ctx); err != nil {
		return nil, err
	}
	d.stopped.Go(d.commitLoop)
	return d, nil
}

// connect makes a pool whose every connection has our settings: a PRAGMA
// executed on a pool would reach only one of them.
func connect(path, extra string, most int) (*sql.DB, error) {
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?mode=rw&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_busy_timeout=" + busy + extra
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// Close ends all connections; writes under way are finished first.
func (d *DB) Close() error {
	d.closing.Lock()
	if d.closed {
		d.closing.Unlock()
		return nil
	}
	d.closed = true
	d.closing.Unlock()
	d.callers.Wait()
	close(d.quit)
	d.stopped.Wait()
	return d.closeConnections()
}

func (d *DB) closeConnections() error {
	var errs []error
	for _, db := range []*sql.DB{d.readers, d.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Read is the pool for queries. It sees everything committed, by any process.
func (d *DB) Read() *sql.DB { return d.readers }

// Snapshot runs f in one read transaction: all its queries see the same state.
func (d *DB) Snapshot(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := d.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Explain(err)
	}
	defer tx.Rollback() // nothing was written
	return f(tx)
}

// Write runs f in a write transaction of its own and commits it: everything or
// nothing. Other writers, of any process, wait meanwhile.
func (d *DB) Write(ctx context.Context, f func(tx *sql.Tx) error) error {
	if d.writer == nil {
		return ErrReadOnly
	}
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return d.note(Explain(err))
	}
	if err := f(tx); err != nil {
		return errors.Join(d.note(Explain(err)), rollback(tx))
	}
	return d.note(Explain(tx.Commit()))
}

// rollback reports a rollback that failed for another reason than that the
// transaction is over already.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("rollback: %w", err)
	}
	return nil
}

// Micros is a time as it is stored; the zero time is stored as NULL.
func Micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// Time reads a stored time.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
