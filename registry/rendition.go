package registry

import (
	"container/list"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// mostPrepared bounds the prepared pictures kept in memory, in bytes.
const mostPrepared = 512 << 20

// rendererCache keeps the prepared pictures asked for last.
type rendererCache struct {
	mu    sync.Mutex // guards the rest
	byNum map[uint32]*list.Element
	order *list.List // of *loaded, the one asked for last in front
	bytes int64
	nums  map[string]uint32 // photo id -> number; both are for ever
}

// loaded is a prepared picture, or the loading of it.
type loaded struct {
	num  uint32
	size int64
	get  func() (*prepared, error) // loads once; others wait
}

// prepared is a picture ready to be rendered and to be read.
type prepared struct {
	picture  *canary.Picture
	renderer *canary.Renderer
}

// Rendition appends a viewer's copy of a photo to dst. It records nothing. The
// neutral copy is that of canary.Neutral.
func (r *Registry) Rendition(dst []byte, photo string, v canary.Viewer) ([]byte, error) {
	p, err := r.preparedPhoto(photo)
	if err != nil {
		return dst, err
	}
	return p.renderer.Append(dst, v), nil
}

// RenditionNum is Rendition by the picture's number, as links carry it. Once a
// picture is loaded it asks nobody: the copy is computed.
func (r *Registry) RenditionNum(dst []byte, num uint32, v canary.Viewer) ([]byte, error) {
	p, err := r.prepared(num)
	if err != nil {
		return dst, err
	}
	return p.renderer.Append(dst, v), nil
}

// Book returns the codebook of a photo's picture.
func (r *Registry) Book(_ context.Context, photo string) (*ring.Book, error) {
	p, err := r.preparedPhoto(photo)
	if err != nil {
		return nil, err
	}
	return p.renderer.Book(), nil
}

// Picture returns a photo's prepared picture.
func (r *Registry) Picture(_ context.Context, photo string) (*canary.Picture, error) {
	p, err := r.preparedPhoto(photo)
	if err != nil {
		return nil, err
	}
	return p.picture, nil
}

func (r *Registry) preparedPhoto(photo string) (*prepared, error) {
	num, err := r.photoNum(photo)
	if err != nil {
		return nil, err
	}
	return r.prepared(num)
}

func (r *Registry) photoNum(photo string) (num uint32, err error) {
	c := &r.renderers
	c.mu.Lock()
	num, ok := c.nums[photo]
	c.mu.Unlock()
	if ok {
		return num, nil
	}
	err = r.db.Read().QueryRow(`SELECT num FROM pictures WHERE id = ?`, photo).Scan(&num)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("photo %q: %w", photo, ErrNotFound)
	}
	if err != nil {
		return 0, sqlstore.Explain(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nums == nil || len(c.nums) >= 1<<20 {
		c.nums = map[string]uint32{}
	}
	c.nums[photo] = num
	return num, nil
}

// prepared returns a picture from memory or disk.
func (r *Registry) prepared(num uint32) (*prepared, error) {
	p, err := r.renderers.entry(num, func() (*prepared, error) { return r.load(num) }).get()
	if err != nil {
		r.renderers.forget(num)
		return nil, err
	}
	r.renderers.weigh(num, int64(p.renderer.Memory()))
	return p, nil
}

// load reads a prepared picture and binds its codebook.
func (r *Registry) load(num uint32) (*prepared, error) {
	var id string
	err := r.db.Read().QueryRow(`SELECT id FROM pictures WHERE num = ?`, num).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("picture %d: %w", num, ErrNotFound)
	}
	if err != nil {
		return nil, sqlstore.Explain(err)
	}
	data, err := os.ReadFile(r.pictureFile(id))
	if err != nil {
		return nil, fmt.Errorf("prepared picture %s: %w", id, err)
	}
	p, err := canary.UnmarshalPicture(data)
	if err != nil {
		return nil, fmt.Errorf("prepared picture %s: %w", r.pictureFile(id), err)
	}
	renderer, err := canary.NewRenderer(p, r.keys.PictureKey(p.Epoch, id))
	if err != nil {
		return nil, fmt.Errorf("prepared picture %s: %w", id, err)
	}
	return &prepared{renderer.Picture(), renderer}, nil
}

func (r *Registry) pictureFile(id string) string {
	return filepath.Join(r.dir, picturesDir, id+".brp")
}

// entry finds a picture's entry or makes one that loads it.
func (c *rendererCache) entry(num uint32, load func() (*prepared, error)) *loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byNum[num]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*loaded)
	}
	if c.byNum == nil {
		c.byNum, c.order = map[uint32]*list.Element{}, list.New()
	}
	l := &loaded{num: num, get: sync.OnceValues(load)}
	c.byNum[num] = c.order.PushFront(l)
	return l
}

// forget drops an entry, so that a failed loading is tried again.
func (c *rendererCache) forget(num uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byNum[num]; ok {
		c.drop(e)
	}
}

// drop removes an entry; mu is held.
func (c *rendererCache) drop(e *list.Element) {
	l := c.order.Remove(e).(*loaded)
	delete(c.byNum, l.num)
	c.bytes -= l.size
}

// weigh notes the size of a loaded picture and drops those asked for longest ago.
func (c *rendererCache) weigh(num uint32, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byNum[num]
	if !ok || e.Value.(*loaded).size != 0 {
		return
	}
	e.Value.(*loaded).size = size
	c.bytes += size
	for c.bytes > mostPrepared && c.order.Len() > 1 {
		c.drop(c.order.Back())
	}
}
