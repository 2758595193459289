package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/registry/sqlstore"
)

// ingestMost is how many records are taken in by one transaction.
const ingestMost = 5000

// nameless is what the one journal was called before journals had names.
const nameless = "local"

// errEnough ends a batch.
var errEnough = errors.New("enough")

// ReportHit stores a hit, on disk before it returns. The same hit again is one.
func (r *Registry) ReportHit(ctx context.Context, h beacon.Hit) error {
	w, err := r.world(ctx)
	if err != nil {
		return err
	}
	err = r.db.Group(ctx, func(tx *sql.Tx) error {
		in, err := r.newIntake(ctx, tx, w, nil)
		if err != nil {
			return err
		}
		return errors.Join(in.hit(h), in.close())
	})
	if err != nil {
		return fmt.Errorf("record hit: %w", err)
	}
	return nil
}

// IngestJournal takes in what is new in the journal and returns how many records
// that were. Each is stored exactly once: the place reached is stored in the same
// transaction. Only one process may take in a journal.
func (r *Registry) IngestJournal(ctx context.Context, j *journal.Journal) (n int, err error) {
	defer func() { r.ingestion.note(err) }()
	for {
		if err := r.ingestion.ours(); err != nil {
			return n, err
		}
		more, err := r.ingestBatch(ctx, j)
		n += more
		if err != nil {
			return n, err
		}
		if more < ingestMost {
			break
		}
	}
	if err := j.Err(); err != nil {
		return n, fmt.Errorf("write journal: %w", err)
	}
	return n, nil
}

// ingestBatch takes in up to ingestMost records and removes what the journal
// need not keep.
func (r *Registry) ingestBatch(ctx context.Context, j *journal.Journal) (int, error) {
	source, err := j.Source()
	if err != nil {
		return 0, err
	}
	from, err := r.cursor(ctx, j, source)
	if err != nil {
		return 0, err
	}
	var records [][]byte
	to, err := j.Read(from, func(rec []byte, next journal.Position) error {
		if len(records) == ingestMost {
			return errEnough
		}
		records = append(records, append([]byte(nil), rec...))
		from = next
		return nil
	})
	if errors.Is(err, errEnough) {
		to, err = from, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	if len(records) == 0 {
		return 0, nil
	}
	w, err := r.world(ctx)
	if err != nil {
		return 0, err
	}
	r.folding.mu.Lock()
	defer r.folding.mu.Unlock()
	again := false
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		if again {
			r.folding.forget() // it knows rows that were taken back
		}
		again = true
		in, err := r.newIntake(ctx, tx, w, &r.folding)
		if err != nil {
			return err
		}
		for _, rec := range records {
			if err := in.record(rec); err != nil {
				return errors.Join(err, in.close())
			}
		}
		if err := in.close(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO journals (name, segment, "offset") VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET segment = excluded.segment, "offset" = excluded."offset"`, source, int64(to.Segment), to.Offset)
		return err
	})
	if err != nil {
		r.folding.forget()
		return 0, fmt.Errorf("store hits: %w", err)
	}
	if _, err := j.Remove(to); err != nil {
		return len(records), fmt.Errorf("shorten journal: %w", err)
	}
	return len(records), nil
}

// cursor is how far a journal is taken in. Each has its own: another server on the
// same registry, before or after this one, has another journal. One that was taken
// in before journals had names is the one that reaches as far.
func (r *Registry) cursor(ctx context.Context, j *journal.Journal, source string) (p journal.Position, err error) {
	const query = `SELECT segment, "offset" FROM journals WHERE name = ?`
	err = r.db.Read().QueryRowContext(ctx, query, source).Scan(&p.Segment, &p.Offset)
	if !errors.Is(err, sql.ErrNoRows) {
		return p, sqlstore.Explain(err)
	}
	err = r.db.Read().QueryRowContext(ctx, query, nameless).Scan(&p.Segment, &p.Offset)
	if errors.Is(err, sql.ErrNoRows) {
		return journal.Position{}, nil
	}
	if err != nil {
		return journal.Position{}, sqlstore.Explain(err)
	}
	if end := j.End(); p.Segment > end.Segment || p.Segment == end.Segment && p.Offset > end.Offset {
		return journal.Position{}, nil
	}
	return p, r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE journals SET name = ? WHERE name = ?`, source, nameless)
		return err
	})
}

// exposeByHit records that a viewer's picture was sent. A token that is sealed by
// our keys but names what the registry does not know shows a defect, for example
// a restored backup.
func (b *book) exposeByHit(ctx context.Context, tx *sql.Tx, w *world, h beacon.Hit) error {
	i, ok := w.photoNum[h.Token.Object]
	var known bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM viewers WHERE number = ?)`, h.Token.Viewer).Scan(&known); err != nil {
		return err
	}
	if !ok || !known {
		return raiseAlarm(ctx, tx, "token", fmt.Sprintf("a picture was sent for a link to picture %d of viewer %d, which the registry does not know: was a backup restored?", h.Token.Object, h.Token.Viewer), h)
	}
	p := w.pictures[i]
	return b.insertFetch(ctx, tx, w.decoys[p.decoy].Num, p.num, Fetch{
		Viewer: h.Token.Viewer, At: h.At, Address: hostOf(h.Addr), UserAgent: h.UserAgent, SHA256: h.SHA256,
	})
}
