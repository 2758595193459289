package edge

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
	"birdring/internal/offer"
)

// handler sends beacon paths to the beacon and answers the rest.
func (s *server) handler(hits http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, prefix := range []string{beacon.LinkPath, beacon.PicturePath, beacon.PixelPath} {
		mux.Handle(prefix, hits)
	}
	mux.HandleFunc("POST /v1/exposures", s.platform(s.expose))
	mux.HandleFunc("GET /v1/copies/{photo}", s.platform(func(w http.ResponseWriter, r *http.Request) { s.copy(w, r, hits) }))
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics())
	return mux
}

// platform lets only the platform's servers in: those that know a key of role
// platform of the registry.
func (s *server) platform(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.known(r) {
			refuse(w, http.StatusUnauthorized, "a key of role platform is wanted: Authorization: Bearer ...")
			return
		}
		next(w, r)
	}
}

func (s *server) known(r *http.Request) bool {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	is := 0
	for _, p := range s.served.now().decoys.Platforms {
		want, err := hex.DecodeString(p)
		if err == nil {
			is |= subtle.ConstantTimeCompare(want, sum[:])
		}
	}
	return is == 1
}

// refuse answers with a problem (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail}) // the requester left
}

// Bounds of a request.
const (
	mostBody    = 4 << 20
	maxSurface  = 100
	passHeader  = "Birdring-Pass"
	whoseHeader = "Birdring-Account"
)

// expose records that decoys are put before viewers and answers with their
// copies. What an edge cannot know - which decoys an account is shown, who a
// personal decoy belongs to - is asked at the registry, whole.
func (s *server) expose(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "the body is too long")
		return
	}
	asks, err := readAsks(body)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	e, now := s.served.now(), time.Now().UTC()
	for _, a := range asks {
		if a.Decoy == "" || e.byID[a.Decoy] == nil {
			s.asker.forward(w, r, body)
			return
		}
	}
	viewers, err := s.viewers(r, e, asks)
	if err != nil {
		s.refuseViewer(w, r, err)
		return
	}
	answers, err := s.offer(e, asks, viewers, now)
	if err != nil {
		s.log.ErrorContext(r.Context(), "exposure not recorded", "error", err)
		refuse(w, http.StatusServiceUnavailable, "show no decoys now: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answers) // the requester left
}

// readAsks reads one object or an array of them, and refuses members it does not know.
func readAsks(body []byte) (asks []offer.ExposureAsk, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		err = dec.Decode(&asks)
	} else {
		asks = make([]offer.ExposureAsk, 1)
		err = dec.Decode(&asks[0])
	}
	if err != nil {
		return nil, fmt.Errorf("the body is not understood: %w", err)
	}
	if len(asks) == 0 || len(asks) > offer.MostAsks {
		return nil, fmt.Errorf("send one object, or an array of 1 to %d", offer.MostAsks)
	}
	for i, a := range asks {
		switch {
		case (a.Account == "") == (a.Pass == ""):
			return nil, fmt.Errorf("entry %d: send either account or pass", i)
		case len(a.Surface) > maxSurface:
			return nil, fmt.Errorf("entry %d: surface has %d bytes, at most %d are allowed", i, len(a.Surface), maxSurface)
		case !a.Time.IsZero() && (a.Time.UTC().Year() < 1970 || a.Time.UTC().Year() > 9999):
			return nil, fmt.Errorf("entry %d: the year of time must be 1970 to 9999", i)
		}
	}
	return asks, nil
}

// errForged says that a pass is none.
var errForged = errors.New("the pass is not one of ours")

// viewers are the numbers of those who are asked about: out of their passes, or
// from the registry.
func (s *server) viewers(r *http.Request, e *edition, asks []offer.ExposureAsk) ([]canary.Viewer, error) {
	out := make([]canary.Viewer, len(asks))
	var unknown []who
	for i, a := range asks {
		if a.Pass == "" {
			unknown = append(unknown, who{a.Account, a.Session})
			continue
		}
		var err error
		if out[i], err = openPass(e.keys, a.Pass); err != nil {
			return nil, err
		}
	}
	if len(unknown) == 0 {
		return out, nil
	}
	passes, err := s.asker.passes(r.Context(), unknown)
	if err != nil {
		return nil, err
	}
	for i, a := range asks {
		if a.Pass != "" {
			continue
		}
		if out[i], err = openPass(e.keys, passes[who{a.Account, a.Session}]); err != nil {
			return nil, fmt.Errorf("%w: the registry answers with a pass of other keys", errAway)
		}
	}
	return out, nil
}

// openPass reads a pass of a real viewer.
func openPass(keys *canary.Keyring, pass string) (canary.Viewer, error) {
	v, err := keys.OpenPass(pass)
	if err != nil || v < canary.FirstViewer {
		return 0, errForged
	}
	return v, nil
}

func (s *server) refuseViewer(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errForged) {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	s.log.WarnContext(r.Context(), "viewer without a pass not served", "error", err)
	refuse(w, http.StatusServiceUnavailable, "a viewer without a pass: "+err.Error())
}

// offer records all offers together, on disk before it returns, and makes the links.
func (s *server) offer(e *edition, asks []offer.ExposureAsk, viewers []canary.Viewer, now time.Time) ([]offer.ExposureAnswer, error) {
	out := make([]offer.ExposureAnswer, len(asks))
	var batch journal.Batch
	for i, a := range asks {
		d, v := e.byID[a.Decoy], viewers[i]
		id, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		at := a.Time.UTC()
		if a.Time.IsZero() {
			at = now
		}
		link := canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: v}
		h := beacon.Hit{ID: id.String(), At: at, Kind: beacon.KindOffer, Token: link, Surface: a.Surface}
		rec, err := h.MarshalBinary()
		if err == nil {
			err = batch.Add(rec)
		}
		if err != nil {
			return nil, err
		}
		out[i] = offer.ExposureAnswer{Decoy: d.Decoy, Handle: d.Handle, Link: new(s.o.PublicURL + beacon.LinkPath + e.keys.Seal(link)), Photos: make([]offer.PhotoAnswer, 0, len(d.Photos))}
		if a.Account != "" {
			out[i].Account = &a.Account
		}
		for _, p := range d.Photos {
			t := canary.Token{Kind: canary.KindPicture, Object: p.Num, Viewer: v}
			out[i].Photos = append(out[i].Photos, offer.PhotoAnswer{Photo: p.Photo, URL: s.o.PublicURL + beacon.PicturePath + e.keys.Seal(t) + ".jpg", Width: p.Width, Height: p.Height, SizeOf: p.SizeOf})
		}
	}
	return out, s.journal.AppendBatch(&batch)
}

// copy serves the viewer's copy of a photo to the platform, which passes the
// bytes on unchanged. It is recorded as a fetch like every other one.
func (s *server) copy(w http.ResponseWriter, r *http.Request, hits http.Handler) {
	e := s.served.now()
	num, ok := e.photos[r.PathValue("photo")]
	if !ok {
		refuse(w, http.StatusNotFound, "no such photo is served here")
		return
	}
	a := offer.ExposureAsk{Pass: r.Header.Get(passHeader), Account: r.Header.Get(whoseHeader)}
	if (a.Pass == "") == (a.Account == "") {
		refuse(w, http.StatusServiceUnavailable, "send the viewer's pass in "+passHeader+", or the account in "+whoseHeader)
		return
	}
	viewers, err := s.viewers(r, e, []offer.ExposureAsk{a})
	if err != nil {
		s.refuseViewer(w, r, err)
		return
	}
	token := e.keys.Seal(canary.Token{Kind: canary.KindPicture, Object: num, Viewer: viewers[0]})
	q := r.Clone(r.Context())
	q.URL.Path, q.URL.RawPath = beacon.PicturePath+token+".jpg", ""
	hits.ServeHTTP(w, q)
}
