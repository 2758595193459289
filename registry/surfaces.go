package registry

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"birdring/registry/sqlstore"
)

// surfaceNums remembers committed numbers of surfaces. They never change.
type surfaceNums struct {
	mu   sync.RWMutex // guards nums
	nums map[string]int64
}

// mostSurfaces bounds the cache.
const mostSurfaces = 1 << 16

func (c *surfaceNums) get(surface string) (int64, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, ok := c.nums[surface]
	return n, ok
}

func (c *surfaceNums) put(surface string, num int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nums == nil || len(c.nums) >= mostSurfaces {
		c.nums = map[string]int64{}
	}
	c.nums[surface] = num
}

// learnSurface remembers the number of a surface if it is committed.
func (b *book) learnSurface(ctx context.Context, q queryer, surface string) error {
	if _, ok := b.surfaces.get(surface); ok {
		return nil
	}
	var num int64
	err := q.QueryRowContext(ctx, `SELECT num FROM surfaces WHERE surface = ?`, surface).Scan(&num)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		b.surfaces.put(surface, num)
	}
	return sqlstore.Explain(err)
}

// surfaceNum finds or makes the number of a surface. One that is not remembered
// holds only once tx is committed: who asked before it began (learnSurface) is
// spared the look-up from the second time on.
func (b *book) surfaceNum(ctx context.Context, tx *sql.Tx, surface string) (num int64, err error) {
	if num, ok := b.surfaces.get(surface); ok {
		return num, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT num FROM surfaces WHERE surface = ?`, surface).Scan(&num)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx, `INSERT INTO surfaces (num, surface) SELECT coalesce(max(num), 0) + 1, CAST(? AS TEXT) FROM surfaces RETURNING num`, surface).Scan(&num)
	}
	return num, err
}

// place is surfaceNum for many of one transaction.
func (b *book) place(ctx context.Context, tx *sql.Tx, known map[string]int64, surface string) (int64, error) {
	if num, ok := known[surface]; ok {
		return num, nil
	}
	num, err := b.surfaceNum(ctx, tx, surface)
	known[surface] = num
	return num, err
}
