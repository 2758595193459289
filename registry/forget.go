package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"birdring/canary"
	"birdring/registry/ledger"
	"birdring/registry/sqlstore"
)

// Forgotten says what ForgetAccount left and took away.
type Forgotten struct {
	Tombstone    string          `json:"tombstone"` // the name that stands in the account's place
	Viewers      []canary.Viewer `json:"viewers"`   // numbers that are never given again
	Exposures    int64           `json:"exposures"` // of which address and user agent went
	Hits         int64           `json:"hits"`      // that went
	Attributions int             `json:"attributions"`
}

// ForgetRequest names an account that is to be forgotten.
type ForgetRequest struct {
	Account    string // its name, or the pseudonym under which it is kept
	Reason     string
	Who        string // "": the system's user
	Attributed bool   // also if it is attributed on a site; the attribution stays and names the tombstone
}

// ForgetAccount takes away what tells whose viewer numbers an account's are: its
// name, sessions, addresses, hits, and the salt without which its pseudonym in the
// ledger says nothing. The numbers stay behind a tombstone and are never given
// again, exposures stay as numbers, and the ledger verifies as before. Met again,
// the account is a new one.
//
// Messages that were delivered, backups, and free pages of a SQLite file until
// they are used again or VACUUM has run, are not reached by it.
func (r *Registry) ForgetAccount(ctx context.Context, q ForgetRequest) (*Forgotten, error) {
	if strings.TrimSpace(q.Reason) == "" {
		return nil, fmt.Errorf("forget %w: a reason is wanted", ErrInvalid)
	}
	var out *Forgotten
	err := r.db.Write(ctx, func(tx *sql.Tx) (err error) {
		out, err = r.forget(ctx, tx, q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("forget account: %w", err)
	}
	r.viewers.forget()
	r.DropCaches()
	return out, r.rewriteViewersFile(ctx)
}

func (r *Registry) forget(ctx context.Context, tx *sql.Tx, q ForgetRequest) (*Forgotten, error) {
	id, stored, err := r.storedAccount(ctx, tx, q.Account)
	if err != nil {
		return nil, err
	}
	out := &Forgotten{Tombstone: "forgotten-" + strings.ToLower(rand.Text()), Viewers: []canary.Viewer{}}
	var salt, tombstone []byte
	err = tx.QueryRowContext(ctx, `SELECT salt, tombstone, (SELECT count(*) FROM attributions x WHERE x.account = accounts.id) FROM accounts WHERE id = ?`, id).Scan(&salt, &tombstone, &out.Attributions)
	if err != nil {
		return nil, sqlstore.Explain(err)
	}
	switch {
	case tombstone != nil:
		return nil, fmt.Errorf("account %s: %w: it is forgotten already", stored, ErrConflict)
	case out.Attributions > 0 && !q.Attributed:
		return nil, fmt.Errorf("account %s is attributed on %d sites: %w; say so (--attributed) if it is to be forgotten all the same", stored, out.Attributions, ErrConflict)
	}
	if r.db.Engine() == sqlstore.SQLite {
		if _, err := tx.ExecContext(ctx, `PRAGMA secure_delete = ON`); err != nil { // overwrite what goes
			return nil, err
		}
	}
	pseudonym := r.book.pseudonym(salt, stored)
	if err := r.forgetViewers(ctx, tx, id, pseudonym, out); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE accounts SET name = ?, salt = NULL, sealed = NULL, tombstone = ?, forgotten_at = ? WHERE id = ?`, out.Tombstone, pseudonym, now().UnixMicro(), id); err != nil {
		return nil, err
	}
	if err := renameInMessages(ctx, tx, stored, out.Tombstone); err != nil {
		return nil, err
	}
	r.book.add(tx, ledger.Entry{Class: ledger.Forgotten, Nums: []int64{int64(len(out.Viewers))}, Strings: []string{string(pseudonym)}})
	if err := count(ctx, tx, "decoys", 1); err != nil { // other processes empty their caches
		return nil, err
	}
	return out, r.book.note(ctx, tx, AuditRow{Who: q.Who, Action: ActForget, Subject: out.Tombstone, Reason: q.Reason})
}

// forgetViewers blanks what is kept of an account's viewers.
func (r *Registry) forgetViewers(ctx context.Context, tx *sql.Tx, account int64, pseudonym []byte, out *Forgotten) error {
	type viewer struct {
		number  canary.Viewer
		session string
	}
	rows, err := tx.QueryContext(ctx, `SELECT number, session FROM viewers WHERE account = ? ORDER BY number`, account)
	all, err := collect(rows, err, func(rows *sql.Rows) (v viewer, err error) { return v, rows.Scan(&v.number, &v.session) })
	if err != nil {
		return err
	}
	for _, v := range all {
		out.Viewers = append(out.Viewers, v.number)
		if _, err := tx.ExecContext(ctx, `UPDATE viewers SET session = ? WHERE number = ?`, forgottenSession+hex.EncodeToString(r.book.viewerPseudonym(pseudonym, v.session)), v.number); err != nil {
			return err
		}
		for _, step := range []struct {
			query string
			n     *int64
		}{
			{`UPDATE exposures SET address = NULL, user_agent = NULL WHERE decoy IN (SELECT num FROM decoys) AND viewer = ? AND picture > 0`, &out.Exposures},
			{`DELETE FROM hits WHERE viewer = ?`, &out.Hits},
		} {
			res, err := tx.ExecContext(ctx, step.query, v.number)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			*step.n += n
		}
	}
	return nil
}

// renameInMessages puts the tombstone in place of a name in messages that are kept.
func renameInMessages(ctx context.Context, tx *sql.Tx, name, tombstone string) error {
	old, err := json.Marshal(name)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, topic, payload FROM messages WHERE type IN ('attribution.created', 'key.leaked')`)
	type message struct{ id, topic, payload string }
	all, err := collect(rows, err, func(rows *sql.Rows) (m message, err error) { return m, rows.Scan(&m.id, &m.topic, &m.payload) })
	if err != nil {
		return err
	}
	put := strings.NewReplacer(string(old), `"`+tombstone+`"`)
	for _, m := range all {
		topic, payload := put.Replace(m.topic), put.Replace(m.payload)
		if topic == m.topic && payload == m.payload {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE messages SET topic = ?, payload = ? WHERE id = ?`, topic, payload, m.id); err != nil {
			return err
		}
	}
	return nil
}
