package registry

import (
	"bytes"
	"slices"
	"strings"

	"birdring/beacon/crawl"
	"birdring/beacon/text"
	"birdring/canary"
)

// named finds planted handles in a page and its URL, and the decoys they anchor.
func (h *hunt) named(p crawl.Page, body []byte) (found []*sighting, anchors []int) {
	add := func(m text.Match, data []byte, index int) {
		i, ok := h.w.byHandle[m.Handle]
		if !ok || slices.Contains(anchors, i) || len(found) >= mostPageHits {
			return
		}
		anchors = append(anchors, i)
		if h.echo == i {
			return // we said it ourselves
		}
		s := h.sighting(kindHandle, i, p, p.URL, around(p.Text, data, m))
		s.index = index
		found = append(found, s)
	}
	h.matcher.Scan(body, func(m text.Match) { add(m, body, 0) })
	// Disguised, it is a find as well; a part of it only says whose pictures to try.
	var hints []int
	h.deep.Scan([]byte(p.Text), func(g text.Guess) {
		if !g.How.Partial() && g.Rivals == 1 {
			add(text.Match{Handle: g.Handle, Start: g.Start, End: g.End}, []byte(p.Text), disguised)
		} else if i, ok := h.w.byHandle[g.Handle]; ok && len(hints) < mostPageHits {
			hints = append(hints, i)
		}
	})
	for _, i := range hints {
		if !slices.Contains(anchors, i) {
			anchors = append(anchors, i)
		}
	}
	// A handle in nothing but the URL we asked for is no find, but it anchors.
	address := []byte(p.URL)
	h.matcher.Scan(address, func(m text.Match) {
		if i, ok := h.w.byHandle[m.Handle]; ok && !slices.Contains(anchors, i) {
			anchors = append(anchors, i)
		}
	})
	return found, anchors
}

// around is the text of a page near a match: out of its visible text if the
// handle stands there, else out of its bytes.
func around(visible string, data []byte, m text.Match) string {
	const side = mostContext / 2
	if at := strings.Index(strings.ToLower(visible), m.Handle); at >= 0 && at+len(m.Handle) <= len(visible) {
		return strings.ToValidUTF8(visible[max(0, at-side):min(len(visible), at+side)], "")
	}
	return strings.ToValidUTF8(string(data[max(0, m.Start-side):min(len(data), m.End+side-len(m.Handle))]), "")
}

// linked finds our sealed links in a page.
func (h *hunt) linked(p crawl.Page, body []byte) (found []*sighting) {
	all := h.tokens(body)
	for _, address := range p.Ours {
		all = append(all, h.tokens([]byte(address))...)
	}
	seen := map[canary.Token]bool{}
	for _, t := range all {
		if seen[t.Token] || len(found) >= mostPageHits {
			continue
		}
		seen[t.Token] = true
		decoy, ok := h.w.byNum[t.Object]
		var photo *picture
		if t.Kind == canary.KindPicture {
			var i int
			if i, ok = h.w.photoNum[t.Object]; ok {
				photo = &h.w.pictures[i]
				decoy = photo.decoy
			}
		}
		if !ok {
			continue
		}
		s := h.sighting(kindLink, decoy, p, t.text, p.Text)
		s.viewer, s.picture = t.Viewer, photo
		found = append(found, s)
	}
	return found
}

// foundToken is a token of ours with the address it stands in.
type foundToken struct {
	canary.Token
	text string
}

// tokens finds our tokens in bytes: every stretch of base32 letters of their
// length is tried, and what was not sealed with our key does not open.
func (h *hunt) tokens(data []byte) (out []foundToken) {
	for i := 0; i < len(data); {
		end := i
		for end < len(data) && base32Letter(data[end]) {
			end++
		}
		for from := i; from+canary.TokenLength <= end && end-i <= 256; from++ {
			t, err := h.r.keys.OpenToken(string(data[from : from+canary.TokenLength]))
			if err == nil {
				out = append(out, foundToken{t, addressAround(data, from, from+canary.TokenLength)})
				from += canary.TokenLength - 1
			}
		}
		i = end + 1
	}
	return out
}

func base32Letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '2' && c <= '7'
}

// addressAround is the URL that stands around a token, as far as it goes without a delimiter.
func addressAround(data []byte, start, end int) string {
	const most = 300
	const stop = " \t\r\n\"'<>()\\"
	from := max(0, start-most)
	if i := bytes.LastIndexAny(data[from:start], stop); i >= 0 {
		from += i + 1
	}
	to := min(len(data), end+most)
	if i := bytes.IndexAny(data[end:to], stop); i >= 0 {
		to = end + i
	}
	return strings.ToValidUTF8(string(data[from:to]), "")
}
