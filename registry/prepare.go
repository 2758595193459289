package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"birdring/beacon/decode"
	"birdring/beacon/find"
	"birdring/canary"
	"birdring/canary/handle"
	"birdring/canary/ring"
)

// planting is one call of Plant.
type planting struct {
	r        *Registry
	q        PlantRequest
	model    *handle.Model
	given    *handle.Given
	said     canary.Said        // what decoys say
	namers   map[float64]*Namer // by floor
	stage    string             // folder of prepared pictures that are not planted yet
	firstNum uint32             // of the pictures; a refused photo uses up its number
	planted  *find.Index        // what was planted before
}

// sprout is a photo on its way to become a picture, or one of each size.
type sprout struct {
	photo   Photo
	num     uint32        // of its first picture
	done    chan struct{} // closed when the rest is set
	refused string        // why it is not planted, "" if it may be
	err     error         // why nothing can be planted

	file     string
	source   [sha256.Size]byte
	cuttings []*cutting // by size, the largest first
	left     []Refused  // sizes that carry nothing
	code     ring.Code
	epoch    uint8
	query    *find.Query
	look     *find.Print
}

// id is that of the largest picture, after which the photo group is called.
func (s *sprout) id() string { return s.cuttings[0].id }

// cutting is one prepared picture of a photo.
type cutting struct {
	id            string
	num           uint32
	width, height int
	segments      int
	size          int
	staged        string // file of the prepared picture
	print         []byte
}

// photoLimits bound photos to plant: they are the operator's own and may come
// from a camera as they are.
var photoLimits = decode.Limits{MaxBytes: 64 << 20, MaxPixels: 64_000_000}

func (r *Registry) newPlanting(ctx context.Context, q PlantRequest) (*planting, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	p := &planting{r: r, q: q, model: q.Handles, given: w.given(), said: w.said(), namers: map[float64]*Namer{}, stage: filepath.Join(r.dir, picturesDir, ".planting")}
	if p.model == nil {
		if p.model, err = r.modelInUse(); err != nil {
			return nil, err
		}
	}
	if p.model != canary.DefaultHandleModel() {
		if err := keepModel(r.dir, p.model, ""); err != nil {
			return nil, err
		}
	}
	if p.planted, err = r.eye.newest(ctx, r, w); err != nil {
		return nil, err
	}
	for _, w := range w.pictures {
		p.firstNum = max(p.firstNum, w.num)
	}
	if int64(p.firstNum)+int64(len(q.Photos)*len(q.Sizes)) > canary.MaxObject {
		return nil, fmt.Errorf("there are %d pictures: links can carry no more than %d", p.firstNum, int64(canary.MaxObject))
	}
	p.firstNum++
	if err := errors.Join(r.sweep(w), os.RemoveAll(p.stage), os.Mkdir(p.stage, 0o700)); err != nil {
		return nil, fmt.Errorf("plant: %w", err)
	}
	return p, nil
}

// sweep removes prepared pictures that a planting left which was killed before
// it stored their decoy.
func (r *Registry) sweep(w *world) error {
	entries, err := os.ReadDir(filepath.Join(r.dir, picturesDir))
	var errs []error
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".brp"); ok {
			if _, planted := w.photos[id]; !planted {
				errs = append(errs, os.Remove(r.pictureFile(id)))
			}
		}
	}
	return errors.Join(append(errs, err)...)
}

// prepareAll prepares photos, several at a time, until every decoy has its
// pictures or no photo is left. rest are the photos refused after the last decoy
// that has one.
func (p *planting) prepareAll(ctx context.Context) (beds []bed, rest []Refused, err error) {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	beds = make([]bed, p.q.decoys())
	total, have := len(beds)*p.q.PerDecoy, 0
	batch := find.NewIndex()
	names := map[string]string{} // photo id -> file, of this planting
	for s := range p.start(ctx, &wg) {
		select {
		case <-s.done:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
		if s.err != nil {
			return nil, nil, s.err
		}
		if s.refused == "" {
			if m := batch.Search(s.query, 1); len(m) > 0 {
				s.refused = "already planted: it shows the same as " + names[m[0].ID]
			}
		}
		b := &beds[have/p.q.PerDecoy]
		if s.refused != "" {
			b.refused = append(b.refused, Refused{s.file, s.refused})
			continue
		}
		b.refused = append(b.refused, s.left...)
		batch.Add(s.id(), s.look)
		names[s.id()] = s.file
		s.query, s.look = nil, nil
		b.pictures = append(b.pictures, s)
		have++
		p.q.Progress(have, total, s.file)
		if have == total {
			return beds, nil, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	if b := beds[have/p.q.PerDecoy]; len(b.pictures) == 0 {
		rest = b.refused
	}
	return beds, rest, nil
}

// start prepares photos in the background and hands them out in their order.
func (p *planting) start(ctx context.Context, wg *sync.WaitGroup) <-chan *sprout {
	workers := runtime.GOMAXPROCS(0)
	jobs := make(chan *sprout)
	ordered := make(chan *sprout, workers) // bounds how far the workers run ahead
	wg.Go(func() {
		defer close(ordered)
		defer close(jobs)
		for i, photo := range p.q.Photos {
			s := &sprout{photo: photo, file: photo.Name, num: p.firstNum + uint32(i*len(p.q.Sizes)), done: make(chan struct{})}
			select {
			case ordered <- s:
			case <-ctx.Done():
				return
			}
			select {
			case jobs <- s:
			case <-ctx.Done():
				return
			}
		}
	})
	for range workers {
		wg.Go(func() {
			for s := range jobs {
				s.err = p.prepare(ctx, s)
				close(s.done)
			}
		})
	}
	return ordered
}

// prepare makes a picture of a photo, or says why it is refused. Its error means
// that nothing can be planted.
func (p *planting) prepare(ctx context.Context, s *sprout) error {
	data, err := readPhoto(s.photo)
	if err != nil {
		s.refused = err.Error()
		return nil
	}
	s.source = sha256.Sum256(data)
	if known, err := p.r.pictureFrom(ctx, s.source); err != nil || known != "" {
		s.refused = "already planted: as " + known
		return err
	}
	img, err := decode.Decode(ctx, data, photoLimits)
	if err != nil {
		s.refused = err.Error()
		return ctx.Err()
	}
	largest := decode.Shrink(img.Img, p.q.Sizes[0])
	luma := decode.Luma(largest)
	s.query = find.NewQuery(luma)
	if m := p.planted.Search(s.query, 1); len(m) > 0 {
		s.refused = "already planted: it shows the same as " + m[0].ID
		return nil
	}
	s.look = find.NewPrint(luma)
	if !find.Telling(luma, s.look) {
		s.refused = "too plain to be told from other pictures: a cropped copy of it would not be found again"
		return nil
	}
	s.code, s.epoch = p.q.Code, p.r.keys.Epoch()
	before := 0
	for _, side := range p.q.Sizes {
		cut := decode.Shrink(img.Img, side)
		if long := max(cut.Bounds().Dx(), cut.Bounds().Dy()); long == before {
			continue // the photo is no larger
		} else {
			before = long
		}
		if err := p.cut(s, cut, side); err != nil {
			return err
		}
		if s.refused != "" {
			return nil
		}
	}
	return nil
}

// cut prepares one size of a photo. What cannot carry a ring is refused: the
// largest size with the photo, a smaller one alone.
func (p *planting) cut(s *sprout, img image.Image, side int) error {
	c := &cutting{id: "p-" + randomID(14), num: s.num + uint32(len(s.cuttings))}
	pic, _, err := canary.Prepare(img, canary.PrepareOptions{
		ID: c.id, Num: c.num, Code: s.code, Epoch: s.epoch, Key: p.r.keys.PictureKey(s.epoch, c.id),
		Dialect: p.q.Dialect, Small: len(p.q.Sizes) > 1 && side < smallSize,
	})
	switch {
	case err != nil && len(s.cuttings) == 0:
		s.refused = err.Error()
		return nil
	case err != nil:
		s.left = append(s.left, Refused{fmt.Sprintf("%s at %d px", s.file, side), err.Error()})
		return nil
	}
	look := s.look
	if len(s.cuttings) > 0 {
		look = find.NewPrint(decode.Luma(img))
	}
	if c.print, err = look.MarshalBinary(); err != nil {
		return err
	}
	c.width, c.height, c.segments, c.size = pic.W, pic.H, pic.Segments(), pic.Size()
	packed, err := pic.MarshalBinary()
	if err != nil {
		return err
	}
	c.staged = filepath.Join(p.stage, c.id+".brp")
	if err := writeNew(c.staged, packed, 0o600); err != nil {
		return fmt.Errorf("store prepared picture: %w", err)
	}
	s.cuttings = append(s.cuttings, c)
	return nil
}

// readPhoto reads a photo of bounded size.
func readPhoto(p Photo) (data []byte, err error) {
	f, err := p.Open()
	if err != nil {
		if e, ok := errors.AsType[*os.PathError](err); ok {
			err = e.Err // the file is named beside it
		}
		return nil, err
	}
	defer f.Close() // only read
	data, err = io.ReadAll(io.LimitReader(f, photoLimits.MaxBytes+1))
	if e, ok := errors.AsType[*os.PathError](err); ok {
		err = e.Err
	}
	return data, err
}

// pictureFrom returns the photo id that was prepared from a file of this hash, "" if none was.
func (r *Registry) pictureFrom(ctx context.Context, source [sha256.Size]byte) (id string, err error) {
	err = r.db.Read().QueryRowContext(ctx, `SELECT id FROM pictures WHERE source = ? LIMIT 1`, source[:]).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// randomID is n random characters of a-z and 2-7.
func randomID(n int) string { return strings.ToLower(rand.Text()[:n]) }
