package registry

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"birdring/canary"
	"birdring/canary/mark"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// PointView is the evidence against an account after one sighting.
type PointView struct {
	At        time.Time
	Millibits int64
}

// Evidence is what stands behind one picture found: the found bytes and the
// soft values read out of them, for the account named for it.
type Evidence struct {
	FindView
	Data   []byte
	Y      []int16 // per segment
	Grid   mark.Grid
	Viewer canary.Viewer // whose copy it is: the account or one session of it; 0 if no account is named
}

// ownLine is how many millibits one picture must bring before a named account
// is shown beside it. The account was named by all pictures together.
const ownLine = 20_000

// namedAccount is an account named on a site, with its viewers.
type namedAccount struct {
	name    string
	viewers []canary.Viewer
}

// namedOn returns the accounts named on a site, best first.
func (r *Registry) namedOn(ctx context.Context, site string) ([]namedAccount, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT a.name, v.number FROM attributions t JOIN sites s ON s.id = t.site
		JOIN accounts a ON a.id = t.account JOIN viewers v ON v.account = a.id WHERE s.site = ? AND t.verdict = 'attributed' ORDER BY t.millibits DESC, t.id, v.number`, site)
	var out []namedAccount
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var name string
		var v canary.Viewer
		if err = rows.Scan(&name, &v); err != nil {
			return
		}
		if n := len(out); n == 0 || out[n-1].name != name {
			out = append(out, namedAccount{name: name})
		}
		last := &out[len(out)-1]
		last.viewers = append(last.viewers, v)
		return
	})
	return out, err
}

// bookShelf keeps the codebooks of pictures looked at.
type bookShelf map[string]*ring.Book

func (s bookShelf) take(ctx context.Context, r *Registry, photo string) (*ring.Book, error) {
	if b := s[photo]; b != nil {
		return b, nil
	}
	b, err := r.Book(ctx, photo)
	if err == nil {
		s[photo] = b
	}
	return b, err
}

// softOf reads the soft values stored with a sighting; nil if there are none.
func (r *Registry) softOf(ctx context.Context, id string) ([]int16, error) {
	var blob []byte
	if err := r.db.Read().QueryRowContext(ctx, `SELECT y FROM sightings WHERE id = ?`, id).Scan(&blob); err != nil {
		return nil, sqlstore.Explain(err)
	}
	y := make([]int16, len(blob)/2)
	for i := range y {
		y[i] = int16(binary.LittleEndian.Uint16(blob[2*i:]))
	}
	return y, nil
}

// reading prepares a sighting's soft values for scoring; nil if it has none.
func (r *Registry) reading(ctx context.Context, books bookShelf, f FindView) (*ring.Reading, error) {
	if f.Photo == "" {
		return nil, nil
	}
	y, err := r.softOf(ctx, f.ID)
	if err != nil || len(y) == 0 {
		return nil, err
	}
	book, err := books.take(ctx, r, f.Photo)
	if err != nil {
		return nil, err
	}
	if len(y) != book.M() {
		return nil, fmt.Errorf("sighting %s holds %d values for %d segments", f.ID, len(y), book.M())
	}
	return ring.NewReading(book, y)
}

// whose says which of the named accounts' copies a found picture is, and of
// which viewer of it; "" if it is none's.
func (r *Registry) whose(ctx context.Context, books bookShelf, f FindView, named []namedAccount) (account string, viewer canary.Viewer, err error) {
	if len(named) == 0 {
		return "", 0, nil
	}
	read, err := r.reading(ctx, books, f)
	if err != nil || read == nil {
		return "", 0, err
	}
	best := int64(ownLine)
	for _, a := range named {
		for _, v := range a.viewers {
			if m := read.Score(uint64(v)).Alone(); m >= best {
				best, account, viewer = m, a.name, v
			}
		}
	}
	return account, viewer, nil
}

// Evidence returns what stands behind a found picture.
func (r *Registry) Evidence(ctx context.Context, id string) (Evidence, error) {
	f, err := r.find(ctx, id)
	if err != nil {
		return Evidence{}, err
	}
	if f.Photo == "" {
		return Evidence{}, fmt.Errorf("sighting %s is no picture: %w", id, ErrNotFound)
	}
	named, err := r.namedOn(ctx, f.Site)
	if err != nil {
		return Evidence{}, err
	}
	ev := Evidence{FindView: f}
	if ev.Account, ev.Viewer, err = r.whose(ctx, bookShelf{}, f, named); err != nil {
		return Evidence{}, err
	}
	if ev.Y, err = r.softOf(ctx, id); err != nil {
		return Evidence{}, err
	}
	err = r.db.Read().QueryRowContext(ctx, `SELECT c.data FROM sightings g JOIN captures c ON c.sha256 = g.capture WHERE g.id = ?`, id).Scan(&ev.Data)
	if errors.Is(err, sql.ErrNoRows) || err == nil && ev.Data == nil {
		return Evidence{}, fmt.Errorf("the bytes of sighting %s were not kept: %w", id, ErrNotFound)
	}
	if err != nil {
		return Evidence{}, sqlstore.Explain(err)
	}
	picture, err := r.Picture(ctx, f.Photo)
	if err != nil {
		return Evidence{}, err
	}
	ev.Grid = picture.Grid()
	return ev, nil
}

// History is how the evidence against an account named on a site grew, from
// where it passed 64 bits; what stood below is told to nobody.
func (r *Registry) History(ctx context.Context, site, account string) ([]PointView, error) {
	rows, err := r.db.Read().QueryContext(ctx, findQuery+` WHERE s.site = ? AND g.kind = 'picture' ORDER BY g.captured_at, g.id LIMIT 2000`, site)
	finds, err := collect(rows, err, scanFindView)
	if err != nil {
		return nil, err
	}
	named, err := r.namedOn(ctx, site)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(named, func(a namedAccount) bool { return a.name == account })
	if i < 0 {
		return nil, fmt.Errorf("account %q is not named on %s: %w", account, site, ErrNotFound)
	}
	return r.grow(ctx, finds, named[i].viewers)
}

// grow adds sighting after sighting.
func (r *Registry) grow(ctx context.Context, finds []FindView, viewers []canary.Viewer) ([]PointView, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	books := bookShelf{}
	seen := map[string]*ring.Sightings{} // by photo group
	var sums ring.Sums
	var points []PointView
	for _, f := range finds {
		read, err := r.reading(ctx, books, f)
		if err != nil {
			return nil, err
		}
		i, ok := w.photos[f.Photo]
		if read == nil || !ok {
			continue
		}
		sessions := make([]ring.Score, 0, len(viewers))
		for _, v := range viewers {
			sessions = append(sessions, read.Score(uint64(v)))
		}
		group := w.pictures[i].group
		old := ring.Unit(group)
		if seen[group] == nil {
			seen[group] = &ring.Sightings{}
		} else {
			old = seen[group].Factor(group)
		}
		seen[group].See(ring.Average(sessions))
		now := seen[group].Factor(group)
		sums.Swap(&old, &now)
		if m := ring.Passes([]ring.Sums{sums}).Millibits(); m >= ring.AttributedMillibits {
			points = append(points, PointView{f.At, m})
		}
	}
	return points, nil
}
