package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"birdring/beacon"
	"birdring/canary"
)

// foldEvery is the time within which the same token by the same requester is one
// row that counts: a picture linked from a popular page must not be 100,000 rows
// a second.
const foldEvery = time.Minute

// foldKey is what makes two hits repeats of each other. The spelling of a name
// and the port do not: resolvers draw both at random.
type foldKey struct {
	slot                    int64 // time in units of foldEvery
	kind, proto, qtype      string
	token                   canary.Token
	address, subnet         string
	agent, referer, origin  string
	method, path, host, sum string
	status                  int
	self                    bool
}

// folded is the row that stands for a key.
type folded struct {
	id, newest string // of the first hit and of the last one counted
	repeats    int64
	lastAt     int64 // microseconds
}

// folding remembers the rows of the last minutes; a restart forgets them, which
// costs a row, not a hit.
type folding struct {
	mu   sync.Mutex // held while a batch is taken in
	rows map[foldKey]*folded
	slot int64 // the newest one
}

// keep remembers the rows of a batch that was stored.
func (f *folding) keep(batch map[foldKey]*folded) {
	if f.rows == nil {
		f.rows = map[foldKey]*folded{}
	}
	for k, row := range batch {
		f.slot = max(f.slot, k.slot)
		f.rows[k] = &folded{id: row.id, newest: row.newest}
	}
	for k := range f.rows {
		if k.slot < f.slot-1 || len(f.rows) > 1<<20 {
			delete(f.rows, k)
		}
	}
}

// intake stores hits inside one transaction.
type intake struct {
	ctx     context.Context
	tx      *sql.Tx
	w       *world
	ours    string // where our own links and pictures are
	insert  *sql.Stmt
	folding *folding // nil: nothing is folded
	folded  map[foldKey]*folded
	hits    int64
}

const hitInsert = `INSERT INTO hits (id, at, kind, token_kind, object, viewer, name, qtype, subnet, method, host, path, status, bytes, address, user_agent, referer, origin, sha256, self, proto, cookie, proved, via)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

func (r *Registry) newIntake(ctx context.Context, tx *sql.Tx, w *world, f *folding) (*intake, error) {
	stmt, err := tx.PrepareContext(ctx, hitInsert)
	return &intake{ctx: ctx, tx: tx, w: w, ours: r.publicURL, insert: stmt, folding: f, folded: map[foldKey]*folded{}}, err
}

// record stores one record of the journal. One that cannot be read is kept as the
// case of an alarm: it must not stop those behind it.
func (in *intake) record(rec []byte) error {
	var h beacon.Hit
	if err := h.UnmarshalBinary(rec); err != nil {
		return raiseAlarm(in.ctx, in.tx, "journal", fmt.Sprintf("a record of the journal cannot be read: %v", err), hex.EncodeToString(rec))
	}
	return in.hit(h)
}

// hit stores a hit, or counts it as a repeat, and what follows from it.
func (in *intake) hit(h beacon.Hit) error {
	if h.ID == "" {
		return fmt.Errorf("hit %w: it has no id", ErrInvalid)
	}
	key := keyOf(h)
	if in.repeat(key, h) {
		return nil
	}
	res, err := in.insert.ExecContext(in.ctx, h.ID, h.At.UnixMicro(), h.Kind, h.Token.Kind, h.Token.Object, h.Token.Viewer,
		h.Name, h.QType, h.Subnet, h.Method, h.Host, h.Path, h.Status, h.Bytes, h.Addr, h.UserAgent, h.Referer, h.Origin, h.SHA256, h.Self,
		h.Proto, h.Cookie, h.Proved, h.Via)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err // the same hit again
	}
	in.hits++
	in.folded[key] = &folded{id: h.ID, newest: h.ID}
	if h.Self {
		return nil
	}
	if h.Kind == beacon.KindFetch && h.Token.Viewer >= canary.FirstViewer {
		if err := exposeByHit(in.ctx, in.tx, in.w, h); err != nil {
			return err
		}
	}
	return in.lead(h)
}

// repeat reports whether a hit is a repeat of one that has a row, and counts it there.
func (in *intake) repeat(key foldKey, h beacon.Hit) bool {
	if in.folding == nil {
		return false
	}
	row := in.folded[key]
	if row == nil {
		known := in.folding.rows[key]
		if known == nil {
			return false
		}
		row = &folded{id: known.id, newest: known.newest}
		in.folded[key] = row
	}
	if h.ID == row.id || h.ID == row.newest {
		return true // written twice, as after a retry
	}
	row.repeats++
	row.newest = h.ID
	row.lastAt = max(row.lastAt, h.At.UnixMicro())
	in.hits++
	return true
}

// close writes the counts of the batch.
func (in *intake) close() error {
	for _, row := range in.folded {
		if row.repeats == 0 {
			continue
		}
		if _, err := in.tx.ExecContext(in.ctx, `UPDATE hits SET repeats = repeats + ?, last_at = max(coalesce(last_at, 0), ?) WHERE id = ?`, row.repeats, row.lastAt, row.id); err != nil {
			return errors.Join(err, in.insert.Close())
		}
	}
	return errors.Join(count(in.ctx, in.tx, "hits", in.hits), in.insert.Close())
}

func keyOf(h beacon.Hit) foldKey {
	return foldKey{
		slot: h.At.UnixMicro() / foldEvery.Microseconds(), kind: h.Kind, proto: h.Proto, qtype: h.QType, token: h.Token,
		address: hostOf(h.Addr), subnet: h.Subnet, agent: h.UserAgent, referer: h.Referer, origin: h.Origin,
		method: h.Method, path: h.Path, host: h.Host, sum: h.SHA256, status: h.Status, self: h.Self,
	}
}

// hostOf is an address without its port.
func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
