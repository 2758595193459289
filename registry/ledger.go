package registry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"

	"birdring/canary"
	"birdring/registry/ledger"
)

// book makes the registry's entries in the ledger. It is the tail of every write
// transaction: entries gathered on the way get their places, and are stored in
// the queue, in the transaction that stores their rows.
type book struct {
	pseudonyms, digests []byte // keys
	names               *names // nil: accounts are kept under their names
	signer              *ledger.Signer
	path                string // the ledger's folder
	sideBySide          bool   // the engine can write while it reads, in one transaction

	mu    sync.Mutex // guards of
	of    map[*sql.Tx]*gathered
	floor atomic.Int64 // the latest time recorded: entries never go back
	queue atomic.Bool  // this process queued entries that are not in tiles yet
	off   bool         // benchmarks compare with it
	macs  sync.Pool    // of hash.Hash, keyed with digests
}

// gathered are the entries of one transaction.
type gathered struct {
	entries []byte // as in a bundle
	latest  int64
}

// newBook derives the ledger's keys from the first epoch: rotation changes nothing.
func newBook(keys *canary.Keyring, path string) (*book, error) {
	signer, err := ledger.NewSigner(keys.Derive("ledger/sign"), keys.Derive("ledger/time"))
	if err != nil {
		return nil, err
	}
	b := &book{pseudonyms: keys.Derive("ledger/pseudonym"), digests: keys.Derive("ledger/digest"), signer: signer, path: path, of: map[*sql.Tx]*gathered{}}
	b.macs.New = func() any { return hmac.New(sha256.New, b.digests) }
	return b, nil
}

// add gathers an entry about a row that tx stores.
func (b *book) add(tx *sql.Tx, e ledger.Entry) {
	if b.off {
		return
	}
	e.Recorded = max(now().UnixMicro(), b.floor.Load())
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.of[tx]
	if g == nil {
		g = &gathered{}
		b.of[tx] = g
	}
	g.entries = e.Append(g.entries)
	g.latest = e.Recorded
}

// Mark, Cut, Flush and Done make a book the tail of write transactions.
func (b *book) Mark(tx *sql.Tx) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.of[tx]; g != nil {
		return len(g.entries)
	}
	return 0
}

// Cut forgets what a failed job gathered.
func (b *book) Cut(tx *sql.Tx, mark int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.of[tx]; g != nil {
		g.entries = g.entries[:mark]
	}
}

// Flush gives the entries their places and queues them.
func (b *book) Flush(ctx context.Context, tx *sql.Tx) error {
	b.mu.Lock()
	g := b.of[tx]
	b.mu.Unlock()
	if g == nil || len(g.entries) == 0 {
		return nil
	}
	n := int64(0)
	if err := ledger.Cut(g.entries, func([]byte) error { n++; return nil }); err != nil {
		return err
	}
	var end int64
	err := tx.QueryRowContext(ctx, `UPDATE ledger SET size = size + ?1, recorded = CASE WHEN recorded < ?2 THEN ?2 ELSE recorded END RETURNING size`, n, g.latest).Scan(&end)
	if err != nil {
		return fmt.Errorf("append to ledger: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO ledger_queue (first_place, n, entries) VALUES (?, ?, ?)`, end-n, n, g.entries); err != nil {
		return fmt.Errorf("append to ledger: %w", err)
	}
	b.floor.Store(max(b.floor.Load(), g.latest))
	b.queue.Store(true)
	g.entries = g.entries[:0]
	return nil
}

// mostGathered is from how many bytes on a long transaction queues entries before
// its end.
const mostGathered = 1 << 20

// flushMany is Flush for a transaction of its own that gathers very many entries.
// A shared one must not: what one job gathered would go with another.
func (b *book) flushMany(ctx context.Context, tx *sql.Tx) error {
	if b.Mark(tx) < mostGathered {
		return nil
	}
	return b.Flush(ctx, tx)
}

// Done forgets the transaction.
func (b *book) Done(tx *sql.Tx) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, tx)
}

// pseudonymLength is the length of a pseudonym and a digest in the ledger: 128
// bits of HMAC-SHA256.
const pseudonymLength = 16

// pseudonym is what an account is called in the ledger. The salt is the account's
// own: when it is thrown away, nobody can tell any more whose pseudonym it is.
func (b *book) pseudonym(salt []byte, account string) []byte {
	mac := hmac.New(sha256.New, b.pseudonyms)
	mac.Write(salt)
	mac.Write([]byte{0})
	mac.Write([]byte(account))
	return mac.Sum(nil)[:pseudonymLength]
}

// viewerPseudonym is that of one session of an account.
func (b *book) viewerPseudonym(account []byte, session string) []byte {
	mac := hmac.New(sha256.New, b.pseudonyms)
	mac.Write([]byte{1})
	mac.Write(account)
	mac.Write([]byte(session))
	return mac.Sum(nil)[:pseudonymLength]
}

// digest stands for the parts of a row that the ledger does not tell.
func (b *book) digest(parts ...any) string {
	mac := b.macs.Get().(hash.Hash)
	defer b.macs.Put(mac)
	mac.Reset()
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			field(mac, 's', []byte(p))
		case []byte:
			field(mac, 'b', p)
		case int64:
			field(mac, 'i', binary.BigEndian.AppendUint64(nil, uint64(p)))
		case sql.NullInt64:
			if p.Valid {
				field(mac, 'i', binary.BigEndian.AppendUint64(nil, uint64(p.Int64)))
			} else {
				field(mac, 'n', nil)
			}
		case sql.NullString:
			if p.Valid {
				field(mac, 's', []byte(p.String))
			} else {
				field(mac, 'n', nil)
			}
		default:
			panic(fmt.Sprintf("registry: internal error: digest of %T", p))
		}
	}
	return string(mac.Sum(nil)[:pseudonymLength])
}

func field(mac hash.Hash, kind byte, data []byte) {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(data)))
	mac.Write(head)
	mac.Write(data)
}

// offersOf runs an insert of offers that leaves out those known already, and gathers
// an entry for each that is new. Which those are the engine tells only for all or
// none: if some were known, the insert is taken back and done one by one.
func offersOf[T any](ctx context.Context, b *book, tx *sql.Tx, rows []T, offer func(*T) *shown, insert func() (sql.Result, error)) (stored int64, err error) {
	many := len(rows) > 1
	if many {
		if _, err := tx.ExecContext(ctx, `SAVEPOINT offers`); err != nil {
			return 0, err
		}
	}
	res, err := insert()
	if err != nil {
		return 0, err
	}
	if stored, err = res.RowsAffected(); err != nil {
		return 0, err
	}
	some := stored > 0 && stored < int64(len(rows))
	if some {
		if _, err := tx.ExecContext(ctx, `ROLLBACK TO offers`); err != nil {
			return 0, err
		}
		stored = 0
	}
	if many {
		if _, err := tx.ExecContext(ctx, `RELEASE offers`); err != nil {
			return 0, err
		}
	}
	all := stored == int64(len(rows))
	for i := range rows {
		if !some && !all {
			break
		}
		s := offer(&rows[i])
		if some {
			res, err := tx.ExecContext(ctx, offerInsert(1), s.values(nil)...)
			if err != nil {
				return 0, err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return 0, err
			}
			if n == 0 {
				continue
			}
			stored++
		}
		b.add(tx, b.offerEntry(s))
	}
	return stored, nil
}
