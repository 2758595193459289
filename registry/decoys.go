package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/registry/sqlstore"
)

// picture is a prepared picture as the registry knows it.
type picture struct {
	num           uint32
	id            string
	decoy         int // index into world.decoys
	group         string
	file          string
	width, height int
	segments      int
	code          ring.Code
	epoch         uint8
	size          int
}

// world is everything planted, without bindings: it only ever grows. It is not
// changed after it was made.
type world struct {
	revision int64
	decoys   []canary.Decoy // by number
	pictures []picture      // by number
	byID     map[string]int // decoy id -> index
	byHandle map[string]int
	byNum    map[uint32]int
	photos   map[string]int // photo id -> index into pictures
	photoNum map[uint32]int
	of       [][]int          // per decoy: its pictures in order
	groups   map[string][]int // per photo group: its pictures, the largest first
	leaks    map[uint8]int64  // epochs in other hands, since when
}

// decoyCache holds the newest world that was read.
type decoyCache struct {
	mu sync.Mutex // guards w, held while one is read
	w  *world
}

// world returns everything planted, by any process. It costs one small query
// while nothing was planted.
func (r *Registry) world(ctx context.Context) (*world, error) {
	revision, err := r.counter(ctx, "decoys")
	if err != nil {
		return nil, err
	}
	r.decoys.mu.Lock()
	defer r.decoys.mu.Unlock()
	if r.decoys.w != nil && r.decoys.w.revision >= revision {
		return r.decoys.w, nil
	}
	var w *world
	err = r.db.Snapshot(ctx, func(tx *sql.Tx) (err error) {
		w, err = readWorld(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read decoys: %w", sqlstore.Explain(err))
	}
	r.decoys.w = w
	r.viewers.forget()                      // an account may have been forgotten
	if err := r.RefreshKeys(); err != nil { // an epoch may be new
		return nil, err
	}
	return w, nil
}

func readWorld(ctx context.Context, tx *sql.Tx) (*world, error) {
	w := &world{
		byID: map[string]int{}, byHandle: map[string]int{}, byNum: map[uint32]int{},
		photos: map[string]int{}, photoNum: map[uint32]int{}, groups: map[string][]int{},
	}
	if err := tx.QueryRowContext(ctx, `SELECT n FROM counters WHERE name = 'decoys'`).Scan(&w.revision); err != nil {
		return nil, err
	}
	if err := w.readDecoys(ctx, tx); err != nil {
		return nil, err
	}
	if err := w.readPictures(ctx, tx); err != nil {
		return nil, err
	}
	if err := w.readLeaks(ctx, tx); err != nil {
		return nil, err
	}
	return w, w.readPosts(ctx, tx)
}

// persona is the part of a decoy that is stored as JSON.
type persona struct {
	Locale      string    `json:"locale"`
	DisplayName string    `json:"display_name"`
	Bio         string    `json:"bio"`
	Followers   int       `json:"followers"`
	Following   int       `json:"following"`
	Joined      time.Time `json:"joined"`
}

func (w *world) readDecoys(ctx context.Context, tx *sql.Tx) (err error) {
	rows, err := tx.QueryContext(ctx, `SELECT num, id, kind, handle, handle_millibits, handle_counter, handle_model, share, persona, planted_at,
		burnt_at, recalled_at, coalesce((SELECT s.id FROM decoys s WHERE s.num = d.successor), ''), life_note FROM decoys d ORDER BY num`)
	w.decoys, err = collect(rows, err, func(rows *sql.Rows) (d canary.Decoy, err error) {
		var millibits, planted int64
		var burnt, recalled sql.NullInt64
		var about []byte
		if err := rows.Scan(&d.Num, &d.ID, &d.Kind, &d.Handle, &millibits, &d.HandleCounter, &d.HandleModel, &d.Share, &about, &planted,
			&burnt, &recalled, &d.Successor, &d.LifeNote); err != nil {
			return d, err
		}
		if burnt.Valid {
			d.Burnt = sqlstore.Time(burnt.Int64)
		}
		if recalled.Valid {
			d.Recalled = sqlstore.Time(recalled.Int64)
		}
		d.HandleBits, d.Planted = float64(millibits)/1000, sqlstore.Time(planted)
		var p persona
		if err := json.Unmarshal(about, &p); err != nil {
			return d, fmt.Errorf("persona of decoy %s: %w", d.ID, err)
		}
		d.Locale, d.DisplayName, d.Bio, d.Followers, d.Following, d.Joined = p.Locale, p.DisplayName, p.Bio, p.Followers, p.Following, p.Joined
		return d, nil
	})
	for i, d := range w.decoys {
		w.byID[d.ID], w.byHandle[d.Handle], w.byNum[d.Num] = i, i, i
	}
	w.of = make([][]int, len(w.decoys))
	return err
}

func (w *world) readPictures(ctx context.Context, tx *sql.Tx) (err error) {
	rows, err := tx.QueryContext(ctx, `SELECT num, id, decoy, photo_group, file, width, height, segments, code, epoch, size FROM pictures ORDER BY decoy, position`)
	w.pictures, err = collect(rows, err, func(rows *sql.Rows) (p picture, err error) {
		var decoy uint32
		err = rows.Scan(&p.num, &p.id, &decoy, &p.group, &p.file, &p.width, &p.height, &p.segments, &p.code, &p.epoch, &p.size)
		p.decoy = w.byNum[decoy]
		return p, err
	})
	for i, p := range w.pictures {
		w.photos[p.id], w.photoNum[p.num] = i, i
		if len(w.of[p.decoy]) == 0 {
			w.decoys[p.decoy].Avatar = p.id
		}
		w.of[p.decoy] = append(w.of[p.decoy], i)
		w.groups[p.group] = append(w.groups[p.group], i)
	}
	return err
}

func (w *world) readPosts(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT decoy, id, picture, caption, tags, story, at, expires_at FROM posts ORDER BY decoy, position`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p canary.Post
		var decoy, photo uint32
		var tags []byte
		var at int64
		var expires sql.NullInt64
		if err := rows.Scan(&decoy, &p.ID, &photo, &p.Caption, &tags, &p.Story, &at, &expires); err != nil {
			return err
		}
		if err := json.Unmarshal(tags, &p.Tags); err != nil {
			return fmt.Errorf("tags of post %s: %w", p.ID, err)
		}
		p.At, p.Photo = sqlstore.Time(at), w.pictures[w.photoNum[photo]].id
		if expires.Valid {
			p.Expires = sqlstore.Time(expires.Int64)
		}
		d := &w.decoys[w.byNum[decoy]]
		d.Posts = append(d.Posts, p)
	}
	return rows.Err()
}

// bindings returns the accounts of bound personal decoys, by decoy number.
func bindings(ctx context.Context, q queryer) (map[uint32]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT d.num, a.name FROM decoys d JOIN accounts a ON a.id = d.account WHERE d.account IS NOT NULL`)
	out := map[uint32]string{}
	_, err = collect(rows, err, func(rows *sql.Rows) (struct{}, error) {
		var num uint32
		var name string
		err := rows.Scan(&num, &name)
		out[num] = name
		return struct{}{}, err
	})
	return out, err
}

// binding returns the account a personal decoy is bound to, "" if none yet.
func binding(ctx context.Context, q queryer, num uint32) (account string, err error) {
	err = q.QueryRowContext(ctx, `SELECT a.name FROM decoys d JOIN accounts a ON a.id = d.account WHERE d.num = ?`, num).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return account, sqlstore.Explain(err)
}

// Decoys returns all decoys in the order in which they were planted.
func (r *Registry) Decoys(ctx context.Context) ([]canary.Decoy, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	bound, err := bindings(ctx, r.db.Read())
	if err != nil {
		return nil, err
	}
	out := slices.Clone(w.decoys)
	for i := range out {
		out[i].Account = bound[out[i].Num]
	}
	return out, nil
}

// Decoy returns a decoy by its id.
func (r *Registry) Decoy(ctx context.Context, id string) (canary.Decoy, error) {
	return r.oneDecoy(ctx, func(w *world) (int, bool) { i, ok := w.byID[id]; return i, ok }, id)
}

// DecoyByHandle returns a decoy by its handle, spelled exactly.
func (r *Registry) DecoyByHandle(ctx context.Context, handle string) (canary.Decoy, error) {
	return r.oneDecoy(ctx, func(w *world) (int, bool) { i, ok := w.byHandle[handle]; return i, ok }, "@"+handle)
}

func (r *Registry) oneDecoy(ctx context.Context, find func(*world) (int, bool), name string) (canary.Decoy, error) {
	w, err := r.world(ctx)
	if err != nil {
		return canary.Decoy{}, err
	}
	i, ok := find(w)
	if !ok {
		return canary.Decoy{}, fmt.Errorf("decoy %s: %w", name, ErrNotFound)
	}
	d := w.decoys[i]
	if d.Kind == canary.Personal {
		d.Account, err = binding(ctx, r.db.Read(), d.Num)
	}
	return d, err
}

// PictureOf returns the decoy and the photo id that a picture's number, as links carry it, stands for.
func (r *Registry) PictureOf(ctx context.Context, num uint32) (canary.Decoy, string, error) {
	w, err := r.world(ctx)
	if err != nil {
		return canary.Decoy{}, "", err
	}
	i, ok := w.photoNum[num]
	if !ok {
		return canary.Decoy{}, "", fmt.Errorf("picture %d: %w", num, ErrNotFound)
	}
	d, err := r.Decoy(ctx, w.decoys[w.pictures[i].decoy].ID)
	return d, w.pictures[i].id, err
}

// Visible returns the decoys that the platform puts before an account at a time:
// the shared ones its coin gives it and its own personal ones, none that is burnt or
// recalled. Stories stay among
// the posts after their day; the platform leaves them out.
func (r *Registry) Visible(ctx context.Context, account string, at time.Time) ([]canary.Decoy, error) {
	if err := CheckAccount(account); err != nil {
		return nil, err
	}
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := r.db.Read().QueryContext(ctx, `SELECT num FROM decoys WHERE account = (SELECT id FROM accounts WHERE name = ?)`, r.book.mask(account))
	own, err := collect(rows, err, func(rows *sql.Rows) (num uint32, err error) { return num, rows.Scan(&num) })
	if err != nil {
		return nil, err
	}
	var out []canary.Decoy
	for _, d := range w.decoys {
		switch {
		case d.Planted.After(at) || !d.Recalled.IsZero() || !d.Burnt.IsZero():
		case d.Kind == canary.Shared && r.keys.Coin(r.book.mask(account), d.ID, d.Share):
			out = append(out, d)
		case d.Kind == canary.Personal && slices.Contains(own, d.Num):
			d.Account = account
			out = append(out, d)
		}
	}
	return out, nil
}

// BindPersonal makes a personal decoy the account's own, for ever. The same
// account again changes nothing; another account is refused.
func (r *Registry) BindPersonal(ctx context.Context, decoy, account string) error {
	if err := CheckAccount(account); err != nil {
		return err
	}
	d, err := r.Decoy(ctx, decoy)
	if err != nil {
		return err
	}
	if d.Kind != canary.Personal {
		return fmt.Errorf("decoy %s is %s: %w, only a personal decoy is bound to an account", decoy, d.Kind, ErrInvalid)
	}
	return r.db.Group(ctx, func(tx *sql.Tx) error { return r.book.bind(ctx, tx, &d, account, now()) })
}

// bind binds a personal decoy to the first account it is shown to. To every other
// account there is no such decoy.
func (b *book) bind(ctx context.Context, tx *sql.Tx, d *canary.Decoy, account string, at time.Time) error {
	bound, err := binding(ctx, tx, d.Num)
	switch {
	case err != nil || bound == b.mask(account):
		return err
	case bound != "":
		return fmt.Errorf("decoy %s: %w: it is another account's personal decoy", d.ID, ErrNotFound)
	}
	id, err := b.ensureAccount(ctx, tx, account, at)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE decoys SET account = ?, bound_at = ? WHERE num = ? AND account IS NULL`, id, at.UnixMicro(), d.Num)
	return err
}
