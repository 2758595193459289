package registry

import (
	"cmp"
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// stampsDir in the ledger's folder holds, for each size stamped, the head and the
// authority's answer, as openssl ts -verify reads them.
const stampsDir = "stamps"

// HeadStamp is somebody else's word that a head existed at a time.
type HeadStamp struct {
	Size  int64     `json:"size"`
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Head  string    `json:"head"`  // file
	Stamp string    `json:"stamp"` // file
}

// Authority is a time stamp authority (RFC 3161).
type Authority struct {
	URL    string
	Roots  *x509.CertPool // its certificate must lead to one of them; nil: any will do
	Client *http.Client   // nil: one that waits 30 s
	Every  time.Duration  // of KeepStamps; 0: every hour
}

// StampLedger signs the tree and has an authority stamp the head that is kept of it.
func (r *Registry) StampLedger(ctx context.Context, a Authority) (*HeadStamp, error) {
	if _, err := r.SealLedger(ctx); err != nil {
		return nil, err
	}
	size, head, _, err := r.keptHead(ctx)
	if err != nil {
		return nil, err
	}
	client := a.Client
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	answer, stamp, err := ledger.Stamped(ctx, client, a.URL, head)
	if err != nil {
		return nil, err
	}
	if a.Roots != nil {
		if err := stamp.Trusted(a.Roots); err != nil {
			return nil, fmt.Errorf("the authority %s is not vouched for: %w", stamp.By, err)
		}
	}
	dir := filepath.Join(r.book.path, stampsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	out := &HeadStamp{Size: size, At: stamp.At, By: stamp.By}
	base := filepath.Join(dir, fmt.Sprintf("%d-%d", size, stamp.At.Unix()))
	out.Head, out.Stamp = base+".checkpoint", base+".tsr"
	for _, f := range []struct {
		name string
		data []byte
	}{{out.Head, head}, {out.Stamp, answer}} {
		if err := WritePrivate(f.name, f.data); err != nil {
			return nil, err
		}
	}
	return out, r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE ledger_heads SET stamp = ?, stamped_by = ? WHERE size = ?`, answer, a.URL, size)
		return err
	})
}

// keptHead is the newest head that the registry keeps, as it was signed first.
func (r *Registry) keptHead(ctx context.Context) (size int64, head []byte, stamped bool, err error) {
	var text string
	err = r.db.Read().QueryRowContext(ctx, `SELECT size, checkpoint, stamp IS NOT NULL FROM ledger_heads ORDER BY size DESC LIMIT 1`).Scan(&size, &text, &stamped)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("a signed head: %w", ErrNotFound)
	}
	return size, []byte(text), stamped, sqlstore.Explain(err)
}

// KeepStamps has the newest head stamped now and then again and again, as long as
// there is something new, until ctx ends. Where another machine signs, that one
// stamps.
func (r *Registry) KeepStamps(ctx context.Context, a Authority) error {
	return Every(ctx, cmp.Or(a.Every, time.Hour), func(ctx context.Context) {
		if err := r.stampNews(ctx, a); err != nil && ctx.Err() == nil && !errors.Is(err, ErrElsewhere) {
			r.log.ErrorContext(ctx, "ledger not stamped, will try again", "authority", a.URL, "error", err)
		}
	})
}

func (r *Registry) stampNews(ctx context.Context, a Authority) error {
	if _, err := r.SealLedger(ctx); err != nil {
		return err
	}
	if _, _, stamped, err := r.keptHead(ctx); err != nil || stamped {
		return err
	}
	s, err := r.StampLedger(ctx, a)
	if err == nil {
		r.log.InfoContext(ctx, "ledger stamped", "entries", s.Size, "at", s.At, "by", s.By)
	}
	return err
}

// checkStamp checks the stamp of a head: that it is of this head, by an authority
// that the roots vouch for, and not older than what stands under it.
func (v *verifier) checkStamp(h *signedHead, head ledger.Head) {
	if h.stamp == nil {
		return
	}
	bad := func(format string, args ...any) {
		v.problem(LedgerProblem{Kind: "ledger", Text: fmt.Sprintf("the time stamp of the head of %d entries ", h.size) + fmt.Sprintf(format, args...)})
	}
	s, err := v.openStamp(h, head)
	switch {
	case err != nil:
		bad("does not stand: %v", err)
	case v.roots != nil && s.Trusted(v.roots) != nil:
		bad("is by %s, for whom none of the roots vouches", s.By)
	case v.recorded > s.At.Add(clockSlack).UnixMicro():
		bad("is of %s, but an entry under it says it was recorded at %s", s.At.Format(time.RFC3339), stamp(v.recorded))
	default:
		v.rep.Stamps++
		if v.rep.Stamped == nil || v.rep.Stamped.Before(s.At) {
			v.rep.Stamped = &s.At
		}
	}
}

// openStamp opens a stamp of the head as it is kept, or as it was signed again
// later with the same entries, which stands beside the stamp in the folder.
func (v *verifier) openStamp(h *signedHead, head ledger.Head) (*ledger.Stamp, error) {
	s, err := ledger.OpenStamp(h.stamp, []byte(h.checkpoint))
	if err == nil {
		return s, nil
	}
	again, globErr := filepath.Glob(filepath.Join(v.b.path, stampsDir, fmt.Sprintf("%d-*.checkpoint", h.size)))
	if globErr != nil {
		return nil, globErr
	}
	for _, name := range again {
		data, readErr := os.ReadFile(name)
		if readErr != nil {
			return nil, readErr
		}
		same, openErr := v.b.signer.Open(data)
		if openErr != nil || same.Size != head.Size || same.Root != head.Root {
			continue
		}
		if s, err := ledger.OpenStamp(h.stamp, data); err == nil {
			return s, nil
		}
	}
	return nil, err
}
