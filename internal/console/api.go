package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"birdring/registry"
	"birdring/registry/sqlstore"
)

// api registers the HTTP API v1 and its description at /openapi.json.
func (c *Console) api() {
	cfg := huma.DefaultConfig("Birdring", "1")
	cfg.Info.Description = "Every account gets its own copy of a decoy; a copy found elsewhere names the account it was served to."
	cfg.DocsPath, cfg.SchemasPath = "", ""
	cfg.CreateHooks = nil // no $schema links in answers
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "An API key of a role the operation allows."},
	}
	api := humago.New(c.mux, cfg)
	api.UseMiddleware(c.authorize(api))
	c.accountsAPI(api)
	c.exposuresAPI(api)
	c.decoysAPI(api)
	c.readAPI(api)
	c.traceAPI(api)
	c.eventsAPI(api)
	c.keysAPI(api)
}

// operation describes one call and which roles may make it; admin always may.
func operation(method, path, id, summary string, roles ...Role) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary,
		Security: []map[string][]string{{"key": {}}},
		Metadata: map[string]any{"roles": roles},
		Errors:   []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity},
	}
}

// authorize lets a request through whose key is of one of the operation's roles.
func (c *Console) authorize(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		roles, ok := ctx.Operation().Metadata["roles"].([]Role)
		if !ok { // an operation nobody thought about is for nobody
			c.refuse(api, ctx, http.StatusForbidden, "no role may do this")
			return
		}
		r, _ := humago.Unwrap(ctx)
		key, ok := c.identify(r)
		if !ok {
			ctx.SetHeader("WWW-Authenticate", `Bearer realm="birdring"`)
			c.refuse(api, ctx, http.StatusUnauthorized, "send a key: Authorization: Bearer brk_...")
			return
		}
		if key.Role != Admin && !slices.ContainsFunc(roles, key.Role.May) {
			c.refuse(api, ctx, http.StatusForbidden, "a key of role "+string(key.Role)+" may not do this")
			return
		}
		next(huma.WithContext(ctx, context.WithValue(ctx.Context(), keyOfRequest{}, key)))
	}
}

func (c *Console) refuse(api huma.API, ctx huma.Context, status int, text string) {
	if err := huma.WriteErr(api, ctx, status, text); err != nil {
		c.log.DebugContext(ctx.Context(), "refusal cut short", "error", err)
	}
}

// problem turns an error of the registry into one of HTTP (RFC 9457). What is
// the caller's doing is told; the rest is logged and told as a failure.
func (c *Console) problem(ctx context.Context, err error) error {
	var status huma.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		return err
	case errors.Is(err, registry.ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, registry.ErrInvalid):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, registry.ErrConflict):
		return huma.Error409Conflict(err.Error())
	}
	c.log.ErrorContext(ctx, "api", "error", err)
	if errors.Is(err, sqlstore.ErrUnknown) {
		return huma.Error503ServiceUnavailable("the database went away while this was stored: it is not known whether it was; look before sending it again")
	}
	return huma.Error503ServiceUnavailable("this could not be stored or read; nothing was done, try again later")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(append(data, '\n')); err != nil {
		return // the caller went away; there is nobody left to tell
	}
}

// oneOrMany reads a JSON object, or an array of them, of at most most.
func oneOrMany[T any](body []byte, most int) ([]T, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, huma.Error400BadRequest("the body is no JSON: " + err.Error())
	}
	var many []json.RawMessage
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &many); err != nil {
			return nil, huma.Error400BadRequest(err.Error())
		}
	} else {
		many = []json.RawMessage{raw}
	}
	if len(many) == 0 || len(many) > most {
		return nil, huma.Error422UnprocessableEntity("send one object, or an array of 1 to " + itoa(most))
	}
	out := make([]T, len(many))
	for i, m := range many {
		if err := strict(m, &out[i]); err != nil {
			return nil, huma.Error422UnprocessableEntity("entry "+itoa(i)+" is not understood: "+err.Error(), err)
		}
	}
	return out, nil
}

// bodyOf describes a request that oneOrMany reads.
func bodyOf[T any](api huma.API) *huma.RequestBody {
	item := huma.SchemaFromType(api.OpenAPI().Components.Schemas, typeOf[T]())
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{OneOf: []*huma.Schema{item, {Type: huma.TypeArray, Items: item}}}},
	}}
}
