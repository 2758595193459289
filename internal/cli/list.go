package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"birdring/registry"
)

// kinds is what list lists.
var kinds = []string{"decoys", "accounts", "exposures", "hits", "sightings", "sites", "attributions", "clusters"}

func (a *app) listCommand() *cobra.Command {
	var since string
	var limit int
	var after time.Time
	cmd := &cobra.Command{
		Use:       "list " + strings.Join(kinds, "|"),
		Short:     "List what the registry holds, newest last",
		ValidArgs: kinds,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(kinds, args[0]) {
				return usagef("list one of %s", strings.Join(kinds, ", "))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "only rows of this time (RFC 3339) or later")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many rows, the newest (default: all)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) (err error) {
		if limit < 0 || cmd.Flags().Changed("limit") && limit == 0 {
			return usagef("--limit must be at least 1")
		}
		if since == "" {
			return nil
		}
		if after, err = time.Parse(time.RFC3339, since); err != nil {
			return usagef("--since needs an RFC 3339 time such as 2026-11-24T00:00:00Z, not %q", since)
		}
		return nil
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) (err error) {
		reg, err := a.open(ctx, registry.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		var t rowTable
		err = reg.Rows(ctx, args[0], after, limit, func(row any) error {
			if a.json {
				a.emit(row, nil)
				return a.writeErr
			}
			return t.add(row)
		})
		if err == nil && !a.json {
			a.emit(nil, t.print)
		}
		return err
	})
	return cmd
}

// rowTable lays out rows whose columns it learns from their JSON.
type rowTable struct {
	columns []string
	rows    []map[string]string
}

// add takes the simple values of a row; lists and objects show as a count.
func (t *rowTable) add(row any) error {
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return err
	}
	cells := map[string]string{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return errors.New("row is no JSON object")
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return err
		}
		cells[name] = cell(v)
		if !slices.Contains(t.columns, name) {
			t.columns = append(t.columns, name)
		}
	}
	t.rows = append(t.rows, cells)
	return nil
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case []any:
		return fmt.Sprint(len(v))
	case map[string]any:
		return "{…}"
	case string:
		if v == "" {
			return "-"
		}
		r := []rune(v)
		if len(r) > 40 {
			return string(r[:39]) + "…"
		}
		return v
	}
	return fmt.Sprint(v)
}

func (t *rowTable) print(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	table(w, strings.Join(t.columns, " "), func(row func(...any)) {
		for _, r := range t.rows {
			cells := make([]any, len(t.columns))
			for i, c := range t.columns {
				cells[i] = r[c]
			}
			row(cells...)
		}
	})
}
