package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// LedgerReport says whether ledger and registry tell the same.
type LedgerReport struct {
	Size     int64            `json:"size"`    // entries under the signed head
	Waiting  int64            `json:"waiting"` // entries with a place, not signed yet
	Root     string           `json:"root"`
	Signed   *time.Time       `json:"signed"`  // the newest head
	Heads    int              `json:"heads"`   // signed heads that the entries hash to
	Stamps   int              `json:"stamps"`  // of those, how many an authority has stamped
	Stamped  *time.Time       `json:"stamped"` // by its clock, the newest
	Entries  map[string]int64 `json:"entries"`
	Removed  int64            `json:"removed"` // rows that went by retention or wish
	Problems int              `json:"problems"`
	First    *LedgerProblem   `json:"first"`
}

// LedgerProblem is a row that does not stand as it was recorded.
type LedgerProblem struct {
	Kind     string     `json:"kind"`     // changed, removed, back-dated, added, uncommitted; ledger: the ledger itself
	Class    string     `json:"class"`    // of the row
	Row      any        `json:"row"`      // what the registry holds, null if nothing
	Was      any        `json:"was"`      // what was recorded, null if nothing
	Position *int64     `json:"position"` // in the ledger
	Recorded *time.Time `json:"recorded"`
	Text     string     `json:"text"`
}

// clockSlack is how far the clocks of processes may be apart.
const clockSlack = 10 * time.Minute

// VerifyLedger recomputes the ledger from its entries, compares tiles and every
// signed head with it, and every row of the registry with its entry. The report
// names the first row that was changed, removed or back-dated, in the order in
// which rows were recorded, or the first picture that was shown before the
// commitment to its keys stood there. It reads one state of the registry; only a
// failure to read is an error.
func (r *Registry) VerifyLedger(ctx context.Context) (*LedgerReport, error) {
	return r.VerifyLedgerBy(ctx, nil)
}

// VerifyLedgerBy is VerifyLedger with the roots that must vouch for who stamped
// heads; nil: anybody may have.
func (r *Registry) VerifyLedgerBy(ctx context.Context, roots *x509.CertPool) (*LedgerReport, error) {
	lock, err := r.lockLedger() // nobody moves entries from the queue to tiles meanwhile
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	var rep *LedgerReport
	err = r.db.Snapshot(ctx, func(tx *sql.Tx) error {
		v := &verifier{b: r.book, ctx: ctx, tx: tx, roots: roots, live: map[bucket]*sum{}, told: map[bucket]*sum{}, last: map[int64]placed{}, rep: &LedgerReport{Entries: map[string]int64{}}}
		rand.Read(v.seed[:])
		rep = v.rep
		return v.run(ledger.Folder(r.book.path))
	})
	if err != nil {
		return nil, fmt.Errorf("verify ledger: %w", err)
	}
	return rep, nil
}

// bucket is a part of a class, small enough to be compared row by row.
type bucket struct {
	class ledger.Class
	part  int64
}

func bucketOf(e *ledger.Entry) bucket {
	switch e.Class {
	case ledger.Exposure:
		return bucket{e.Class, e.Nums[0]<<8 | e.Nums[1]&0xff} // decoy, and a part of its viewers
	case ledger.Commitment, ledger.Forgotten, ledger.Leak:
		return bucket{class: e.Class}
	}
	return bucket{e.Class, e.Nums[0] >> 12}
}

// sum is the sum of the hashes of rows, modulo 2^256, under a seed drawn for this
// run: nobody can prepare rows that add up to the same.
type sum [4]uint64

func (s *sum) add(h [sha256.Size]byte) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
}

// placed is an entry with its place.
type placed struct {
	position int64
	body     []byte
}

// verifier is one run.
type verifier struct {
	b    *book
	ctx  context.Context
	tx   *sql.Tx
	rep  *LedgerReport
	seed [32]byte

	live, told map[bucket]*sum  // of the registry and of the ledger
	last       map[int64]placed // attributions: the last entry of each
	gone       *places          // of removed rows
	listed     map[string]bool  // hashes of lists of removed rows that the ledger knows
	forgotten  map[int64]bool   // viewers of forgotten accounts
	heads      []signedHead
	recorded   int64 // the time of the last entry
	first      firstUse
	roots      *x509.CertPool
}

type signedHead struct {
	size, at   int64
	checkpoint string
	stamp      []byte // nil: none
}

func (v *verifier) run(folder ledger.Folder) error {
	state, err := ledgerState(v.ctx, v.tx)
	if err != nil {
		return err
	}
	if !state.began {
		return errors.New("this registry has no ledger yet: run a command that writes, such as birdring serve, once")
	}
	if err := v.prepare(); err != nil {
		return err
	}
	sound, err := v.readLedger(folder, state)
	if err != nil || !sound {
		return err
	}
	if err := v.readRows(func(e *ledger.Entry) error { return v.count(v.live, e) }); err != nil {
		return err
	}
	return v.compare(folder)
}

// prepare reads what has to be known before the entries are.
func (v *verifier) prepare() error {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT sha256, positions FROM ledger_removed`)
	v.gone, v.listed = &places{}, map[string]bool{}
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var hash, list []byte
		if err = rows.Scan(&hash, &list); err != nil {
			return
		}
		if sum := sha256.Sum256(list); !bytes.Equal(sum[:], hash) {
			v.problem(LedgerProblem{Kind: "ledger", Class: ledger.Removal.String(), Text: "a list of removed rows was changed"})
			return
		}
		v.listed[string(hash)] = false
		return struct{}{}, v.gone.add(list)
	})
	if err != nil {
		return err
	}
	v.gone.sort()
	if err := v.readFirstUse(); err != nil {
		return err
	}
	v.forgotten = map[int64]bool{}
	rows, err = v.tx.QueryContext(v.ctx, `SELECT v.number FROM viewers v JOIN accounts a ON a.id = v.account WHERE a.forgotten_at IS NOT NULL`)
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var n int64
		err = rows.Scan(&n)
		v.forgotten[n] = true
		return
	})
	if err != nil {
		return err
	}
	rows, err = v.tx.QueryContext(v.ctx, `SELECT size, at, checkpoint, stamp FROM ledger_heads ORDER BY size`)
	v.heads, err = collect(rows, err, func(rows *sql.Rows) (h signedHead, err error) {
		return h, rows.Scan(&h.size, &h.at, &h.checkpoint, &h.stamp)
	})
	return err
}

// problem notes what does not stand. The first by place in the ledger is told;
// what has no place comes after all that have.
func (v *verifier) problem(p LedgerProblem) {
	v.rep.Problems++
	first := v.rep.First
	switch {
	case first == nil, p.Kind == "ledger" && first.Kind != "ledger":
	case first.Kind == "ledger" && p.Kind != "ledger":
		return
	case p.Position != nil && (first.Position == nil || *p.Position < *first.Position):
	default:
		return
	}
	v.rep.First = &p
}

// readLedger recomputes the tree. It returns false if the tree does not stand:
// rows cannot be compared with it then.
func (v *verifier) readLedger(folder ledger.Folder, state ledgerRow) (sound bool, err error) {
	broken := func(format string, args ...any) (bool, error) {
		v.problem(LedgerProblem{Kind: "ledger", Text: fmt.Sprintf(format, args...)})
		return false, nil
	}
	data, err := folder.Checkpoint()
	if err != nil {
		return false, err
	}
	var head ledger.Head
	if data != nil {
		if head, err = v.b.signer.Open(data); err != nil {
			return broken("the checkpoint was changed: %v", err)
		}
	}
	v.rep.Size, v.rep.Waiting = head.Size, state.size-head.Size
	if data != nil {
		v.rep.Root, v.rep.Signed = head.Root.String(), &head.At
	}
	switch {
	case head.Size > state.size:
		return broken("the ledger holds %d entries, the registry knows of %d: the registry was set back to an older state", head.Size, state.size)
	case head.Size < state.published:
		return broken("the ledger holds %d entries although %d were published: the folder was set back to an older state", head.Size, state.published)
	}
	tree, err := folder.Check(head.Size, func(tree *ledger.Tree, entry []byte) error {
		if err := v.passHead(tree); err != nil {
			return err
		}
		return v.entry(tree.Size(), entry)
	})
	if err != nil {
		return broken("%v", err)
	}
	if data != nil && tree.Root() != head.Root {
		return broken("the entries do not hash to the signed head of %d entries: tiles were rewritten", head.Size)
	}
	if err := v.passHead(tree); err != nil {
		return broken("%v", err)
	}
	if err := v.readQueue(head.Size, state.size); err != nil {
		return broken("%v", err)
	}
	for hash, known := range v.listed {
		if !known {
			return broken("a list of removed rows (%x) is not in the ledger: the rows were not removed by retention or wish", hash[:8])
		}
	}
	return true, nil
}

// passHead checks the signed heads of the tree's size, and that nothing behind
// one is older than it.
func (v *verifier) passHead(tree *ledger.Tree) error {
	for len(v.heads) > 0 && v.heads[0].size == tree.Size() {
		h, err := v.b.signer.Open([]byte(v.heads[0].checkpoint))
		if err != nil || h.Size != tree.Size() {
			return fmt.Errorf("the head kept of %d entries was changed", tree.Size())
		}
		if h.Root != tree.Root() {
			return fmt.Errorf("the first %d entries do not hash to the head signed at %s: history was rewritten", h.Size, h.At.Format(time.RFC3339))
		}
		v.checkStamp(&v.heads[0], h)
		v.first.signed(h.Size)
		v.recorded = max(v.recorded, h.At.UnixMicro())
		v.rep.Heads++
		v.heads = v.heads[1:]
	}
	return nil
}

// readQueue reads the entries that have places but are in no tile yet.
func (v *verifier) readQueue(from, size int64) error {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT first_place, entries FROM ledger_queue WHERE first_place >= ? ORDER BY first_place`, from)
	if err != nil {
		return sqlstore.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var first int64
		var entries []byte
		if err := rows.Scan(&first, &entries); err != nil {
			return err
		}
		if first != from {
			return fmt.Errorf("entry %d is missing in the queue: it was removed", from)
		}
		err := ledger.Cut(entries, func(e []byte) error { from++; return v.entry(from-1, e) })
		if err != nil {
			return err
		}
	}
	if from != size {
		return fmt.Errorf("the queue ends at entry %d, %d have places: entries were removed from it", from, size)
	}
	return sqlstore.Explain(rows.Err())
}

// entry takes one entry in.
func (v *verifier) entry(position int64, data []byte) error {
	e, err := ledger.Parse(data)
	if err != nil {
		return fmt.Errorf("entry %d: %w", position, err)
	}
	v.rep.Entries[e.Class.String()]++
	v.checkTime(position, e)
	switch e.Class {
	case ledger.Commitment:
		v.first.committed(e.Nums[0], position)
	case ledger.Exposure:
		v.shown(position, e)
	}
	switch {
	case e.Class == ledger.Removal:
		if _, ok := v.listed[e.Strings[0]]; !ok {
			return fmt.Errorf("entry %d: the list of rows that it removed is gone", position)
		}
		v.listed[e.Strings[0]] = true
		v.rep.Removed += e.Nums[1]
	case v.gone.has(position):
	case e.Class == ledger.Attribution:
		v.last[e.Nums[0]] = placed{position, bytes.Clone(data)}
	default:
		return v.count(v.told, e)
	}
	return nil
}

// checkTime finds entries that were slipped in with a time before that of what
// stands before them, and rows whose own time of storing is not that of their entry.
func (v *verifier) checkTime(position int64, e *ledger.Entry) {
	at := e.Recorded
	if e.Recorded < v.recorded-clockSlack.Microseconds() {
		v.tell("back-dated", nil, e, &position, fmt.Sprintf("it says it was recorded at %s, behind entries of %s", stamp(e.Recorded), stamp(v.recorded)))
	}
	v.recorded = max(v.recorded, e.Recorded)
	if e.Backfilled {
		return
	}
	switch e.Class {
	case ledger.Sighting:
		at = e.Nums[2]
	case ledger.Viewer, ledger.Audit:
		at = e.Nums[1]
	case ledger.Leak:
		at = e.Nums[2]
	case ledger.Attribution:
		at = e.Nums[3]
	}
	if at < e.Recorded-clockSlack.Microseconds() {
		v.tell("back-dated", nil, e, &position, fmt.Sprintf("it says it was stored at %s, it was recorded at %s", stamp(at), stamp(e.Recorded)))
	}
}

func stamp(micros int64) string { return timeOf(micros).Format(time.RFC3339) }

// body is what entry and row have in common.
func (v *verifier) body(e *ledger.Entry) []byte {
	q := *e
	q.Recorded, q.Backfilled = 0, false
	if q.Class == ledger.Exposure && v.forgotten[q.Nums[1]] {
		q.Strings = []string{q.Strings[0], ""} // its address is gone
	}
	return q.Append(nil)
}

func (v *verifier) count(sums map[bucket]*sum, e *ledger.Entry) error {
	key := bucketOf(e)
	s := sums[key]
	if s == nil {
		s = &sum{}
		sums[key] = s
	}
	s.add(sha256.Sum256(append(v.seed[:], v.body(e)...)))
	return nil
}
