package registry

import (
	"database/sql"
	"fmt"

	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// firstUse finds exposures of pictures whose keys were not committed to before: the
// commitment to an epoch stands in the ledger, and from the second epoch on under
// a signed head, before anybody is shown a picture of it.
type firstUse struct {
	picture map[int64]int64         // epoch of each picture
	decoy   map[int64][]preparation // of a decoy's pictures
	waits   map[int64]int64         // epoch of a picture -> place of its commitment, -1: none yet
	began   bool                    // a commitment was seen: the first epoch's
}

// preparation is that a picture came to be, with keys of an epoch.
type preparation struct{ epoch, at int64 }

// readFirstUse reads which epochs are in use.
func (v *verifier) readFirstUse() error {
	f := firstUse{picture: map[int64]int64{}, decoy: map[int64][]preparation{}, waits: map[int64]int64{}}
	rows, err := v.tx.QueryContext(v.ctx, `SELECT num, decoy, epoch, prepared_at FROM pictures`)
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var num, decoy int64
		var p preparation
		err = rows.Scan(&num, &decoy, &p.epoch, &p.at)
		f.picture[num], f.waits[p.epoch] = p.epoch, -1
		f.decoy[decoy] = append(f.decoy[decoy], p)
		return
	})
	v.first = f
	return sqlstore.Explain(err)
}

// committed takes in the commitment to an epoch.
func (f *firstUse) committed(epoch, position int64) {
	if _, waits := f.waits[epoch]; waits {
		f.waits[epoch] = position
	}
	if !f.began { // nothing can have been shown before: the head follows
		delete(f.waits, epoch)
	}
	f.began = true
}

// signed takes in a head of so many entries.
func (f *firstUse) signed(size int64) {
	for epoch, position := range f.waits {
		if position >= 0 && position < size {
			delete(f.waits, epoch)
		}
	}
}

// shown looks at an exposure; every epoch is told once.
func (v *verifier) shown(position int64, e *ledger.Entry) {
	f := &v.first
	if len(f.waits) == 0 { // as a rule from the second entry on
		return
	}
	tell := func(epoch int64) {
		if _, waits := f.waits[epoch]; !waits {
			return
		}
		delete(f.waits, epoch)
		v.tell("uncommitted", nil, e, &position, fmt.Sprintf("a picture of epoch %d was shown before the commitment to that epoch's keys was published", epoch))
	}
	if picture := e.Nums[4]; picture != 0 {
		tell(f.picture[picture])
		return
	}
	for _, p := range f.decoy[e.Nums[0]] {
		if p.at <= e.Recorded { // a picture that came later was not shown
			tell(p.epoch)
		}
	}
}
