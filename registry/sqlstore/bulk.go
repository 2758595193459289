package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"
)

// mostParameters is what both engines take in one statement.
const mostParameters = 32000

// Values are n rows of parameters, (?, ?), (?, ?), for a statement that inserts
// several rows at once.
func Values(rows, columns int) string {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
	return strings.TrimSuffix(strings.Repeat(one+", ", rows), ", ")
}

// Chunk is how many rows of so many columns one statement takes well: enough that
// the statement costs little, few enough that it stays in the cache.
func Chunk(columns int) int { return min(200, mostParameters/columns) }

// Bulk inserts rows into a table inside a write transaction as fast as the
// engine can: by COPY, or by a prepared statement of several rows. Nothing may be
// there already. A row is read before the next is asked for.
func (d *DB) Bulk(ctx context.Context, tx *sql.Tx, table string, columns []string, rows iter.Seq[[]any]) (int64, error) {
	if d.engine == PostgreSQL {
		res, err := tx.ExecContext(ctx, copyStatement, &copyIn{table, columns, rows})
		if err != nil {
			return 0, err
		}
		return res.RowsAffected()
	}
	chunk := Chunk(len(columns))
	head := fmt.Sprintf(`INSERT INTO "%s" ("%s") VALUES `, table, strings.Join(columns, `", "`))
	whole, err := tx.PrepareContext(ctx, head+Values(chunk, len(columns)))
	if err != nil {
		return 0, err
	}
	defer whole.Close()
	var args []any
	n := int64(0)
	for row := range rows {
		args = append(args, row...)
		n++
		if len(args) == chunk*len(columns) {
			if _, err := whole.ExecContext(ctx, args...); err != nil {
				return 0, err
			}
			args = args[:0]
		}
	}
	if len(args) > 0 {
		if _, err := tx.ExecContext(ctx, head+Values(len(args)/len(columns), len(columns)), args...); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// copyStatement with a copyIn stands for PostgreSQL's COPY, which database/sql
// has no word for.
const copyStatement = "COPY"

type copyIn struct {
	table   string
	columns []string
	rows    iter.Seq[[]any]
}

// copyIn runs a COPY.
func (c *pgConn) copyIn(ctx context.Context, in *copyIn) (driver.Result, error) {
	next, stop := iter.Pull(in.rows)
	defer stop()
	n, err := c.Conn.Conn().CopyFrom(ctx, pgx.Identifier{in.table}, in.columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, ok := next()
		if !ok {
			return nil, nil
		}
		for i, v := range row {
			if s, ok := v.(string); ok {
				row[i] = Text(s)
			}
		}
		return row, nil
	}))
	return driver.RowsAffected(n), err
}
