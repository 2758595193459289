// Package console shows people what Birdring found and lets other programs ask:
// a few pages for the engineer, and the HTTP API v1.
//
// Everything stands behind keys with roles, stored as hashes. The first start
// makes an admin key and prints it once. Pages need no JavaScript, load nothing
// from elsewhere and say so in a strict Content-Security-Policy. A score below
// the line of its level is on no page and in no answer.
package console

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/registry"
	"birdring/registry/jobs"
)

//go:embed assets
var assets embed.FS

// Config of a console.
type Config struct {
	Registry  *registry.Registry
	Keys      *Keys
	PublicURL string // how viewers reach this server; https makes cookies Secure
	Log       *slog.Logger
	Beacon    *beacon.Stats    // of the beacon in this process, nil if there is none
	Journal   *journal.Journal // of this process, nil if there is none
}

// Console serves the pages and the API.
type Console struct {
	reg       *registry.Registry
	keys      *Keys
	publicURL string
	log       *slog.Logger
	beacon    *beacon.Stats
	journal   *journal.Journal
	streams   *streams        // nil if there are none
	jobs      *jobs.Queue     // nil if there are none
	ctx       context.Context // of questions that come without one
	sessions  sessions
	pages     *template.Template
	mux       *http.ServeMux
	traces    limiter
	repeats   repeats
}

// New returns the console and API of a registry.
func New(cfg Config) (*Console, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	pages, err := template.New("").Funcs(template.FuncMap{"bits": bits, "when": when, "day": day, "barWidth": barWidth}).ParseFS(assets, "assets/*.html")
	if err != nil {
		return nil, err
	}
	c := &Console{reg: cfg.Registry, keys: cfg.Keys, publicURL: cfg.PublicURL, log: cfg.Log, beacon: cfg.Beacon, journal: cfg.Journal, ctx: context.Background(), pages: pages, mux: http.NewServeMux()}
	c.routes()
	c.api()
	return c, nil
}

func (c *Console) routes() {
	c.mux.HandleFunc("GET /{$}", c.page(c.showSites))
	c.mux.HandleFunc("GET /site/{site}", c.page(c.showSite))
	c.mux.HandleFunc("GET /decoys", c.page(c.showDecoys))
	c.mux.HandleFunc("POST /decoys/{decoy}/{what}", c.page(c.changeDecoy))
	c.mux.HandleFunc("GET /find/{id}/{what}", c.page(c.showPicture))
	c.mux.HandleFunc("POST /login", c.login)
	c.mux.HandleFunc("POST /logout", c.logout)
	c.mux.Handle("GET /assets/{file}", http.HandlerFunc(c.asset))
	c.mux.HandleFunc("GET /healthz", c.healthz)
	c.mux.Handle("GET /metrics", c.metrics())
}

// ServeHTTP serves with the headers that keep a page to itself. Forms sent by
// other sites are refused.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	http.NewCrossOriginProtection().Handler(c.mux).ServeHTTP(w, r)
}

func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	types := map[string]string{"style.css": "text/css; charset=utf-8", "ring.svg": "image/svg+xml"}
	kind, ok := types[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	f, err := assets.Open("assets/" + r.PathValue("file"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "max-age=300")
	if _, err := io.Copy(w, f); err != nil {
		c.log.DebugContext(r.Context(), "asset cut short", "error", err)
	}
}

// barWidth turns evidence into a length: 160 px are 640 bits, ten times the line.
func barWidth(millibits int64) int { return int(min(160, millibits/4000)) }

// health is what /healthz says.
type health struct {
	registry.Health
	DNS  map[string]uint64 `json:"dns"`  // counters of the DNS beacon
	HTTP map[string]uint64 `json:"http"` // counters of the HTTP beacon
}

// health asks the registry and the beacon how they are.
func (c *Console) health(ctx context.Context) (health, error) {
	h, err := c.reg.Health(ctx)
	if err != nil {
		return health{}, err
	}
	out := health{Health: h}
	if c.beacon != nil {
		out.DNS, out.HTTP = c.beacon.DNS.Snapshot(), c.beacon.HTTP.Snapshot()
		if err := c.beacon.Err(); err != nil {
			out.OK, out.Problems = false, append(out.Problems, err.Error())
		}
	}
	if c.jobs != nil {
		n, err := c.jobs.GivenUp(ctx)
		switch {
		case err != nil:
			out.OK, out.Problems = false, append(out.Problems, fmt.Sprintf("what workers do is not known: %v", err))
		case n > 0:
			out.OK, out.Problems = false, append(out.Problems, fmt.Sprintf("%d jobs were given up: see birdring jobs list --state discarded, then retry or drop them", n))
		}
	}
	if more := c.streams.problems(); len(more) > 0 {
		out.OK, out.Problems = false, append(out.Problems, more...)
	}
	if c.journal != nil {
		if held, quota := c.journal.Held(); quota > 0 && held > quota/2 {
			out.OK, out.Problems = false, append(out.Problems, fmt.Sprintf("the journal holds %d MiB of hits that are not taken in; at %d MiB valid tokens get no answer", held>>20, quota>>20))
		}
	}
	return out, nil
}

// sinkFull says why fetches could not be recorded; nil while they can.
func (c *Console) sinkFull() error {
	if c.journal == nil {
		return nil
	}
	if err := c.journal.Err(); err != nil {
		return err
	}
	if held, quota := c.journal.Held(); quota > 0 && held > quota*9/10 {
		return fmt.Errorf("the journal is nearly full, %d of %d MiB", held>>20, quota>>20)
	}
	return nil
}

// healthz answers 200 while all is well and 503 otherwise; why, only to the own
// machine and to holders of a key: the address is the one viewers see.
func (c *Console) healthz(w http.ResponseWriter, r *http.Request) {
	h, err := c.health(r.Context())
	if err != nil {
		c.log.ErrorContext(r.Context(), "health check", "error", err)
		h.Problems = []string{"the registry does not answer"}
	}
	status := http.StatusOK
	if !h.OK {
		status = http.StatusServiceUnavailable
	}
	if _, known := c.identify(r); known || local(r) {
		writeJSON(w, status, h)
		return
	}
	writeJSON(w, status, map[string]bool{"ok": h.OK})
}

// local says that a request comes from this machine and through no proxy.
func local(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}

// fail answers a page that could not be made; the reason is logged, not shown.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	c.log.ErrorContext(r.Context(), "page", "path", r.URL.Path, "error", err)
	http.Error(w, "This page could not be made; the server's log says why.", http.StatusInternalServerError)
}

// recent is what counts as new on the list of sites.
const recent = 24 * time.Hour
