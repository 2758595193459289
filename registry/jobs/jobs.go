// Package jobs runs the registry's long work on as many machines as wanted: scans
// of watched sites and of leads, probes, tracing of uploads, deliveries of alerts.
//
//	q, err := jobs.Open(ctx, jobs.Config{Registry: reg})
//	err = q.Work(ctx) // until ctx ends
//
// Jobs are River's: unique, tried again with growing pauses, kept when they are
// given up, until somebody looks. Those of a worker that was killed are taken by
// another within a minute or so (alive.go). They stand in the registry's PostgreSQL, or in
// another one (Config.Database; River declines CockroachDB), or beside a SQLite
// registry in a file of their own, so that looking for jobs never keeps the
// registry's writer waiting.
//
// What is to be done is known to the registry: an alert in the outbox, a lead, a
// site that is due. Workers look there and make jobs of it. So losing every job
// loses no work but probes and scans that somebody asked for by hand.
package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"birdring/registry"
	"birdring/registry/sqlstore"
)

// Config of Open.
type Config struct {
	Registry *registry.Registry
	Database string // postgres:// URL of the jobs; "": the registry's PostgreSQL, else jobs.db in its folder
	Log      *slog.Logger

	// Of Work:
	Scan        registry.ScanRequest // how sites are scanned: Allow, MaxPages, Rate
	WatchEvery  time.Duration        // how often watched sites are scanned; 0: never
	FollowLeads bool                 // scan pages that hits name as their origin
	Workers     int                  // scans at once; 0: 2
	Beat        time.Duration        // how often a worker tells that it lives, the same for all; 0: 5 s
}

// Queue is an open set of jobs. It is safe for concurrent use.
type Queue struct {
	c      Config
	name   string
	client client
	db     *sql.DB // the same database, for what River has no words for
	engine engine
	pool   io.Closer

	span     atomic.Pointer[span]
	stopping atomic.Bool // jobs under way are told to stop
}

// client is what we use of River's, whose type depends on the driver.
type client interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	InsertMany(ctx context.Context, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	JobList(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
	JobRetry(ctx context.Context, id int64) (*rivertype.JobRow, error)
	JobCancel(ctx context.Context, id int64) (*rivertype.JobRow, error)
	JobDelete(ctx context.Context, id int64) (*rivertype.JobRow, error)
}

// fileName is that of a SQLite registry's jobs.
const fileName = "jobs.db"

// Open opens the jobs of a registry and brings River's tables up to date.
func Open(ctx context.Context, c Config) (*Queue, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.Database == "" {
		c.Database = c.Registry.DatabaseURL()
	}
	if c.Beat <= 0 {
		c.Beat = beatEvery
	}
	q := &Queue{c: c}
	q.span.Store(newSpan())
	var err error
	if c.Database == "" {
		err = q.openFile(ctx, filepath.Join(c.Registry.Dir(), fileName))
	} else {
		err = q.openPostgres(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open jobs: %w", err)
	}
	return q, nil
}

// openFile opens a SQLite file of jobs, made if it is not there.
func (q *Queue) openFile(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // and with it the lock
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=rw&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_busy_timeout=10000&_txlock=immediate")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1) // River's driver wants one; SQLite has one writer
	q.pool, q.db, q.engine = db, db, onSQLite
	driver := riversqlite.New(db)
	if err := migrate(ctx, driver, db); err != nil {
		return errors.Join(err, db.Close())
	}
	q.client, err = river.NewClient(driver, q.riverConfig())
	return err
}

// migrateLock is the advisory lock of who updates River's tables.
const migrateLock = 0x62697265

// openPostgres opens the jobs in a database of PostgreSQL.
func (q *Queue) openPostgres(ctx context.Context) error {
	c, err := pgxpool.ParseConfig(q.c.Database)
	if err != nil {
		return fmt.Errorf("%s: the URL cannot be read: postgres://user:password@host:5432/database is wanted", sqlstore.Redacted(q.c.Database))
	}
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	c.ConnConfig.RuntimeParams["application_name"] = "birdring jobs"
	c.ConnConfig.RuntimeParams["client_min_messages"] = "warning"
	c.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return err
	}
	driver := riverpgxv5.New(pool)
	q.db, q.engine = stdlib.OpenDBFromPool(pool), onPostgres
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrateLock); err != nil {
			return err
		}
		return migrate(ctx, driver, q.db)
	})
	if err != nil {
		pool.Close()
		return err
	}
	q.pool = poolCloser{pool}
	q.client, err = river.NewClient(driver, q.riverConfig())
	return err
}

type poolCloser struct{ *pgxpool.Pool }

// Close ends all connections.
func (p poolCloser) Close() error {
	p.Pool.Close()
	return nil
}

// migrate brings River's tables and ours up to date, forward only.
func migrate[T any](ctx context.Context, driver riverdriver.Driver[T], db *sql.DB) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("update the tables of jobs: %w", err)
	}
	if _, err := db.ExecContext(ctx, workersTable); err != nil {
		return fmt.Errorf("make the table of workers: %w", err)
	}
	return nil
}

// Name is what this worker is called where jobs say who worked on them.
func (q *Queue) Name() string { return q.name }

// Close ends all connections.
func (q *Queue) Close() error { return q.pool.Close() }

// Row is a job as it is listed.
type Row struct {
	ID       int64           `json:"id"`
	Kind     string          `json:"kind"`
	State    string          `json:"state"` // available, running, retryable, scheduled, completed, cancelled, discarded
	Args     json.RawMessage `json:"args"`
	Attempt  int             `json:"attempt"`
	Most     int             `json:"max_attempts"`
	Created  time.Time       `json:"created"`
	Next     time.Time       `json:"next"`  // when it is tried, or was
	Ended    *time.Time      `json:"ended"` // completed, cancelled or discarded
	Error    *string         `json:"error"` // of the newest try that failed
	WorkedBy *string         `json:"worked_by"`
}

// States are all states of a job; Discarded ones were given up.
var States = func() (out []string) {
	for _, s := range rivertype.JobStates() {
		out = append(out, string(s))
	}
	return out
}()

// Discarded is the state of jobs that were given up.
const Discarded = string(rivertype.JobStateDiscarded)

// mostListed bounds List.
const mostListed = 10_000

// List lists jobs, newest last; states nil: all of them.
func (q *Queue) List(ctx context.Context, states []string, limit int) ([]Row, error) {
	if limit <= 0 || limit > mostListed {
		limit = mostListed
	}
	p := river.NewJobListParams().First(limit).OrderBy(river.JobListOrderByID, river.SortOrderDesc)
	if len(states) > 0 {
		var which []rivertype.JobState
		for _, s := range states {
			which = append(which, rivertype.JobState(s))
		}
		p = p.States(which...)
	}
	got, err := q.client.JobList(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	out := make([]Row, 0, len(got.Jobs))
	for i := len(got.Jobs) - 1; i >= 0; i-- {
		out = append(out, rowOf(got.Jobs[i]))
	}
	return out, nil
}

func rowOf(j *rivertype.JobRow) Row {
	r := Row{
		ID: j.ID, Kind: j.Kind, State: string(j.State), Args: json.RawMessage(j.EncodedArgs), Attempt: j.Attempt, Most: j.MaxAttempts,
		Created: j.CreatedAt.UTC(), Next: j.ScheduledAt.UTC(),
	}
	if j.FinalizedAt != nil {
		r.Ended = new(j.FinalizedAt.UTC())
	}
	if n := len(j.Errors); n > 0 {
		r.Error = new(j.Errors[n-1].Error)
	}
	if n := len(j.AttemptedBy); n > 0 {
		r.WorkedBy = new(j.AttemptedBy[n-1])
	}
	return r
}

// Retry makes a job that waits or was given up run now.
func (q *Queue) Retry(ctx context.Context, id int64) error {
	_, err := q.client.JobRetry(ctx, id)
	return explain(id, err)
}

// Cancel ends a job for good: one that runs is told to stop.
func (q *Queue) Cancel(ctx context.Context, id int64) error {
	_, err := q.client.JobCancel(ctx, id)
	return explain(id, err)
}

// Drop forgets a job that does not run, so that one given up is no problem any more.
func (q *Queue) Drop(ctx context.Context, id int64) error {
	_, err := q.client.JobDelete(ctx, id)
	return explain(id, err)
}

func explain(id int64, err error) error {
	if errors.Is(err, rivertype.ErrNotFound) {
		return fmt.Errorf("there is no job %d: birdring jobs list shows them", id)
	}
	if err != nil {
		return fmt.Errorf("job %d: %w", id, err)
	}
	return nil
}

// GivenUp is how many jobs were given up and not looked at.
func (q *Queue) GivenUp(ctx context.Context) (int, error) {
	rows, err := q.List(ctx, []string{Discarded}, mostListed)
	return len(rows), err
}
