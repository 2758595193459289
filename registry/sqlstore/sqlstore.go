// Package sqlstore keeps the registry in a SQL database: it opens it with the
// right settings, brings its schema up to date, runs transactions and says in
// plain words why one failed.
//
//	db, err := sqlstore.Open(ctx, "registry.db", sqlstore.Options{})
//	db, err := sqlstore.Open(ctx, "postgres://birdring@db.example/birdring", sqlstore.Options{})
//	err = db.Write(ctx, func(tx *sql.Tx) error { ... })
//
// There are two engines and one set of queries, which are the callers', next to
// the code they serve; dialect.go says what both engines read. SQLite is the
// default: one file, WAL, every commit on disk before it returns (synchronous
// FULL), foreign keys on. PostgreSQL (15 or newer) is for more than one machine.
// A process has one connection that writes and a pool that only reads.
//
// There is one writer at a time, of all processes together: in SQLite by its
// lock, in PostgreSQL by a row that every write transaction holds. So a
// transaction sees all that was written before it and nothing of what is being
// written, on either engine; Group makes up for it by sharing commits.
//
// A URL may name a server and its standby (host=a,b&target_session_attrs=read-write):
// when the standby is promoted, writers and readers go on there. With
// synchronous_standby_names what was acknowledged is there. Only of a commit that
// was under way nobody knows (ErrUnknown): the new server numbers transactions anew.
//
// Keys are numbers of the registry's own (accounts, viewers, decoys, pictures)
// and no sequence stands in the way of an exposure: the key of exposures begins
// with decoy and viewer, so that the table can be partitioned by the hash of
// either. A test does so on PostgreSQL and runs the queries on it. The key is
// their only index, and the names of surfaces stand in a table of their own: what
// is asked by viewer looks each decoy up, what is asked by time reads all, and
// how many there were in an hour is counted in exposure_hours.
//
// CockroachDB, YugabyteDB and Citus speak PostgreSQL's protocol; nothing was run
// on them, of which Debian packages none. By their documents: CockroachDB takes
// the types, upserts, RETURNING, FOR UPDATE and partial indexes, takes COLLATE "C"
// for no collation and makes identity columns of unordered numbers; YugabyteDB
// takes all of it; Citus wants exposures distributed by viewer, the rest as
// reference tables. Beside CockroachDB jobs need a PostgreSQL of their own, since
// River declines it, and nothing keeps a second server out: its session locks
// (Lock) are stubs (cockroachdb/cockroach#13546, #169981).
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
const (
	busy    = "10000"
	busyFor = 10 * time.Second
)

// Engine is a kind of database.
type Engine string

// The engines.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// DB is an open registry database. It is safe for concurrent use.
type DB struct {
	engine     Engine
	target     string  // path or URL
	writer     *sql.DB // one connection; nil when read-only
	readers    *sql.DB
	takeWriter string // PostgreSQL: the query that waits for its turn to write
	patience   time.Duration

	tail     Tail          // nil: none
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
	Tail     Tail // what ends every write transaction; nil: nothing
}

// Tail gathers something over a write transaction and stores it at its end, once
// however many jobs share the transaction. Calls about one transaction come one
// after another.
type Tail interface {
	// Mark is what was gathered so far, and Cut takes back what came after a mark:
	// the job that gathered it failed.
	Mark(tx *sql.Tx) int
	Cut(tx *sql.Tx, mark int)
	// Flush stores what was gathered, right before the commit.
	Flush(ctx context.Context, tx *sql.Tx) error
	// Done is called when the transaction is over, however it ended.
	Done(tx *sql.Tx)
}

// Open opens the database at target, a path or a PostgreSQL URL, which must
// exist, and brings its schema up to date. ErrNewer says that a newer program
// wrote it; fs.ErrNotExist that there is no registry.
func Open(ctx context.Context, target string, o Options) (*DB, error) {
	d, err := openUnfinished(ctx, target, o)
	if err != nil {
		return nil, err
	}
	var unfinished bool
	err = d.readers.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?)`, copyUnderWay).Scan(&unfinished)
	if err == nil && unfinished {
		err = fmt.Errorf("%s is a copy that was not finished: run birdring registry copy again", Redacted(target))
	}
	if err != nil {
		return nil, errors.Join(Explain(err), d.Close())
	}
	return d, nil
}

// openUnfinished is Open, also for a copy that is not whole.
func openUnfinished(ctx context.Context, target string, o Options) (*DB, error) {
	if !IsURL(target) {
		if _, err := os.Stat(target); err != nil {
			return nil, err
		}
	}
	return open(ctx, target, o, false)
}

// Create makes a new database at target. A file must not exist, and becomes
// readable by its owner only; a database of PostgreSQL must exist and hold no
// registry, else the error wraps fs.ErrExist.
func Create(ctx context.Context, target string) (*DB, error) {
	if IsURL(target) {
		return open(ctx, target, Options{}, true)
	}
	f, err := os.OpenFile(target, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return open(ctx, target, Options{}, true)
}

// open tries again while a file is busy: SQLite says so at once, without waiting,
// while another process begins or ends its write-ahead log.
func open(ctx context.Context, target string, o Options, create bool) (*DB, error) {
	for end := time.Now().Add(busyFor); ; {
		d, err := openOnce(ctx, target, o, create)
		if !errors.Is(err, ErrBusy) || IsURL(target) || ctx.Err() != nil || time.Now().After(end) {
			return d, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func openOnce(ctx context.Context, target string, o Options, create bool) (_ *DB, err error) {
	if o.Readers <= 0 {
		o.Readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	d := &DB{engine: SQLite, target: target, patience: patience, tail: o.Tail, jobs: make(chan *job, 1024), quit: make(chan struct{})}
	if IsURL(target) {
		d.engine = PostgreSQL
	}
	defer func() {
		if err != nil {
			err = errors.Join(Explain(err), d.closeConnections())
		}
	}()
	if err := d.update(ctx, o.ReadOnly, create); err != nil {
		return nil, err
	}
	if d.readers, err = d.connect(true, o.Readers); err != nil {
		return nil, err
	}
	if err := d.readers.PingContext(ctx); err != nil {
		return nil, err
	}
	if o.ReadOnly {
		return d, nil
	}
	if d.writer, err = d.connect(false, 1); err != nil {
		return nil, err
	}
	if err := d.writer.PingContext(ctx); err != nil {
		return nil, err
	}
	if d.engine == PostgreSQL {
		if err := d.prepareWriter(ctx); err != nil {
			return nil, err
		}
	}
	d.stopped.Go(d.commitLoop)
	return d, nil
}

// connect makes a pool whose every connection has our settings: one executed on
// a pool would reach only one of them.
func (d *DB) connect(readOnly bool, most int) (*sql.DB, error) {
	if d.engine == PostgreSQL {
		return connectPostgres(d.target, readOnly, most)
	}
	extra := "&_txlock=immediate"
	if readOnly {
		extra = "&_query_only=1"
	}
	dsn := "file:" + (&url.URL{Path: d.target}).EscapedPath() +
		"?mode=rw&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_busy_timeout=" + busy + extra
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// Engine says what kind of database it is.
func (d *DB) Engine() Engine { return d.engine }

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
	o := &sql.TxOptions{ReadOnly: true}
	if d.engine == PostgreSQL {
		o.Isolation = sql.LevelRepeatableRead
	}
	tx, err := d.readers.BeginTx(ctx, o)
	if err != nil {
		return Explain(err)
	}
	defer tx.Rollback() // nothing was written
	return f(tx)
}

// How long PostgreSQL's refusals that pass are waited out, and the first pause.
const (
	patience = 10 * time.Second
	pause    = 5 * time.Millisecond
)

// Write runs f in a write transaction of its own and commits it: everything or
// nothing. Other writers, of any process, wait meanwhile.
//
// On PostgreSQL f is run again when the transaction met another one or the
// server went away, so f must set what it finds out, not add to it. ErrUnknown
// is the one error after which something may have been stored.
func (d *DB) Write(ctx context.Context, f func(tx *sql.Tx) error) error {
	if d.writer == nil {
		return ErrReadOnly
	}
	wait, until := pause, time.Now().Add(d.patience)
	for {
		again, err := d.try(ctx, f, until)
		if !again || time.Now().After(until) {
			return d.note(Explain(err))
		}
		if !sleep(ctx, wait) {
			return errors.Join(err, context.Cause(ctx))
		}
		wait = min(2*wait, time.Second)
	}
}

// try runs f in one transaction and says whether to run it again.
func (d *DB) try(ctx context.Context, f func(tx *sql.Tx) error, until time.Time) (again bool, err error) {
	tx, x, err := d.begin(ctx)
	if err != nil {
		return d.passing(err), err
	}
	if d.tail != nil {
		defer d.tail.Done(tx)
	}
	err = f(tx)
	if err == nil && d.tail != nil {
		err = d.tail.Flush(ctx, tx)
	}
	if err != nil {
		return d.passing(err), errors.Join(Explain(err), d.rollback(tx))
	}
	err = tx.Commit()
	if d.engine == SQLite || !away(err) {
		return d.passing(err), err
	}
	for wait := pause; ; wait = min(2*wait, time.Second) {
		committed, why := d.outcome(ctx, x)
		switch {
		case committed:
			return false, nil
		case why == nil:
			return true, err // it was rolled back
		case errors.Is(why, ErrUnknown):
			return false, why
		case time.Now().After(until) || !sleep(ctx, wait):
			return false, fmt.Errorf("%w (%v)", ErrUnknown, why)
		}
	}
}

// passing says whether a transaction that failed so is worth running again.
func (d *DB) passing(err error) bool { return err != nil && d.engine == PostgreSQL && passing(err) }

// rollback takes a transaction back. A lost connection has done so already.
func (d *DB) rollback(tx *sql.Tx) error {
	if err := rollback(tx); !away(err) {
		return err
	}
	return nil
}

// sleep waits; false says that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
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
