package registry

import (
	"context"
	"database/sql"
	"time"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

// DecoyView is a decoy as the list of decoys shows it.
type DecoyView struct {
	canary.Decoy
	State       State
	Viewers     int64 // to whom it was shown
	First, Last time.Time
	Finds       int64 // sightings of anything of it
	Sites       int64 // on which they were
}

// DecoyStates counts decoys by state.
type DecoyStates map[State]int

// DecoyViews returns the decoys of a state, of all if it is "", newest first, count
// of them at most from number skip on; and how many there are of each state.
func (r *Registry) DecoyViews(ctx context.Context, state State, skip, count int) ([]DecoyView, DecoyStates, error) {
	all, err := r.Decoys(ctx)
	if err != nil {
		return nil, nil, err
	}
	shown, err := shownDecoys(ctx, r.db.Read())
	if err != nil {
		return nil, nil, sqlstore.Explain(err)
	}
	states := DecoyStates{}
	var out []DecoyView
	for i := len(all) - 1; i >= 0; i-- {
		s := StateOf(&all[i], shown[all[i].Num])
		states[s]++
		if state != "" && s != state {
			continue
		}
		if skip--; skip >= 0 || len(out) == count {
			continue
		}
		out = append(out, DecoyView{Decoy: all[i], State: s})
	}
	for i := range out {
		if err := out[i].fill(ctx, r.db.Read()); err != nil {
			return nil, nil, sqlstore.Explain(err)
		}
	}
	return out, states, nil
}

// shownDecoys are the numbers of the decoys that somebody was shown.
func shownDecoys(ctx context.Context, q queryer) (map[uint32]bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT num FROM decoys d WHERE EXISTS (SELECT 1 FROM exposures e WHERE e.decoy = d.num)`)
	nums, err := collect(rows, err, func(rows *sql.Rows) (num uint32, err error) { return num, rows.Scan(&num) })
	shown := make(map[uint32]bool, len(nums))
	for _, n := range nums {
		shown[n] = true
	}
	return shown, err
}

func (v *DecoyView) fill(ctx context.Context, q queryer) error {
	var first, last sql.NullInt64
	err := q.QueryRowContext(ctx, `SELECT count(DISTINCT viewer), min(at), max(at) FROM exposures WHERE decoy = ?`, v.Num).Scan(&v.Viewers, &first, &last)
	if err != nil {
		return err
	}
	if first.Valid {
		v.First, v.Last = sqlstore.Time(first.Int64), sqlstore.Time(last.Int64)
	}
	return q.QueryRowContext(ctx, `SELECT count(*), count(DISTINCT site) FROM sightings WHERE decoy = ?`, v.Num).Scan(&v.Finds, &v.Sites)
}
