package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/offer"
	"birdring/registry"
)

func itoa(n int) string { return strconv.Itoa(n) }

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// strict reads one JSON object and refuses members it does not know.
func strict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// accountAsk asks for the number of a viewer.
type accountAsk struct {
	Account string `json:"account" minLength:"1" maxLength:"200" doc:"any string the platform uses"`
	Session string `json:"session,omitempty" maxLength:"200" doc:"one session of the account, if sessions get copies of their own"`
}

// accountAnswer is a viewer's number and its pass, which the platform keeps.
type accountAnswer struct {
	Account string  `json:"account"`
	Session *string `json:"session"`
	Viewer  uint64  `json:"viewer"`
	Pass    string  `json:"pass" doc:"the number, sealed; may be sent instead of the account"`
}

func (c *Console) accountsAPI(api huma.API) {
	op := operation(http.MethodPost, "/v1/accounts", "number-accounts", "Number viewers, in bulk", Platform)
	op.RequestBody = bodyOf[accountAsk](api)
	huma.Register(api, op, func(ctx context.Context, in *struct{ RawBody []byte }) (*struct{ Body []accountAnswer }, error) {
		asks, err := oneOrMany[accountAsk](in.RawBody, offer.MostAsks)
		if err != nil {
			return nil, err
		}
		out := make([]accountAnswer, 0, len(asks))
		for _, a := range asks {
			v, err := c.reg.Number(ctx, a.Account, a.Session)
			if err != nil {
				return nil, c.problem(ctx, err)
			}
			out = append(out, accountAnswer{a.Account, orNull(a.Session), uint64(v), c.reg.Keyring().ViewerPass(v)})
		}
		return &struct{ Body []accountAnswer }{out}, nil
	})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (c *Console) exposuresAPI(api huma.API) {
	op := operation(http.MethodPost, "/v1/exposures", "expose", "Record that decoys are shown, and get the viewers' copies", Platform)
	op.Description = "Recorded before the answer. With the same Idempotency-Key the same request is answered again without being recorded again."
	op.RequestBody = bodyOf[offer.ExposureAsk](api)
	type input struct {
		Key     string `header:"Idempotency-Key" maxLength:"200"`
		RawBody []byte
	}
	type output struct{ Body []offer.ExposureAnswer }
	huma.Register(api, op, func(ctx context.Context, in *input) (*output, error) {
		if err := c.sinkFull(); err != nil {
			// A decoy that nobody could record must not be shown: the platform goes on without.
			return nil, huma.Error503ServiceUnavailable("show no decoys now: " + err.Error())
		}
		if in.Key == "" {
			answer, err := c.expose(ctx, in.RawBody)
			return &output{answer}, err
		}
		who, _ := keyOf(ctx)
		q, fits := c.repeats.begin(who.ID+"\x00"+in.Key, in.RawBody, time.Now())
		defer q.mu.Unlock()
		if !fits {
			return nil, huma.Error422UnprocessableEntity("this Idempotency-Key was used with another body")
		}
		if q.done {
			return &output{q.answer}, nil
		}
		answer, err := c.expose(ctx, in.RawBody)
		if err == nil {
			q.done, q.answer = true, answer
		}
		return &output{answer}, err
	})
}

func (c *Console) expose(ctx context.Context, body []byte) ([]offer.ExposureAnswer, error) {
	asks, err := oneOrMany[offer.ExposureAsk](body, offer.MostAsks)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	var exposures []registry.Exposure
	for i, a := range asks {
		more, err := c.exposuresOf(ctx, a, now)
		if err != nil {
			return nil, c.problem(ctx, err)
		}
		if len(more) == 0 && len(asks) == 1 && asks[i].Decoy == "" {
			return []offer.ExposureAnswer{}, nil // the coin puts nothing before this account
		}
		exposures = append(exposures, more...)
	}
	copies, err := c.reg.Expose(ctx, exposures)
	if err != nil {
		return nil, c.problem(ctx, err)
	}
	out := make([]offer.ExposureAnswer, 0, len(copies))
	for _, q := range copies {
		a := offer.ExposureAnswer{Account: &q.Account, Decoy: q.Decoy, Handle: q.Handle, Link: orNull(q.Link), Photos: []offer.PhotoAnswer{}}
		for _, p := range q.Photos {
			a.Photos = append(a.Photos, offer.PhotoAnswer{Photo: p.Photo, URL: p.URL, Width: p.Width, Height: p.Height, SizeOf: p.Group})
		}
		out = append(out, a)
	}
	return out, nil
}

// exposuresOf completes one entry: its account, its decoys, its time.
func (c *Console) exposuresOf(ctx context.Context, a offer.ExposureAsk, now time.Time) ([]registry.Exposure, error) {
	if (a.Account == "") == (a.Pass == "") {
		return nil, huma.Error422UnprocessableEntity("send either account or pass")
	}
	if a.Pass != "" {
		v, err := c.reg.Keyring().OpenPass(a.Pass)
		if err != nil {
			return nil, huma.Error422UnprocessableEntity("the pass is not one of ours")
		}
		if a.Account, a.Session, err = c.reg.AccountOf(ctx, v); err != nil {
			return nil, err
		}
	}
	if a.Time.IsZero() {
		a.Time = now
	}
	decoys := []string{a.Decoy}
	if a.Decoy == "" {
		visible, err := c.reg.Visible(ctx, a.Account, a.Time)
		if err != nil {
			return nil, err
		}
		decoys = decoys[:0]
		for _, d := range visible {
			decoys = append(decoys, d.ID)
		}
	}
	out := make([]registry.Exposure, 0, len(decoys))
	for _, d := range decoys {
		out = append(out, registry.Exposure{Account: a.Account, Session: a.Session, Decoy: d, Surface: a.Surface, At: a.Time.UTC(), Kind: registry.Offered})
	}
	return out, nil
}

// plantForm is the upload that plants decoys.
type plantForm struct {
	Kind     string          `form:"kind" enum:"shared,personal,dark" default:"shared"`
	Count    int             `form:"count" minimum:"1" maximum:"1000" default:"1"`
	PerDecoy int             `form:"per_decoy" minimum:"1" maximum:"100" default:"6"`
	Stories  int             `form:"stories" minimum:"0" maximum:"99"`
	Share    float64         `form:"share" minimum:"0" maximum:"1" default:"0.25"`
	Photos   []huma.FormFile `form:"photos" required:"true"`
}

// planted is one decoy planted through the API.
type planted struct {
	Decoy   string             `json:"decoy"`
	Kind    canary.Kind        `json:"kind"`
	Handle  string             `json:"handle"`
	Photos  []string           `json:"photos"`
	Refused []registry.Refused `json:"refused"`
}

func (c *Console) decoysAPI(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/v1/decoys", "list-decoys", "List decoys with their personas and posts", Platform, Reader), c.rows("decoys"))

	c.lifeAPI(api, "burn", "Say that a decoy is known to be one: it is put before nobody any more", c.reg.Burn)
	c.lifeAPI(api, "recall", "Take a decoy down: it is shown to nobody any more", c.reg.Recall)
	c.rotateAPI(api)

	op := operation(http.MethodPost, "/v1/decoys", "plant-decoys", "Plant decoys from uploaded photos")
	op.MaxBodyBytes, op.BodyReadTimeout = mostPhotos, 5*time.Minute
	type input struct {
		RawBody huma.MultipartFormFiles[plantForm]
	}
	huma.Register(api, op, func(ctx context.Context, in *input) (*struct{ Body []planted }, error) {
		f := in.RawBody.Data()
		req := registry.PlantRequest{Share: f.Share, PerDecoy: f.PerDecoy, Stories: f.Stories, Code: ring.D}
		switch canary.Kind(f.Kind) {
		case canary.Personal:
			req.Personal = f.Count
		case canary.Dark:
			req.Dark = f.Count
		default:
			req.Decoys = f.Count
		}
		req.Photos = photosOf(f.Photos)
		done, err := c.reg.Plant(ctx, req)
		if err != nil && len(done) == 0 {
			return nil, c.problem(ctx, err)
		}
		out := []planted{}
		for i := range done {
			out = append(out, plantedOf(&done[i]))
		}
		return &struct{ Body []planted }{out}, nil
	})
}

// rotated is a decoy that another has followed.
type rotated struct {
	Decoy     string         `json:"decoy"`
	State     registry.State `json:"state"`
	Successor planted        `json:"successor"`
}

func photosOf(files []huma.FormFile) (out []registry.Photo) {
	for _, p := range files {
		out = append(out, registry.Photo{Name: p.Filename, Open: func() (io.ReadCloser, error) {
			_, err := p.Seek(0, io.SeekStart)
			return io.NopCloser(p), err
		}})
	}
	return out
}

// rotateAPI plants a successor from uploaded photos and recalls the decoy.
func (c *Console) rotateAPI(api huma.API) {
	op := operation(http.MethodPost, "/v1/decoys/{decoy}/rotate", "rotate-decoy", "Recall a decoy and plant another of its kind in its place, from uploaded photos", Analyst)
	op.MaxBodyBytes, op.BodyReadTimeout = mostPhotos, 5*time.Minute
	type form struct {
		Note    string          `form:"note" required:"false" maxLength:"500"`
		Stories int             `form:"stories" required:"false" minimum:"0" maximum:"99"`
		Photos  []huma.FormFile `form:"photos" required:"true"`
	}
	type input struct {
		Decoy   string `path:"decoy" maxLength:"40"`
		RawBody huma.MultipartFormFiles[form]
	}
	type output struct{ Body rotated }
	huma.Register(api, op, func(ctx context.Context, in *input) (*output, error) {
		f := in.RawBody.Data()
		req := registry.PlantRequest{PerDecoy: len(f.Photos), Stories: f.Stories, Code: ring.D, Photos: photosOf(f.Photos)}
		old, next, err := c.reg.Rotate(ctx, in.Decoy, f.Note, req)
		if err != nil {
			return nil, c.problem(ctx, err)
		}
		state, err := c.reg.State(ctx, &old)
		if err != nil {
			return nil, c.problem(ctx, err)
		}
		return &output{rotated{old.ID, state, plantedOf(&next)}}, nil
	})
}

func plantedOf(d *registry.Planted) planted {
	q := planted{d.Decoy.ID, d.Decoy.Kind, d.Decoy.Handle, []string{}, append([]registry.Refused{}, d.Refused...)}
	for _, p := range d.Photos {
		q.Photos = append(q.Photos, p.Photo)
	}
	return q
}

// lifeAPI changes the state of one decoy.
func (c *Console) lifeAPI(api huma.API, what, summary string, change func(ctx context.Context, decoy, note string) (canary.Decoy, error)) {
	type input struct {
		Decoy string `path:"decoy" maxLength:"40"`
		Body  struct {
			Note string `json:"note,omitempty" maxLength:"500"`
		}
	}
	type output struct {
		Body struct {
			Decoy string         `json:"decoy"`
			State registry.State `json:"state"`
		}
	}
	huma.Register(api, operation(http.MethodPost, "/v1/decoys/{decoy}/"+what, what+"-decoy", summary, Analyst), func(ctx context.Context, in *input) (*output, error) {
		d, err := change(ctx, in.Decoy, in.Body.Note)
		if err != nil {
			return nil, c.problem(ctx, err)
		}
		out := new(output)
		out.Body.Decoy = d.ID
		out.Body.State, err = c.reg.State(ctx, &d)
		if err != nil {
			return nil, c.problem(ctx, err)
		}
		return out, nil
	})
}
