package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"birdring/canary"
	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// The kinds of exposure.
const (
	Offered = "offered" // links were handed out
	Fetched = "fetched" // the bytes of a picture were sent
)

// Exposure says that a decoy is put before a viewer.
type Exposure struct {
	Account string    // 1-200 bytes; met for the first time, it is given a number
	Session string    // one session of the account, "" for the account as a whole
	Decoy   string    // id
	Surface string    // where: profile, search, story, ...
	At      time.Time // zero: now
	Kind    string    // Offered
}

// Copy is a viewer's copy of a decoy: what may be handed out.
type Copy struct {
	Account string
	Session string
	Decoy   string
	Viewer  canary.Viewer
	Handle  string
	Link    string // the viewer's own link, for the profile
	Photos  []CopyPhoto
}

// CopyPhoto is a viewer's copy of one picture.
type CopyPhoto struct {
	Photo         string
	URL           string
	Token         string // the part of the URL that says which picture and which viewer
	Group         string // the largest picture of its photo: itself, or that of which it is a smaller size
	Width, Height int
}

// Expose records that decoys are put before viewers and returns their copies,
// one per exposure. Either all are recorded, on disk before Expose returns, or
// none is and there is an error that names the first that cannot be. The same
// exposure again is one exposure. A recalled decoy is not there. A personal decoy is bound to the first account
// it is shown to.
func (r *Registry) Expose(ctx context.Context, all []Exposure) ([]Copy, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	at := now()
	rows := make([]shown, len(all))
	for i, e := range all {
		if rows[i], err = r.check(w, e, at); err != nil {
			return nil, err
		}
		if err := r.book.learnSurface(ctx, r.db.Read(), e.Surface); err != nil {
			return nil, fmt.Errorf("record exposure: %w", err)
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	err = r.db.Group(ctx, func(tx *sql.Tx) error { return r.record(ctx, tx, rows) })
	if err != nil {
		return nil, fmt.Errorf("record exposure: %w", err)
	}
	out := make([]Copy, len(rows))
	for i, s := range rows {
		r.viewers.put(s.key, s.viewer)
		out[i] = r.copyOf(w, s)
	}
	return out, nil
}

// shown is an exposure on its way into the database.
type shown struct {
	key     viewerKey
	viewer  canary.Viewer
	decoy   int // index into world.decoys
	d       *canary.Decoy
	at      time.Time
	surface string
	place   int64 // the surface's number
}

func (r *Registry) check(w *world, e Exposure, at time.Time) (shown, error) {
	i, ok := w.byID[e.Decoy]
	if !ok {
		return shown{}, fmt.Errorf("decoy %q: %w: birdring list decoys shows them", e.Decoy, ErrNotFound)
	}
	if !w.decoys[i].Recalled.IsZero() {
		return shown{}, fmt.Errorf("decoy %q was recalled at %s: %w: nobody is shown it any more", e.Decoy, w.decoys[i].Recalled.Format(time.RFC3339), ErrNotFound)
	}
	if e.Kind != Offered && e.Kind != "" {
		return shown{}, fmt.Errorf("exposure %w: kind %q", ErrInvalid, e.Kind)
	}
	if e.At.IsZero() {
		e.At = at
	}
	err := errors.Join(CheckAccount(e.Account), checkText("session", e.Session, maxSession), checkText("surface", e.Surface, maxSurface), checkTime(e.At))
	return shown{
		key: viewerKey{e.Account, e.Session}, decoy: i, d: &w.decoys[i],
		at: e.At.UTC().Truncate(time.Microsecond), surface: e.Surface,
	}, err
}

// checkTime refuses times that no RFC 3339 text could give back.
func checkTime(t time.Time) error {
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		return fmt.Errorf("time %s %w: its year must be 1970 to 9999", t, ErrInvalid)
	}
	return nil
}

// record stores exposures and fills in their viewers.
func (r *Registry) record(ctx context.Context, tx *sql.Tx, rows []shown) error {
	known, unknown := map[viewerKey]canary.Viewer{}, []viewerKey(nil)
	for _, s := range rows {
		if v, ok := r.viewers.get(s.key); ok {
			known[s.key] = v
		} else {
			unknown = append(unknown, s.key)
		}
	}
	if err := r.book.ensureViewers(ctx, tx, known, unknown, now()); err != nil {
		return err
	}
	for i := range rows {
		s := &rows[i]
		s.viewer = known[s.key]
		if s.d.Kind == canary.Personal {
			if err := r.book.bind(ctx, tx, s.d, s.key.account, now()); err != nil {
				return err
			}
		}
	}
	return r.book.insertOffers(ctx, tx, rows)
}

const exposureInsert = `INSERT INTO exposures (decoy, viewer, at, surface, picture, address, user_agent, sha256)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

// offerColumns is how many values an offer has of its own.
const offerColumns = 4

func offerInsert(rows int) string {
	return `INSERT INTO exposures (decoy, viewer, at, surface) VALUES ` + sqlstore.Values(rows, offerColumns) + ` ON CONFLICT DO NOTHING`
}

func (s *shown) values(to []any) []any {
	return append(to, s.d.Num, s.viewer, s.at.UnixMicro(), s.place)
}

// insertOffers stores offers that are not known already, many in one statement.
func (b *book) insertOffers(ctx context.Context, tx *sql.Tx, rows []shown) (err error) {
	places := map[string]int64{}
	all := make([]*shown, len(rows))
	for i := range rows {
		all[i] = &rows[i]
		if rows[i].place, err = b.place(ctx, tx, places, rows[i].surface); err != nil {
			return err
		}
	}
	var args []any
	for chunk := range slices.Chunk(all, sqlstore.Chunk(offerColumns)) {
		args = args[:0]
		for _, s := range chunk {
			args = s.values(args)
		}
		if _, err := offersOf(ctx, b, tx, chunk, offers{query: offerInsert(len(chunk)), args: args}); err != nil {
			return err
		}
	}
	return nil
}

// offerEntry is an offer in the ledger.
func (b *book) offerEntry(s *shown) ledger.Entry {
	return b.exposureEntry(s.d.Num, s.viewer, s.at.UnixMicro(), s.surface, 0, sql.NullString{}, sql.NullString{}, nil)
}

func told(s string) sql.NullString { return sql.NullString{String: s, Valid: true} }

// copyOf makes a viewer's links. Nothing is looked up: they are sealed numbers.
func (r *Registry) copyOf(w *world, s shown) Copy {
	c := Copy{Account: s.key.account, Session: s.key.session, Decoy: s.d.ID, Viewer: s.viewer, Handle: s.d.Handle}
	c.Link = r.publicURL + "/l/" + r.keys.Seal(canary.Token{Kind: canary.KindLink, Object: s.d.Num, Viewer: s.viewer})
	for _, i := range w.of[s.decoy] {
		p := w.pictures[i]
		token := r.keys.Seal(canary.Token{Kind: canary.KindPicture, Object: p.num, Viewer: s.viewer})
		c.Photos = append(c.Photos, CopyPhoto{
			Photo: p.id, URL: r.publicURL + "/m/" + token + ".jpg", Token: token, Group: p.group, Width: p.width, Height: p.height,
		})
	}
	return c
}

// Fetch says that the bytes of a viewer's picture were sent.
type Fetch struct {
	Viewer    canary.Viewer
	Decoy     string // id; "" is the photo's
	Photo     string // id
	At        time.Time
	Address   string
	UserAgent string
	SHA256    string // of the bytes sent, hex; "" if not known
	Surface   string
}

// Fetched records a fetch, on disk before it returns. The viewer must have been
// given its number by this registry.
func (r *Registry) Fetched(ctx context.Context, f Fetch) error {
	w, err := r.world(ctx)
	if err != nil {
		return err
	}
	i, ok := w.photos[f.Photo]
	if !ok {
		return fmt.Errorf("photo %q: %w", f.Photo, ErrNotFound)
	}
	p := w.pictures[i]
	if f.At.IsZero() {
		f.At = now()
	}
	err = r.db.Group(ctx, func(tx *sql.Tx) error {
		return r.book.insertFetch(ctx, tx, w.decoys[p.decoy].Num, p.num, f)
	})
	if err != nil {
		return fmt.Errorf("record fetch: %w", err)
	}
	return nil
}

// insertFetch stores a fetched exposure.
func (b *book) insertFetch(ctx context.Context, tx *sql.Tx, decoy, picture uint32, f Fetch) error {
	var sum []byte
	if f.SHA256 != "" {
		var err error
		if sum, err = hex.DecodeString(f.SHA256); err != nil || len(sum) != 32 {
			return fmt.Errorf("fetch %w: %q is no SHA-256", ErrInvalid, f.SHA256)
		}
	}
	place, err := b.surfaceNum(ctx, tx, f.Surface)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, exposureInsert, decoy, f.Viewer, f.At.UnixMicro(), place, picture, f.Address, f.UserAgent, sum)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return err
	}
	b.add(tx, b.exposureEntry(decoy, f.Viewer, f.At.UnixMicro(), f.Surface, picture, told(f.Address), told(f.UserAgent), sum))
	return nil
}

// LastExposure is when an account was last shown any decoy before a time; the
// zero time if it never was.
func (r *Registry) LastExposure(ctx context.Context, account string, before time.Time) (time.Time, error) {
	var last sql.NullInt64
	err := r.db.Read().QueryRowContext(ctx, `SELECT max(e.at) FROM `+shownToAccount+` AND a.name = ? AND e.at <= ?`, account, before.UnixMicro()).Scan(&last)
	if err != nil || !last.Valid {
		return time.Time{}, sqlstore.Explain(err)
	}
	return sqlstore.Time(last.Int64), nil
}
