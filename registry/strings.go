package registry

import (
	"context"
	"database/sql"
	"net/url"
	"strings"

	"birdring/beacon/crawl"
)

// Strings that name somebody on a page: what a clone site calls a profile by. A
// planted handle that is the i-th of them on a site was met by chance with
// probability i 2^-h at most, so what a find of it is worth depends on i
// (statistics section 5b). They are counted whether or not anything is found;
// one met again counts again, which only lowers what comes after. So are strings
// that have the form of our tokens, for links.

// naming returns those of a page: the parts of its path, then what stands behind
// an @ in its text, each once.
func naming(p crawl.Page) []string {
	var out []string
	seen := map[string]bool{}
	add := func(s string) {
		if s = strings.ToLower(strings.Trim(s, "@.-")); len(s) >= 3 && len(s) <= 40 && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	if u, err := url.Parse(p.URL); err == nil {
		for part := range strings.SplitSeq(u.Path, "/") {
			add(part)
		}
	}
	for text := p.Text; ; {
		i := strings.IndexByte(text, '@')
		if i < 0 {
			return out
		}
		text = text[i+1:]
		end := strings.IndexFunc(text, func(c rune) bool { return !handleSign(c) })
		if end < 0 {
			end = len(text)
		}
		add(text[:end])
	}
}

func handleSign(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-'
}

// number says of handles found on a page which of its naming strings they are.
func (h *hunt) number(p crawl.Page, found []*sighting) {
	names := naming(p)
	for _, s := range found {
		handle := h.w.decoys[h.w.byNum[s.decoy]].Handle
		for i, name := range names {
			if name == handle {
				s.index = h.strings + i + 1
				break
			}
		}
	}
	h.strings += len(names)
}

// met is how much of what could have been ours was met on a site: on this walk and
// not stored yet, or before it.
type met struct {
	strings int // that name somebody
	guesses int // that have the form of our tokens (statistics section 5c)
}

func (m *met) less(o met) { m.strings, m.guesses = m.strings-o.strings, m.guesses-o.guesses }

// place turns a sighting's place on this walk into that on the site.
func (m met) place(s *sighting) {
	switch {
	case s.index <= 0: // none of the counted
	case s.kind == kindLink:
		s.index += m.guesses
	default:
		s.index += m.strings
	}
}

// count adds what was met to what the site has and returns what that was before.
func (m met) count(ctx context.Context, tx *sql.Tx, site int64) (before met, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT strings, guesses FROM sites WHERE id = ?`, site).Scan(&before.strings, &before.guesses); err != nil {
		return met{}, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE sites SET strings = strings + ?, guesses = guesses + ? WHERE id = ?`, m.strings, m.guesses, site)
	return before, err
}
