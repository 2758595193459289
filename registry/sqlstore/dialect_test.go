package sqlstore_test

import (
	"testing"

	"birdring/registry/sqlstore"
)

func TestBind(t *testing.T) {
	for in, want := range map[string]string{
		`SELECT 1`:                          `SELECT 1`,
		`a = ? AND b = ?`:                   `a = $1 AND b = $2`,
		`a = ?1 OR b = ?2 OR c = ?1`:        `a = $1 OR b = $2 OR c = $1`,
		`a = '?' AND "b?" = ? -- ?` + "\n?": `a = '?' AND "b?" = $1 -- ?` + "\n$2",
		`a = 'it''s ?' AND b = ?`:           `a = 'it''s ?' AND b = $1`,
		`a = '?`:                            `a = '?`,
	} {
		if got := sqlstore.Bind(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{"": "", "ordinary ü": "ordinary ü", "a\x00b": "a\uFFFDb", "a\xffb": "a\uFFFDb"} {
		if got := sqlstore.Text(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
