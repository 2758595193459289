package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"birdring/registry/sqlstore"
)

// Health says whether Birdring itself is seeing.
type Health struct {
	OK            bool     `json:"ok"`
	Problems      []string `json:"problems"` // why not, one sentence each
	Decoys        int64    `json:"decoys"`
	Viewers       int64    `json:"viewers"`
	Exposures     int64    `json:"exposures"`
	Hits          int64    `json:"hits"`
	PendingAlerts int64    `json:"pending_alerts"` // messages still to be delivered
	DeadAlerts    int64    `json:"dead_alerts"`    // messages given up
	Alarms        int64    `json:"alarms"`         // defects of ours nobody has looked at
}

// ingestState is how taking in hits went last.
type ingestState struct {
	mu  sync.Mutex // guards the rest
	err error
	at  time.Time // since when it fails

	other error // another server has the registry
}

// taken notes that another server took the registry over, or that it is ours again.
func (s *ingestState) taken(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.other = nil
	if err != nil {
		s.other = fmt.Errorf("another birdring serve took this registry over while PostgreSQL was away (%w): stop one of them", err)
	}
}

// ours is an error while another server has the registry.
func (s *ingestState) ours() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.other
}

func (s *ingestState) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.err == nil {
		s.at = now()
	}
	s.err = err
}

func (s *ingestState) last() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, s.err
}

// mostAlarmsTold bounds the alarms that Health spells out.
const mostAlarmsTold = 5

// Health looks for what somebody should see: writes the disk refuses, hits that
// cannot be taken in, alerts given up, defects.
func (r *Registry) Health(ctx context.Context) (Health, error) {
	h := Health{Problems: []string{}}
	err := r.db.Snapshot(ctx, func(tx *sql.Tx) error { return r.measure(ctx, tx, &h) })
	if err != nil {
		return h, fmt.Errorf("health: %w", sqlstore.Explain(err))
	}
	if at, err := r.db.LastFailure(); err != nil {
		h.Problems = append(h.Problems, fmt.Sprintf("since %s: %v", at.Format(time.RFC3339), err))
	}
	if at, err := r.ingestion.last(); err != nil {
		h.Problems = append(h.Problems, fmt.Sprintf("hits wait in the journal since %s: %v", at.Format(time.RFC3339), err))
	}
	if h.DeadAlerts > 0 {
		h.Problems = append(h.Problems, fmt.Sprintf("%d alerts were given up after days of trying: see birdring alerts list", h.DeadAlerts))
	}
	h.OK = len(h.Problems) == 0
	return h, nil
}

func (r *Registry) measure(ctx context.Context, tx *sql.Tx, h *Health) error {
	err := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM decoys), `+viewerCount+`,
		(SELECT n FROM counters WHERE name = 'exposures'), (SELECT n FROM counters WHERE name = 'hits'),
		(SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL), (SELECT count(*) FROM alarms WHERE cleared_at IS NULL)`).
		Scan(&h.Decoys, &h.Viewers, &h.Exposures, &h.Hits, &h.PendingAlerts, &h.Alarms)
	if err != nil {
		return err
	}
	dead, err := deadLetters(ctx, tx)
	if err != nil {
		return err
	}
	h.DeadAlerts = int64(dead)
	rows, err := tx.QueryContext(ctx, `SELECT at, message FROM alarms WHERE cleared_at IS NULL ORDER BY at LIMIT ?`, mostAlarmsTold)
	told, err := collect(rows, err, func(rows *sql.Rows) (string, error) {
		var at int64
		var text string
		err := rows.Scan(&at, &text)
		return fmt.Sprintf("since %s: %s", sqlstore.Time(at).Format(time.RFC3339), text), err
	})
	h.Problems = append(h.Problems, told...)
	if more := h.Alarms - int64(len(told)); more > 0 {
		h.Problems = append(h.Problems, fmt.Sprintf("and %d more alarms", more))
	}
	return err
}

// raiseAlarm stores a defect of ours for somebody to look at, with its case.
// The same message of the same kind is raised once until it is cleared.
func raiseAlarm(ctx context.Context, tx *sql.Tx, kind, text string, detail any) error {
	data, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO alarms (at, kind, message, detail) SELECT CAST(?1 AS BIGINT), ?2, ?3, ?4
		WHERE NOT EXISTS (SELECT 1 FROM alarms WHERE kind = ?2 AND message = ?3 AND cleared_at IS NULL)`, now().UnixMicro(), kind, text, string(data))
	return err
}

// RaiseAlarm stores a defect for somebody to look at, with its case.
func (r *Registry) RaiseAlarm(ctx context.Context, kind, text string, detail any) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error { return raiseAlarm(ctx, tx, kind, text, detail) })
}

// ClearAlarms marks all alarms as looked at. Their cases stay.
func (r *Registry) ClearAlarms(ctx context.Context) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE alarms SET cleared_at = ? WHERE cleared_at IS NULL`, now().UnixMicro())
		return err
	})
}
