package registry

import (
	"bytes"
	"slices"
	"strings"

	"birdring/beacon"
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

// linked finds our sealed links in a page, and counts what looks like one.
func (h *hunt) linked(p crawl.Page, body []byte) (found []*sighting) {
	seen := map[canary.Token]bool{}
	for i, data := range slices.Concat([]string{string(body)}, p.Ours) {
		h.guesses += beacon.Tokens(h.r.keys, []byte(data), func(t beacon.Found) {
			if seen[t.Token] || len(found) >= mostPageHits {
				return
			}
			seen[t.Token] = true
			address := data
			if i == 0 {
				address = addressAround(body, t.Start, t.End)
			}
			if s := h.link(p, t, address); s != nil {
				s.index = h.guesses + t.Index
				found = append(found, s)
			}
		})
	}
	return found
}

// link is the sighting of a token at an address; nil if it names nothing we know.
func (h *hunt) link(p crawl.Page, t beacon.Found, address string) *sighting {
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
		return nil
	}
	s := h.sighting(kindLink, decoy, p, address, p.Text)
	s.viewer, s.picture = t.Viewer, photo
	return s
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
