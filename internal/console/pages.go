package console

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"birdring/registry"
)

// frame is what every page has.
type frame struct {
	Title  string
	Health *strip
}

// strip is the line that says whether Birdring itself is seeing.
type strip struct {
	Decoys, Viewers, Exposures int64
	Problems                   []string
}

func (c *Console) frame(r *http.Request, title string) (frame, error) {
	n, err := c.reg.Counts(r.Context(), time.Now().Add(-24*time.Hour))
	if err != nil {
		return frame{}, err
	}
	h, err := c.health(r.Context())
	if err != nil {
		return frame{}, err
	}
	return frame{title, &strip{n.Decoys, n.Viewers, n.Exposures, h.Problems}}, nil
}

// render makes the whole page before the first byte goes out.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var buf bytes.Buffer
	if err := c.pages.ExecuteTemplate(&buf, name, data); err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := buf.WriteTo(w); err != nil {
		c.log.DebugContext(r.Context(), "page cut short", "error", err)
	}
}

func (c *Console) showLogin(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	c.render(w, r, status, "login.html", struct {
		frame
		Wrong string
	}{frame{Title: "Birdring"}, wrong})
}

// siteRow is a line of the list of sites.
type siteRow struct{ registry.SiteView }

func (s siteRow) Path() string { return sitePath(s.Site) }

func sitePath(site string) string { return "/site/" + url.PathEscape(site) }

func (c *Console) showSites(w http.ResponseWriter, r *http.Request) {
	sites, err := c.reg.SiteViews(r.Context(), time.Now().Add(-recent))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	// What is new comes first, then what was found last.
	slices.SortStableFunc(sites, func(a, b registry.SiteView) int {
		if (a.New > 0) != (b.New > 0) {
			return map[bool]int{true: -1, false: 1}[a.New > 0]
		}
		return b.Last.Compare(a.Last)
	})
	f, err := c.frame(r, "Sites – Birdring")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	page := struct {
		frame
		Sites []siteRow
	}{frame: f}
	for _, s := range sites {
		page.Sites = append(page.Sites, siteRow{s})
	}
	c.render(w, r, http.StatusOK, "sites.html", page)
}

// findCard is one found picture on the page of a site.
type findCard struct{ registry.FindView }

// Picture is the address of one of the card's pictures.
func (f findCard) Picture(what string) string {
	q := ""
	if f.Account != "" {
		q = "?account=" + url.QueryEscape(f.Account)
	}
	return "/find/" + url.PathEscape(f.ID) + "/" + what + q
}

// Story is the note on a story that outlived its day.
func (f findCard) Story() string { return story(f.At, f.Expires) }

// Geometry says how the found picture lies on the served one.
func (f findCard) Geometry() string { return geometry(f.Transform) }

// timePlot is one account's evidence over time.
type timePlot struct {
	Account string
	SVG     template.HTML
}

// sitePage is what site.html shows.
type sitePage struct {
	frame
	Site      registry.SiteView
	Sentences []string
	Delay     string
	Plots     []timePlot
	Action    string
	Limits    []string
	Finds     []findCard
	Words     []registry.FindView
	Operator  *operator
}

// mostFinds bounds the page of a site; the API has them all.
const mostFinds = 200

func (c *Console) showSite(w http.ResponseWriter, r *http.Request) {
	page, err := c.sitePage(r, r.PathValue("site"))
	switch {
	case errors.Is(err, registry.ErrNotFound):
		http.Error(w, "There is no such site in the registry.", http.StatusNotFound)
	case err != nil:
		c.fail(w, r, err)
	default:
		c.render(w, r, http.StatusOK, "site.html", page)
	}
}

func (c *Console) sitePage(r *http.Request, name string) (*sitePage, error) {
	ctx := r.Context()
	site, err := c.reg.SiteView(ctx, name, time.Now().Add(-recent))
	if err != nil {
		return nil, err
	}
	f, err := c.frame(r, name+" – Birdring")
	if err != nil {
		return nil, err
	}
	finds, err := c.reg.Finds(ctx, name, mostFinds)
	if err != nil {
		return nil, err
	}
	p := &sitePage{frame: f, Site: site}
	p.fillFinds(finds)
	single := false
	var accounts []string
	for _, a := range site.Accounts {
		accounts = append(accounts, a.Account)
		single = single || a.SingleSource
		p.Sentences = append(p.Sentences, sentence(name, a.Account, a.Pictures, site.Pictures, a.Millibits))
	}
	if len(accounts) == 0 && site.Pictures > 0 {
		p.Sentences = []string{fmt.Sprintf("%s of ours found on %s; no copy reaches 64 bits, so no account is named.", count(site.Pictures, "picture"), name)}
		if site.Verdict == registry.VerdictMarked {
			p.Sentences = append(p.Sentences, openSet)
		}
	}
	chances, err := c.reg.Chances(ctx)
	if err != nil {
		return nil, err
	}
	p.Limits, p.Action = limits(accounts, chances, single), action(site)
	if p.Operator, err = c.operator(ctx, name); err != nil {
		return nil, err
	}
	return p, c.fillTime(r, p, finds)
}

// fillFinds splits the finds into pictures and words.
func (p *sitePage) fillFinds(finds []registry.FindView) {
	for _, f := range finds {
		if f.Kind == "picture" {
			p.Finds = append(p.Finds, findCard{f})
		} else {
			p.Words = append(p.Words, f)
		}
	}
}

// fillTime adds the plots and the delay between exposure and publication.
func (c *Console) fillTime(r *http.Request, p *sitePage, finds []registry.FindView) error {
	var times []time.Time
	for _, f := range finds {
		times = append(times, f.At)
	}
	for _, a := range p.Site.Accounts {
		history, err := c.reg.History(r.Context(), p.Site.Site, a.Account)
		if err != nil {
			return err
		}
		points := make([]Point, 0, len(history))
		for _, h := range history {
			points = append(points, Point(h))
		}
		p.Plots = append(p.Plots, timePlot{a.Account, plot(points, times, time.Now())})
	}
	if len(p.Site.Accounts) == 0 {
		return nil
	}
	last, err := c.reg.LastExposure(r.Context(), p.Site.Accounts[0].Account, p.Site.First)
	if err == nil && !last.IsZero() {
		p.Delay = duration(p.Site.First.Sub(last))
	}
	return err
}
