package crawl

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"strings"
)

// maxQueue bounds the pages that wait for their turn, for each page that may be fetched.
const maxQueue = 25

// Page is one page of a walk.
type Page struct {
	Response
	Site string // as Registrable has it
	Found
	Ours []string // our own links among Links and Images, taken out there and never fetched
}

// Walk visits pages of sites breadth first, beginning at the seeds: same-site
// links, at most MaxPages requests for each site. A picture that a link led to is
// visited as a page without body that names only itself. Pages with any status
// are visited if they are text.
//
// Images are listed by every page that names them; fetch them with FetchImage,
// which waits for its turn like pages do. visit is called from one goroutine;
// several walks may run at once. An error of visit ends the walk. Seeds that could
// not be read are the error, after everything else was done; other pages that
// could not be read go to Config.OnError.
func (f *Fetcher) Walk(ctx context.Context, seeds []string, visit func(Page) error) error {
	var order []string
	bySite := map[string][]string{}
	var failed []error
	for _, seed := range seeds {
		u, err := checkURL(seed)
		if err != nil {
			failed = append(failed, fmt.Errorf("fetch %s: %w", printable(seed), err))
			continue
		}
		site := Registrable(u.String())
		if bySite[site] == nil {
			order = append(order, site)
		}
		bySite[site] = append(bySite[site], u.String())
	}
	for _, site := range order {
		w := &walk{f: f, site: site, visit: visit, seen: map[uint64]bool{}, seed: maphash.MakeSeed()}
		if err := w.run(ctx, bySite[site]); err != nil {
			return err
		}
		failed = append(failed, w.failed...)
	}
	return errors.Join(failed...)
}

// walk is the walk over one site.
type walk struct {
	f      *Fetcher
	site   string
	visit  func(Page) error
	queue  []string
	seen   map[uint64]bool // hashes of addresses that were queued
	seed   maphash.Seed
	failed []error // seeds that could not be read
}

func (w *walk) run(ctx context.Context, seeds []string) error {
	for _, s := range seeds {
		w.push(s)
	}
	fromSeeds := len(w.queue)
	for n := 0; n < w.f.MaxPages && len(w.queue) > 0; n++ {
		at := w.queue[0]
		w.queue = w.queue[1:]
		page, err := w.page(ctx, at)
		if ctx.Err() != nil {
			return fmt.Errorf("walk %s: %w", w.site, context.Cause(ctx))
		}
		if err != nil {
			if n < fromSeeds {
				w.failed = append(w.failed, err)
			} else {
				w.f.OnError(at, err)
			}
			continue
		}
		if err := w.visit(page); err != nil {
			return err
		}
		for _, link := range page.Links {
			if isPage(link) && Registrable(link) == w.site {
				w.push(link)
			}
		}
	}
	return nil
}

// push queues an address that was not queued before.
func (w *walk) push(at string) {
	key := maphash.String(w.seed, at)
	if !w.seen[key] && len(w.seen) < maxQueue*w.f.MaxPages {
		w.seen[key] = true
		w.queue = append(w.queue, at)
	}
}

// page fetches one page and takes it apart.
func (w *walk) page(ctx context.Context, at string) (Page, error) {
	if w.f.Ours(at) {
		return Page{}, fmt.Errorf("fetch %s: %w", printable(at), ErrOurs)
	}
	r, err := w.f.fetch(ctx, at, purpose{accept: acceptAny, limit: limitOfPage})
	if err != nil {
		return Page{}, err
	}
	page := Page{Response: *r, Site: w.site}
	switch {
	case Registrable(r.URL) != w.site:
		// Redirected to somebody else: what is there was not published by this site.
		return Page{}, fmt.Errorf("fetch %s: it leads away to %s", printable(at), printable(r.URL))
	case strings.HasPrefix(r.ContentType, "image/"):
		if r.Status == http.StatusOK {
			page.Images = []string{r.URL}
		}
		return page, nil
	case isText(r.ContentType):
		page.Found = Extract(r.URL, r.ContentType, r.Header.Get("Content-Type"), r.Body)
	}
	page.Links = w.takeOurs(&page, page.Links)
	page.Images = w.takeOurs(&page, page.Images)
	// A page that was asked for under another name need not be asked for again.
	w.seen[maphash.String(w.seed, r.URL)] = true
	return page, nil
}

// takeOurs moves our own links to page.Ours.
func (w *walk) takeOurs(page *Page, urls []string) []string {
	kept := urls[:0]
	for _, u := range urls {
		if w.f.Ours(u) {
			page.Ours = append(page.Ours, u)
		} else {
			kept = append(kept, u)
		}
	}
	return kept
}

// limitOfPage reads text only: a walk leaves pictures and films to others.
func limitOfPage(contentType string) limit {
	if isText(contentType) || contentType == "" {
		return limit{bytes: MaxPage, cut: true}
	}
	return limit{skip: true}
}

// notPages are extensions of files that hold no links to follow.
var notPages = map[string]bool{
	"css": true, "js": true, "mjs": true, "map": true, "ico": true, "svg": true, "woff": true, "woff2": true, "ttf": true, "otf": true,
	"eot": true, "mp4": true, "webm": true, "mov": true, "m4v": true, "avi": true, "mkv": true, "mp3": true, "m4a": true, "ogg": true,
	"wav": true, "zip": true, "gz": true, "tgz": true, "rar": true, "7z": true, "pdf": true, "apk": true, "exe": true, "dmg": true, "iso": true,
}

func isPage(link string) bool {
	u, err := url.Parse(link)
	return err == nil && !notPages[extension(u.Path)]
}
