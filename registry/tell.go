package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"birdring/registry/sqlstore"
)

// What can be told on a stream; also the topics.
const (
	TellHits         = "hits"
	TellAttributions = "attributions"
)

// metaTell is the fact that says what is told: whoever stores a hit or an
// attribution, in whatever process, stores with it that it is to be told.
const metaTell = "tell"

// SetTelling says what is told from now on, by every process of this registry.
// What waits to be told on a topic that is left out is forgotten.
func (r *Registry) SetTelling(ctx context.Context, topics []string) error {
	for _, t := range topics {
		if t != TellHits && t != TellAttributions {
			return fmt.Errorf("topic %q %w: %s and %s can be told", t, ErrInvalid, TellHits, TellAttributions)
		}
	}
	want := strings.Join(slices.Compact(slices.Sorted(slices.Values(topics))), ",")
	if has, err := r.meta(ctx, metaTell); err != nil || has == want {
		return err
	}
	if err := r.setMeta(ctx, metaTell, want); err != nil {
		return err
	}
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		for _, t := range []string{TellHits, TellAttributions} {
			if slices.Contains(topics, t) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM told WHERE topic = ?`, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// tells says whether a topic is told.
func tells(ctx context.Context, tx *sql.Tx, topic string) (bool, error) {
	rows, err := tx.QueryContext(ctx, `SELECT value FROM meta WHERE key = ?`, metaTell)
	all, err := collect(rows, err, func(rows *sql.Rows) (s string, err error) { return s, rows.Scan(&s) })
	return len(all) > 0 && slices.Contains(strings.Split(all[0], ","), topic), err
}

// tell notes that something is to be told, in the transaction that stores it.
func tell(ctx context.Context, tx *sql.Tx, topic, id string, at time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO told (topic, id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, topic, id, at.UnixMicro())
	return err
}

// Telling is one message to be told. Its id is that of the hit or alert: a
// message told twice has the same one.
type Telling struct {
	ID   string
	Data []byte
	at   int64
}

// Tell gives what waits to be told on a topic, oldest first and at most limit, to
// send and forgets it once send returned nil. It returns how many that were. A
// crash in between tells them again.
func (r *Registry) Tell(ctx context.Context, topic string, limit int, send func([]Telling) error) (int, error) {
	load := r.hitsToTell
	if topic == TellAttributions {
		load = r.messagesToTell
	}
	all, err := load(ctx, limit)
	if err != nil || len(all) == 0 {
		return 0, sqlstore.Explain(err)
	}
	if err := send(all); err != nil {
		return 0, err
	}
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		for _, t := range all {
			if _, err := tx.ExecContext(ctx, `DELETE FROM told WHERE topic = ? AND at = ? AND id = ?`, topic, t.at, t.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return len(all), err
}

// hitsToTell are hits as list tells them.
func (r *Registry) hitsToTell(ctx context.Context, limit int) ([]Telling, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	l := listings["hits"]
	rows, err := r.db.Read().QueryContext(ctx, `SELECT `+l.columns+` FROM `+l.from+` JOIN told q ON q.id = h.id AND q.topic = ? ORDER BY q.at, q.id LIMIT ?`, TellHits, limit)
	return collect(rows, err, func(rows *sql.Rows) (Telling, error) {
		row, err := l.scan(w, rows)
		if err != nil {
			return Telling{}, err
		}
		hit := row.(HitRow)
		data, err := json.Marshal(hit)
		return Telling{ID: hit.ID, Data: data, at: hit.Time.UnixMicro()}, err
	})
}

// messagesToTell are attributions as alerts tell them.
func (r *Registry) messagesToTell(ctx context.Context, limit int) ([]Telling, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT m.id, m.payload, q.at FROM told q JOIN messages m ON m.id = q.id WHERE q.topic = ? ORDER BY q.at, q.id LIMIT ?`, TellAttributions, limit)
	return collect(rows, err, func(rows *sql.Rows) (t Telling, err error) {
		var payload string
		err = rows.Scan(&t.ID, &payload, &t.at)
		t.Data = []byte(payload)
		return t, err
	})
}
