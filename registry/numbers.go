package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"birdring/canary"
	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// NumberSource is something from which the table of viewers' numbers can be made
// again, compared with the table as it is.
type NumberSource struct {
	Source string // viewers file, passes, ledger, exposures
	Of     int64  // numbers that it tells
	Table  int64  // numbers in the table
	OK     bool   // every number it tells is the table's, and it tells all it can
	Detail string
}

// CheckNumbers proves, source by source, that the table of numbers could be made
// again without the table:
//
//   - viewers file: number, account and session stand in it;
//   - passes: each opens to its number, with the keys alone;
//   - ledger: it holds the pseudonym of every number, which is computed again from
//     the account's name, salt and session;
//   - exposures: whoever kept what it told us - account, decoy, time, surface -
//     finds the number that was recorded at that moment and nobody else's. Numbers
//     only ever shown decoys together with others, in one call, cannot be told
//     apart so, and count as not told.
func (r *Registry) CheckNumbers(ctx context.Context) ([]NumberSource, error) {
	var table int64
	if err := r.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM viewers`).Scan(&table); err != nil {
		return nil, sqlstore.Explain(err)
	}
	var out []NumberSource
	for _, check := range []func(context.Context) (NumberSource, error){r.checkViewersFile, r.checkPasses, r.checkLedgerNumbers, r.checkExposures} {
		s, err := check(ctx)
		if err != nil {
			return out, fmt.Errorf("check numbers by %s: %w", s.Source, err)
		}
		s.Table = table
		if s.Source != "exposures" && s.OK && s.Of != table {
			s.OK, s.Detail = false, fmt.Sprintf("it tells %d of %d numbers", s.Of, table)
		}
		out = append(out, s)
	}
	return out, nil
}

// eachViewer visits the table by number.
func (r *Registry) eachViewer(ctx context.Context, visit func(ViewerNumber) error) error {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT v.number, a.name, v.session FROM viewers v JOIN accounts a ON a.id = v.account ORDER BY v.number`)
	if err != nil {
		return sqlstore.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var v ViewerNumber
		if err := rows.Scan(&v.Number, &v.Account, &v.Session); err != nil {
			return err
		}
		if err := visit(v); err != nil {
			return err
		}
	}
	return sqlstore.Explain(rows.Err())
}

func (r *Registry) checkViewersFile(ctx context.Context) (NumberSource, error) {
	s := NumberSource{Source: "viewers file", OK: true}
	f, err := os.Open(r.viewersPath())
	if errors.Is(err, fs.ErrNotExist) {
		s.OK, s.Detail = false, viewersFile+" is missing: the next command that writes makes it"
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer f.Close()
	rows, err := r.db.Read().QueryContext(ctx, `SELECT v.number, a.name, v.session FROM viewers v JOIN accounts a ON a.id = v.account ORDER BY v.number`)
	if err != nil {
		return s, sqlstore.Explain(err)
	}
	defer rows.Close()
	bad := func(format string, args ...any) {
		if s.OK {
			s.OK, s.Detail = false, fmt.Sprintf(format, args...)
		}
	}
	err = ReadViewersFile(f, func(told ViewerNumber) error {
		var v ViewerNumber
		if !rows.Next() {
			bad("it tells number %d, which the table has not", told.Number)
			return nil
		}
		if err := rows.Scan(&v.Number, &v.Account, &v.Session); err != nil {
			return err
		}
		if v != told {
			bad("number %d in it stands where the table has %d, or for somebody else", told.Number, v.Number)
		}
		s.Of++
		return nil
	})
	if errors.Is(err, ErrInvalid) {
		bad("%v", err)
		err = nil
	}
	return s, errors.Join(err, sqlstore.Explain(rows.Err()))
}

func (r *Registry) checkPasses(ctx context.Context) (NumberSource, error) {
	s := NumberSource{Source: "passes", OK: true}
	err := r.eachViewer(ctx, func(v ViewerNumber) error {
		if n, err := r.keys.OpenPass(r.keys.ViewerPass(v.Number)); err != nil || n != v.Number {
			s.OK, s.Detail = false, fmt.Sprintf("the pass of number %d opens as %d", v.Number, n)
		}
		s.Of++
		return nil
	})
	return s, err
}

// checkLedgerNumbers holds the ledger's pseudonyms against those of the table.
func (r *Registry) checkLedgerNumbers(ctx context.Context) (NumberSource, error) {
	s := NumberSource{Source: "ledger", OK: true}
	lock, err := r.lockLedger()
	if err != nil {
		return s, err
	}
	defer lock.Close()
	told := map[int64]string{}
	take := func(_ int64, data []byte) error {
		if data[1] != byte(ledger.Viewer) {
			return ctx.Err()
		}
		e, err := ledger.Parse(data)
		if err == nil {
			told[e.Nums[0]] = e.Strings[0]
		}
		return err
	}
	err = r.db.Snapshot(ctx, func(tx *sql.Tx) error {
		h, err := r.LedgerHead()
		if errors.Is(err, ErrNotFound) {
			h, err = &SignedHead{}, nil
		}
		if err != nil {
			return err
		}
		if err := ledger.Folder(r.book.path).Entries(h.Size, take); err != nil {
			return err
		}
		v := &verifier{ctx: ctx, tx: tx, rep: &LedgerReport{Size: h.Size}}
		if err := v.lookQueue(take); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, viewerRows)
		_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
			e, err := scanViewerEntry(r.book, rows)
			switch known, ok := told[e.Nums[0]]; {
			case err != nil:
			case ok && known == e.Strings[0]:
				s.Of++
			default:
				s.OK, s.Detail = false, fmt.Sprintf("number %d is not there, or somebody else's", canary.Viewer(e.Nums[0]))
			}
			return
		})
		return err
	})
	return s, err
}

// checkExposures counts the numbers with a moment of their own.
func (r *Registry) checkExposures(ctx context.Context) (NumberSource, error) {
	s := NumberSource{Source: "exposures", OK: true}
	var shown int64
	err := r.db.Read().QueryRowContext(ctx, `SELECT count(DISTINCT viewer) FROM exposures WHERE picture = 0`).Scan(&shown)
	if err != nil {
		return s, sqlstore.Explain(err)
	}
	err = r.db.Read().QueryRowContext(ctx, `SELECT count(DISTINCT x.viewer) FROM
		(SELECT min(viewer) AS viewer FROM exposures WHERE picture = 0 GROUP BY decoy, at, surface HAVING min(viewer) = max(viewer)) AS x`).Scan(&s.Of)
	s.Detail = fmt.Sprintf("%d numbers have exposures, %d of them at a moment nobody shares", shown, s.Of)
	return s, sqlstore.Explain(err)
}
