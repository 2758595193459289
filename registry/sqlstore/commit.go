package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// job is a piece of a shared transaction.
type job struct {
	ctx  context.Context
	do   func(tx *sql.Tx) error
	done chan error // buffered: the committer never waits
	err  error      // of do; the job is no part of the commit
}

// most bounds the jobs of one shared transaction, so that other processes get
// their turn.
const most = 512

// Group runs f in a write transaction shared with whoever else calls Group at
// the same time, and returns once that transaction is on disk. If f fails, only
// what f wrote is taken back. If the commit fails, everybody gets the error.
//
// f runs on another goroutine, once, or again as with Write. When ctx ends before f began, f never runs;
// after that Group waits, so that the caller knows whether it was stored.
func (d *DB) Group(ctx context.Context, f func(tx *sql.Tx) error) error {
	if d.writer == nil {
		return ErrReadOnly
	}
	j := &job{ctx: ctx, do: f, done: make(chan error, 1)}
	d.closing.Lock()
	if d.closed {
		d.closing.Unlock()
		return ErrClosed
	}
	d.callers.Add(1) // the committer outlives every job in the queue
	d.closing.Unlock()
	defer d.callers.Done()
	select {
	case d.jobs <- j:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return <-j.done
}

// commitLoop is the committer: it takes all jobs that wait, up to most, commits
// them together and tells their callers.
func (d *DB) commitLoop() {
	for {
		select {
		case j := <-d.jobs:
			d.commit(d.waiting([]*job{j}))
		case <-d.quit:
			return
		}
	}
}

// waiting adds the jobs that wait to batch.
func (d *DB) waiting(batch []*job) []*job {
	for len(batch) < most {
		select {
		case j := <-d.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch. Its transaction ends with the jobs, not with the context
// of one of them.
func (d *DB) commit(batch []*job) {
	err := d.Write(context.Background(), func(tx *sql.Tx) error {
		for _, j := range batch {
			if err := d.run(j, tx, len(batch) > 1); err != nil {
				return err
			}
		}
		return nil
	})
	for _, j := range batch {
		if err != nil {
			j.done <- err
		} else {
			j.done <- j.err
		}
	}
}

// run does one job inside a savepoint. It returns an error only if the whole
// transaction is lost; the job's own goes to j.err.
func (d *DB) run(j *job, tx *sql.Tx, shared bool) error {
	if j.ctx.Err() != nil {
		j.err = context.Cause(j.ctx)
		return nil
	}
	if !shared {
		return j.do(tx)
	}
	if _, err := tx.Exec(`SAVEPOINT job`); err != nil {
		return fmt.Errorf("begin job: %w", Explain(err))
	}
	mark := 0
	if d.tail != nil {
		mark = d.tail.Mark(tx)
	}
	err := j.do(tx)
	if d.passing(err) {
		return err // the whole transaction is to be run again
	}
	j.err = Explain(err)
	if storage(j.err) {
		return j.err // the engine may have rolled everything back
	}
	if j.err != nil {
		if d.tail != nil {
			d.tail.Cut(tx, mark)
		}
		if _, err := tx.Exec(`ROLLBACK TO job`); err != nil {
			return errors.Join(j.err, fmt.Errorf("roll job back: %w", Explain(err)))
		}
	}
	if _, err := tx.Exec(`RELEASE job`); err != nil {
		return fmt.Errorf("end job: %w", Explain(err))
	}
	return nil
}
