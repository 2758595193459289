package registry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"birdring/canary"
	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
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

	surfaces surfaceNums
}

// gathered are the entries of one transaction.
type gathered struct {
	entries []byte // as in a bundle
	latest  int64
	exposed []exposed // new exposures, which are counted at the end
}

// exposed is a new exposure.
type exposed struct {
	end  int // of its entry
	hour int64
}

// hour is one in microseconds.
const hour = int64(time.Hour / time.Microsecond)

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
	e.Recorded = max(now().UnixMicro(), b.floor.Load())
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.of[tx]
	if g == nil {
		g = &gathered{}
		b.of[tx] = g
	}
	if !b.off {
		g.entries = e.Append(g.entries)
		g.latest = e.Recorded
	}
	if e.Class == ledger.Exposure && !e.Backfilled {
		g.exposed = append(g.exposed, exposed{len(g.entries), e.Nums[2] / hour})
	}
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
		for n := len(g.exposed); n > 0 && g.exposed[n-1].end > mark; n-- {
			g.exposed = g.exposed[:n-1]
		}
	}
}

// Flush gives the entries their places and queues them, and counts new exposures.
func (b *book) Flush(ctx context.Context, tx *sql.Tx) error {
	b.mu.Lock()
	g := b.of[tx]
	b.mu.Unlock()
	if g == nil {
		return nil
	}
	if err := countExposed(ctx, tx, g.exposed); err != nil {
		return fmt.Errorf("count exposures: %w", err)
	}
	g.exposed = g.exposed[:0]
	if len(g.entries) == 0 {
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

// countExposed adds new exposures to the running numbers.
func countExposed(ctx context.Context, tx *sql.Tx, all []exposed) error {
	if err := count(ctx, tx, "exposures", int64(len(all))); err != nil {
		return err
	}
	hours := map[int64]int64{}
	for _, e := range all {
		hours[e.hour]++
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(hours)), sqlstore.Chunk(2)) {
		var args []any
		for _, h := range some {
			args = append(args, h, hours[h])
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO exposure_hours (hour, n) VALUES `+sqlstore.Values(len(some), 2)+` ON CONFLICT (hour) DO UPDATE SET n = exposure_hours.n + excluded.n`, args...); err != nil {
			return err
		}
	}
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

// offers is an insert of offers that leaves out those known already.
type offers struct {
	query    string
	prepared *sql.Stmt // of query; nil: it is not
	args     []any
}

// exec runs the insert and says how many were new.
func (o offers) exec(ctx context.Context, tx *sql.Tx) (int64, error) {
	var res sql.Result
	var err error
	if o.prepared != nil {
		res, err = o.prepared.ExecContext(ctx, o.args...)
	} else {
		res, err = tx.ExecContext(ctx, o.query, o.args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// offerKey is what makes an offer the same offer.
type offerKey struct{ decoy, viewer, at, place int64 }

func (s *shown) offerKey() offerKey {
	return offerKey{int64(s.d.Num), int64(s.viewer), s.at.UnixMicro(), s.place}
}

// fresh runs the insert and returns which were new.
func (o offers) fresh(ctx context.Context, tx *sql.Tx) (map[offerKey]bool, error) {
	rows, err := tx.QueryContext(ctx, o.query+` RETURNING decoy, viewer, at, surface`, o.args...)
	out := map[offerKey]bool{}
	_, err = collect(rows, err, func(rows *sql.Rows) (k offerKey, err error) {
		err = rows.Scan(&k.decoy, &k.viewer, &k.at, &k.place)
		out[k] = true
		return k, err
	})
	return out, err
}

// offersOf inserts offers and gathers an entry for each that is new. Asking which
// those are takes longer than the insert, so it is asked how many: unless all or
// none, the insert is taken back and done again so that it tells.
func offersOf(ctx context.Context, b *book, tx *sql.Tx, rows []*shown, insert offers) (stored int64, err error) {
	many := len(rows) > 1
	if many {
		if _, err := tx.ExecContext(ctx, `SAVEPOINT offers`); err != nil {
			return 0, err
		}
	}
	if stored, err = insert.exec(ctx, tx); err != nil {
		return 0, err
	}
	var fresh map[offerKey]bool
	if stored > 0 && stored < int64(len(rows)) {
		if _, err := tx.ExecContext(ctx, `ROLLBACK TO offers`); err != nil {
			return 0, err
		}
		if fresh, err = insert.fresh(ctx, tx); err != nil {
			return 0, err
		}
	}
	if many {
		if _, err := tx.ExecContext(ctx, `RELEASE offers`); err != nil {
			return 0, err
		}
	}
	if stored == 0 {
		return 0, nil
	}
	for _, s := range rows {
		if fresh != nil {
			if !fresh[s.offerKey()] {
				continue
			}
			delete(fresh, s.offerKey()) // the same twice is one
		}
		b.add(tx, b.offerEntry(s))
	}
	return stored, nil
}
