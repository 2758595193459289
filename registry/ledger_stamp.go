package registry

import (
	"context"
	"crypto/x509"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"birdring/registry/ledger"
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

// StampLedger signs the tree and has a time stamp authority (RFC 3161) stamp the
// head. With roots, the authority's certificate must lead to one of them.
func (r *Registry) StampLedger(ctx context.Context, client *http.Client, url string, roots *x509.CertPool) (*HeadStamp, error) {
	if _, err := r.SealLedger(ctx); err != nil {
		return nil, err
	}
	head, err := ledger.Folder(r.book.path).Checkpoint()
	if err != nil {
		return nil, err
	}
	h, err := r.book.signer.Open(head)
	if err != nil {
		return nil, err
	}
	answer, stamp, err := ledger.Stamped(ctx, client, url, head)
	if err != nil {
		return nil, err
	}
	if roots != nil {
		if err := stamp.Trusted(roots); err != nil {
			return nil, fmt.Errorf("the authority %s is not vouched for: %w", stamp.By, err)
		}
	}
	dir := filepath.Join(r.book.path, stampsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	out := &HeadStamp{Size: h.Size, At: stamp.At, By: stamp.By}
	base := filepath.Join(dir, fmt.Sprintf("%d-%d", h.Size, stamp.At.Unix()))
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
		_, err := tx.ExecContext(ctx, `UPDATE ledger_heads SET stamp = ?, stamped_by = ? WHERE size = ?`, answer, url, h.Size)
		return err
	})
}
