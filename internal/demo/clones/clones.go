// Package clones is the other side: sites that republish what their scraping
// accounts took. Each runs as a process of its own and gets nothing but its
// orders: addresses and account tokens. It never learns which profiles are decoys.
package clones

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"birdring/internal/demo/farm"
)

// Orders is all a clone site's process is told, one JSON object on its standard input.
type Orders struct {
	Kind     string   `json:"kind"`     // one of Kinds
	Platform string   `json:"platform"` // base URL
	Tokens   []string `json:"tokens"`   // bearer tokens of its accounts
	Handles  []string `json:"handles"`  // profiles it was told to copy; empty: what it comes across
	Stock    []string `json:"stock"`    // picture URLs outside the platform
}

// Report is what the process says on standard output: first its address, then
// that it is done copying.
type Report struct {
	URL      string `json:"url,omitempty"`
	Profiles int    `json:"profiles"`
	Pictures int    `json:"pictures"`
	Done     bool   `json:"done"`
	Error    string `json:"error,omitempty"`
}

// Trade is one way of running a clone site.
type Trade struct {
	Kind   string
	About  string
	Live   bool // fetches a profile when somebody asks for it: traced by probe
	Supply bool // takes decoys' pictures from the platform; the other sites must stay without attribution
	change func(picture) ([]byte, error)
	rename func(string) string
	wish   farm.Wish
}

// Trades are the sites of the demo, in the order they are started.
var Trades = []Trade{
	{Kind: "viewer", About: "anonymous viewer: fetches a profile through its accounts when asked", Live: true, Supply: true, change: reencode(80), rename: same},
	{Kind: "mirror", About: "mirrors whole profiles, re-encodes at q75", Supply: true, change: reencode(75), rename: same, wish: farm.Wish{Profiles: 60, Posts: 2}},
	{Kind: "cropper", About: "crops to 75 % of the area, q70, handles upper case", Supply: true, change: crop(0.75, 70), rename: upper, wish: farm.Wish{Profiles: 60, Posts: 1}},
	{Kind: "originals", About: "copies pictures from a stock library, none from the platform", change: reencode(75), rename: same},
	{Kind: "thumbs", About: "thumbnails of 320 px, q75, other names", Supply: true, change: shrink(320, 75), rename: masked, wish: farm.Wish{Profiles: 60, Posts: 1}},
	{Kind: "octopus", About: "scraping for hire: exports through its customers' own accounts", Supply: true, change: asIs, rename: same, wish: farm.Wish{Profiles: 40, Posts: 1}},
	{Kind: "ordinary", About: "copies only ordinary profiles it was told to", change: reencode(75), rename: same, wish: farm.Wish{Profiles: 60, Posts: 2}},
	{Kind: "stories", About: "keeps 24 h stories: mirrored, 640 px, q70", Supply: true, change: flip(640, 70), rename: same, wish: farm.Wish{Profiles: 80, Posts: 4, Stories: true}},
}

// ByKind finds a trade.
func ByKind(kind string) (Trade, bool) {
	for _, t := range Trades {
		if t.Kind == kind {
			return t, true
		}
	}
	return Trade{}, false
}

// Main is the whole process: read the orders, listen, copy, serve until ctx ends or in is closed.
func Main(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	var o Orders
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	trade, ok := ByKind(o.Kind)
	if !ok {
		return fmt.Errorf("no trade %q", o.Kind)
	}
	// The parent holds our standard input open; when it is gone, so are we.
	go func() {
		io.Copy(io.Discard, lines)
		cancel()
	}()
	return run(ctx, o, trade, json.NewEncoder(out))
}

func run(ctx context.Context, o Orders, trade Trade, report *json.Encoder) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := newSite(o, trade)
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	defer srv.Close()
	address := "http://" + ln.Addr().String()
	if err := report.Encode(Report{URL: address}); err != nil {
		return err
	}
	done := Report{URL: address, Done: true}
	if err := s.stockUp(ctx); err != nil {
		done.Error = err.Error()
	}
	done.Profiles, done.Pictures = s.stocked()
	if err := report.Encode(done); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}
