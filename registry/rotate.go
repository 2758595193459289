package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"birdring/canary"
	"birdring/registry/ledger"
)

// Rotation says what RotateKeys did.
type Rotation struct {
	Epoch      uint8  `json:"epoch"`      // the newest
	State      string `json:"state"`      // standby, in use
	Commitment string `json:"commitment"` // to all epochs
}

// RotateKeys adds an epoch, whose commitment is under a signed head before the
// epoch is used, and puts it to use; with prepare it stays on standby until
// RotateKeys is called again, so that edges and other machines get the new keys
// first. Nothing that was served changes: a picture keeps its epoch for ever.
// What was cut off is taken up where it stopped.
func (r *Registry) RotateKeys(ctx context.Context, prepare bool) (Rotation, error) {
	lock, err := r.lockKeys()
	if err != nil {
		return Rotation{}, err
	}
	defer lock.Close()
	if err := r.RefreshKeys(); err != nil {
		return Rotation{}, err
	}
	info, err := r.keysKMS()
	if err != nil {
		return Rotation{}, err
	}
	epochs := r.keys.Epochs()
	last := epochs[len(epochs)-1]
	switch {
	case !last.Standby:
		if err := r.addEpoch(ctx, info.KMS); err != nil {
			return Rotation{}, fmt.Errorf("rotate keys: %w", err)
		}
	case prepare:
		return Rotation{}, fmt.Errorf("epoch %d is on standby already: %w; run birdring keys rotate to put it to use", last.Number, ErrConflict)
	}
	if !prepare {
		if err := r.useEpoch(ctx, info.KMS); err != nil {
			return Rotation{}, fmt.Errorf("rotate keys: %w", err)
		}
	}
	out := Rotation{Epoch: uint8(len(r.keys.Epochs())), State: "standby", Commitment: r.keys.Commitment()}
	if out.Epoch == r.keys.Epoch() {
		out.State = "in use"
	}
	return out, nil
}

// addEpoch draws an epoch and commits to it. The keys are on disk, under another
// name, before the registry is committed to them; Open finishes what is cut off
// behind that.
func (r *Registry) addEpoch(ctx context.Context, kms string) error {
	next, err := r.keys.Rotated()
	if err != nil {
		return err
	}
	if err := r.stageKeys(next, kms); err != nil {
		return err
	}
	number := uint8(len(next.Epochs()))
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		at := now().UnixMicro()
		if err := commitTo(ctx, tx, number, next.Commitment(), at); err != nil {
			return err
		}
		r.book.add(tx, ledger.Entry{Class: ledger.Commitment, Nums: []int64{int64(number), at}, Strings: []string{next.Commitment()}})
		if _, err := tx.ExecContext(ctx, `UPDATE meta SET value = ? WHERE key = 'commitment'`, next.Commitment()); err != nil {
			return err
		}
		if err := count(ctx, tx, "decoys", 1); err != nil { // every process reads the keys again
			return err
		}
		return r.book.note(ctx, tx, AuditRow{Action: ActRotate, Subject: fmt.Sprintf("epoch %d", number), Reason: "added"})
	})
	if err != nil {
		return err
	}
	if _, err := settleKeys(r.dir, r.keys, next, next.Commitment()); err != nil {
		return err
	}
	return r.keys.Adopt(next)
}

// afterServe is how long a running server is given to take up new keys.
const afterServe = 3 * keysEvery

// useEpoch puts the epoch on standby to use, once its commitment is published.
func (r *Registry) useEpoch(ctx context.Context, kms string) error {
	next, err := r.keys.Activated()
	if err != nil {
		return err
	}
	number := next.Epoch()
	_, err = r.SealLedger(ctx)
	published := err == nil
	if errors.Is(err, ErrElsewhere) {
		err = r.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM ledger_heads h JOIN commitments c ON c.epoch = ? WHERE h.at >= c.at)`, int64(number)).Scan(&published)
	}
	if err != nil {
		return err
	}
	if !published {
		return fmt.Errorf("the commitment to epoch %d is not under a signed head yet: the machine that signs does so within a minute, then run birdring keys rotate again", number)
	}
	if r.served() {
		// A server must open what is sealed from now on.
		select {
		case <-time.After(afterServe):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := r.replaceKeys(next, kms); err != nil {
		return err
	}
	if err := r.keys.Adopt(next); err != nil {
		return err
	}
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		if err := count(ctx, tx, "decoys", 1); err != nil {
			return err
		}
		return r.book.note(ctx, tx, AuditRow{Action: ActRotate, Subject: fmt.Sprintf("epoch %d", number), Reason: "in use"})
	})
}

// served says whether a server runs on the folder.
func (r *Registry) served() bool {
	f, err := lockFile(filepath.Join(r.dir, "serve.lock"), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return true
	}
	f.Close()
	return false
}

// ExportEdge writes the keys of an edge that serves the pictures of some decoys,
// of all of them for none. See canary.ParseEdgeKeys.
func (r *Registry) ExportEdge(ctx context.Context, decoys []string) (data []byte, pictures int, err error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, 0, err
	}
	wanted := map[int]bool{}
	for _, id := range decoys {
		i, ok := w.byID[id]
		if !ok {
			return nil, 0, fmt.Errorf("decoy %q: %w: birdring list decoys shows them", id, ErrNotFound)
		}
		wanted[i] = true
	}
	var out []canary.EdgePicture
	for i := range w.pictures {
		p := &w.pictures[i]
		if d := &w.decoys[p.decoy]; (len(decoys) == 0 || wanted[p.decoy]) && d.Recalled.IsZero() {
			out = append(out, canary.EdgePicture{Photo: p.id, Num: p.num, Decoy: d.ID, DecoyNum: d.Num, Epoch: p.epoch})
		}
	}
	if len(out) == 0 {
		return nil, 0, fmt.Errorf("there is no picture to serve: %w", ErrNotFound)
	}
	if data, err = r.keys.ExportEdge(out); err != nil {
		return nil, 0, err
	}
	return data, len(out), r.Note(ctx, AuditRow{Action: ActExport, Subject: fmt.Sprintf("%d pictures", len(out)), Reason: "keys for an edge"})
}
