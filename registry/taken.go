package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"birdring/beacon/crawl"
	"birdring/canary/handle"
)

// TakenList is a list of handles that are or were somebody's, however spelled. It
// takes about 20 bytes a handle.
type TakenList map[uint64]struct{}

// Add takes a handle in.
func (l TakenList) Add(name string) { l[handle.Key(name)] = struct{}{} }

// Taken says whether a handle is on the list.
func (l TakenList) Taken(_ context.Context, h string) (bool, error) {
	_, on := l[handle.Key(h)]
	return on, nil
}

// IsTakenURL says whether a --taken names a URL and no file.
func IsTakenURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// TakenAt asks the platform at a URL with {handle} in it: 2xx says taken, 404 and 410
// free, anything else is an error. It calls through the guarded client; allow opens
// addresses that are yours, which are asked without a limit of rate.
func TakenAt(template string, allow []string) (func(ctx context.Context, h string) (bool, error), error) {
	if !strings.Contains(template, "{handle}") {
		return nil, fmt.Errorf("--taken %s: {handle} is missing in it", template)
	}
	fetcher, err := crawl.New(crawl.Config{Allow: allow})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, h string) (bool, error) {
		r, err := fetcher.Fetch(ctx, strings.ReplaceAll(template, "{handle}", url.PathEscape(h)))
		switch {
		case err != nil:
			return false, err
		case r.Status >= 200 && r.Status < 300:
			return true, nil
		case r.Status == http.StatusNotFound || r.Status == http.StatusGone:
			return false, nil
		}
		return false, fmt.Errorf("the platform answered %d: 200 (taken) or 404 (free) is wanted", r.Status)
	}, nil
}

// Avoid refuses handles that hold one of the words, however spelled.
func Avoid(words []string) func(h string) bool {
	folded := make([]string, 0, len(words))
	for _, w := range words {
		if f := handle.Fold(w); f != "" {
			folded = append(folded, f)
		}
	}
	return func(h string) bool {
		f := handle.Fold(h)
		for _, w := range folded {
			if strings.Contains(f, w) {
				return true
			}
		}
		return false
	}
}
