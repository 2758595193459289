package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"birdring/beacon"
	"birdring/beacon/crawl"
	"birdring/beacon/decode"
	"birdring/beacon/text"
)

// Bounds of a hunt.
const (
	mostAnchors  = 8    // decoys named on a page whose pictures are tried on its images
	mostProblems = 10   // problems told one by one
	mostPageHits = 1000 // canaries taken from one page
)

// hunt looks for everything of ours on pages: handles, links and pictures. It
// serves one caller at a time.
type hunt struct {
	r       *Registry
	w       *world
	source  string
	fetcher *crawl.Fetcher
	matcher *text.Matcher
	deep    *text.Deep // what matcher cannot see
	tell    func(ScanSighting)

	site     string
	echo     int                     // decoy whose handle we asked for; -1: none
	asked    map[string]bool         // image URLs fetched
	images   map[string]*huntedImage // by SHA-256
	problems []error
	more     int // problems beyond those kept
	met
	onFind func(shownPhoto)
}

// huntedImage is an image met on a walk, by the hash of its bytes.
type huntedImage struct {
	tried []int // decoys whose pictures were tried
	shows []shownPhoto
}

// shownPhoto is one photo of ours that an image shows.
type shownPhoto struct {
	finding   finding
	judgement *judgement
}

func (r *Registry) newHunt(ctx context.Context, source string, c crawl.Config, tell func(ScanSighting)) (*hunt, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	h := &hunt{r: r, w: w, source: source, tell: tell, matcher: text.NewMatcher(), echo: -1}
	handles := make([]string, len(w.decoys))
	for i := range w.decoys {
		handles[i] = w.decoys[i].Handle
		h.matcher.Add(handles[i])
	}
	h.deep = text.NewDeep(handles)
	c.Ours = func(address string) bool {
		_, ok := beacon.TokenIn(r.keys, address)
		return ok
	}
	c.OnError = func(address string, err error) { r.log.WarnContext(ctx, "not fetched", "url", address, "error", err) }
	if h.fetcher, err = crawl.New(c); err != nil {
		return nil, err
	}
	return h, nil
}

// begin forgets the site before.
func (h *hunt) begin(site string) {
	h.site, h.asked, h.images, h.problems, h.more, h.met = site, map[string]bool{}, map[string]*huntedImage{}, nil, 0, met{}
}

// walk hunts on one site.
func (h *hunt) walk(ctx context.Context, site string, seeds []string) error {
	h.begin(site)
	if err := h.r.addUp(ctx, h.w, site); err != nil {
		return err
	}
	err := h.fetcher.Walk(ctx, seeds, func(p crawl.Page) error { return h.page(ctx, p) })
	if err != nil {
		return err
	}
	if h.more > 0 {
		h.problems = append(h.problems, fmt.Errorf("and %d more problems", h.more))
	}
	return errors.Join(append(h.problems, h.scanned(ctx))...)
}

// scanned notes that the site was walked, also when nothing was found.
func (h *hunt) scanned(ctx context.Context) error {
	seen := h.met
	err := h.r.db.Write(ctx, func(tx *sql.Tx) error {
		at := now()
		id, err := ensureSite(ctx, tx, h.site, at)
		if err != nil {
			return err
		}
		if _, err := seen.count(ctx, tx, id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE sites SET scanned_at = ? WHERE id = ?`, at.UnixMicro(), id)
		return err
	})
	if err == nil {
		h.less(seen)
	}
	return err
}

// problem keeps an error of one page or picture; the walk goes on.
func (h *hunt) problem(err error) {
	if len(h.problems) >= mostProblems {
		h.more++
		return
	}
	h.problems = append(h.problems, err)
}

// page looks at one page. Errors of storing end the walk, others do not.
func (h *hunt) page(ctx context.Context, p crawl.Page) error {
	body := p.UTF8
	if len(body) == 0 {
		body = p.Body
	}
	found, anchors := h.named(p, body)
	h.number(p, found)
	found = append(found, h.linked(p, body)...)
	if err := h.store(ctx, p, found); err != nil {
		return err
	}
	for i, in := range p.Data {
		if err := h.image(ctx, p, fmt.Sprintf("%s#inline-%d", p.URL, i+1), in.Body, p.At, anchors); err != nil {
			return err
		}
	}
	for _, address := range p.Images {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := h.fetchImage(ctx, p, address, anchors); err != nil {
			return err
		}
	}
	return nil
}

// sighting prepares a sighting on a page.
func (h *hunt) sighting(kind string, decoy int, p crawl.Page, address, context string) *sighting {
	return &sighting{
		kind: kind, source: h.source, decoy: h.w.decoys[decoy].Num, url: address, page: p.URL,
		context: clip(context, mostContext), pageHash: hashOf(p.SHA256), data: p.Body, captured: p.At.UTC().Truncate(time.Microsecond),
	}
}

func hashOf(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return nil
	}
	return b
}

// store keeps sightings of one page and tells them.
func (h *hunt) store(ctx context.Context, p crawl.Page, all []*sighting) error {
	if len(all) == 0 {
		return nil
	}
	seen := h.met
	err := h.r.db.Write(ctx, func(tx *sql.Tx) error {
		site, err := ensureSite(ctx, tx, h.site, now())
		if err != nil {
			return err
		}
		fresh := false
		base, err := seen.count(ctx, tx, site)
		if err != nil {
			return err
		}
		for _, s := range all {
			placed := *s // the transaction may run again
			base.place(&placed)
			_, new, err := h.r.book.sight(ctx, tx, site, &placed)
			if err != nil {
				return err
			}
			fresh = fresh || new
		}
		if !fresh {
			return nil
		}
		return h.r.attribute(ctx, tx, h.w, site)
	})
	if err != nil {
		return fmt.Errorf("store sightings of %s: %w", p.URL, err)
	}
	h.less(seen)
	for _, s := range all {
		h.say(s)
	}
	return nil
}

// say tells a sighting.
func (h *hunt) say(s *sighting) {
	if h.tell == nil {
		return
	}
	sum := sha256.Sum256(s.data)
	out := ScanSighting{
		Site: h.site, URL: s.url, Page: s.page, Decoy: h.w.decoys[h.w.byNum[s.decoy]].ID,
		Kind: s.kind, Captured: s.captured, SHA256: hex.EncodeToString(sum[:]),
	}
	if s.picture != nil {
		out.Photo = &s.picture.id
	}
	h.tell(out)
}

// fetchImage fetches an image of a page once and looks at it; an image met
// before is looked at again if this page names decoys that were not tried on it.
func (h *hunt) fetchImage(ctx context.Context, p crawl.Page, address string, anchors []int) error {
	if h.asked[address] {
		return nil
	}
	h.asked[address] = true
	resp, err := h.fetcher.FetchImage(ctx, address)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, crawl.ErrOurs):
		return nil // seen as a link; our own copy proves nothing
	case err != nil:
		h.r.log.InfoContext(ctx, "image not fetched", "url", address, "error", err)
		return nil
	case resp.Status != 200:
		return nil
	}
	return h.image(ctx, p, address, resp.Body, resp.At, anchors)
}

// image looks at the bytes of one image and stores what they show of ours.
func (h *hunt) image(ctx context.Context, p crawl.Page, address string, data []byte, at time.Time, anchors []int) error {
	anchors = anchors[:min(len(anchors), mostAnchors)]
	at = at.UTC().Truncate(time.Microsecond)
	sum := sha256.Sum256(data)
	if known, err := h.repeat(ctx, p, address, sum[:], at); err != nil || known {
		return err
	}
	seen := h.images[string(sum[:])]
	if seen == nil {
		seen = &huntedImage{}
		h.images[string(sum[:])] = seen
	} else if len(seen.shows) == 0 && !slices.ContainsFunc(anchors, func(i int) bool { return !slices.Contains(seen.tried, i) }) {
		return nil
	}
	if len(seen.shows) == 0 {
		seen.tried = append(seen.tried, anchors...)
		if err := h.recognise(ctx, seen, address, data, at, anchors); err != nil {
			return err
		}
	}
	for _, show := range seen.shows {
		if err := h.keepPicture(ctx, p, address, data, at, show); err != nil {
			return err
		}
	}
	return nil
}

// repeat tells the sightings that the same bytes at the same URL led to before.
func (h *hunt) repeat(ctx context.Context, p crawl.Page, address string, sum []byte, at time.Time) (known bool, err error) {
	rows, err := h.r.db.Read().QueryContext(ctx, `SELECT g.picture FROM sightings g JOIN sites s ON s.id = g.site
		WHERE g.capture = ? AND s.site = ? AND g.kind = ? AND g.url = ? ORDER BY g.id`, sum, h.site, kindPicture, address)
	nums, err := collect(rows, err, func(rows *sql.Rows) (num uint32, err error) { return num, rows.Scan(&num) })
	if err != nil {
		return false, err
	}
	for _, num := range nums {
		i, ok := h.w.photoNum[num]
		if !ok || h.tell == nil {
			continue
		}
		q := &h.w.pictures[i]
		h.tell(ScanSighting{
			Site: h.site, URL: address, Page: p.URL, Decoy: h.w.decoys[q.decoy].ID, Photo: &q.id,
			Kind: kindPicture, Captured: at, SHA256: hex.EncodeToString(sum),
		})
	}
	return len(nums) > 0, nil
}

// recognise finds and judges what an image shows. What cannot be read is a
// problem of that image alone.
func (h *hunt) recognise(ctx context.Context, seen *huntedImage, address string, data []byte, at time.Time, anchors []int) error {
	img, err := decode.Decode(ctx, data, decode.Default())
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		h.r.log.InfoContext(ctx, "image not decoded", "url", address, "error", err)
		return nil
	}
	found, err := h.r.look(ctx, h.w, img, anchors)
	for _, f := range found {
		var j *judgement
		if j, err = h.r.judge(ctx, h.w, f, at, false); err != nil {
			break
		}
		seen.shows = append(seen.shows, shownPhoto{f, j})
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		h.problem(fmt.Errorf("%s: %w", address, err))
	}
	return nil
}

// keepPicture stores a find together with what follows from it.
func (h *hunt) keepPicture(ctx context.Context, p crawl.Page, address string, data []byte, at time.Time, show shownPhoto) error {
	photo := show.finding[0].picture
	s := h.sighting(kindPicture, photo.decoy, p, address, p.Text)
	s.picture, s.data, s.captured, s.verdict, s.finding = photo, data, at, show.judgement.stored(), show.finding
	err := h.r.db.Write(ctx, func(tx *sql.Tx) error {
		site, err := ensureSite(ctx, tx, h.site, now())
		if err != nil {
			return err
		}
		if _, fresh, err := h.r.book.sight(ctx, tx, site, s); err != nil || !fresh {
			return err
		}
		return h.r.attribute(ctx, tx, h.w, site)
	})
	if err != nil {
		return fmt.Errorf("store sighting %s: %w", address, err)
	}
	if h.onFind != nil {
		h.onFind(show)
	}
	h.say(s)
	return nil
}

// unmarshalList reads a stored list of ids.
func unmarshalList(data string, into *[]string) error {
	*into = []string{}
	return json.Unmarshal([]byte(data), into)
}
