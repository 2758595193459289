package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

// IsURL says whether a target of Open is a PostgreSQL URL and no file.
func IsURL(target string) bool {
	return strings.HasPrefix(target, "postgres://") || strings.HasPrefix(target, "postgresql://")
}

// Redacted is a target without its password, to be shown.
func Redacted(target string) string {
	if !IsURL(target) {
		return target
	}
	u, err := url.Parse(target)
	if err != nil {
		return "postgres://..."
	}
	q := u.Query()
	if q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// sessions is what every connection is told: how long it waits for a lock, and
// to notice a peer whose machine is gone, so that it does not hold the writer's
// row for ever.
var sessions = map[string]string{
	"application_name":            "birdring",
	"lock_timeout":                busy,
	"tcp_keepalives_idle":         "10",
	"tcp_keepalives_interval":     "5",
	"tcp_keepalives_count":        "3",
	"client_min_messages":         "warning",
	"extra_float_digits":          "1",
	"standard_conforming_strings": "on",
}

// connectPostgres makes a pool that speaks our dialect. What the URL says of a
// setting holds.
func connectPostgres(target string, readOnly bool, most int) (*sql.DB, error) {
	config, err := pgx.ParseConfig(target)
	if err != nil {
		return nil, fmt.Errorf("registry %s: the URL cannot be read: postgres://user:password@host:5432/database is wanted", Redacted(target))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	for name, value := range sessions {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = value
		}
	}
	ready := flags
	if readOnly {
		// Not a parameter of the connection: the URL may ask for a server that can be
		// written to (target_session_attrs), and that is asked of the session.
		ready = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `SET default_transaction_read_only = on`)
			return errors.Join(err, flags(ctx, conn))
		}
	}
	db := sql.OpenDB(pgConnector{stdlib.GetConnector(*config, stdlib.OptionAfterConnect(ready)), readOnly})
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// flags makes a connection write a bool into an integer column, as flags are stored.
func flags(_ context.Context, conn *pgx.Conn) error {
	m := conn.TypeMap()
	m.TryWrapEncodePlanFuncs = append(m.TryWrapEncodePlanFuncs, func(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
		if flag, ok := value.(bool); ok {
			return &flagPlan{}, number(flag), true
		}
		return nil, nil, false
	})
	return nil
}

func number(flag bool) int64 {
	if flag {
		return 1
	}
	return 0
}

// flagPlan encodes a flag as the number it is.
type flagPlan struct{ next pgtype.EncodePlan }

// SetNext is told how the number is encoded.
func (p *flagPlan) SetNext(next pgtype.EncodePlan) { p.next = next }

// Encode encodes the flag.
func (p *flagPlan) Encode(value any, buf []byte) ([]byte, error) {
	return p.next.Encode(number(value.(bool)), buf)
}

// pgConnector makes connections that take our dialect.
type pgConnector struct {
	driver.Connector
	readOnly bool
}

// Connect opens a connection.
func (c pgConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &pgConn{Conn: conn.(*stdlib.Conn), readOnly: c.readOnly}, nil
}

// pgConn is pgx's connection with our parameters and values.
type pgConn struct {
	*stdlib.Conn
	readOnly bool
	inTx     bool
}

// Prepare prepares a query.
func (c *pgConn) Prepare(query string) (driver.Stmt, error) { return c.Conn.Prepare(bind(query)) }

// PrepareContext prepares a query.
func (c *pgConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.PrepareContext(ctx, bind(query))
	return s, c.orAgain(err)
}

// ExecContext runs a statement.
func (c *pgConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 1 {
		if in, ok := args[0].Value.(*copyIn); ok {
			return c.copyIn(c.lasting(ctx), in)
		}
	}
	return c.Conn.ExecContext(c.lasting(ctx), bind(query), args)
}

// QueryContext asks a query. A reader whose connection was lost asks it again
// on another one: no row was given out yet.
func (c *pgConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.QueryContext(c.lasting(ctx), bind(query), args)
	return rows, c.orAgain(err)
}

// lasting keeps the connection that writes from ending with the context of one
// caller: pgx closes a connection whose statement is cancelled, and others share
// the transaction.
func (c *pgConn) lasting(ctx context.Context) context.Context {
	if c.readOnly {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// orAgain makes database/sql try another connection where that is safe.
func (c *pgConn) orAgain(err error) error {
	if err != nil && c.readOnly && !c.inTx && away(err) {
		return driver.ErrBadConn
	}
	return err
}

// BeginTx begins a transaction.
func (c *pgConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.BeginTx(c.lasting(ctx), o)
	if err != nil {
		return nil, c.orAgain(err)
	}
	c.inTx = true
	return pgTx{tx, c}, nil
}

type pgTx struct {
	driver.Tx
	c *pgConn
}

// Commit ends the transaction.
func (t pgTx) Commit() error { t.c.inTx = false; return t.Tx.Commit() }

// Rollback ends the transaction.
func (t pgTx) Rollback() error { t.c.inTx = false; return t.Tx.Rollback() }

// CheckNamedValue turns a value into what PostgreSQL takes: text is Text.
func (c *pgConn) CheckNamedValue(v *driver.NamedValue) error {
	plain, err := driver.DefaultParameterConverter.ConvertValue(v.Value)
	if err != nil {
		return nil // pgx may know what to do with it
	}
	if s, ok := plain.(string); ok {
		plain = Text(s)
	}
	v.Value = plain
	return nil
}

// Text is s as every engine can hold it: PostgreSQL takes neither the character
// 0 nor bytes that are no UTF-8, which whoever sends a request may write into its
// headers. They become U+FFFD.
func Text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

// begin starts a transaction that holds the writer's row, and returns the number
// by which PostgreSQL knows it.
func (d *DB) begin(ctx context.Context) (*sql.Tx, xact, error) {
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, xact{}, err
	}
	if d.engine == SQLite {
		return tx, xact{}, nil
	}
	var x xact
	if err := tx.QueryRowContext(ctx, d.takeWriter).Scan(&x.id, &x.timeline); err != nil {
		return nil, x, errors.Join(err, rollback(tx))
	}
	return tx, x, nil
}

// xact is a transaction of PostgreSQL and the history of the server it ran on.
type xact struct {
	id       string
	timeline int64
}

// What takes the writer's row. Servers that only speak PostgreSQL's protocol may
// not number transactions.
const (
	takeWriter        = `SELECT CAST(pg_current_xact_id() AS text), (SELECT timeline_id FROM pg_control_checkpoint()) FROM counters WHERE name = 'writer' FOR UPDATE`
	takeWriterUnnamed = `SELECT '', CAST(0 AS bigint) FROM counters WHERE name = 'writer' FOR UPDATE`
)

// prepareWriter finds out what the server can do and refuses one that would
// lose what it acknowledged.
func (d *DB) prepareWriter(ctx context.Context) error {
	var durable string
	if err := d.writer.QueryRowContext(ctx, `SHOW synchronous_commit`).Scan(&durable); err == nil && durable == "off" {
		return errors.New("PostgreSQL runs with synchronous_commit = off, which loses what was acknowledged: switch it on for this database or role")
	}
	d.takeWriter = takeWriter
	var ok bool
	if err := d.writer.QueryRowContext(ctx, `SELECT pg_xact_status(pg_current_xact_id()) IS NOT NULL AND (SELECT timeline_id FROM pg_control_checkpoint()) > 0`).Scan(&ok); err != nil || !ok {
		if away(err) {
			return err
		}
		d.takeWriter = takeWriterUnnamed
	}
	return nil
}

// outcome says what became of a transaction whose COMMIT was not answered.
func (d *DB) outcome(ctx context.Context, x xact) (committed bool, err error) {
	unknown := fmt.Errorf("%w: look before trying again", ErrUnknown)
	if x.id == "" {
		return false, unknown
	}
	var status sql.NullString
	var timeline int64
	err = d.writer.QueryRowContext(ctx, `SELECT pg_xact_status(CAST(CAST(? AS text) AS xid8)), (SELECT timeline_id FROM pg_control_checkpoint())`, x.id).Scan(&status, &timeline)
	switch {
	case err != nil && (away(err) || ctx.Err() != nil):
		return false, err
	case err != nil || timeline != x.timeline:
		return false, unknown // another server took over: its numbers are its own
	}
	switch status.String {
	case "committed":
		return true, nil
	case "aborted":
		return false, nil
	case "in progress":
		return false, ErrBusy
	}
	return false, unknown
}
