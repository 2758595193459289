package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"birdring/registry/ledger"
)

// What people do that others may ask about.
const (
	ActUnmask    = "unmask"      // a pseudonym's account was told
	ActForget    = "forget"      // an account was forgotten
	ActTraceAll  = "trace-all"   // a trace scored accounts without an exposure on record
	ActLeaked    = "leaked"      // an epoch was declared to be in other hands
	ActRotate    = "rotate"      // an epoch was added
	ActRetention = "retention"   // rows went because of their age
	ActKey       = "api-key"     // an API key was made
	ActExport    = "export-edge" // an edge was given keys
)

// AuditRow is one line of the audit log.
type AuditRow struct {
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
	Reason  string    `json:"reason"`
}

const auditRows = `SELECT id, at, who, action, subject, reason FROM audit`

func scanAuditEntry(b *book, rows *sql.Rows) (ledger.Entry, error) {
	e := blank(ledger.Audit)
	var who, action, subject, reason string
	err := rows.Scan(&e.Nums[0], &e.Nums[1], &who, &action, &subject, &reason)
	e.Strings[0] = b.digest(who, action, subject, reason)
	return e, err
}

// note writes a line of the audit log into the transaction that does what it tells.
func (b *book) note(ctx context.Context, tx *sql.Tx, a AuditRow) error {
	if a.Who == "" {
		a.Who = systemUser()
	}
	if a.Reason == "" {
		a.Reason = "none given"
	}
	var id int64
	err := tx.QueryRowContext(ctx, `INSERT INTO audit (id, at, who, action, subject, reason) SELECT coalesce(max(id), 0) + 1, ?1, ?2, ?3, ?4, ?5 FROM audit RETURNING id`,
		now().UnixMicro(), a.Who, a.Action, a.Subject, clip(a.Reason, mostContext)).Scan(&id)
	if err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return b.addRows(ctx, tx, scanAuditEntry, auditRows+` WHERE id = ?`, id)
}

// Note writes a line of the audit log. Without a name it is the system's user.
func (r *Registry) Note(ctx context.Context, a AuditRow) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error { return r.book.note(ctx, tx, a) })
}

// Audit visits the audit log from a time on, newest last.
func (r *Registry) Audit(ctx context.Context, since time.Time, visit func(AuditRow) error) error {
	from := int64(-1 << 62)
	if !since.IsZero() {
		from = since.UnixMicro()
	}
	rows, err := r.db.Read().QueryContext(ctx, auditRows+` WHERE at >= ? ORDER BY id`, from)
	_, err = collect(rows, err, func(rows *sql.Rows) (_ struct{}, err error) {
		var a AuditRow
		var id, at int64
		if err = rows.Scan(&id, &at, &a.Who, &a.Action, &a.Subject, &a.Reason); err != nil {
			return
		}
		a.At = timeOf(at)
		return struct{}{}, visit(a)
	})
	return err
}

// systemUser is who runs this process, as the system knows it.
func systemUser() string {
	if u, err := user.Current(); err == nil {
		return clip(u.Username, maxAccount)
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

// sessionTombstone is the pseudonym that stands in the place of a forgotten
// account's session.
func sessionTombstone(session string) []byte {
	sum, err := hex.DecodeString(strings.TrimPrefix(session, forgottenSession))
	if err != nil {
		return nil
	}
	return sum
}

// forgottenSession begins the session of a forgotten account's viewer.
const forgottenSession = "forgotten:"
