// Package registry is what Birdring remembers and concludes.
//
// It plants decoys, numbers viewers, records who was shown what before anything
// is handed out, keeps hits and sightings, and turns sightings into
// attributions that name an account together with the evidence against it. A
// new attribution is stored together with the message that tells it.
//
//	reg, err := registry.Open(ctx, "birdring-data", registry.Options{})
//	copies, err := reg.Expose(ctx, []registry.Exposure{{Account: "a", Decoy: id, At: time.Now(), Kind: registry.Offered}})
//	data, err := reg.Rendition(nil, copies[0].Photos[0].Photo, copies[0].Viewer)
//
// A data folder holds keys.json (the secrets: whoever has it can compute every
// ring), registry.db, and the prepared pictures. Several processes may work on
// one folder at once. Instead of registry.db a registry may be in PostgreSQL:
// then folders with the same keys and pictures on several machines share it.
package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"birdring/beacon/visit"
	"birdring/canary"
	"birdring/registry/sqlstore"
)

// What errors of this package wrap where a caller may want to branch.
var (
	ErrNotFound = errors.New("not found")
	ErrInvalid  = errors.New("invalid") // the caller's values are at fault
	ErrConflict = errors.New("conflict")
)

// DefaultPublicURL is where links point until somebody says otherwise.
const DefaultPublicURL = "http://127.0.0.1:8480"

// The names in a data folder.
const (
	keysFile     = "keys.json"
	databaseFile = "registry.db"
	picturesDir  = "pictures"
	ledgerDir    = "ledger"
)

// Options of Open.
type Options struct {
	Database string       // postgres:// URL; "": registry.db in the folder
	ReadOnly bool         // refuse every write
	Log      *slog.Logger // nil: nothing is logged
	Visit    *visit.Rules // who a hit probably was; nil: the built-in rules
	// ForeignKeys are used instead of the folder's own. Everything is then read
	// against rings that were never served: the control run that must name nobody.
	ForeignKeys *canary.Keyring
	// Lease is how long a delivery that a process takes is nobody else's; a process
	// that dies with it leaves it to the next then. 0: 30 s, longer than a try lasts.
	Lease time.Duration
}

// Registry is an open data folder. It is safe for concurrent use.
type Registry struct {
	dir       string
	database  string // path or URL
	db        *sqlstore.DB
	keys      *canary.Keyring
	foreign   bool // keys are not those of the folder
	book      *book
	log       *slog.Logger
	publicURL string
	readOnly  bool

	viewers   viewerCache
	decoys    decoyCache
	renderers rendererCache
	eye       eye
	ingestion ingestState
	folding   folding
	visit     *visit.Rules
	lease     time.Duration
}

// Open opens the registry in dir.
func Open(ctx context.Context, dir string, o Options) (_ *Registry, err error) {
	keys, pending, err := readKeys(dir)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	book, err := newBook(keys, filepath.Join(dir, ledgerDir))
	if err != nil {
		return nil, err
	}
	database := databaseOf(dir, o.Database)
	db, err := sqlstore.Open(ctx, database, sqlstore.Options{ReadOnly: o.ReadOnly, Tail: book})
	switch {
	case errors.Is(err, fs.ErrNotExist) && o.Database != "":
		return nil, fmt.Errorf("there is no registry in %s: run birdring init or birdring registry copy with this --registry", sqlstore.Redacted(database))
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is missing in %s although its keys are there: restore it from a backup, or say --registry postgres://... if the registry is there", databaseFile, dir)
	case err != nil:
		return nil, fmt.Errorf("open registry %s: %w", sqlstore.Redacted(cmp.Or(o.Database, dir)), err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	r := &Registry{dir: dir, database: database, db: db, keys: keys, book: book, log: o.Log, readOnly: o.ReadOnly, visit: o.Visit}
	if r.lease = o.Lease; r.lease <= 0 {
		r.lease = defaultLease
	}
	if r.visit == nil {
		r.visit = visit.Default()
	}
	want, err := r.meta(ctx, "commitment")
	if err != nil {
		return nil, err
	}
	if r.keys, err = settleKeys(dir, keys, pending, want); err != nil {
		return nil, err
	}
	if err := r.openNames(ctx); err != nil {
		return nil, err
	}
	if err := r.openLedger(ctx, want); err != nil {
		return nil, err
	}
	if o.ForeignKeys != nil {
		r.keys, r.foreign = o.ForeignKeys, true
	}
	r.publicURL, err = r.meta(ctx, "public_url")
	return r, err
}

// databaseOf is where the registry of a folder is.
func databaseOf(dir, url string) string {
	return cmp.Or(url, filepath.Join(dir, databaseFile))
}

// Close finishes writes under way, signs what this process added to the ledger and
// closes the registry.
func (r *Registry) Close() error {
	var err error
	if r.book.queue.Load() {
		_, err = r.SealLedger(context.Background())
	}
	return errors.Join(err, r.db.Close())
}

// Keyring returns the keys.
func (r *Registry) Keyring() *canary.Keyring { return r.keys }

// DatabaseURL is the postgres:// URL of the registry, "" if it is a file in its folder.
func (r *Registry) DatabaseURL() string {
	if sqlstore.IsURL(r.database) {
		return r.database
	}
	return ""
}

// Dir returns the data folder.
func (r *Registry) Dir() string { return r.dir }

// PublicURL is where links and pictures of this registry are reached, without a slash at the end.
func (r *Registry) PublicURL() string { return r.publicURL }

// SetPublicURL says where links and pictures are reached from now on, here and
// in processes that open the registry later. Only the server that holds the
// folder (LockServe) calls it, before it serves.
func (r *Registry) SetPublicURL(ctx context.Context, url string) error {
	url = strings.TrimRight(url, "/")
	was, err := r.meta(ctx, "public_url") // another server may have said so since this one opened it
	if err == nil && url != was {
		err = r.setMeta(ctx, "public_url", url)
	}
	if err == nil {
		r.publicURL = url
	}
	return err
}
