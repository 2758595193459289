package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/beacon/journal"
	"birdring/canary/ring"
	"birdring/internal/console"
	"birdring/internal/demo/paint"
	"birdring/registry"
)

// shop is a running server on a folder with two planted decoys.
type shop struct {
	quota      int64 // of the journal, 0: none
	t          *testing.T
	dir, url   string
	token      string
	decoys     []registry.Planted
	stop       func() error
	httpClient *http.Client
}

// photo paints a photo that can be planted. With -short, where the race detector
// looks at what runs beside what, the arithmetic of planting is ten times slower.
func photo(seed uint64) *image.RGBA {
	if testing.Short() {
		return paint.Scene(seed, 480, 336)
	}
	return paint.Scene(seed, 560, 420)
}

// folder is a data folder planted once; every test works on a copy.
var folder = sync.OnceValues(func() (*planted, error) {
	dir, err := os.MkdirTemp("", "birdring-console-")
	if err != nil {
		return nil, err
	}
	made = dir
	p := &planted{dir: filepath.Join(dir, "data")}
	ctx := context.Background()
	if _, err := registry.Init(ctx, p.dir); err != nil {
		return p, err
	}
	reg, err := registry.Open(ctx, p.dir, registry.Options{})
	if err != nil {
		return p, err
	}
	var photos []registry.Photo
	for seed := range uint64(4) {
		photos = append(photos, registry.Photo{Name: fmt.Sprint(seed), Open: func() (io.ReadCloser, error) {
			var buf bytes.Buffer
			err := jpeg.Encode(&buf, photo(seed+21), &jpeg.Options{Quality: 95})
			return io.NopCloser(&buf), err
		}})
	}
	p.decoys, err = reg.Plant(ctx, registry.PlantRequest{Decoys: 1, Personal: 1, Share: 1, Photos: photos, PerDecoy: 2, Stories: 1, Code: ring.D})
	return p, errors.Join(err, reg.Close())
})

type planted struct {
	dir    string
	decoys []registry.Planted
}

// made is the folder to remove at the end, "" if no test wanted it.
var made string

func TestMain(m *testing.M) {
	code := m.Run()
	if made != "" {
		if err := os.RemoveAll(made); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

func open(t *testing.T) *shop {
	t.Helper()
	from, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(from.dir)); err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, dir: dir, decoys: from.decoys, httpClient: &http.Client{Timeout: 30 * time.Second}}
	s.start()
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	return s
}

func (s *shop) start() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan console.Ready, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- console.Serve(ctx, console.ServeOptions{Dir: s.dir, HTTP: "127.0.0.1:0", Journal: journal.Options{Quota: s.quota}, Ready: func(r console.Ready) { ready <- r }})
	}()
	select {
	case r := <-ready:
		s.url = r.URL
		if r.Token != "" {
			s.token = r.Token
		}
	case err := <-ended:
		s.t.Fatalf("serve: %v", err)
	}
	s.stop = func() error { cancel(); return <-ended }
}

// call makes a request with a key and decodes a JSON answer.
func (s *shop) call(method, path, key string, body any, answer any) int {
	s.t.Helper()
	var in io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		in, kind = bytes.NewReader(b), "application/octet-stream"
	default:
		data, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if in != nil {
		req.Header.Set("Content-Type", kind)
	}
	res, err := s.httpClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(data, answer); err != nil {
			s.t.Fatalf("%s %s: %d %s: %v", method, path, res.StatusCode, data, err)
		}
	}
	if res.StatusCode >= 400 && strings.HasPrefix(path, "/v1/") && res.Header.Get("Content-Type") != "application/problem+json" {
		s.t.Errorf("%s %s: an error of type %s", method, path, res.Header.Get("Content-Type"))
	}
	return res.StatusCode
}

type copyJSON struct {
	Account, Decoy, Handle string
	Link                   *string
	Photos                 []struct{ Photo, URL string }
}

func (s *shop) key(role console.Role) string {
	s.t.Helper()
	var made struct{ Secret string }
	if code := s.call("POST", "/v1/keys", s.token, map[string]any{"role": role}, &made); code != 200 {
		s.t.Fatalf("add key: %d", code)
	}
	return made.Secret
}

// TestServeTellsTheWholeStory goes from an exposure over HTTP to the pages of
// the site where the copy turned up.
func TestServeTellsTheWholeStory(t *testing.T) {
	s := open(t)
	platform, analyst := s.key(console.Platform), s.key(console.Analyst)
	decoy := s.decoys[0].Decoy.ID

	var copies []copyJSON
	if code := s.call("POST", "/v1/exposures", platform, map[string]string{"account": "alice & <b>", "decoy": decoy, "surface": "profile"}, &copies); code != 200 {
		t.Fatalf("exposures: %d", code)
	}
	if len(copies) != 1 || len(copies[0].Photos) != 2 || copies[0].Handle != s.decoys[0].Decoy.Handle || copies[0].Link == nil {
		t.Fatalf("copies: %+v", copies)
	}
	picture := s.get(copies[0].Photos[1].URL)
	other := s.shown(platform, "bob", decoy)
	if bytes.Equal(picture, s.get(other.Photos[1].URL)) {
		t.Fatal("two accounts got the same copy")
	}
	s.waitForHits(analyst, 2)

	var traced []registry.TraceResult
	if code := s.call("POST", "/v1/trace", analyst, picture, &traced); code != 200 || len(traced) != 1 {
		t.Fatalf("trace: %d %+v", code, traced)
	}
	if a := traced[0].Accounts; traced[0].Verdict != registry.VerdictAttributed || len(a) != 1 || a[0].Account != "alice & <b>" {
		t.Fatalf("trace: %+v", traced[0])
	}
	if !testing.Short() {
		s.upload(analyst, picture) // the same trace, by a worker
	}
	s.find("clone.example", picture)
	s.readPages("clone.example", "alice & <b>")
}

// upload lets a worker trace alice's picture, and waits for what comes of it.
func (s *shop) upload(key string, picture []byte) {
	s.t.Helper()
	var added struct{ Upload string }
	if code := s.call("POST", "/v1/uploads", key, picture, &added); code != 202 || added.Upload == "" {
		s.t.Fatalf("upload: %d %+v", code, added)
	}
	var u registry.Upload
	for end := time.Now().Add(60 * time.Second); u.Done == nil; time.Sleep(20 * time.Millisecond) { // a worker looks every second
		if code := s.call("GET", "/v1/uploads/"+added.Upload, key, nil, &u); code != 200 || time.Now().After(end) {
			s.t.Fatalf("upload: %d %+v", code, u)
		}
	}
	if len(u.Results) != 1 || len(u.Results[0].Accounts) != 1 || u.Results[0].Accounts[0].Account != "alice & <b>" {
		s.t.Fatalf("upload: %+v", u)
	}
	// What came of it goes when it is old.
	reg, err := registry.Open(s.t.Context(), s.dir, registry.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer reg.Close()
	if _, err := reg.Retain(s.t.Context(), time.Now().AddDate(0, 0, 29)); err != nil {
		s.t.Fatal(err)
	}
	if code := s.call("GET", "/v1/uploads/"+added.Upload, key, nil, &u); code != 200 {
		s.t.Errorf("after 29 days: %d", code)
	}
	if _, err := reg.Retain(s.t.Context(), time.Now().AddDate(0, 0, 31)); err != nil {
		s.t.Fatal(err)
	}
	if code := s.call("GET", "/v1/uploads/"+added.Upload, key, nil, nil); code != 404 {
		s.t.Errorf("after 31 days: %d", code)
	}
}

func (s *shop) shown(key, account, decoy string) copyJSON {
	s.t.Helper()
	var copies []copyJSON
	if code := s.call("POST", "/v1/exposures", key, []map[string]string{{"account": account, "decoy": decoy}}, &copies); code != 200 || len(copies) != 1 {
		s.t.Fatalf("exposures: %d %+v", code, copies)
	}
	return copies[0]
}

func (s *shop) get(address string) []byte {
	s.t.Helper()
	res, err := s.httpClient.Get(address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		s.t.Fatalf("%s: %d %v", address, res.StatusCode, err)
	}
	return data
}

// waitForHits waits until the journal was taken in.
func (s *shop) waitForHits(key string, want int) {
	s.t.Helper()
	var hits []map[string]any
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if code := s.call("GET", "/v1/hits", key, nil, &hits); code == 200 && len(hits) >= want {
			return
		}
	}
	s.t.Fatalf("only %d hits: %v", len(hits), hits)
}

// find stores a picture as found on a site, as birdring trace --site does, beside the running server.
func (s *shop) find(site string, picture []byte) {
	s.t.Helper()
	reg, err := registry.Open(s.t.Context(), s.dir, registry.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer reg.Close()
	if _, err := reg.Trace(s.t.Context(), registry.TraceRequest{Name: "found.jpg", Data: picture, Site: site, URL: "https://" + site + "/<x>.jpg"}); err != nil {
		s.t.Fatal(err)
	}
}

// readPages logs in as a browser does and looks at everything.
func (s *shop) readPages(site, account string) {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	read := func(path string) (int, string) {
		res, err := browser.Get(s.url + path)
		if err != nil {
			s.t.Fatal(err)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			s.t.Errorf("%s: policy %q", path, csp)
		}
		return res.StatusCode, string(data)
	}
	if code, page := read("/"); code != 401 || !strings.Contains(page, `name="token"`) || strings.Contains(page, site) {
		s.t.Fatalf("without login: %d %s", code, page)
	}
	res, err := browser.PostForm(s.url+"/login", url.Values{"token": {s.token}})
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	_, page := read("/")
	escaped := "alice &amp; &lt;b&gt;"
	for _, want := range []string{site, "attributed", escaped, "one picture"} {
		if !strings.Contains(page, want) {
			s.t.Errorf("list of sites lacks %q", want)
		}
	}
	code, page := read("/site/" + url.PathEscape(site))
	if code != 200 {
		s.t.Fatalf("site: %d %s", code, page)
	}
	for _, want := range []string{"descend from the copy served to account " + escaped, "single_source", "What this does not prove", "<svg class=\"plot\"", "Difference"} {
		if !strings.Contains(page, want) {
			s.t.Errorf("page of the site lacks %q", want)
		}
	}
	if strings.Contains(page, "<b>.jpg") || strings.Contains(page, "<x>") {
		s.t.Error("the page of the site is not escaped")
	}
	s.readPictures(page, account, read)
}

// readPictures loads the pictures of a site's page and refuses others' copies.
func (s *shop) readPictures(page, account string, read func(string) (int, string)) {
	for _, what := range []string{"served", "found", "difference", "evidence"} {
		path := "/find/1/" + what
		if !strings.Contains(page, path) {
			s.t.Errorf("no %s on the page", what)
		}
		if code, data := read(path + "?account=" + url.QueryEscape(account)); code != 200 || len(data) < 1000 {
			s.t.Errorf("%s: %d, %d bytes", what, code, len(data))
		}
		if code, _ := read(path + "?account=bob"); code != 404 {
			s.t.Errorf("%s for an account that is not named: %d", what, code)
		}
	}
	if code, _ := read("/site/nowhere.example"); code != 404 {
		s.t.Errorf("unknown site: %d", code)
	}
}

func TestRolesAndBadRequests(t *testing.T) {
	s := open(t)
	platform, reader := s.key(console.Platform), s.key(console.Reader)
	for _, c := range []struct {
		method, path, key string
		body              any
		want              int
	}{
		{"GET", "/v1/sites", "", nil, 401},
		{"GET", "/v1/sites", "brk_WRONG", nil, 401},
		{"GET", "/v1/sites", platform, nil, 403},
		{"GET", "/v1/sites", reader, nil, 200},
		{"GET", "/v1/attributions", reader, nil, 200},
		{"GET", "/v1/sites?limit=0", reader, nil, 422},
		{"GET", "/v1/hits?since=yesterday", reader, nil, 422},
		{"POST", "/v1/sites", reader, map[string]string{"site": "a.example"}, 403},
		{"POST", "/v1/sites", s.token, map[string]string{"site": "www.a.example"}, 200},
		{"POST", "/v1/keys", reader, map[string]string{"role": "admin"}, 403},
		{"POST", "/v1/keys", s.token, map[string]string{"role": "king"}, 422},
		{"POST", "/v1/trace", reader, []byte("x"), 403},
		{"POST", "/v1/trace", s.token, []byte("no picture"), 422},
		{"POST", "/v1/uploads", reader, []byte("x"), 403},
		{"POST", "/v1/uploads", s.token, []byte{}, 400},
		{"GET", "/v1/uploads/upload-none", s.token, nil, 404},
		{"POST", "/v1/accounts", platform, []map[string]string{{"account": "a"}, {"account": "a", "session": "s"}}, 200},
		{"POST", "/v1/accounts", platform, map[string]string{"account": ""}, 422},
		{"POST", "/v1/exposures", platform, map[string]string{"decoy": "x"}, 422},
		{"POST", "/v1/exposures", platform, map[string]string{"account": "a", "decoy": "no-such-decoy"}, 404},
		{"POST", "/v1/exposures", platform, map[string]string{"account": "a", "colour": "red"}, 422},
		{"POST", "/v1/exposures", platform, map[string]string{"account": "a", "pass": "b"}, 422},
		{"POST", "/v1/exposures", platform, map[string]string{"pass": "forged"}, 422},
		{"POST", "/v1/exposures", platform, []map[string]string{}, 422},
		{"DELETE", "/v1/keys/nothing", s.token, nil, 409},
		{"GET", "/v1/nothing", s.token, nil, 404},
	} {
		if c.path == "/v1/nothing" {
			if res, err := s.httpClient.Get(s.url + c.path); err != nil || res.StatusCode != 404 {
				t.Errorf("%s: %v %v", c.path, res, err)
			}
			continue
		}
		if got := s.call(c.method, c.path, c.key, c.body, nil); got != c.want {
			t.Errorf("%s %s %v: %d, want %d", c.method, c.path, c.body, got, c.want)
		}
	}
}

func TestPassesStandForAccounts(t *testing.T) {
	s := open(t)
	key := s.key(console.Platform)
	var numbered []struct {
		Account, Pass string
		Viewer        uint64
	}
	if code := s.call("POST", "/v1/accounts", key, []map[string]string{{"account": "a"}, {"account": "b"}, {"account": "a"}}, &numbered); code != 200 {
		t.Fatal(code)
	}
	if len(numbered) != 3 || numbered[0].Viewer != numbered[2].Viewer || numbered[0].Viewer == numbered[1].Viewer || numbered[0].Viewer < 65536 {
		t.Fatalf("%+v", numbered)
	}
	var copies []copyJSON
	if code := s.call("POST", "/v1/exposures", key, map[string]string{"pass": numbered[1].Pass}, &copies); code != 200 || len(copies) != 1 || copies[0].Account != "b" {
		t.Fatalf("%d %+v", code, copies)
	}
}

func TestSameIdempotencyKeyIsOneExposure(t *testing.T) {
	s := open(t)
	key := s.key(console.Platform)
	post := func(body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/exposures", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "k1")
		res, err := s.httpClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(data)
	}
	body := fmt.Sprintf(`{"account":"a","decoy":%q}`, s.decoys[0].Decoy.ID)
	_, first := post(body)
	code, second := post(body)
	if code != 200 || first != second {
		t.Errorf("%d, the second answer differs", code)
	}
	if code, _ := post(`{"account":"b"}`); code != 422 {
		t.Errorf("the key with another body: %d", code)
	}
	reg, err := registry.Open(t.Context(), s.dir, registry.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	n := 0
	if err := reg.Rows(t.Context(), "exposures", time.Time{}, 0, func(any) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d exposures, error %v", n, err)
	}
}

func TestOneServerAFolderAndOneAPort(t *testing.T) {
	s := open(t)
	err := console.Serve(t.Context(), console.ServeOptions{Dir: s.dir, HTTP: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "another birdring serve") {
		t.Errorf("second server: %v", err)
	}
	// A server that is refused must not move the links of the one that serves.
	after, err := registry.Open(t.Context(), s.dir, registry.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if after.PublicURL() != s.url {
		t.Errorf("links lead to %s, the server is %s", after.PublicURL(), s.url)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = console.Serve(t.Context(), console.ServeOptions{Dir: s.dir, HTTP: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("port taken: %v", err)
	}
	// After a stop the folder is free, keys and hits are still there, no new token is printed.
	key := s.token
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.token = ""
	s.start()
	if s.token != "" {
		t.Error("a second start printed a token")
	}
	s.token = key
	if code := s.call("GET", "/v1/sites", key, nil, nil); code != 200 {
		t.Errorf("the old key: %d", code)
	}
	var health map[string]any
	if code := s.call("GET", "/healthz", "", nil, &health); code != 200 || health["ok"] != true {
		t.Errorf("health: %d %v", code, health)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "journal")); err != nil {
		t.Error(err)
	}
}

func TestForgedLinksAreNothing(t *testing.T) {
	s := open(t)
	for _, path := range []string{"/m/aaaaaaaaaaaaaaaaaaaaaaaaaaaa.jpg", "/l/x", "/p/../../etc/passwd", "/m/", "/site/../keys.json"} {
		res, err := s.httpClient.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 404 && res.StatusCode != 401 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestEventsTellWhatIsNew(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", s.url+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	copied := s.shown(s.token, "alice", s.decoys[0].Decoy.ID)
	go func() {
		time.Sleep(300 * time.Millisecond) // the stream begins with what happens after the call
		if res, err := http.Get(copied.Photos[0].URL); err == nil {
			res.Body.Close()
		}
	}()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 4096)
	n, err := io.ReadAtLeast(res.Body, buf, 40)
	if err != nil || !strings.Contains(string(buf[:n]), "event: hit") || !strings.Contains(string(buf[:n]), "alice") {
		t.Errorf("%v: %s", err, buf[:n])
	}
}

func TestOpenAPIDescribesEveryCall(t *testing.T) {
	s := open(t)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ OperationID string }
	}
	if code := s.call("GET", "/openapi.json", "", nil, &doc); code != 200 {
		t.Fatal(code)
	}
	for _, want := range strings.Fields("post:/v1/accounts post:/v1/exposures get:/v1/decoys post:/v1/decoys get:/v1/sites post:/v1/sites get:/v1/sightings get:/v1/hits get:/v1/attributions post:/v1/trace post:/v1/uploads get:/v1/uploads/{upload} get:/v1/events") {
		method, path, _ := strings.Cut(want, ":")
		if doc.Paths[path][method].OperationID == "" {
			t.Errorf("%s is not described", want)
		}
	}
}
