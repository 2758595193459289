package registry

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"

	"birdring/registry/sqlstore"
)

// trialCache keeps the sums of sites, so that one more sighting costs one more
// sighting. Dropping it loses time only.
type trialCache struct {
	mu sync.Mutex
	of map[int64]*siteTrial
}

// siteTrial is the trial of a site with the files it holds.
type siteTrial struct {
	mu    sync.Mutex // held while it is brought up to date and read
	trial *trial
	files []foundFile // in order
}

// mostSites bounds the cache.
const mostSites = 64

func (c *trialCache) site(id int64) *siteTrial {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= mostSites && c.of[id] == nil {
		c.of = map[int64]*siteTrial{}
	}
	if c.of[id] == nil {
		c.of[id] = &siteTrial{}
	}
	return c.of[id]
}

// DropCaches forgets everything that only makes evidence quicker to add up.
func (r *Registry) DropCaches() {
	r.eye.scores.drop()
	r.eye.trials.mu.Lock()
	r.eye.trials.of = nil
	r.eye.trials.mu.Unlock()
}

// onSite brings the trial of a site up to date with the files found there, in
// order of sighting, and hands it to use. A sighting that was rolled back, or an
// exposure told later than a find, makes it begin again.
func (r *Registry) onSite(ctx context.Context, site int64, of audiences, files []foundFile, use func(*trial) error) error {
	s := r.eye.trials.site(site)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trial != nil {
		s.trial.of = of
		ok, err := s.stands(files)
		if err != nil {
			return err
		}
		if !ok {
			s.trial = nil
		}
	}
	if s.trial == nil {
		s.trial, s.files = r.newTrial(of), nil
	}
	for _, f := range files[len(s.files):] {
		if err := s.trial.see(ctx, f.group(), f); err != nil {
			s.trial = nil // half seen
			return err
		}
		s.files = append(s.files, f)
	}
	return use(s.trial)
}

// addUp weighs what was found on a site before, so that those who write do not wait
// for it: in a new process a big site takes as long as all its sightings.
func (r *Registry) addUp(ctx context.Context, w *world, site string) error {
	var id int64
	switch err := r.db.Read().QueryRowContext(ctx, `SELECT id FROM sites WHERE site = ?`, site).Scan(&id); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return sqlstore.Explain(err)
	}
	_, err := r.weigh(ctx, r.db.Read(), w, id, nil, attributed)
	if errors.Is(err, errStale) {
		return nil // planted meanwhile: whoever writes looks again
	}
	return err
}

// stands says whether what was seen is still what was found, before the same audiences.
func (s *siteTrial) stands(files []foundFile) (bool, error) {
	if len(s.files) > len(files) || !slices.EqualFunc(s.files, files[:len(s.files)], foundFile.same) {
		return false, nil
	}
	for _, g := range s.trial.order {
		for i, f := range g.files {
			print, err := s.trial.print(f)
			if err != nil || print != g.prints[i] {
				return false, err
			}
		}
	}
	return true, nil
}

// print tells apart whom a file is weighed against.
func (t *trial) print(f foundFile) (print uint64, err error) {
	for _, s := range f.from {
		parts, err := t.of(s.picture, f.at)
		if err != nil {
			return 0, err
		}
		for _, who := range parts {
			print = print*31 + who.print()
		}
	}
	return print, nil
}
