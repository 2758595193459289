package registry

import (
	"cmp"
	"container/list"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// candidate is a viewer that a find may descend from.
type candidate struct {
	viewer  canary.Viewer
	account int64 // row
	first   int64 // first exposure to the decoy, microseconds; math.MaxInt64: none
}

// roster is who may have been shown a decoy, by viewer number. It is not changed
// after it was made.
type roster struct {
	viewers []candidate
	order   []int32  // of viewers, by account
	firsts  []int64  // first exposures, in order of time
	prints  []uint64 // of those who were shown it by then: one more than firsts
	swept   bool     // nobody is known to have been shown it: screened harder
}

func newRoster(viewers []candidate) *roster {
	r := &roster{viewers: viewers, order: make([]int32, len(viewers)), firsts: make([]int64, len(viewers)), prints: make([]uint64, len(viewers)+1)}
	for i := range viewers {
		r.order[i] = int32(i)
	}
	slices.SortFunc(r.order, func(a, b int32) int { return cmp.Compare(viewers[a].first, viewers[b].first) })
	for i, v := range r.order {
		c := viewers[v]
		r.firsts[i] = c.first
		var b [24]byte
		binary.LittleEndian.PutUint64(b[:], uint64(c.viewer))
		binary.LittleEndian.PutUint64(b[8:], uint64(c.account))
		binary.LittleEndian.PutUint64(b[16:], uint64(c.first))
		r.prints[i+1] = r.prints[i] + hashOf24(b)
	}
	slices.SortFunc(r.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(viewers[a].account, viewers[b].account), cmp.Compare(a, b))
	})
	return r
}

// hashOf24 tells candidates apart; nothing depends on it but what is looked up in a cache.
func hashOf24(b [24]byte) uint64 {
	sum := sha256.Sum256(b[:])
	return binary.LittleEndian.Uint64(sum[:])
}

// audience is a roster as of a time: the viewers first shown the decoy by then.
type audience struct {
	*roster
	at int64
}

// count is the number of viewers.
func (a audience) count() int {
	return sort.Search(len(a.firsts), func(i int) bool { return a.firsts[i] > a.at })
}

// print tells audiences apart.
func (a audience) print() uint64 { return a.prints[a.count()] }

// sessions are the viewers that an account is, by number.
func (a audience) sessions(account int64) (out []canary.Viewer) {
	from, _ := slices.BinarySearchFunc(a.order, account, func(i int32, x int64) int { return cmp.Compare(a.viewers[i].account, x) })
	for _, i := range a.order[from:] {
		c := a.viewers[i]
		if c.account != account {
			break
		}
		if c.first <= a.at {
			out = append(out, c.viewer)
		}
	}
	return out
}

// holds says whether an account is among the viewers.
func (a audience) holds(account int64) bool { return len(a.sessions(account)) > 0 }

// accounts visits every account once.
func (a audience) accounts(visit func(account int64)) {
	last := int64(math.MinInt64)
	for _, i := range a.order {
		if c := a.viewers[i]; c.account != last && c.first <= a.at {
			last = c.account
			visit(last)
		}
	}
}

// accountOf is the account of a viewer, 0 if it is not among them.
func (a audience) accountOf(v canary.Viewer) int64 {
	i, ok := slices.BinarySearchFunc(a.viewers, v, func(c candidate, v canary.Viewer) int { return cmp.Compare(c.viewer, v) })
	if !ok || a.viewers[i].first > a.at {
		return 0
	}
	return a.viewers[i].account
}

// softRead is what was read out of a find, as a copy of one picture.
type softRead struct {
	picture *picture
	y       []int16
}

// scoreCache keeps what viewers scored on finds, so that a site's evidence is
// added up again without scoring again. Dropping it loses time only.
type scoreCache struct {
	mu    sync.Mutex
	of    map[scoreKey]*list.Element
	order *list.List // of *scores, asked for last in front
	count int
}

// scoreKey names a find and who was scored on it.
type scoreKey struct {
	picture uint32
	values  [sha256.Size]byte
	who     uint64 // audience.print
}

// scores are those of viewers that were not dropped.
type scores struct {
	key  scoreKey
	logs map[canary.Viewer]ring.Score
}

// mostScores bounds the cache: 2^18 scores are about 60 MB.
const mostScores = 1 << 18

func (c *scoreCache) get(k scoreKey) (map[canary.Viewer]ring.Score, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.of[k]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*scores).logs, true
}

func (c *scoreCache) put(k scoreKey, logs map[canary.Viewer]ring.Score) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of, c.order = map[scoreKey]*list.Element{}, list.New()
	}
	if _, ok := c.of[k]; ok {
		return
	}
	c.of[k] = c.order.PushFront(&scores{k, logs})
	c.count += 1 + len(logs)
	for c.count > mostScores && c.order.Len() > 1 {
		old := c.order.Remove(c.order.Back()).(*scores)
		delete(c.of, old.key)
		c.count -= 1 + len(old.logs)
	}
}

// drop forgets everything.
func (c *scoreCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of, c.order, c.count = nil, nil, 0
}

// prepareReading prepares soft values for scoring.
func (r *Registry) prepareReading(s softRead) (*ring.Reading, error) {
	p, err := r.prepared(s.picture.num)
	if err != nil {
		return nil, err
	}
	reading, err := ring.NewReading(p.renderer.Book(), s.y)
	if err != nil {
		return nil, fmt.Errorf("picture %s: %w", s.picture.id, err)
	}
	return reading, nil
}

// gate is how viewers are screened on a find.
func (a audience) gate(reading *ring.Reading) ring.Gate {
	if a.swept {
		return reading.Sweep(a.count())
	}
	return reading.Gate(a.count())
}

// score returns what viewers score on one find of one picture; those that were
// dropped are not in it. The caller must not change it.
func (r *Registry) score(ctx context.Context, s softRead, who audience) (map[canary.Viewer]ring.Score, error) {
	k := scoreKey{s.picture.num, sha256.Sum256(packSoft(s.y)), who.print()}
	if logs, ok := r.eye.scores.get(k); ok {
		return logs, nil
	}
	reading, err := r.prepareReading(s)
	if err != nil {
		return nil, err
	}
	logs := map[canary.Viewer]ring.Score{}
	gate := who.gate(reading)
	const step = 1 << 12
	numbers := make([]uint64, 0, step)
	for from := 0; from < len(who.viewers); from += step {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		numbers = numbers[:0]
		for _, c := range who.viewers[from:min(from+step, len(who.viewers))] {
			if c.first <= who.at {
				numbers = append(numbers, uint64(c.viewer))
			}
		}
		reading.ScoreMany(gate, numbers, func(v uint64, l *ring.Score) { logs[canary.Viewer(v)] = *l })
	}
	r.eye.scores.put(k, logs)
	return logs, nil
}

// exposedCache keeps who was shown what while no exposure is added.
type exposedCache struct {
	mu       sync.Mutex
	revision int64 // of the counter "exposures"
	of       map[uint32]*roster
	count    int
}

// mostExposed bounds the cache, in viewers.
const mostExposed = 1 << 22

// exposed returns the viewers that were shown a decoy.
func (r *Registry) exposed(ctx context.Context, q queryer, decoy uint32) (*roster, error) {
	var revision int64
	if err := q.QueryRowContext(ctx, `SELECT n FROM counters WHERE name = 'exposures'`).Scan(&revision); err != nil {
		return nil, fmt.Errorf("read exposures: %w", sqlstore.Explain(err))
	}
	c := &r.eye.shown
	c.mu.Lock()
	if c.of == nil || c.revision < revision || c.count > mostExposed {
		c.of, c.revision, c.count = map[uint32]*roster{}, revision, 0
	}
	known, ok := c.of[decoy]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	fresh, err := candidates(ctx, q, decoy)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revision == revision {
		c.of[decoy] = fresh
		c.count += len(fresh.viewers)
	}
	return fresh, nil
}

// candidates reads the viewers that were shown a decoy.
func candidates(ctx context.Context, q queryer, decoy uint32) (*roster, error) {
	rows, err := q.QueryContext(ctx, `SELECT e.viewer, min(v.account), min(e.at) FROM exposures e JOIN viewers v ON v.number = e.viewer
		WHERE e.decoy = ? GROUP BY e.viewer ORDER BY e.viewer`, decoy)
	out, err := collect(rows, err, func(rows *sql.Rows) (c candidate, err error) {
		return c, rows.Scan(&c.viewer, &c.account, &c.first)
	})
	if err != nil {
		return nil, fmt.Errorf("read exposures: %w", err)
	}
	return newRoster(out), nil
}

// others returns the viewers of accounts that are not in an audience.
func others(ctx context.Context, q queryer, shown audience) (*roster, error) {
	rows, err := q.QueryContext(ctx, `SELECT v.number, v.account FROM viewers v ORDER BY v.number`)
	all, err := collect(rows, err, func(rows *sql.Rows) (candidate, error) {
		c := candidate{first: math.MaxInt64}
		return c, rows.Scan(&c.viewer, &c.account)
	})
	if err != nil {
		return nil, fmt.Errorf("read viewers: %w", err)
	}
	out := newRoster(slices.DeleteFunc(all, func(c candidate) bool { return shown.holds(c.account) }))
	out.swept = true
	return out, nil
}
