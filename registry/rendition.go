package registry

import (
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

// rendererCache keeps the prepared pictures asked for last.
type rendererCache struct {
	shelf canary.Shelf
	mu    sync.Mutex        // guards nums
	nums  map[string]uint32 // photo id -> number; both are for ever
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
	p, err := r.renderer(num)
	if err != nil {
		return dst, err
	}
	return p.Append(dst, v), nil
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

// renderer returns a picture's renderer from memory or disk.
func (r *Registry) renderer(num uint32) (*canary.Renderer, error) {
	return r.renderers.shelf.Get(num, func() (*canary.Renderer, error) { return r.load(num) })
}

// prepared returns a picture from memory or disk.
func (r *Registry) prepared(num uint32) (*prepared, error) {
	p, err := r.renderer(num)
	if err != nil {
		return nil, err
	}
	return &prepared{p.Picture(), p}, nil
}

// load reads a prepared picture and binds its codebook.
func (r *Registry) load(num uint32) (*canary.Renderer, error) {
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
	return renderer, nil
}

func (r *Registry) pictureFile(id string) string {
	return filepath.Join(r.dir, picturesDir, id+".brp")
}
