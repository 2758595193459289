package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

// The longest names, in bytes.
const (
	maxAccount = 200
	maxSession = 200
	maxSurface = 100
)

// CheckAccount says what is wrong with the name of an account: it is 1 to 200
// bytes of UTF-8 without control characters.
func CheckAccount(name string) error {
	if name == "" {
		return fmt.Errorf("account %w: it is empty", ErrInvalid)
	}
	return checkText("account", name, maxAccount)
}

func checkText(what, s string, most int) error {
	switch {
	case len(s) > most:
		return fmt.Errorf("%s %w: it has %d bytes, at most %d are allowed", what, ErrInvalid, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s %q %w: it is no UTF-8", what, s, ErrInvalid)
	}
	for _, c := range s {
		if unicode.IsControl(c) {
			return fmt.Errorf("%s %q %w: it has a control character", what, s, ErrInvalid)
		}
	}
	return nil
}

// viewerKey is what a viewer is to the platform.
type viewerKey struct{ account, session string }

// viewerCache remembers committed numbers. They never change, so nothing here
// grows old.
type viewerCache struct {
	mu      sync.RWMutex // guards numbers
	numbers map[viewerKey]canary.Viewer
}

// mostViewers bounds the cache.
const mostViewers = 1 << 20

func (c *viewerCache) get(k viewerKey) (canary.Viewer, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.numbers[k]
	return v, ok
}

func (c *viewerCache) put(k viewerKey, v canary.Viewer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.numbers == nil || len(c.numbers) >= mostViewers {
		c.numbers = map[viewerKey]canary.Viewer{}
	}
	c.numbers[k] = v
}

// forget empties the cache.
func (c *viewerCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.numbers = nil
}

// viewerCount is how many viewers were numbered: the numbers are dense, and to
// count the rows takes longer the more there are.
const viewerCount = `(SELECT n - 65535 FROM counters WHERE name = 'viewers')`

// Number returns the number of a viewer: an account, or one session of it if
// session is not "". A viewer met for the first time is given the next number.
func (r *Registry) Number(ctx context.Context, account, session string) (canary.Viewer, error) {
	if err := errors.Join(CheckAccount(account), checkText("session", session, maxSession)); err != nil {
		return 0, err
	}
	if _, err := r.world(ctx); err != nil { // it tells of accounts that were forgotten
		return 0, err
	}
	k := viewerKey{account, session}
	if v, ok := r.viewers.get(k); ok {
		return v, nil
	}
	v, err := r.book.findViewer(ctx, r.db.Read(), k)
	if errors.Is(err, sql.ErrNoRows) {
		err = r.db.Group(ctx, func(tx *sql.Tx) (err error) {
			v, err = r.book.ensureViewer(ctx, tx, k, now())
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("number viewer: %w", sqlstore.Explain(err))
	}
	r.viewers.put(k, v)
	return v, nil
}

// queryer is a database or a transaction of it.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// findViewer returns sql.ErrNoRows for a viewer without a number.
func (b *book) findViewer(ctx context.Context, q queryer, k viewerKey) (v canary.Viewer, err error) {
	err = q.QueryRowContext(ctx, `SELECT v.number FROM accounts a JOIN viewers v ON v.account = a.id WHERE a.name = ? AND v.session = ?`,
		b.mask(k.account), k.session).Scan(&v)
	return v, err
}

// ensureViewers finds or numbers viewers, in their order, and puts them into
// known. The numbers hold only once tx is committed.
func (b *book) ensureViewers(ctx context.Context, tx *sql.Tx, known map[viewerKey]canary.Viewer, keys []viewerKey, at time.Time) error {
	keys = unknownViewers(known, keys)
	var fresh []viewerKey
	for chunk := range slices.Chunk(keys, sqlstore.Chunk(2)) {
		if err := b.findViewers(ctx, tx, known, chunk); err != nil {
			return err
		}
		fresh = append(fresh, unknownViewers(known, chunk)...)
	}
	if len(fresh) == 0 {
		return nil
	}
	var last int64
	if err := tx.QueryRowContext(ctx, `UPDATE counters SET n = n + ? WHERE name = 'viewers' RETURNING n`, len(fresh)).Scan(&last); err != nil {
		return err
	}
	next := canary.Viewer(last - int64(len(fresh)) + 1)
	for chunk := range slices.Chunk(fresh, sqlstore.Chunk(4)) {
		accounts, err := b.ensureAccounts(ctx, tx, chunk, at)
		if err != nil {
			return err
		}
		var args []any
		first := next
		for _, k := range chunk {
			known[k] = next
			args = append(args, next, accounts[k.account], k.session, at.UnixMicro())
			next++
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO viewers (number, account, session, given_at) VALUES `+sqlstore.Values(len(chunk), 4), args...); err != nil {
			return err
		}
		if err := b.addRows(ctx, tx, scanViewerEntry, viewerRows+` WHERE v.number >= ? AND v.number < ? ORDER BY v.number`, first, next); err != nil {
			return err
		}
	}
	return nil
}

// unknownViewers are those of keys that are not known, each once.
func unknownViewers(known map[viewerKey]canary.Viewer, keys []viewerKey) (out []viewerKey) {
	seen := map[viewerKey]bool{}
	for _, k := range keys {
		if _, ok := known[k]; !ok && !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

// findViewers puts those that have a number into known.
func (b *book) findViewers(ctx context.Context, tx *sql.Tx, known map[viewerKey]canary.Viewer, keys []viewerKey) error {
	var args []any
	named := make(map[viewerKey]viewerKey, len(keys)) // as they are kept -> as they are called
	for _, k := range keys {
		stored := viewerKey{b.mask(k.account), k.session}
		named[stored] = k
		args = append(args, stored.account, stored.session)
	}
	// CROSS JOIN keeps SQLite from beginning with all accounts.
	rows, err := tx.QueryContext(ctx, `WITH k (account, session) AS (VALUES `+sqlstore.Values(len(keys), 2)+`)
		SELECT a.name, v.session, v.number FROM k CROSS JOIN accounts a CROSS JOIN viewers v WHERE a.name = k.account AND v.account = a.id AND v.session = k.session`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k viewerKey
		var v canary.Viewer
		if err := rows.Scan(&k.account, &k.session, &v); err != nil {
			return err
		}
		known[named[k]] = v
	}
	return rows.Err()
}

// ensureAccounts finds the rows of accounts or makes them.
func (b *book) ensureAccounts(ctx context.Context, tx *sql.Tx, keys []viewerKey, at time.Time) (map[string]int64, error) {
	ids := map[string]int64{}
	named := map[string]string{} // as they are kept -> as they are called
	var names, rows []any
	for _, k := range keys {
		if _, ok := ids[k.account]; !ok {
			ids[k.account] = 0
			stored := b.mask(k.account)
			named[stored] = k.account
			names = append(names, stored)
			rows = append(rows, stored, at.UnixMicro(), newSalt(), b.sealName(k.account, stored))
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO accounts (name, first_seen, salt, sealed) VALUES `+sqlstore.Values(len(names), 4)+` ON CONFLICT DO NOTHING`, rows...); err != nil {
		return nil, err
	}
	found, err := tx.QueryContext(ctx, `SELECT id, name FROM accounts WHERE name IN `+sqlstore.Values(1, len(names)), names...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var id int64
		var name string
		if err := found.Scan(&id, &name); err != nil {
			return nil, err
		}
		ids[named[name]] = id
	}
	return ids, found.Err()
}

// ensureViewer finds or numbers a viewer. The number holds only once tx is committed.
func (b *book) ensureViewer(ctx context.Context, tx *sql.Tx, k viewerKey, at time.Time) (canary.Viewer, error) {
	numbers := map[viewerKey]canary.Viewer{}
	err := b.ensureViewers(ctx, tx, numbers, []viewerKey{k}, at)
	return numbers[k], err
}

// ensureAccount finds an account's row or makes it.
func (b *book) ensureAccount(ctx context.Context, tx *sql.Tx, name string, at time.Time) (id int64, err error) {
	stored := b.mask(name)
	err = tx.QueryRowContext(ctx, `SELECT id FROM accounts WHERE name = ?`, stored).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO accounts (name, first_seen, salt, sealed) VALUES (?, ?, ?, ?) RETURNING id`, stored, at.UnixMicro(), newSalt(), b.sealName(name, stored)).Scan(&id)
	return id, err
}

// AccountOf returns the account and session that a number was given to.
func (r *Registry) AccountOf(ctx context.Context, v canary.Viewer) (account, session string, err error) {
	err = r.db.Read().QueryRowContext(ctx, `SELECT a.name, v.session FROM viewers v JOIN accounts a ON a.id = v.account WHERE v.number = ?`, v).Scan(&account, &session)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", fmt.Errorf("viewer %d: %w", v, ErrNotFound)
	}
	return account, session, sqlstore.Explain(err)
}
