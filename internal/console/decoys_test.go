package console_test

import (
	"bytes"
	"image/jpeg"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"birdring/internal/console"
	"birdring/registry"
)

// browser is a client logged in with a key.
func (s *shop) browser(key string) *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	res, err := c.PostForm(s.url+"/login", url.Values{"token": {key}})
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	return c
}

func (s *shop) page(res *http.Response, err error) (int, string) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// photosForm is a form with a note and pictures that were not planted before.
func photosForm(t *testing.T, note string, seeds ...uint64) (kind string, body *bytes.Buffer) {
	t.Helper()
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	if err := w.WriteField("note", note); err != nil {
		t.Fatal(err)
	}
	for _, seed := range seeds {
		part, err := w.CreateFormFile("photos", "new.jpg")
		if err != nil {
			t.Fatal(err)
		}
		if err := jpeg.Encode(part, photo(seed), &jpeg.Options{Quality: 95}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body
}

// The life of a decoy from its page: shown, burnt, rotated; a reader may only look.
func TestDecoysPage(t *testing.T) {
	s := open(t)
	decoy := s.decoys[0].Decoy
	s.shown(s.key(console.Platform), "alice", decoy.ID)
	s.shown(s.key(console.Platform), "bob", decoy.ID)
	reader, analyst := s.browser(s.key(console.Reader)), s.browser(s.key(console.Analyst))

	code, page := s.page(reader.Get(s.url + "/decoys?state=shown"))
	if code != 200 || !strings.Contains(page, "@"+decoy.Handle) || !strings.Contains(page, `<td class="num">2</td>`) || strings.Contains(page, "<button>Burn") {
		t.Errorf("a reader sees %d %s", code, page)
	}
	burn := s.url + "/decoys/" + decoy.ID + "/burn"
	if code, page = s.page(reader.PostForm(burn, nil)); code != 403 || !strings.Contains(page, "an analyst") {
		t.Errorf("a reader burnt it: %d", code)
	}
	if code, page = s.page(analyst.PostForm(burn, url.Values{"note": {"seen on a <list>"}})); code != 200 || !strings.Contains(page, "is burnt") || !strings.Contains(page, "seen on a &lt;list&gt;") {
		t.Errorf("burning: %d %s", code, page)
	}
	if code, page = s.page(analyst.PostForm(burn, nil)); code != 409 || !strings.Contains(page, "is burnt since") {
		t.Errorf("burning it again: %d", code)
	}
	rotate := s.url + "/decoys/" + decoy.ID + "/rotate"
	if code, page = s.page(analyst.PostForm(rotate, nil)); code != 422 || !strings.Contains(page, "choose the photos") {
		t.Errorf("rotating without photos: %d", code)
	}
	if testing.Short() {
		return // what follows plants
	}
	kind, form := photosForm(t, "worn out", 61, 62)
	if code, page = s.page(analyst.Post(rotate, kind, form)); code != 200 || !strings.Contains(page, "is rotated") {
		t.Fatalf("rotating: %d %s", code, page)
	}
	var rows []registry.DecoyRow
	s.call("GET", "/v1/decoys", s.token, nil, &rows)
	if len(rows) != 3 || rows[0].State != registry.StateRotated || rows[0].Successor == nil || *rows[0].Successor != rows[2].Decoy || len(rows[2].Photos) != 2 {
		t.Errorf("after rotating: %+v", rows)
	}
	if code, page = s.page(analyst.Get(s.url + "/decoys?state=rotated")); code != 200 || !strings.Contains(page, decoy.ID) || strings.Contains(page, `id="`+rows[2].Decoy+`"`) {
		t.Errorf("rotated ones: %d %s", code, page)
	}
	if code, _ = s.page(analyst.Get(s.url + "/decoys?state=lost")); code != 404 {
		t.Errorf("a state that is none: %d", code)
	}
}

// The same by the API.
func TestRotateOverTheAPI(t *testing.T) {
	s := open(t)
	send := func(key string) (int, string) {
		kind, form := photosForm(t, "", 63, 64)
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/decoys/"+s.decoys[1].Decoy.ID+"/rotate", form)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Authorization", "Bearer "+key)
		return s.page(s.httpClient.Do(req))
	}
	if code, _ := send(s.key(console.Reader)); code != 403 {
		t.Errorf("a reader: %d", code)
	}
	if testing.Short() {
		return // what follows plants
	}
	analyst := s.key(console.Analyst)
	if code, body := send(analyst); code != 200 || !strings.Contains(body, `"state":"rotated"`) || !strings.Contains(body, `"kind":"personal"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := send(analyst); code != 409 {
		t.Errorf("twice: %d", code)
	}
}
