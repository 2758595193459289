package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// openLedger begins the ledger of a registry that has none.
func (r *Registry) openLedger(ctx context.Context, commitment string) error {
	r.book.sideBySide = r.db.Engine() == sqlstore.SQLite
	s, err := ledgerState(ctx, r.db.Read())
	if err != nil {
		return err
	}
	r.book.floor.Store(s.recorded)
	notBefore(s.recorded)
	if s.began || r.readOnly {
		return nil
	}
	if err := r.beginLedger(ctx, commitment); err != nil {
		return fmt.Errorf("begin ledger: %w", err)
	}
	return nil
}

// ledgerRow is what the registry knows of its ledger.
type ledgerRow struct {
	size, published, recorded int64
	began                     bool
	folder                    string // id of the folder with the tiles
}

func ledgerState(ctx context.Context, q queryer) (s ledgerRow, err error) {
	err = q.QueryRowContext(ctx, `SELECT size, published, recorded, began IS NOT NULL, folder FROM ledger`).Scan(&s.size, &s.published, &s.recorded, &s.began, &s.folder)
	if err != nil {
		return s, fmt.Errorf("read ledger: %w", sqlstore.Explain(err))
	}
	return s, nil
}

// ErrElsewhere says that the tiles of the ledger are in another folder than this
// machine's: that one signs.
var ErrElsewhere = errors.New("the ledger's tiles are in another folder")

// folderFile holds the id by which the registry knows the folder with the tiles.
const folderFile = "folder"

// SealLedger puts every entry that waits into tiles, signs the tree and publishes
// its head. It may be cut off anywhere: entries have their places already, so that
// the same tiles are written again. On a registry whose tiles are in another
// folder it does nothing and returns ErrElsewhere.
func (r *Registry) SealLedger(ctx context.Context) (ledger.Head, error) {
	lock, err := r.lockLedger()
	if err != nil {
		return ledger.Head{}, err
	}
	defer lock.Close()
	h, err := r.seal(ctx)
	if err == nil {
		r.book.queue.Store(false)
	}
	if errors.Is(err, ErrElsewhere) {
		r.book.queue.Store(false)
		return h, err
	}
	if err != nil {
		return h, fmt.Errorf("seal ledger: %w", err)
	}
	return h, nil
}

// lockLedger waits for the folder: one process seals at a time.
func (r *Registry) lockLedger() (*os.File, error) {
	if err := os.MkdirAll(r.book.path, 0o700); err != nil {
		return nil, err
	}
	return lockFile(filepath.Join(r.book.path, "lock"), syscall.LOCK_EX)
}

func (r *Registry) seal(ctx context.Context) (ledger.Head, error) {
	folder := ledger.Folder(r.book.path)
	s, err := ledgerState(ctx, r.db.Read())
	if err != nil {
		return ledger.Head{}, err
	}
	if err := r.claimFolder(ctx, s); err != nil {
		return ledger.Head{}, err
	}
	tree, known, err := r.book.published(folder, s)
	if err != nil {
		return ledger.Head{}, err
	}
	if err := r.take(ctx, folder, tree, known); err != nil {
		return ledger.Head{}, err
	}
	h := ledger.Head{Size: tree.Size(), Root: tree.Root(), At: now().Truncate(time.Second)}
	if err := folder.Write(tree); err != nil {
		return h, err
	}
	signed, err := r.book.signer.Sign(h)
	if err != nil {
		return h, err
	}
	if err := folder.Publish(signed); err != nil {
		return h, err
	}
	if h.Size == s.published {
		return h, nil // the same tree at a later time
	}
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM ledger_queue WHERE first_place < ?`, h.Size); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO ledger_heads (size, at, checkpoint) VALUES (?, ?, ?) ON CONFLICT (size) DO NOTHING`, h.Size, h.At.UnixMicro(), string(signed)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE ledger SET published = ?`, h.Size)
		return err
	})
	if err != nil {
		return h, err
	}
	return h, errors.Join(folder.Prune(s.published, h.Size), r.appendViewers(ctx))
}

// claimFolder makes this folder the one with the tiles, if there is none yet.
func (r *Registry) claimFolder(ctx context.Context, s ledgerRow) error {
	path := filepath.Join(r.book.path, folderFile)
	id, err := os.ReadFile(path)
	switch {
	case err == nil && s.folder == strings.TrimSpace(string(id)):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case s.folder != "" && err != nil && r.db.Engine() == sqlstore.SQLite:
		return fmt.Errorf("%s does not hold the tiles of this registry: restore the folder from a backup", r.book.path)
	case s.folder != "":
		return ErrElsewhere
	}
	if err != nil {
		id = []byte(rand.Text() + "\n")
		if err := writeNew(path, id, 0o600); err != nil {
			return err
		}
		if err := syncFolder(r.book.path); err != nil {
			return err
		}
	}
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE ledger SET folder = ? WHERE folder = ''`, strings.TrimSpace(string(id)))
		return err
	})
}

// published reads the tree as far as the registry knows that it is in tiles, and
// the head in the folder, which may be one step further: the process that
// published it was cut off before the registry knew.
func (b *book) published(folder ledger.Folder, s ledgerRow) (*ledger.Tree, *ledger.Head, error) {
	data, err := folder.Checkpoint()
	if err != nil {
		return nil, nil, err
	}
	if data == nil {
		if s.published > 0 {
			return nil, nil, fmt.Errorf("%s holds no checkpoint although %d entries were published: restore the folder from a backup", folder, s.published)
		}
		return &ledger.Tree{}, nil, nil
	}
	h, err := b.signer.Open(data)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("checkpoint in %s: %w", folder, err)
	case h.Size > s.size:
		return nil, nil, fmt.Errorf("%s holds %d entries, the registry knows of %d: the registry was set back to an older state; restore its newest backup", folder, h.Size, s.size)
	case h.Size < s.published:
		return nil, nil, fmt.Errorf("%s holds %d entries although %d were published: the folder was set back to an older state, or another machine went on with a copy of it; put the newest one here (that machine's, else the backup's)", folder, h.Size, s.published)
	}
	tree, err := folder.Tree(s.published)
	if err != nil {
		return nil, nil, err
	}
	return tree, &h, checkHead(tree, &h)
}

// checkHead compares a tree with the head of its size.
func checkHead(t *ledger.Tree, h *ledger.Head) error {
	if h != nil && t.Size() == h.Size && t.Root() != h.Root {
		return fmt.Errorf("the tiles of the first %d entries do not hash to the signed head: they were changed, birdring ledger verify says where", h.Size)
	}
	return nil
}

// mostPending is from how many bytes on tiles are written while the queue is read.
const mostPending = 8 << 20

// take adds the entries that wait. At the size of the known head the tree must be
// the one that was signed.
func (r *Registry) take(ctx context.Context, folder ledger.Folder, tree *ledger.Tree, known *ledger.Head) error {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT first_place, n, entries FROM ledger_queue WHERE first_place >= ? ORDER BY first_place`, tree.Size())
	if err != nil {
		return sqlstore.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var first, n int64
		var entries []byte
		if err := rows.Scan(&first, &n, &entries); err != nil {
			return err
		}
		if first != tree.Size() {
			return fmt.Errorf("entry %d is missing in the queue: it was removed", tree.Size())
		}
		err := ledger.Cut(entries, func(e []byte) error {
			tree.Add(e)
			return checkHead(tree, known)
		})
		if err != nil {
			return err
		}
		if tree.Size() != first+n {
			return fmt.Errorf("the queue holds %d entries from %d on, %d were promised: it was changed", tree.Size()-first, first, n)
		}
		if tree.Pending() > mostPending {
			if err := folder.Flush(tree); err != nil {
				return err
			}
		}
	}
	return sqlstore.Explain(rows.Err())
}

// sealEvery is how often the server signs the tree.
const sealEvery = time.Minute

// KeepLedger signs the tree every minute until ctx ends.
func (r *Registry) KeepLedger(ctx context.Context) error {
	return Every(ctx, sealEvery, func(ctx context.Context) {
		if _, err := r.SealLedger(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrElsewhere) {
			r.log.ErrorContext(ctx, "ledger not sealed, will try again", "error", err)
		}
	})
}

// SignedHead is the newest signed head with the public keys it verifies with.
type SignedHead struct {
	Size       int64     `json:"size"`
	Root       string    `json:"root"` // base64
	Signed     time.Time `json:"signed"`
	Checkpoint string    `json:"checkpoint"`
	Key        string    `json:"key"`      // of the log, as note verifiers read it
	TimeKey    string    `json:"time_key"` // of the signature with the time
}

// LedgerHead reads the newest signed head.
func (r *Registry) LedgerHead() (*SignedHead, error) {
	data, err := ledger.Folder(r.book.path).Checkpoint()
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("%s holds no signed head: %w", r.book.path, ErrNotFound)
	}
	h, err := r.book.signer.Open(data)
	if err != nil {
		return nil, fmt.Errorf("checkpoint in %s: %w", r.book.path, err)
	}
	return &SignedHead{h.Size, h.Root.String(), h.At, string(data), r.book.signer.Key(), r.book.signer.TimeKey()}, nil
}

// LedgerEntries visits the entries under the newest signed head, from a place on.
func (r *Registry) LedgerEntries(_ context.Context, from int64, visit func(position int64, e *ledger.Entry) error) error {
	h, err := r.LedgerHead()
	if err != nil {
		return err
	}
	return ledger.Folder(r.book.path).Entries(h.Size, func(position int64, data []byte) error {
		if position < from {
			return nil
		}
		e, err := ledger.Parse(data)
		if err != nil {
			return fmt.Errorf("entry %d: %w", position, err)
		}
		return visit(position, e)
	})
}
