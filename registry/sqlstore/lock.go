package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"sync"
	"time"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("locked by another process")

// lockCheck is how often a lock's connection is looked after.
const lockCheck = 2 * time.Second

// Lock takes a lock of the whole registry, for all machines that use it, until
// it is closed or the process ends. With SQLite, which is for one machine, it is
// nothing: a file lock beside the database does. When PostgreSQL was restarted
// the lock is taken again; should another have it by then, lost is told so.
func (d *DB) Lock(ctx context.Context, name string, wait bool, lost func(error)) (io.Closer, error) {
	if d.engine == SQLite {
		return io.NopCloser(nil), nil
	}
	h := fnv.New64a()
	io.WriteString(h, name)
	l := &held{key: int64(h.Sum64()), name: name, lost: lost}
	var err error
	if l.db, err = connectPostgres(d.target, false, 1); err != nil {
		return nil, err
	}
	if err := l.take(ctx, wait); err != nil {
		return nil, errors.Join(Explain(err), l.db.Close())
	}
	l.ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.watch.Go(l.look)
	return l, nil
}

// held is a lock on a connection of its own.
type held struct {
	db    *sql.DB
	conn  *sql.Conn
	key   int64
	name  string
	lost  func(error)
	ctx   context.Context
	stop  context.CancelFunc
	watch sync.WaitGroup
}

// take takes the lock. Registries in schemas of one database have their own.
func (l *held) take(ctx context.Context, wait bool) (err error) {
	if l.conn, err = l.db.Conn(ctx); err != nil {
		return err
	}
	if wait {
		if _, err := l.conn.ExecContext(ctx, `SET lock_timeout = 0`); err != nil {
			return errors.Join(err, l.conn.Close())
		}
		_, err = l.conn.ExecContext(ctx, `SELECT pg_advisory_lock(? # CAST(hashtext(current_schema()) AS bigint))`, l.key)
	} else {
		var got bool
		err = l.conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(? # CAST(hashtext(current_schema()) AS bigint))`, l.key).Scan(&got)
		if err == nil && !got {
			err = fmt.Errorf("%s: %w", l.name, ErrLocked)
		}
	}
	if err != nil {
		return errors.Join(err, l.conn.Close())
	}
	return nil
}

// look sees to it that the lock is still held.
func (l *held) look() {
	for sleep(l.ctx, lockCheck) {
		if l.conn.PingContext(l.ctx) == nil {
			continue
		}
		l.conn.Close() // it is lost already
		for err := l.take(l.ctx, false); err != nil; err = l.take(l.ctx, false) {
			if errors.Is(err, ErrLocked) && l.lost != nil {
				l.lost(err)
			}
			if !sleep(l.ctx, lockCheck) {
				return
			}
		}
		if l.lost != nil {
			l.lost(nil)
		}
	}
}

// Close frees the lock.
func (l *held) Close() error {
	l.stop()
	l.watch.Wait()
	// The server notices the end of a session only later; a session that is gone
	// holds nothing.
	_, err := l.conn.ExecContext(context.Background(), `SELECT pg_advisory_unlock_all()`)
	if away(err) || errors.Is(err, sql.ErrConnDone) {
		err = nil
	}
	if e := l.conn.Close(); !errors.Is(e, sql.ErrConnDone) {
		err = errors.Join(err, e)
	}
	return errors.Join(err, l.db.Close())
}
