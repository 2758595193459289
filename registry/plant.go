package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"birdring/canary"
	"birdring/canary/handle"
	"birdring/canary/jpeg"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// Photo is a photo to plant.
type Photo struct {
	Name string // shown to the user, kept with the picture
	Open func() (io.ReadCloser, error)
}

// PlantRequest says what to plant. Zero values mean what is said in brackets.
type PlantRequest struct {
	Decoys, Personal, Dark int                      // how many of each kind
	Share                  float64                  // of accounts that a shared decoy is put before (0.25)
	Photos                 []Photo                  // planted in this order, each once
	PerDecoy               int                      // pictures of a decoy, the first is the avatar (6)
	Stories                int                      // how many of them are 24 h stories (none)
	StoryLife              time.Duration            // how long a story lives (24 h); set, stories begin when they are planted
	Sizes                  []int                    // longer sides in pixels: each photo is prepared once for each, as one photo group (1080)
	Dialect                *jpeg.Dialect            // what the files look like (libjpeg's default, quality 90)
	Code                   ring.Code                // codebook (D)
	MinHandleBits          float64                  // how hard a handle is to meet by chance, at least (30; dark decoys 43)
	Handles                *handle.Model            // draws handles (the data folder's, else the bundled one)
	Like                   canary.Population        // whose numbers personas get (the usual ones)
	AvoidHandle            func(handle string) bool // says whether a handle is not wanted, may be nil
	// TakenHandle asks the platform whether a handle is or ever was somebody's; may be nil.
	TakenHandle func(ctx context.Context, handle string) (bool, error)
	Progress    func(done, total int, name string) // called after each picture, may be nil
}

// Planted is one decoy planted.
type Planted struct {
	Decoy   canary.Decoy
	Photos  []PlantedPhoto
	Refused []Refused // photos refused on the way to it
}

// PlantedPhoto is a picture of a decoy.
type PlantedPhoto struct {
	Photo, File   string
	Width, Height int
	Segments      int
	Group         string // the largest picture of its photo: its own id, or that of which it is a smaller size
}

// Refused is a photo that was not planted.
type Refused struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// ErrTooFew is wrapped when there are not enough photos.
var ErrTooFew = errors.New("too few photos")

// longestSide is what photos are reduced to before they are prepared, in
// pixels, where no sizes are asked for.
const longestSide = 1080

// The sizes that can be asked for, in pixels, how many of them, and the longer
// side below which a size beside others may carry few segments: what it says adds
// up with finds of other photos.
const (
	smallSize = 640
	leastSize = 64
	mostSize  = 4096
	mostSizes = 16
)

func (q PlantRequest) complete() (PlantRequest, error) {
	if q.Share == 0 {
		q.Share = 0.25
	}
	if q.PerDecoy == 0 {
		q.PerDecoy = 6
	}
	if q.Code == 0 {
		q.Code = ring.D
	}
	if len(q.Sizes) == 0 {
		q.Sizes = []int{longestSide}
	}
	q.Sizes = slices.Sorted(slices.Values(q.Sizes))
	slices.Reverse(q.Sizes)
	q.Sizes = slices.Compact(q.Sizes)
	if q.Progress == nil {
		q.Progress = func(int, int, string) {}
	}
	switch {
	case q.Decoys < 0 || q.Personal < 0 || q.Dark < 0 || q.decoys() == 0:
		return q, fmt.Errorf("plant %w: ask for at least one decoy", ErrInvalid)
	case len(q.Sizes) > mostSizes || q.Sizes[0] > mostSize || q.Sizes[len(q.Sizes)-1] < leastSize:
		return q, fmt.Errorf("plant %w: at most %d sizes of %d to %d pixels are wanted", ErrInvalid, mostSizes, leastSize, mostSize)
	case q.PerDecoy < 1 || q.PerDecoy > 100:
		return q, fmt.Errorf("plant %w: a decoy has 1 to 100 pictures, not %d", ErrInvalid, q.PerDecoy)
	case q.Stories < 0 || q.Stories > 0 && q.Stories >= q.PerDecoy:
		return q, fmt.Errorf("plant %w: %d stories of %d pictures: the first picture is the avatar", ErrInvalid, q.Stories, q.PerDecoy)
	case !(q.Share > 0 && q.Share <= 1):
		return q, fmt.Errorf("plant %w: share %v, above 0 and at most 1 is wanted", ErrInvalid, q.Share)
	}
	if !(q.MinHandleBits >= 0 && q.MinHandleBits <= MaxHandleBits) {
		return q, fmt.Errorf("plant %w: handles of %v bits, 0 to %v are wanted", ErrInvalid, q.MinHandleBits, MaxHandleBits)
	}
	if need := q.decoys() * q.PerDecoy; len(q.Photos) < need {
		return q, fmt.Errorf("%w: %d decoys of %d pictures need %d, there are %d: %d are missing, add photos or ask for fewer decoys or fewer pictures each",
			ErrTooFew, q.decoys(), q.PerDecoy, need, len(q.Photos), need-len(q.Photos))
	}
	return q, nil
}

func (q PlantRequest) decoys() int { return q.Decoys + q.Personal + q.Dark }

// kind of the i-th decoy.
func (q PlantRequest) kind(i int) canary.Kind {
	switch {
	case i < q.Decoys:
		return canary.Shared
	case i < q.Decoys+q.Personal:
		return canary.Personal
	}
	return canary.Dark
}

// Plant prepares photos and plants decoys with them. Photos are taken in order,
// each once; one that cannot carry a ring or is planted already is refused with
// the reason. When photos run out, what could be planted is, nothing is planted
// for a decoy that has none, and the error, which wraps ErrTooFew, says how many
// are missing. Each decoy appears whole or not at all.
func (r *Registry) Plant(ctx context.Context, q PlantRequest) (out []Planted, err error) {
	if q, err = q.complete(); err != nil {
		return nil, err
	}
	if r.readOnly {
		return nil, sqlstore.ErrReadOnly
	}
	if err := os.MkdirAll(filepath.Join(r.dir, picturesDir), 0o700); err != nil {
		return nil, fmt.Errorf("plant: %w", err)
	}
	// One planting at a time: it numbers pictures before they are stored, and two
	// must not plant the same photo.
	lock, err := lockFile(filepath.Join(r.dir, "plant.lock"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	shared, err := r.db.Lock(ctx, "plant", true, nil)
	if err != nil {
		return nil, fmt.Errorf("plant: %w", err)
	}
	defer shared.Close()
	p, err := r.newPlanting(ctx, q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.stage)) }()
	beds, rest, err := p.prepareAll(ctx)
	if err != nil {
		return nil, err
	}
	for i, b := range beds {
		if len(b.pictures) == 0 {
			break
		}
		planted, err := p.plant(ctx, q.kind(i), b)
		if err != nil {
			return out, fmt.Errorf("plant decoy: %w", err)
		}
		out = append(out, planted)
	}
	return out, q.shortage(beds, rest)
}

// bed is what one decoy is to be made of.
type bed struct {
	pictures []*sprout
	refused  []Refused
}

// shortage says how many photos were missing, if any were.
func (q PlantRequest) shortage(beds []bed, rest []Refused) error {
	have, none := 0, 0
	for _, b := range beds {
		have += len(b.pictures)
		if len(b.pictures) == 0 {
			none++
		}
	}
	missing := q.decoys()*q.PerDecoy - have
	if missing == 0 {
		return nil
	}
	text := fmt.Sprintf("%d are missing", missing)
	if none > 0 {
		text += fmt.Sprintf(", %d of %d decoys had none left and were not planted", none, q.decoys())
	}
	for i, f := range rest {
		if i == 3 {
			text += fmt.Sprintf("; and %d more", len(rest)-i)
			break
		}
		text += fmt.Sprintf("; %s: %s", f.File, f.Reason)
	}
	return fmt.Errorf("%w: %s", ErrTooFew, text)
}

// plant stores one decoy: its files are put in their place before the
// transaction that makes them known.
func (p *planting) plant(ctx context.Context, kind canary.Kind, b bed) (out Planted, err error) {
	at := now()
	d := canary.Decoy{ID: "d-" + randomID(12), Kind: kind, Share: p.q.Share, Planted: at}
	if kind != canary.Shared {
		d.Share = 0
	}
	var moved []string
	defer func() {
		if err != nil {
			for _, f := range moved {
				err = errors.Join(err, os.Remove(f))
			}
		}
	}()
	for _, s := range b.pictures {
		for _, c := range s.cuttings {
			to := p.r.pictureFile(c.id)
			if err := os.Rename(c.staged, to); err != nil {
				return out, err
			}
			moved = append(moved, to)
		}
	}
	if err := syncFolder(filepath.Join(p.r.dir, picturesDir)); err != nil {
		return out, err
	}
	if err := p.name(ctx, &d); err != nil {
		return out, err
	}
	err = p.r.db.Write(ctx, func(tx *sql.Tx) error {
		if err := number(ctx, tx, &d); err != nil {
			return err
		}
		p.dress(&d, b.pictures)
		if err := insertDecoy(ctx, tx, &d); err != nil {
			return err
		}
		if err := insertPictures(ctx, tx, &d, b.pictures, at); err != nil {
			return err
		}
		if err := insertPosts(ctx, tx, &d, b.pictures); err != nil {
			return err
		}
		return count(ctx, tx, "decoys", 1)
	})
	out = Planted{Decoy: d, Refused: b.refused}
	for _, s := range b.pictures {
		for _, c := range s.cuttings {
			out.Photos = append(out.Photos, PlantedPhoto{c.id, s.file, c.width, c.height, c.segments, s.id()})
		}
	}
	return out, err
}

// number gives a decoy its number.
func number(ctx context.Context, tx *sql.Tx, d *canary.Decoy) error {
	var next int64
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(num), 0) + 1 FROM decoys`).Scan(&next); err != nil {
		return err
	}
	if next > canary.MaxObject {
		return fmt.Errorf("there are %d decoys: links can carry no more", next-1)
	}
	d.Num = uint32(next)
	return nil
}

func insertDecoy(ctx context.Context, tx *sql.Tx, d *canary.Decoy) error {
	about, err := json.Marshal(persona{d.Locale, d.DisplayName, d.Bio, d.Followers, d.Following, d.Joined})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO decoys (num, id, kind, handle, fold, handle_millibits, handle_counter, handle_model, share, persona, planted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Num, d.ID, d.Kind, d.Handle, handle.Fold(d.Handle), int64(math.Floor(d.HandleBits*1000)), d.HandleCounter, d.HandleModel, d.Share, string(about), d.Planted.UnixMicro())
	return err
}

func insertPictures(ctx context.Context, tx *sql.Tx, d *canary.Decoy, pictures []*sprout, at time.Time) error {
	position := 0
	for _, s := range pictures {
		for _, c := range s.cuttings {
			if err := insertPicture(ctx, tx, d, s, c, position, at); err != nil {
				return err
			}
			position++
		}
	}
	return nil
}

func insertPicture(ctx context.Context, tx *sql.Tx, d *canary.Decoy, s *sprout, c *cutting, position int, at time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO pictures (num, id, decoy, position, photo_group, file, source, width, height, segments, code, layout, epoch, size, print, prepared_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.num, c.id, d.Num, position, s.id(), s.file, s.source[:], c.width, c.height, c.segments, s.code, ring.Layout, s.epoch, c.size, c.print, at.UnixMicro())
	return err
}

func insertPosts(ctx context.Context, tx *sql.Tx, d *canary.Decoy, pictures []*sprout) error {
	nums := map[string]uint32{}
	for _, s := range pictures {
		nums[s.id()] = s.cuttings[0].num
	}
	for i, p := range d.Posts {
		tags, err := json.Marshal(append([]string{}, p.Tags...))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO posts (id, decoy, position, picture, caption, tags, story, at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.ID, d.Num, i, nums[p.Photo], p.Caption, string(tags), p.Story, p.At.UnixMicro(), sqlstore.Micros(p.Expires))
		if err != nil {
			return err
		}
	}
	return nil
}
