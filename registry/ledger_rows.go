package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"

	"birdring/canary"
	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// exposureEntry is an exposure in the ledger: its key stands open, address, user
// agent and hash of the bytes as a digest.
func (b *book) exposureEntry(decoy uint32, viewer canary.Viewer, at int64, surface string, picture uint32, address, agent sql.NullString, sum []byte) ledger.Entry {
	fetched, digest := int64(0), ""
	if picture != 0 {
		fetched, digest = 1, b.digest(address, agent, sum)
	}
	return ledger.Entry{
		Class: ledger.Exposure, Nums: []int64{int64(decoy), int64(viewer), at, fetched, int64(picture)}, Strings: []string{surface, digest},
	}
}

// rowClass is how the rows of one class are read as entries.
type rowClass struct {
	class ledger.Class
	query string
	scan  func(b *book, rows *sql.Rows) (ledger.Entry, error)
}

// rowClasses are all that have rows, in the order in which a ledger begins.
var rowClasses = []rowClass{
	{ledger.Commitment, `SELECT epoch, commitment, at FROM commitments ORDER BY epoch`, func(_ *book, rows *sql.Rows) (e ledger.Entry, err error) {
		e = blank(ledger.Commitment)
		return e, rows.Scan(&e.Nums[0], &e.Strings[0], &e.Nums[1])
	}},
	{ledger.Viewer, viewerRows + ` ORDER BY v.number`, scanViewerEntry},
	{ledger.Exposure, `SELECT e.decoy, e.viewer, e.at, s.surface, e.picture, e.address, e.user_agent, e.sha256 FROM exposures e CROSS JOIN surfaces s WHERE s.num = e.surface ORDER BY e.decoy, e.viewer, e.at, e.surface, e.picture`, scanExposureEntry},
	{ledger.Sighting, sightingRows + ` ORDER BY id`, scanSightingEntry},
	{ledger.Attribution, attributionRows + ` ORDER BY x.id`, scanAttributionEntry},
	{ledger.Leak, `SELECT epoch, since, at, reason FROM leaks ORDER BY epoch`, func(b *book, rows *sql.Rows) (e ledger.Entry, err error) {
		e = blank(ledger.Leak)
		var reason string
		err = rows.Scan(&e.Nums[0], &e.Nums[1], &e.Nums[2], &reason)
		e.Strings[0] = b.digest(reason)
		return e, err
	}},
	{ledger.Forgotten, `SELECT a.tombstone, (SELECT count(*) FROM viewers v WHERE v.account = a.id) FROM accounts a WHERE a.forgotten_at IS NOT NULL ORDER BY a.id`, func(_ *book, rows *sql.Rows) (e ledger.Entry, err error) {
		e = blank(ledger.Forgotten)
		return e, rows.Scan(&e.Strings[0], &e.Nums[0])
	}},
	{ledger.Audit, auditRows + ` ORDER BY id`, scanAuditEntry},
}

// blank is an entry with room for its fields.
func blank(c ledger.Class) ledger.Entry {
	nums, texts := c.Fields()
	return ledger.Entry{Class: c, Nums: make([]int64, len(nums)), Strings: make([]string, len(texts))}
}

const viewerRows = `SELECT v.number, v.given_at, v.session, a.name, a.salt, a.tombstone FROM viewers v JOIN accounts a ON a.id = v.account`

func scanViewerEntry(b *book, rows *sql.Rows) (ledger.Entry, error) {
	e := blank(ledger.Viewer)
	var session, name string
	var salt, tombstone []byte
	if err := rows.Scan(&e.Nums[0], &e.Nums[1], &session, &name, &salt, &tombstone); err != nil {
		return e, err
	}
	if tombstone != nil {
		e.Strings[0] = string(sessionTombstone(session))
		return e, nil
	}
	e.Strings[0] = string(b.viewerPseudonym(b.pseudonym(salt, name), session))
	return e, nil
}

func scanExposureEntry(b *book, rows *sql.Rows) (ledger.Entry, error) {
	var decoy, picture uint32
	var viewer canary.Viewer
	var at int64
	var surface string
	var address, agent sql.NullString
	var sum []byte
	err := rows.Scan(&decoy, &viewer, &at, &surface, &picture, &address, &agent, &sum)
	return b.exposureEntry(decoy, viewer, at, surface, picture, address, agent, sum), err
}

const sightingRows = `SELECT id, captured_at, stored_at, site, kind, source, decoy, picture, viewer, url, page, context, page_sha256, capture, verdict, transform, y, marked_millibits, alternatives, string_index FROM sightings`

func scanSightingEntry(b *book, rows *sql.Rows) (ledger.Entry, error) {
	e := blank(ledger.Sighting)
	var site, decoy int64
	var kind, source, url, page, context, verdict string
	var picture, viewer, marked, index sql.NullInt64
	var pageSum, capture, y []byte
	var transform, others sql.NullString
	err := rows.Scan(&e.Nums[0], &e.Nums[1], &e.Nums[2], &site, &kind, &source, &decoy, &picture, &viewer, &url, &page, &context, &pageSum, &capture, &verdict, &transform, &y, &marked, &others, &index)
	e.Strings[0] = b.digest(e.Nums[0], site, kind, source, decoy, picture, viewer, url, page, context, pageSum, capture, verdict, transform, y, marked, others, index)
	return e, err
}

const attributionRows = `SELECT x.id, x.millibits, x.first_at, x.updated_at, coalesce(x.void_at, 0), x.void_reason, x.site, x.verdict, x.exposed, x.pictures, x.decoys, x.single_source, x.inputs, x.parts, a.name, a.salt, a.tombstone
	FROM attributions x JOIN accounts a ON a.id = x.account`

func scanAttributionEntry(b *book, rows *sql.Rows) (ledger.Entry, error) {
	e := blank(ledger.Attribution)
	var site, exposed, pictures, single int64
	var why, verdict, decoys, inputs, parts, name string
	var salt, tombstone []byte
	err := rows.Scan(&e.Nums[0], &e.Nums[1], &e.Nums[2], &e.Nums[3], &e.Nums[4], &why, &site, &verdict, &exposed, &pictures, &decoys, &single, &inputs, &parts, &name, &salt, &tombstone)
	if tombstone == nil {
		tombstone = b.pseudonym(salt, name)
	}
	e.Strings[0] = string(tombstone)
	e.Strings[1] = b.digest(why, site, verdict, exposed, pictures, decoys, single, inputs, parts)
	return e, err
}

// addRows gathers the entries of rows that tx just stored.
func (b *book) addRows(ctx context.Context, tx *sql.Tx, scan func(*book, *sql.Rows) (ledger.Entry, error), query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	all, err := collect(rows, err, func(rows *sql.Rows) (ledger.Entry, error) { return scan(b, rows) })
	for _, e := range all {
		b.add(tx, e)
	}
	return err
}

// newSalt draws the salt of an account.
func newSalt() []byte {
	salt := make([]byte, 16)
	rand.Read(salt)
	return salt
}

// beginLedger starts the ledger of a registry that has none: the commitment to
// the keys, then every row that is there, marked as older than the ledger. It is
// one transaction: others see the registry with its ledger or without.
func (r *Registry) beginLedger(ctx context.Context, commitment string) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		var began sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT began FROM ledger`).Scan(&began); err != nil || began.Valid {
			return err
		}
		at := now().UnixMicro()
		if err := commitTo(ctx, tx, r.keys.Epoch(), commitment, at); err != nil {
			return err
		}
		if err := saltAccounts(ctx, tx); err != nil {
			return err
		}
		for _, c := range rowClasses {
			if err := r.book.backfill(ctx, tx, c); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `UPDATE ledger SET began = ?`, at)
		return err
	})
}

// commitTo stores what the keyring is committed to.
func commitTo(ctx context.Context, tx *sql.Tx, epoch uint8, commitment string, at int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO commitments (epoch, commitment, at) VALUES (?, ?, ?)`, int64(epoch), commitment, at)
	return err
}

// saltAccounts gives a salt to every account that has none.
func saltAccounts(ctx context.Context, tx *sql.Tx) error {
	for {
		rows, err := tx.QueryContext(ctx, `SELECT id FROM accounts WHERE salt IS NULL AND tombstone IS NULL LIMIT 10000`)
		ids, err := collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `UPDATE accounts SET salt = ? WHERE id = ?`, newSalt(), id); err != nil {
				return err
			}
		}
	}
}

// backfill gathers a class's rows.
func (b *book) backfill(ctx context.Context, tx *sql.Tx, c rowClass) error {
	rows, err := tx.QueryContext(ctx, c.query)
	if err != nil {
		return sqlstore.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := c.scan(b, rows)
		if err != nil {
			return err
		}
		e.Backfilled = c.class != ledger.Commitment
		b.add(tx, e)
		// SQLite reads and writes on one connection; PostgreSQL waits for the end of
		// the rows, and keeps the entries in memory until then.
		if b.sideBySide {
			if err := b.flushMany(ctx, tx); err != nil {
				return err
			}
		}
	}
	if err := sqlstore.Explain(rows.Err()); err != nil {
		return err
	}
	return b.Flush(ctx, tx)
}

// readRows visits every row of the registry as an entry.
func (v *verifier) readRows(visit func(e *ledger.Entry) error) error {
	for _, c := range rowClasses {
		if err := v.readClass(c, visit); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) readClass(c rowClass, visit func(e *ledger.Entry) error) error {
	rows, err := v.tx.QueryContext(v.ctx, c.query)
	if err != nil {
		return sqlstore.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := c.scan(v.b, rows)
		if err != nil {
			return fmt.Errorf("read %s: %w", c.class, err)
		}
		if err := visit(&e); err != nil {
			return err
		}
	}
	return sqlstore.Explain(rows.Err())
}
