package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river/rivertype"

	"birdring/registry"
)

// A worker that is killed leaves its jobs running. River frees them once they are
// older than any job may take, which is an hour for a scan. So workers say that
// they live by counting up a number of their own; whoever sees a number stand
// still for so many looks takes that worker's jobs. Nobody's clock is asked, and
// a worker that was only asleep together with whoever looks is not given up.
const (
	beatEvery = 5 * time.Second
	looksDead = 12 // looks without a beat, after which others take a worker's jobs
	looksMute = 6  // beats that failed, after which it stops them itself
)

// workersTable holds the numbers.
const workersTable = `CREATE TABLE IF NOT EXISTS birdring_workers (name TEXT PRIMARY KEY, beats BIGINT NOT NULL)`

// engine is how each engine writes what River keeps of a job: who worked on it
// last, its errors, that it is to be cancelled, its state.
type engine struct{ lastWorker, withError, cancelled, now, state string }

var (
	onPostgres = engine{
		`attempted_by[array_upper(attempted_by, 1)]`, `array_append(errors, CAST(CAST($1 AS text) AS jsonb))`, `jsonb_exists(metadata, 'cancel_attempted_at')`, `now()`, `river_job_state`,
	}
	onSQLite = engine{
		`json_extract(attempted_by, '$[#-1]')`, `jsonb_insert(coalesce(errors, jsonb('[]')), '$[#]', jsonb($1))`, `json_extract(metadata, '$.cancel_attempted_at') IS NOT NULL`,
		`strftime('%Y-%m-%d %H:%M:%f', 'now')`, `text`,
	}
)

// take makes the jobs that a worker was working on run again: as a failed try
// each, so that a job that kills whoever works on it is given up in the end.
func (e *engine) take() string {
	return fmt.Sprintf(`UPDATE river_job SET errors = %[2]s, scheduled_at = %[4]s,
		state = CAST(CASE WHEN %[3]s THEN 'cancelled' WHEN attempt >= max_attempts THEN 'discarded' ELSE 'available' END AS %[5]s),
		finalized_at = CASE WHEN %[3]s OR attempt >= max_attempts THEN %[4]s END
		WHERE state = 'running' AND %[1]s = $2`, e.lastWorker, e.withError, e.cancelled, e.now, e.state)
}

// watch is what a worker has seen of the others.
type watch map[string]pulse

type pulse struct {
	beats int64
	looks int // since it moved
}

// look takes in the numbers of all workers and returns those that stood still for
// too long.
func (w watch) look(beats map[string]int64) (dead []string) {
	for name := range w {
		if _, ok := beats[name]; !ok {
			delete(w, name)
		}
	}
	for name, n := range beats {
		p, known := w[name]
		if !known || p.beats != n {
			w[name] = pulse{beats: n}
			continue
		}
		if p.looks++; p.looks >= looksDead {
			dead = append(dead, name)
		}
		w[name] = p
	}
	return dead
}

// errGivenUp ends the jobs of a worker that others may think dead.
var errGivenUp = errors.New("this worker could not say that it lives")

// live begins to be counted among those that work.
func (q *Queue) live(ctx context.Context) error {
	_, err := q.db.ExecContext(ctx, `INSERT INTO birdring_workers (name, beats) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING`, q.name)
	return err
}

// beat says that this worker lives; false says that others gave it up. A database
// that does not answer is not waited for: the others may reach it.
func (q *Queue) beat(ctx context.Context) (bool, error) {
	ctx, done := context.WithTimeout(ctx, max(q.c.Beat, 2*time.Second))
	defer done()
	res, err := q.db.ExecContext(ctx, `UPDATE birdring_workers SET beats = beats + 1 WHERE name = $1`, q.name)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// leave says that this worker has ended and left no job running.
func (q *Queue) leave(ctx context.Context) error {
	_, err := q.db.ExecContext(ctx, `DELETE FROM birdring_workers WHERE name = $1`, q.name)
	return err
}

// keepAlive beats and looks after the others until ctx ends.
func (q *Queue) keepAlive(ctx context.Context) {
	seen, mute := watch{}, 0
	_ = registry.Every(ctx, q.c.Beat, func(ctx context.Context) { // it returns nil
		known, err := q.beat(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			q.c.Log.WarnContext(ctx, "cannot tell that this worker lives, will try again", "error", err)
			if mute++; mute == looksMute {
				q.giveUp(ctx)
			}
			return
		case !known:
			q.giveUp(ctx)
			err = q.live(ctx)
		}
		mute = 0
		if err == nil {
			err = q.lookAfter(ctx, seen)
		}
		if err != nil && ctx.Err() == nil {
			q.c.Log.ErrorContext(ctx, "other workers not looked after, will try again", "error", err)
		}
	})
}

// lookAfter takes the jobs of workers that are dead.
func (q *Queue) lookAfter(ctx context.Context, seen watch) error {
	rows, err := q.db.QueryContext(ctx, `SELECT name, beats FROM birdring_workers`)
	if err != nil {
		return err
	}
	defer rows.Close()
	beats := map[string]int64{}
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return err
		}
		if name != q.name {
			beats[name] = n
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil { // SQLite's one connection is needed below
		return err
	}
	for _, name := range seen.look(beats) {
		n, err := q.bury(ctx, name, beats[name])
		if err != nil {
			return err
		}
		if n > 0 {
			q.c.Log.WarnContext(ctx, "a worker is gone, its jobs run again", "worker", name, "jobs", n)
		}
	}
	return nil
}

// bury forgets a worker and frees its jobs, unless it has moved meanwhile or
// another buries it: one transaction does both.
func (q *Queue) bury(ctx context.Context, name string, beats int64) (jobs int64, err error) {
	text, err := json.Marshal(rivertype.AttemptError{At: time.Now().UTC(), Error: "its worker " + name + " is gone"})
	if err != nil {
		return 0, err
	}
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() // after a commit it does nothing
	res, err := tx.ExecContext(ctx, `DELETE FROM birdring_workers WHERE name = $1 AND beats = $2`, name, beats)
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return 0, err
	}
	if res, err = tx.ExecContext(ctx, q.engine.take(), string(text), name); err != nil {
		return 0, err
	}
	if jobs, err = res.RowsAffected(); err != nil {
		return 0, err
	}
	return jobs, tx.Commit()
}

// span is what jobs may run in: it ends when the worker is given up.
type span struct {
	ctx context.Context
	end context.CancelCauseFunc
}

func newSpan() *span {
	ctx, end := context.WithCancelCause(context.Background())
	return &span{ctx, end}
}

// giveUp stops the jobs under way: another may work on them already.
func (q *Queue) giveUp(ctx context.Context) {
	q.c.Log.WarnContext(ctx, "this worker may be thought dead and stops its jobs", "worker", q.name)
	q.span.Swap(newSpan()).end(errGivenUp)
}

// under is the context of a job: it ends with its worker's span too.
func (q *Queue) under(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	span := q.span.Load().ctx
	stop := context.AfterFunc(span, func() { cancel(context.Cause(span)) })
	return ctx, func() { stop(); cancel(nil) }
}
