package edge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"birdring/beacon"
	"birdring/canary"
)

// decoysFile is the name of what the registry exports beside the pictures.
const decoysFile = "decoys.json"

// served is what an edge serves: keys, decoys and pictures. A new export is
// taken over while it runs.
type served struct {
	keysFile, dir string
	log           *slog.Logger
	current       atomic.Pointer[edition]
	shelf         canary.Shelf
	trouble       atomic.Pointer[string] // why the newest export is not served, nil if it is
}

// edition is one export, read.
type edition struct {
	keys     *canary.Keyring
	decoys   *canary.EdgeDecoys
	pictures map[uint32]canary.EdgePicture
	byID     map[string]*canary.EdgeDecoy
	photos   map[string]uint32 // id -> number, of what may be shown
	stamp    [2]time.Time      // of the files it was read from
}

func openServed(keysFile, dir string, log *slog.Logger) (*served, error) {
	s := &served{keysFile: keysFile, dir: dir, log: log}
	e, err := s.read()
	if err != nil {
		return nil, err
	}
	s.current.Store(e)
	return s, nil
}

// now is the edition that is served.
func (s *served) now() *edition { return s.current.Load() }

// stamps are when the files changed.
func (s *served) stamps() (out [2]time.Time, err error) {
	for i, path := range []string{s.keysFile, filepath.Join(s.dir, decoysFile)} {
		st, err := os.Stat(path)
		if err != nil {
			return out, err
		}
		out[i] = st.ModTime()
	}
	return out, nil
}

func (s *served) read() (*edition, error) {
	stamp, err := s.stamps()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%v: make it with birdring edge export DIR --keys FILE where the registry is", err)
	}
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(s.keysFile)
	if err != nil {
		return nil, err
	}
	e := &edition{pictures: map[uint32]canary.EdgePicture{}, byID: map[string]*canary.EdgeDecoy{}, photos: map[string]uint32{}, stamp: stamp}
	if e.keys, err = canary.ParseEdgeKeys(data); err != nil {
		return nil, fmt.Errorf("%s: %w", s.keysFile, err)
	}
	if data, err = os.ReadFile(filepath.Join(s.dir, decoysFile)); err != nil {
		return nil, err
	}
	if e.decoys, err = canary.ParseEdgeDecoys(data); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(s.dir, decoysFile), err)
	}
	for _, p := range e.keys.EdgePictures() {
		e.pictures[p.Num] = p
	}
	for i := range e.decoys.Decoys {
		d := &e.decoys.Decoys[i]
		e.byID[d.Decoy] = d
		for _, p := range d.Photos {
			if _, ok := e.pictures[p.Num]; !ok {
				return nil, fmt.Errorf("%s holds no key of picture %s in %s: export both at the same time", s.keysFile, p.Photo, s.dir)
			}
			e.photos[p.Photo] = p.Num
		}
	}
	return e, nil
}

// lookEvery is how soon a new export is seen.
const lookEvery = time.Second

// watch takes over new exports until ctx ends. One that cannot be read leaves the
// old one in place.
func (s *served) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if stamp, err := s.stamps(); err == nil && stamp == s.now().stamp {
			s.trouble.Store(nil)
			continue
		}
		e, err := s.read()
		if err != nil {
			if s.trouble.Load() == nil {
				s.log.ErrorContext(ctx, "new export not taken over, the old one is served on", "error", err)
			}
			s.trouble.Store(new(err.Error()))
			continue
		}
		s.current.Store(e)
		s.trouble.Store(nil)
		s.log.InfoContext(ctx, "new export is served", "decoys", len(e.decoys.Decoys), "pictures", len(e.pictures))
	}
}

// OpenToken opens sealed tokens (beacon.Opener).
func (s *served) OpenToken(text string) (canary.Token, error) { return s.now().keys.OpenToken(text) }

// rendition appends a viewer's copy of a picture to dst. Once a picture is loaded
// it asks nobody.
func (s *served) rendition(dst []byte, object uint32, v canary.Viewer) ([]byte, error) {
	r, err := s.shelf.Get(object, func() (*canary.Renderer, error) { return s.load(object) })
	if err != nil {
		return dst, err
	}
	return r.Append(dst, v), nil
}

// load reads a prepared picture and binds its codebook.
func (s *served) load(object uint32) (*canary.Renderer, error) {
	e := s.now()
	q, ok := e.pictures[object]
	if !ok {
		return nil, fmt.Errorf("%w: number %d", beacon.ErrNoPicture, object)
	}
	data, err := os.ReadFile(filepath.Join(s.dir, q.Photo+".brp"))
	if err != nil {
		return nil, fmt.Errorf("prepared picture %s: %w", q.Photo, err)
	}
	p, err := canary.UnmarshalPicture(data)
	if err != nil {
		return nil, fmt.Errorf("prepared picture %s: %w", q.Photo, err)
	}
	key := e.keys.PictureKey(p.Epoch, p.ID)
	if p.ID != q.Photo || p.Num != object || key == nil {
		return nil, fmt.Errorf("prepared picture %s is another than the keys name: export both at the same time", q.Photo)
	}
	return canary.NewRenderer(p, key)
}
