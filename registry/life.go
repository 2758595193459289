package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

// State is where a decoy is in its life.
type State string

// The states, in the order of a life. What is burnt may be recalled later, and what
// is recalled rotated; a decoy keeps the marks of all it went through.
const (
	StatePlanted  State = "planted"  // nobody was shown it yet
	StateShown    State = "shown"    // somebody was
	StateBurnt    State = "burnt"    // known to be a decoy: no longer put before anybody, its finds say less
	StateRecalled State = "recalled" // taken down: asked for, it is not there
	StateRotated  State = "rotated"  // recalled, and another planted in its place
)

// StateOf is a decoy's state; shown says whether an exposure of it is known.
func StateOf(d *canary.Decoy, shown bool) State {
	switch {
	case d.Successor != "":
		return StateRotated
	case !d.Recalled.IsZero():
		return StateRecalled
	case !d.Burnt.IsZero():
		return StateBurnt
	case shown:
		return StateShown
	}
	return StatePlanted
}

// State returns the state of a decoy.
func (r *Registry) State(ctx context.Context, d *canary.Decoy) (State, error) {
	var shown bool
	err := r.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM exposures WHERE decoy = ?)`, d.Num).Scan(&shown)
	return StateOf(d, shown), sqlstore.Explain(err)
}

// maxNote bounds a note in bytes.
const maxNote = 500

// Burn says that a decoy is known to be one. It is put before nobody from now on;
// whoever asks for it by handle still gets his copy, so that nothing shows.
func (r *Registry) Burn(ctx context.Context, decoy, note string) (canary.Decoy, error) {
	return r.live(ctx, decoy, note, "burnt_at", func(d *canary.Decoy) error {
		if !d.Burnt.IsZero() {
			return fmt.Errorf("decoy %s is burnt since %s: %w", d.ID, d.Burnt.Format(time.RFC3339), ErrConflict)
		}
		return nil
	})
}

// Recall takes a decoy down: it is shown to nobody from now on, its handle stays
// reserved and its finds are matched for ever.
func (r *Registry) Recall(ctx context.Context, decoy, note string) (canary.Decoy, error) {
	return r.live(ctx, decoy, note, "recalled_at", func(d *canary.Decoy) error {
		if !d.Recalled.IsZero() {
			return fmt.Errorf("decoy %s is recalled since %s: %w", d.ID, d.Recalled.Format(time.RFC3339), ErrConflict)
		}
		return nil
	})
}

// live marks a decoy in a column of times.
func (r *Registry) live(ctx context.Context, decoy, note, column string, may func(*canary.Decoy) error) (canary.Decoy, error) {
	if err := checkText("note", note, maxNote); err != nil {
		return canary.Decoy{}, err
	}
	d, err := r.Decoy(ctx, decoy)
	if err != nil {
		return d, err
	}
	if err := may(&d); err != nil {
		return d, err
	}
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE decoys SET `+column+` = ?, life_note = CASE WHEN ? = '' THEN life_note ELSE ? END WHERE num = ? AND `+column+` IS NULL`,
			now().UnixMicro(), note, note, d.Num)
		if err != nil {
			return err
		}
		return count(ctx, tx, "decoys", 1)
	})
	if err != nil {
		return d, fmt.Errorf("change decoy %s: %w", decoy, err)
	}
	return r.Decoy(ctx, decoy)
}

// Rotate recalls a decoy and plants one of its kind and share in its place, with the
// photos, stories and handles that q asks for. Where it is recalled already only the
// successor is planted; a decoy has one successor.
func (r *Registry) Rotate(ctx context.Context, decoy, note string, q PlantRequest) (old canary.Decoy, next Planted, err error) {
	d, err := r.Decoy(ctx, decoy)
	if err != nil {
		return d, next, err
	}
	if d.Successor != "" {
		return d, next, fmt.Errorf("decoy %s was rotated, %s is in its place: %w", decoy, d.Successor, ErrConflict)
	}
	q.Decoys, q.Personal, q.Dark = 0, 0, 0
	switch d.Kind {
	case canary.Shared:
		q.Decoys, q.Share = 1, d.Share
	case canary.Personal:
		q.Personal = 1
	case canary.Dark:
		q.Dark = 1
	}
	planted, err := r.Plant(ctx, q)
	if len(planted) == 0 {
		return d, next, err
	}
	next = planted[0]
	if d.Recalled.IsZero() {
		if _, e := r.Recall(ctx, decoy, note); e != nil {
			return d, next, errors.Join(err, e)
		}
	}
	e := r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE decoys SET successor = (SELECT num FROM decoys WHERE id = ?) WHERE num = ?`, next.Decoy.ID, d.Num)
		if err != nil {
			return err
		}
		return count(ctx, tx, "decoys", 1)
	})
	if e != nil {
		return d, next, errors.Join(err, fmt.Errorf("rotate decoy %s: %w", decoy, e))
	}
	old, e = r.Decoy(ctx, decoy)
	return old, next, errors.Join(err, e)
}
