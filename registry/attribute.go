package registry

import (
	"container/list"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"math"
	"slices"
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

// softRead is what was read out of a find, as a copy of one picture.
type softRead struct {
	picture *picture
	y       []int16
}

// key names the values for the cache of scores.
func (s softRead) key() scoreKey {
	return scoreKey{picture: s.picture.num, values: sha256.Sum256(packSoft(s.y))}
}

// scoreCache keeps what viewers scored on finds, so that a site's evidence is
// added up again without scoring again. Dropping it loses time only.
type scoreCache struct {
	mu    sync.Mutex
	of    map[scoreKey]*list.Element
	order *list.List // of *scores, asked for last in front
	count int
}

type scoreKey struct {
	picture uint32
	values  [sha256.Size]byte
}

type scores struct {
	key  scoreKey
	logs map[canary.Viewer]ring.TrackLogs
}

// mostScores bounds the cache: 2^18 scores are about 50 MB.
const mostScores = 1 << 18

// get returns the known scores of the viewers asked for and which are missing.
func (c *scoreCache) get(k scoreKey, viewers []candidate) (known map[canary.Viewer]ring.TrackLogs, missing []canary.Viewer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known = make(map[canary.Viewer]ring.TrackLogs, len(viewers))
	e, ok := c.of[k]
	if ok {
		c.order.MoveToFront(e)
	}
	for _, v := range viewers {
		if ok {
			if logs, ok := e.Value.(*scores).logs[v.viewer]; ok {
				known[v.viewer] = logs
				continue
			}
		}
		missing = append(missing, v.viewer)
	}
	return known, missing
}

func (c *scoreCache) put(k scoreKey, fresh map[canary.Viewer]ring.TrackLogs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of, c.order = map[scoreKey]*list.Element{}, list.New()
	}
	e, ok := c.of[k]
	if !ok {
		e = c.order.PushFront(&scores{k, map[canary.Viewer]ring.TrackLogs{}})
		c.of[k] = e
	}
	s := e.Value.(*scores)
	c.count -= len(s.logs)
	for v, logs := range fresh {
		s.logs[v] = logs
	}
	c.count += len(s.logs)
	for c.count > mostScores && c.order.Len() > 1 {
		old := c.order.Remove(c.order.Back()).(*scores)
		delete(c.of, old.key)
		c.count -= len(old.logs)
	}
}

// reading prepares soft values for scoring.
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

// score returns what every candidate scores on one find of one picture.
func (r *Registry) score(ctx context.Context, s softRead, viewers []candidate) (map[canary.Viewer]ring.TrackLogs, error) {
	k := s.key()
	logs, missing := r.eye.scores.get(k, viewers)
	if len(missing) == 0 {
		return logs, nil
	}
	reading, err := r.prepareReading(s)
	if err != nil {
		return nil, err
	}
	fresh := make(map[canary.Viewer]ring.TrackLogs, len(missing))
	for i, v := range missing {
		if i&1023 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		logs[v] = reading.Score(uint64(v))
		fresh[v] = logs[v]
	}
	r.eye.scores.put(k, fresh)
	return logs, nil
}

// exposedCache keeps who was shown what while no exposure is added.
type exposedCache struct {
	mu       sync.Mutex
	revision int64 // of the counter "exposures"
	of       map[uint32][]candidate
	count    int
}

// mostExposed bounds the cache, in viewers.
const mostExposed = 1 << 20

// exposed returns the viewers that were shown a decoy, by number. The caller must not change them.
func (r *Registry) exposed(ctx context.Context, q queryer, decoy uint32) ([]candidate, error) {
	var revision int64
	if err := q.QueryRowContext(ctx, `SELECT n FROM counters WHERE name = 'exposures'`).Scan(&revision); err != nil {
		return nil, fmt.Errorf("read exposures: %w", sqlstore.Explain(err))
	}
	c := &r.eye.shown
	c.mu.Lock()
	if c.of == nil || c.revision < revision || c.count > mostExposed {
		c.of, c.revision, c.count = map[uint32][]candidate{}, revision, 0
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
		c.count += len(fresh)
	}
	return fresh, nil
}

// candidates reads the viewers that were shown a decoy, by number.
func candidates(ctx context.Context, q queryer, decoy uint32) ([]candidate, error) {
	rows, err := q.QueryContext(ctx, `SELECT e.viewer, v.account, min(e.at) FROM exposures e JOIN viewers v ON v.number = e.viewer
		WHERE e.decoy = ? GROUP BY e.viewer ORDER BY e.viewer`, decoy)
	out, err := collect(rows, err, func(rows *sql.Rows) (c candidate, err error) {
		return c, rows.Scan(&c.viewer, &c.account, &c.first)
	})
	if err != nil {
		return nil, fmt.Errorf("read exposures: %w", err)
	}
	return out, nil
}

// everybody returns all viewers, those never shown the decoy too.
func everybody(ctx context.Context, q queryer, decoy uint32) ([]candidate, error) {
	rows, err := q.QueryContext(ctx, `SELECT v.number, v.account, (SELECT min(e.at) FROM exposures e WHERE e.decoy = ? AND e.viewer = v.number)
		FROM viewers v ORDER BY v.number`, decoy)
	out, err := collect(rows, err, func(rows *sql.Rows) (c candidate, err error) {
		var first sql.NullInt64
		err = rows.Scan(&c.viewer, &c.account, &first)
		c.first = math.MaxInt64
		if first.Valid {
			c.first = first.Int64
		}
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read viewers: %w", err)
	}
	return out, nil
}

// accountLogs averages the sessions of every account.
func accountLogs(viewers []candidate, logs map[canary.Viewer]ring.TrackLogs) map[int64]ring.TrackLogs {
	sessions := map[int64][]ring.TrackLogs{}
	for _, c := range viewers {
		if l, ok := logs[c.viewer]; ok {
			sessions[c.account] = append(sessions[c.account], l)
		}
	}
	out := make(map[int64]ring.TrackLogs, len(sessions))
	for account, all := range sessions {
		out[account] = all[0]
		if len(all) > 1 {
			out[account] = ring.Average(all)
		}
	}
	return out
}

// before keeps the viewers first shown the decoy at a time or earlier.
func before(viewers []candidate, at int64) []candidate {
	if !slices.ContainsFunc(viewers, func(c candidate) bool { return c.first > at }) {
		return viewers
	}
	out := make([]candidate, 0, len(viewers))
	for _, c := range viewers {
		if c.first <= at {
			out = append(out, c)
		}
	}
	return out
}

// groupLogs is what one file says about every account, given the pictures of one
// photo that it could come from: the average over those that the account was shown.
func (r *Registry) groupLogs(ctx context.Context, from []softRead, viewersOf func(*picture) ([]candidate, error)) (map[int64]ring.TrackLogs, error) {
	each := map[int64][]ring.TrackLogs{}
	for _, s := range from {
		viewers, err := viewersOf(s.picture)
		if err != nil {
			return nil, err
		}
		logs, err := r.score(ctx, s, viewers)
		if err != nil {
			return nil, err
		}
		for account, l := range accountLogs(viewers, logs) {
			each[account] = append(each[account], l)
		}
	}
	out := make(map[int64]ring.TrackLogs, len(each))
	for account, all := range each {
		out[account] = all[0]
		if len(all) > 1 {
			out[account] = ring.Average(all)
		}
	}
	return out, nil
}
