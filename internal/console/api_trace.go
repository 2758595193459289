package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"birdring/registry"
)

// traceAPI lets an analyst bring a picture. It stores nothing about sites and
// answers nothing below 64 bits, so that it is no help in spoiling a ring.
func (c *Console) traceAPI(api huma.API) {
	op := bringing(operation(http.MethodPost, "/v1/trace", "trace", "Find which account's copy a picture descends from", Analyst))
	huma.Register(api, op, func(ctx context.Context, in *struct{ RawBody []byte }) (*struct{ Body []registry.TraceResult }, error) {
		b, err := c.brought(ctx, in.RawBody)
		if err != nil {
			return nil, err
		}
		results, err := c.reg.Trace(ctx, registry.TraceRequest{Name: b.name, Data: in.RawBody})
		c.log.InfoContext(ctx, "trace", "key", b.key, "sha256", b.sum, "results", len(results), "error", err)
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error())
		}
		return &struct{ Body []registry.TraceResult }{told(results)}, nil
	})
	c.uploadsAPI(api)
}

// uploadsAPI is the same for who does not wait: a worker traces the picture, and
// the answer is fetched. It is kept as long as retention says.
func (c *Console) uploadsAPI(api huma.API) {
	type added struct {
		Upload string `json:"upload" doc:"what the answer is asked for by"`
	}
	op := bringing(operation(http.MethodPost, "/v1/uploads", "add-upload", "Let a worker find which account's copy a picture descends from", Analyst))
	op.DefaultStatus = http.StatusAccepted
	huma.Register(api, op, func(ctx context.Context, in *struct{ RawBody []byte }) (*struct{ Body added }, error) {
		b, err := c.brought(ctx, in.RawBody)
		if err != nil {
			return nil, err
		}
		id, err := c.reg.AddUpload(ctx, b.name, "", in.RawBody)
		c.log.InfoContext(ctx, "upload", "key", b.key, "sha256", b.sum, "upload", id, "error", err)
		return &struct{ Body added }{added{id}}, c.problem(ctx, err)
	})
	type asked struct {
		Upload string `path:"upload" maxLength:"60"`
	}
	huma.Register(api, operation(http.MethodGet, "/v1/uploads/{upload}", "get-upload", "What came of an upload; done is null while it waits", Analyst),
		func(ctx context.Context, in *asked) (*struct{ Body registry.Upload }, error) {
			u, err := c.reg.Upload(ctx, in.Upload)
			u.Results = told(u.Results)
			return &struct{ Body registry.Upload }{u}, c.problem(ctx, err)
		})
}

// bringing describes a call whose body is a picture.
func bringing(op huma.Operation) huma.Operation {
	op.Description = "The body is the picture. Rate-limited per key and logged."
	op.MaxBodyBytes, op.BodyReadTimeout = 20<<20, time.Minute
	op.Errors = append(op.Errors, http.StatusTooManyRequests)
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		"image/*":                  {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	return op
}

// find is a picture that somebody brought.
type find struct{ key, sum, name string }

// brought names a picture, unless its key brings too many.
func (c *Console) brought(ctx context.Context, data []byte) (find, error) {
	key, _ := keyOf(ctx)
	if !c.traces.allow(key.ID) {
		return find{}, huma.Error429TooManyRequests("too many traces with this key; one in two seconds, bursts of ten")
	}
	sum := sha256.Sum256(data)
	return find{key.ID, hex.EncodeToString(sum[:]), "upload-" + hex.EncodeToString(sum[:6])}, nil
}

// told are results as the API tells them: what is only probable is a ring of
// nobody named.
func told(results []registry.TraceResult) []registry.TraceResult {
	for i := range results {
		if results[i].Verdict == registry.VerdictProbable {
			results[i].Verdict = registry.VerdictMarked
		}
	}
	return results
}
