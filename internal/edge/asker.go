package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// who is a viewer as the platform names it.
type who struct {
	Account string `json:"account"`
	Session string `json:"session,omitempty"`
}

// errAway says that the registry cannot be asked.
var errAway = errors.New("the registry cannot be asked")

// asker asks a registry's API for viewers without a pass. Passes never change, so
// that each is asked for once.
type asker struct {
	url, key string
	client   *http.Client

	mu    sync.RWMutex // guards known
	known map[who]string
}

// mostKnown bounds the passes remembered.
const mostKnown = 1 << 18

func newAsker(url, key string) *asker {
	return &asker{url: strings.TrimRight(url, "/"), key: key, client: &http.Client{Timeout: 10 * time.Second}, known: map[who]string{}}
}

// passes returns the passes of all viewers, or an error.
func (a *asker) passes(ctx context.Context, all []who) (map[who]string, error) {
	out := make(map[who]string, len(all))
	var missing []who
	a.mu.RLock()
	for _, w := range all {
		if _, twice := out[w]; twice {
			continue
		}
		pass, ok := a.known[w]
		if out[w] = pass; !ok {
			missing = append(missing, w)
		}
	}
	a.mu.RUnlock()
	if len(missing) == 0 {
		return out, nil
	}
	body, err := json.Marshal(missing)
	if err != nil {
		return nil, err
	}
	resp, err := a.post(ctx, "/v1/accounts", body, "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: it answers %s", errAway, resp.Status)
	}
	var got []struct {
		Account string  `json:"account"`
		Session *string `json:"session"`
		Pass    string  `json:"pass"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(&got); err != nil || len(got) != len(missing) {
		return nil, fmt.Errorf("%w: its answer is not understood", errAway)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known)+len(got) > mostKnown {
		clear(a.known)
	}
	for i, g := range got {
		if g.Account != missing[i].Account {
			return nil, fmt.Errorf("%w: it answers about somebody else", errAway)
		}
		out[missing[i]], a.known[missing[i]] = g.Pass, g.Pass
	}
	return out, nil
}

// post sends a request to the registry.
func (a *asker) post(ctx context.Context, path string, body []byte, repeat string) (*http.Response, error) {
	if a.url == "" {
		return nil, fmt.Errorf("%w: this edge runs without --registry-url", errAway)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+a.key)
	if repeat != "" {
		req.Header.Set("Idempotency-Key", repeat)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	return resp, nil
}

// forward lets the registry answer a whole request.
func (a *asker) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	resp, err := a.post(r.Context(), "/v1/exposures", body, r.Header.Get("Idempotency-Key"))
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "name a shared or dark decoy that this edge serves, "+err.Error())
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // the requester left, or the registry
}
