package registry

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"sync"
	"time"

	"birdring/beacon"
	"birdring/beacon/visit"
	"birdring/canary"
)

// foldEvery is the time within which the same token by the same requester is one
// row that counts: a picture linked from a popular page must not be 100,000 rows
// a second.
const foldEvery = time.Minute

// foldKey stands for what makes two hits repeats of each other: everything but
// the port and the spelling of a name, which resolvers draw at random. 128 bits
// with a secret seed: nobody makes two of them equal.
type foldKey [2]uint64

var foldSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// folded is the row that stands for a key.
type folded struct {
	id, newest string // of the first hit and of the last one counted
	repeats    int64  // in this batch
	lastAt     int64  // microseconds
}

// folding remembers the rows of the last minutes; a restart forgets them, which
// costs a row, not a hit.
type folding struct {
	mu           sync.Mutex // held while a batch is taken in
	rows, before map[foldKey]*folded
	slot         int64 // that rows is of
}

// mostFolded bounds the rows remembered of one minute.
const mostFolded = 1 << 20

// at makes room for hits of a time.
func (f *folding) at(slot int64) {
	if f.rows == nil || slot > f.slot || len(f.rows) >= mostFolded {
		f.rows, f.before, f.slot = map[foldKey]*folded{}, f.rows, max(f.slot, slot)
	}
}

// forget is called after a batch that was not stored.
func (f *folding) forget() { f.rows, f.before = nil, nil }

// intake stores hits inside one transaction.
type intake struct {
	asked   context.Context // by whom: between two hits it is looked whether it has ended
	ctx     context.Context // of statements, and never ends: for one that may, the driver of SQLite starts a goroutine each time
	tx      *sql.Tx
	w       *world
	book    *book
	ours    string // where our own links and pictures are
	visit   *visit.Rules
	guesses map[guessKey]visit.Guess // of hits that look alike
	insert  *sql.Stmt
	folding *folding  // nil: nothing is folded
	counted []*folded // rows with repeats in this batch
	key     []byte
	hits    int64
	tell    bool // hits are told on a stream
}

const hitInsert = `INSERT INTO hits (id, at, kind, token_kind, object, viewer, name, qtype, subnet, method, host, path, status, bytes, address, user_agent, referer, origin, sha256, self, proto, cookie, proved, via, class, reason, country, city, asn, network, confirmed)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

func (r *Registry) newIntake(ctx context.Context, tx *sql.Tx, w *world, f *folding) (*intake, error) {
	stmt, err := tx.PrepareContext(ctx, hitInsert)
	if err != nil {
		return nil, err
	}
	tell, err := tells(ctx, tx, TellHits)
	if err != nil {
		return nil, errors.Join(err, stmt.Close())
	}
	return &intake{asked: ctx, ctx: context.WithoutCancel(ctx), tx: tx, w: w, book: r.book, ours: r.publicURL, visit: r.visit, guesses: map[guessKey]visit.Guess{}, insert: stmt, folding: f, tell: tell}, nil
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
	if err := in.asked.Err(); err != nil {
		return err
	}
	if h.ID == "" {
		return fmt.Errorf("hit %w: it has no id", ErrInvalid)
	}
	if h.Kind == beacon.KindOffer {
		return in.offer(h)
	}
	var key foldKey
	if in.folding != nil {
		in.folding.at(slotOf(h))
		key = in.keyOf(h)
		if in.repeat(key, h) {
			return nil
		}
	}
	g := in.guess(h)
	confirmed := ""
	if g.Confirm {
		confirmed = visit.Waits
	}
	res, err := in.insert.ExecContext(in.ctx, h.ID, h.At.UnixMicro(), h.Kind, h.Token.Kind, h.Token.Object, h.Token.Viewer,
		h.Name, h.QType, h.Subnet, h.Method, h.Host, h.Path, h.Status, h.Bytes, h.Addr, h.UserAgent, h.Referer, h.Origin, h.SHA256, h.Self,
		h.Proto, h.Cookie, h.Proved, h.Via, g.Class, g.Reason, g.Place.Country, g.Place.City, g.Place.ASN, g.Place.Network, confirmed)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err // the same hit again
	}
	in.hits++
	if in.tell {
		if err := tell(in.ctx, in.tx, TellHits, h.ID, h.At); err != nil {
			return err
		}
	}
	if in.folding != nil {
		in.folding.rows[key] = &folded{id: h.ID, newest: h.ID}
	}
	if h.Self {
		return nil
	}
	if h.Kind == beacon.KindFetch && h.Token.Viewer >= canary.FirstViewer {
		if err := in.book.exposeByHit(in.ctx, in.tx, in.w, h); err != nil {
			return err
		}
	}
	return in.lead(h)
}

// guessKey is what a guess depends on.
type guessKey struct {
	kind, agent, referer, host, address string
	self                                bool
}

// guess says who a hit probably was. Most hits look like another of the same batch.
func (in *intake) guess(h beacon.Hit) visit.Guess {
	key := guessKey{kind: h.Kind, agent: h.UserAgent, referer: h.Referer, host: h.Host, self: h.Self}
	if in.visit.ByAddress() {
		key.address = hostOf(h.Addr)
	}
	g, ok := in.guesses[key]
	if !ok {
		g = in.visit.Classify(h)
		in.guesses[key] = g
	}
	return g
}

// repeat reports whether a hit is a repeat of one that has a row, and counts it there.
func (in *intake) repeat(key foldKey, h beacon.Hit) bool {
	row := in.folding.rows[key]
	if row == nil {
		row = in.folding.before[key]
	}
	if row == nil {
		return false
	}
	if h.ID == row.id || h.ID == row.newest {
		return true // written twice, as after a retry
	}
	if row.repeats++; row.repeats == 1 {
		in.counted = append(in.counted, row)
	}
	row.newest = h.ID
	row.lastAt = max(row.lastAt, h.At.UnixMicro())
	in.hits++
	return true
}

// close writes the counts of the batch.
func (in *intake) close() error {
	for _, row := range in.counted {
		if _, err := in.tx.ExecContext(in.ctx, `UPDATE hits SET repeats = repeats + ?, last_at = CASE WHEN last_at > ? THEN last_at ELSE ? END WHERE id = ?`, row.repeats, row.lastAt, row.lastAt, row.id); err != nil {
			return errors.Join(err, in.insert.Close())
		}
		row.repeats = 0
	}
	return errors.Join(count(in.ctx, in.tx, "hits", in.hits), in.insert.Close())
}

func slotOf(h beacon.Hit) int64 { return h.At.UnixMicro() / foldEvery.Microseconds() }

func (in *intake) keyOf(h beacon.Hit) (key foldKey) {
	b := in.key[:0]
	for _, n := range [...]uint64{
		uint64(slotOf(h)), uint64(h.Token.Kind), uint64(h.Token.Object), uint64(h.Token.Viewer), uint64(h.Status), uint64(h.Bytes),
	} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	for _, s := range [...]string{h.Kind, h.Proto, h.QType, hostOf(h.Addr), hostOf(h.Via), h.Subnet, h.UserAgent, h.Referer, h.Origin, h.Method, h.Path, h.Host, h.SHA256} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	if h.Self {
		b = append(b, 1)
	}
	in.key = b
	for i, seed := range foldSeeds {
		key[i] = maphash.Bytes(seed, b)
	}
	return key
}

// hostOf is an address without its port.
func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
