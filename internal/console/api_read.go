package console

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"

	"birdring/registry"
)

// rowsAsk selects rows.
type rowsAsk struct {
	Since time.Time `query:"since" doc:"only rows of this time or later"`
	Limit int       `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"at most so many, the newest"`
}

type rowsAnswer struct {
	Body []any `doc:"the rows as stored, newest last"`
}

func (c *Console) rows(what string) func(context.Context, *rowsAsk) (*rowsAnswer, error) {
	return func(ctx context.Context, in *rowsAsk) (*rowsAnswer, error) {
		out := &rowsAnswer{Body: []any{}}
		err := c.reg.Rows(ctx, what, in.Since, in.Limit, func(row any) error {
			out.Body = append(out.Body, row)
			return nil
		})
		return out, c.problem(ctx, err)
	}
}

func (c *Console) readAPI(api huma.API) {
	for _, what := range []string{"sites", "sightings", "hits", "attributions"} {
		huma.Register(api, operation(http.MethodGet, "/v1/"+what, "list-"+what, "List "+what, Reader, Analyst), c.rows(what))
	}
	huma.Register(api, operation(http.MethodGet, "/v1/clusters", "list-clusters", "List the operators behind sites", Reader, Analyst), c.rows("clusters"))
	type watchAsk struct {
		Site string `json:"site" minLength:"1" maxLength:"2000" doc:"domain or URL to watch"`
	}
	type watchAnswer struct {
		Site string `json:"site"`
	}
	huma.Register(api, operation(http.MethodPost, "/v1/sites", "watch-site", "Watch a site", Analyst),
		func(ctx context.Context, in *struct{ Body watchAsk }) (*struct{ Body watchAnswer }, error) {
			site, err := c.reg.Watch(ctx, in.Body.Site)
			return &struct{ Body watchAnswer }{watchAnswer{site}}, c.problem(ctx, err)
		})
}

// The events of /v1/events.
type (
	sightingEvent    struct{ Row json.RawMessage }
	hitEvent         struct{ Row json.RawMessage }
	attributionEvent struct{ Row json.RawMessage }
)

// MarshalJSON writes the row itself.
func (e sightingEvent) MarshalJSON() ([]byte, error)    { return e.Row, nil }
func (e hitEvent) MarshalJSON() ([]byte, error)         { return e.Row, nil }
func (e attributionEvent) MarshalJSON() ([]byte, error) { return e.Row, nil }

// eventsEvery is how often the registry is asked for news; other processes write to it too.
const eventsEvery = time.Second

// eventsAPI streams what is new, from the moment of the call on.
func (c *Console) eventsAPI(api huma.API) {
	op := operation(http.MethodGet, "/v1/events", "events", "Stream new sightings, hits and attributions", Reader, Analyst)
	sse.Register(api, op, map[string]any{"sighting": sightingEvent{}, "hit": hitEvent{}, "attribution": attributionEvent{}},
		func(ctx context.Context, _ *struct{}, send sse.Sender) {
			kinds := []*news{
				{what: "sightings", wrap: func(r json.RawMessage) any { return sightingEvent{r} }},
				{what: "hits", wrap: func(r json.RawMessage) any { return hitEvent{r} }},
				{what: "attributions", wrap: func(r json.RawMessage) any { return attributionEvent{r} }},
			}
			since := time.Now().UTC()
			ctx, end := context.WithCancel(ctx)
			defer end()
			_ = registry.Every(ctx, eventsEvery, func(ctx context.Context) { // it returns nil
				for _, k := range kinds {
					if err := k.send(ctx, c.reg, since, send); err != nil {
						c.log.DebugContext(ctx, "events end", "error", err)
						end()
						return
					}
				}
			})
		})
}

// news remembers which rows of one kind were sent.
type news struct {
	what string
	wrap func(json.RawMessage) any
	sent map[string]bool // rows already sent, by their JSON
}

func (n *news) send(ctx context.Context, reg *registry.Registry, since time.Time, send sse.Sender) error {
	if n.sent == nil {
		n.sent = map[string]bool{}
	}
	return reg.Rows(ctx, n.what, since, 1000, func(row any) error {
		data, err := json.Marshal(row)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		if n.sent[string(sum[:])] {
			return nil
		}
		n.sent[string(sum[:])] = true
		return send.Data(n.wrap(data))
	})
}

// keysAPI lets an admin make and remove keys.
func (c *Console) keysAPI(api huma.API) {
	type keyShown struct {
		ID    string    `json:"id"`
		Role  Role      `json:"role"`
		Note  string    `json:"note"`
		Added time.Time `json:"added"`
	}
	huma.Register(api, operation(http.MethodGet, "/v1/keys", "list-keys", "List API keys"),
		func(context.Context, *struct{}) (*struct{ Body []keyShown }, error) {
			out := []keyShown{}
			for _, k := range c.keys.List() {
				out = append(out, keyShown{k.ID, k.Role, k.Note, k.Added})
			}
			return &struct{ Body []keyShown }{out}, nil
		})

	type keyAsk struct {
		Role Role   `json:"role" enum:"platform,reader,analyst,admin"`
		Note string `json:"note,omitempty" maxLength:"200"`
	}
	type keyMade struct {
		ID     string `json:"id"`
		Role   Role   `json:"role"`
		Secret string `json:"secret" doc:"told only now"`
	}
	huma.Register(api, operation(http.MethodPost, "/v1/keys", "add-key", "Make an API key"),
		func(_ context.Context, in *struct{ Body keyAsk }) (*struct{ Body keyMade }, error) {
			k, secret, err := c.keys.Add(in.Body.Role, in.Body.Note)
			if err != nil {
				return nil, huma.Error422UnprocessableEntity(err.Error())
			}
			return &struct{ Body keyMade }{keyMade{k.ID, k.Role, secret}}, nil
		})
	huma.Register(api, operation(http.MethodDelete, "/v1/keys/{id}", "remove-key", "Remove an API key"),
		func(_ context.Context, in *struct {
			ID string `path:"id"`
		},
		) (*struct{}, error) {
			if err := c.keys.Remove(in.ID); err != nil {
				return nil, huma.Error409Conflict(err.Error())
			}
			return nil, nil
		})
}
