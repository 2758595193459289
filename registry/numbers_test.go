package registry_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"birdring/beacon"
	"birdring/canary"
	"birdring/registry"
)

// A decoy and a picture whose numbers the first layout of tokens cannot name are
// planted and shown, their link and picture answer, and the hits are theirs.
func TestNumbersBeyondTheFirstLayout(t *testing.T) {
	const beyond = 1 << 24
	r, _ := fresh(t)
	both := smalls(t, 2)
	first := planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: both[:1]})[0]
	if err := r.NumberFrom(t.Context(), beyond, first.Avatar); err != nil {
		t.Fatal(err)
	}
	d := planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: both[1:]})[0]
	if d.Num != beyond {
		t.Fatalf("the decoy is number %d, want %d", d.Num, beyond)
	}
	srv := httptest.NewServer(beacon.NewHTTP(beacon.HTTPConfig{
		Keyring: r.Keyring(), Record: func(ctx context.Context, h beacon.Hit) error { return r.ReportHit(ctx, h) }, Rendition: r.RenditionNum,
	}))
	defer srv.Close()
	copies, err := r.Expose(t.Context(), []registry.Exposure{{Account: "alice", Decoy: d.ID, Kind: registry.Offered}})
	if err != nil {
		t.Fatal(err)
	}
	photo := copies[0].Photos[0]
	want, err := r.Rendition(nil, photo.Photo, copies[0].Viewer)
	if err != nil {
		t.Fatal(err)
	}
	link := copies[0].Link[strings.LastIndex(copies[0].Link, "/")+1:]
	for path, kind := range map[string]canary.TokenKind{beacon.LinkPath + link: canary.KindLink, beacon.PicturePath + photo.Token + ".jpg": canary.KindPicture} {
		token, ok := beacon.TokenIn(r.Keyring(), path)
		if !ok || token != (canary.Token{Kind: kind, Object: beyond, Viewer: copies[0].Viewer}) || path[len(beacon.LinkPath)+1] != 'b' {
			t.Errorf("%s names %+v, %v", path, token, ok)
		}
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, resp.Status, err)
		}
		if kind == canary.KindPicture && !bytes.Equal(body.Bytes(), want) {
			t.Errorf("%s is not alice's copy", path)
		}
	}
	hits := rows[registry.HitRow](t, r, "hits", time.Time{}, 0)
	for _, h := range hits {
		if h.Decoy == nil || *h.Decoy != d.ID || h.Account == nil || *h.Account != "alice" || h.Kind == beacon.KindFetch && (h.Photo == nil || *h.Photo != photo.Photo) {
			t.Errorf("hit %+v", h)
		}
	}
	if len(hits) != 2 {
		t.Errorf("%d hits", len(hits))
	}
}
