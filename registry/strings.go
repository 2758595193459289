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
// one met again counts again, which only lowers what comes after.

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

// countStrings adds what was met to the site's count and returns what it was before.
func (h *hunt) countStrings(ctx context.Context, tx *sql.Tx, site int64, met int) (before int, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT strings FROM sites WHERE id = ?`, site).Scan(&before); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE sites SET strings = strings + ? WHERE id = ?`, met, site)
	return before, err
}
