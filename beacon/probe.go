package beacon

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"birdring/canary"
)

// handleMark stands for the handle in a template.
const handleMark = "{handle}"

// Template is the address at which a question-and-answer site answers for a handle.
type Template struct {
	parts []string // around the handle, two or more
	host  string   // with port, as written
}

// ParseTemplate reads an http or https address with {handle} once or more in its
// path or query. The host is fixed: a template decides whom we ask.
func ParseTemplate(s string) (Template, error) {
	parts := strings.Split(s, handleMark)
	if len(parts) < 2 {
		return Template{}, fmt.Errorf("template %q has no %s: write it where the site takes the handle", s, handleMark)
	}
	t := Template{parts: parts}
	u, err := url.Parse(t.URL("h"))
	if err != nil {
		return Template{}, fmt.Errorf("template %q is no address: %w", s, errors.Unwrap(err))
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return Template{}, fmt.Errorf("template %q: want an http or https address", s)
	case u.Hostname() == "":
		return Template{}, fmt.Errorf("template %q names no host", s)
	case u.User != nil:
		return Template{}, fmt.Errorf("template %q carries a password: remove it", s)
	}
	// Only path and query may change with the handle.
	head, _, ok := strings.Cut(parts[0], "://")
	if !ok || !strings.ContainsAny(parts[0][len(head)+3:], "/?") {
		return Template{}, fmt.Errorf("template %q: %s may stand in path or query, not in the host", s, handleMark)
	}
	if strings.Contains(parts[0], "#") {
		return Template{}, fmt.Errorf("template %q: %s stands behind #, which is never sent", s, handleMark)
	}
	t.host = u.Host
	return t, nil
}

// URL is the address for a handle, which is escaped.
func (t Template) URL(handle string) string {
	return strings.Join(t.parts, strings.ReplaceAll(url.QueryEscape(handle), "+", "%20"))
}

// Host is whom the template asks: host, and port if it has one.
func (t Template) Host() string { return t.host }

// Window is when a probe may ask: From included, To excluded.
type Window struct{ From, To time.Time }

// At is the moment for u in [0, 1), which is keyed so that nobody can foresee it.
func (w Window) At(u float64) time.Time {
	span := w.To.Sub(w.From)
	if span <= 0 {
		return w.From
	}
	u = min(max(u, 0), 1)
	return w.From.Add(min(time.Duration(u*float64(span)), span-1))
}

// Look is one viewer coming for a decoy.
type Look struct {
	Viewer canary.Viewer
	At     time.Time
}

// Why a probe names no requester.
var (
	ErrNobodyCame = errors.New("nobody came for the decoy in time")
	ErrSpoiled    = errors.New("somebody came for the decoy before it was asked about: it is no longer dark")
)

// Requester is the first viewer that came for a dark decoy after a site was
// asked for it and no later than patience after that. Looks may be in any
// order. A look before the question spoils the probe: whoever knew the handle
// already may come again at any time.
func Requester(asked time.Time, patience time.Duration, looks []Look) (first Look, err error) {
	err = ErrNobodyCame
	for _, l := range looks {
		switch {
		case l.At.Before(asked):
			return Look{}, ErrSpoiled
		case l.At.After(asked.Add(patience)):
		case err != nil || l.At.Before(first.At):
			first, err = l, nil
		}
	}
	return first, err
}
