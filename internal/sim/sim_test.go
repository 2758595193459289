package main

import "testing"

// A small part of `make sim`; its seeds are fixed, so what holds once holds always.
func TestTablesInSmall(t *testing.T) {
	for _, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			rows := 0
			table.make(.01, func(r row) {
				rows++
				if !r.OK {
					t.Errorf("%s: %s, want %s (%d runs)", r.Case, r.Got, r.Want, r.Runs)
				}
			})
			if rows == 0 {
				t.Error("no rows")
			}
		})
	}
}
