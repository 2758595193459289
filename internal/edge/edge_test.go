package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/canary"
	"birdring/internal/console"
	"birdring/internal/demo"
	"birdring/internal/edge"
	"birdring/registry"
	"birdring/registry/stream"
	"birdring/registry/stream/brokers"
)

// childEnv makes the test binary an edge with the options in it.
const childEnv = "BIRDRING_TEST_EDGE"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		var o edge.Options
		err := json.Unmarshal([]byte(text), &o)
		if err == nil {
			o.Ready = func(r edge.Ready) { fmt.Println(r.URL) }
			err = edge.Run(context.Background(), o)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(planting.dir)
	os.Exit(code)
}

// world is a registry with decoys, what it exported for edges, and a broker.
type world struct {
	reg      *registry.Registry
	dir      string // data folder
	decoy    canary.Decoy
	photo    string
	exported string
	keys     string
	platform string // API key of role platform
	broker   *brokers.Broker
}

func newWorld(t *testing.T, start func(testing.TB) *brokers.Broker) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{dir: filepath.Join(dir, "data"), exported: filepath.Join(dir, "pictures"), keys: filepath.Join(dir, "edge.keys"), broker: start(t)}
	planted(t, w.dir)
	var err error
	if w.reg, err = registry.Open(t.Context(), w.dir, registry.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.reg.Close() })
	decoys, err := w.reg.Decoys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.decoy, w.photo = decoys[0], decoys[0].Avatar
	keys, _, err := console.OpenKeys(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, w.platform, err = keys.Add(console.Platform, "test"); err != nil {
		t.Fatal(err)
	}
	w.export(t)
	return w
}

// planting is a data folder with one decoy, made once: preparing pictures takes time.
var planting struct {
	once sync.Once
	dir  string
	err  error
}

// planted makes a data folder with one decoy.
func planted(t *testing.T, dir string) {
	t.Helper()
	planting.once.Do(func() {
		planting.dir, planting.err = os.MkdirTemp("", "birdring-edge-test-")
		if planting.err != nil {
			return
		}
		planting.err = func() error {
			if _, err := registry.Init(context.Background(), planting.dir); err != nil {
				return err
			}
			reg, err := registry.Open(context.Background(), planting.dir, registry.Options{})
			if err != nil {
				return err
			}
			_, err = reg.Plant(context.Background(), registry.PlantRequest{Decoys: 1, PerDecoy: 2, Photos: demo.Painted(7, 8), Share: 1})
			return errors.Join(err, reg.Close())
		}()
	})
	if planting.err == nil {
		planting.err = os.CopyFS(dir, os.DirFS(planting.dir))
	}
	if planting.err != nil {
		t.Fatal(planting.err)
	}
	if err := os.Chmod(filepath.Join(dir, "keys.json"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) export(t *testing.T) {
	t.Helper()
	platforms, err := console.PlatformKeys(w.dir)
	if err == nil {
		err = w.reg.ExportEdgeKeys(t.Context(), w.keys)
	}
	if err == nil {
		_, err = w.reg.ExportEdgePictures(t.Context(), w.exported, platforms)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) options(t *testing.T) edge.Options {
	return edge.Options{
		Keys: w.keys, Pictures: w.exported, Stream: w.broker.URL, JournalDir: filepath.Join(t.TempDir(), "journal"), HTTP: "127.0.0.1:0",
	}
}

// run runs an edge in this process until the test or stop ends it.
func run(t *testing.T, o edge.Options) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	o.Ready = func(r edge.Ready) { ready <- r.URL }
	go func() { done <- edge.Run(ctx, o) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	select {
	case url = <-ready:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return url, stop
}

// takeIn takes in what comes through the stream until the test ends.
func (w *world) takeIn(t *testing.T) {
	t.Helper()
	s, err := stream.Open(w.broker.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			_ = s.Consume(ctx, stream.Journals, "registry", func(ctx context.Context, all []stream.Message) error {
				var packed [][]byte
				for _, m := range all {
					packed = append(packed, m.Data, m.Data) // every message comes twice
				}
				_, err := w.reg.TakeParcels(ctx, packed)
				return err
			}) // tried again, as a registry does
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		work.Wait()
		s.Close()
	})
}

func get(t *testing.T, url string, header ...string) (int, []byte) {
	t.Helper()
	return do(t, http.MethodGet, url, "", header...)
}

func do(t *testing.T, method, url, body string, header ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, data
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// byAgent counts the hits that the registry has, by user agent.
func (w *world) byAgent(t *testing.T) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	err := w.reg.Rows(t.Context(), "hits", time.Time{}, 0, func(row any) error {
		h := row.(registry.HitRow)
		agent := ""
		if h.UserAgent != nil {
			agent = *h.UserAgent
		}
		out[agent] += 1 + h.Repeats
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) copies(t *testing.T, account string) registry.Copy {
	t.Helper()
	copies, err := w.reg.Expose(t.Context(), []registry.Exposure{{Account: account, Decoy: w.decoy.ID}})
	if err != nil {
		t.Fatal(err)
	}
	return copies[0]
}

// An edge serves what the registry would, and every fetch arrives there.
func TestServesTheRegistrysBytes(t *testing.T) {
	w := newWorld(t, brokers.Kafka)
	w.takeIn(t)
	url, stop := run(t, w.options(t))
	for _, account := range []string{"ann", "bob"} {
		c := w.copies(t, account)
		for _, p := range c.Photos {
			want, err := w.reg.Rendition(nil, p.Photo, c.Viewer)
			if err != nil {
				t.Fatal(err)
			}
			if status, got := get(t, url+"/m/"+p.Token+".jpg", "User-Agent", account); status != 200 || !bytes.Equal(got, want) {
				t.Errorf("%s, photo %s: status %d, %d bytes, want %d", account, p.Photo, status, len(got), len(want))
			}
		}
		if status, _ := get(t, url+strings.TrimPrefix(c.Link, w.reg.PublicURL()), "User-Agent", account+" link"); status != 200 {
			t.Errorf("link: status %d", status)
		}
	}
	if status, _ := get(t, url+"/m/"+strings.Repeat("a", 28)+".jpg"); status != 404 {
		t.Errorf("a forged token: status %d", status)
	}
	stop() // sends what is left
	wait(t, "six hits", func() bool {
		got := w.byAgent(t)
		return got["ann"] == 2 && got["bob"] == 2 && got["ann link"] == 1 && got["bob link"] == 1
	})
	fetched := 0
	err := w.reg.Rows(t.Context(), "exposures", time.Time{}, 0, func(row any) error {
		if e := row.(registry.ExposureRow); e.Kind == registry.Fetched {
			fetched++
		}
		return nil
	})
	if err != nil || fetched != 4 {
		t.Errorf("%d fetches are exposures, want 4, %v", fetched, err)
	}
}

// A viewer is who the pass says, else whom the registry names; nobody invents one.
func TestPassesElseTheRegistryElse503(t *testing.T) {
	w := newWorld(t, brokers.NATS)
	w.takeIn(t)
	o := w.options(t)
	url, _ := run(t, o)
	v, err := w.reg.Number(t.Context(), "ann", "")
	if err != nil {
		t.Fatal(err)
	}
	pass := w.reg.Keyring().ViewerPass(v)
	key := []string{"Authorization", "Bearer " + w.platform}
	ask := fmt.Sprintf(`{"pass":%q,"decoy":%q,"surface":"search"}`, pass, w.decoy.ID)

	if status, body := do(t, "POST", url+"/v1/exposures", ask); status != 401 {
		t.Errorf("without a key: %d %s", status, body)
	}
	for name, bad := range map[string]string{
		"a forged pass":      fmt.Sprintf(`{"pass":%q,"decoy":%q}`, strings.Repeat("a", 28), w.decoy.ID),
		"a control's pass":   fmt.Sprintf(`{"pass":%q,"decoy":%q}`, w.reg.Keyring().ViewerPass(17), w.decoy.ID),
		"a link as a pass":   fmt.Sprintf(`{"pass":%q,"decoy":%q}`, w.reg.Keyring().Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: v}), w.decoy.ID),
		"both":               fmt.Sprintf(`{"pass":%q,"account":"ann","decoy":%q}`, pass, w.decoy.ID),
		"neither":            fmt.Sprintf(`{"decoy":%q}`, w.decoy.ID),
		"an unknown member":  `{"passs":"x"}`,
		"an empty array":     `[]`,
		"something else":     `nonsense`,
		"a time out of time": fmt.Sprintf(`{"pass":%q,"decoy":%q,"time":"1066-10-14T09:00:00Z"}`, pass, w.decoy.ID),
	} {
		if status, body := do(t, "POST", url+"/v1/exposures", bad, key...); status != 422 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	for name, away := range map[string]string{
		"an account, no registry": fmt.Sprintf(`{"account":"zoe","decoy":%q}`, w.decoy.ID),
		"no decoy, no registry":   fmt.Sprintf(`{"pass":%q}`, pass),
	} {
		if status, body := do(t, "POST", url+"/v1/exposures", away, key...); status != 503 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, _ := get(t, url+"/v1/copies/"+w.photo, append(key, "Birdring-Account", "zoe")...); status != 503 {
		t.Errorf("a copy for an account, no registry: %d", status)
	}
	if status, _ := get(t, url+"/v1/copies/"+w.photo, key...); status != 503 {
		t.Errorf("a copy for nobody: %d", status)
	}

	status, body := do(t, "POST", url+"/v1/exposures", "["+ask+"]", key...)
	if status != 200 {
		t.Fatalf("a good pass: %d %s", status, body)
	}
	type photo struct {
		Photo, URL, SizeOf string
		Width, Height      int
	}
	type reply struct {
		Decoy, Handle, Link string
		Photos              []photo
	}
	var ours, theirs []reply
	if err := json.Unmarshal(body, &ours); err != nil {
		t.Fatal(err)
	}

	api, _ := serve(t, w)
	status, body = do(t, "POST", api+"/v1/exposures", "["+ask+"]", key...)
	if err := json.Unmarshal(body, &theirs); err != nil || status != 200 {
		t.Fatalf("the registry: %d %s %v", status, body, err)
	}
	if a, b := fmt.Sprint(ours), strings.ReplaceAll(fmt.Sprint(theirs), api, registry.DefaultPublicURL); a != b {
		t.Errorf("the edge answers\n%s\nthe registry\n%s", a, b)
	}
	want, err := w.reg.Rendition(nil, w.photo, v)
	if err != nil {
		t.Fatal(err)
	}
	if status, got := get(t, url+"/v1/copies/"+w.photo, append(key, "Birdring-Pass", pass)...); status != 200 || !bytes.Equal(got, want) {
		t.Errorf("the pass's copy: status %d, %d bytes, want %d", status, len(got), len(want))
	}

	o.Registry, o.RegistryKey, o.JournalDir = api, w.platform, filepath.Join(t.TempDir(), "second")
	second, _ := run(t, o)
	if status, body := do(t, "POST", second+"/v1/exposures", fmt.Sprintf(`{"account":"zoe","decoy":%q}`, w.decoy.ID), key...); status != 200 || !bytes.Contains(body, []byte(`"zoe"`)) {
		t.Errorf("an account that the registry numbers: %d %s", status, body)
	}
	if status, body := do(t, "POST", second+"/v1/exposures", fmt.Sprintf(`{"pass":%q}`, pass), key...); status != 200 || !bytes.Contains(body, []byte(w.decoy.ID)) {
		t.Errorf("no decoy, the registry picks it: %d %s", status, body)
	}
	zoe, err := w.reg.Number(t.Context(), "zoe", "")
	if err != nil {
		t.Fatal(err)
	}
	if want, err = w.reg.Rendition(nil, w.photo, zoe); err != nil {
		t.Fatal(err)
	}
	if status, got := get(t, second+"/v1/copies/"+w.photo, append(key, "Birdring-Account", "zoe")...); status != 200 || !bytes.Equal(got, want) {
		t.Errorf("the account's copy: status %d, %d bytes, want %d", status, len(got), len(want))
	}
	wait(t, "the offers of edges", func() bool {
		offers := map[string]int{}
		err := w.reg.Rows(t.Context(), "exposures", time.Time{}, 0, func(row any) error {
			if e := row.(registry.ExposureRow); e.Kind == registry.Offered {
				offers[e.Account]++
			}
			return nil
		})
		return err == nil && offers["ann"] == 3 && offers["zoe"] == 1
	})
}

// serve runs the registry's own server.
func serve(t *testing.T, w *world) (url, token string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan console.Ready, 1), make(chan error, 1)
	go func() {
		done <- console.Serve(ctx, console.ServeOptions{Dir: w.dir, HTTP: "127.0.0.1:0", Ready: func(r console.Ready) { ready <- r }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case r := <-ready:
		return r.URL, r.Token
	case err := <-done:
		done <- nil
		t.Fatal(err)
		return "", ""
	}
}

// A new export is served without a restart.
func TestTakesOverANewExport(t *testing.T) {
	w := newWorld(t, brokers.NATS)
	url, _ := run(t, w.options(t))
	planted, err := w.reg.Plant(t.Context(), registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: demo.Painted(99, 4), Share: 1})
	if err != nil {
		t.Fatal(err)
	}
	copies, err := w.reg.Expose(t.Context(), []registry.Exposure{{Account: "ann", Decoy: planted[0].Decoy.ID}})
	if err != nil {
		t.Fatal(err)
	}
	picture := url + "/m/" + copies[0].Photos[0].Token + ".jpg"
	if status, _ := get(t, picture); status != 404 {
		t.Fatalf("a picture that was not exported: %d", status)
	}
	if err := os.WriteFile(filepath.Join(w.exported, "decoys.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	wait(t, "an alarm about a damaged export", func() bool {
		_, body := get(t, url+"/healthz")
		return bytes.Contains(body, []byte("new export is not served"))
	})
	w.export(t)
	wait(t, "the new picture", func() bool {
		status, _ := get(t, picture)
		return status == 200
	})
	wait(t, "health", func() bool {
		status, _ := get(t, url+"/healthz")
		return status == 200
	})
}

// The switch for neutral copies comes through the stream to every edge and is kept
// over a restart.
func TestNeutralSwitch(t *testing.T) {
	w := newWorld(t, brokers.NATS)
	s, err := stream.Open(w.broker.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	tell := func(data []byte) {
		t.Helper()
		n++
		wait(t, "the broker takes a message", func() bool {
			return s.Publish(t.Context(), stream.Switches, []stream.Message{{ID: fmt.Sprint(n), Key: "neutral", Data: data}}) == nil
		})
	}
	photo := w.copies(t, "ann").Photos[0]
	own, err := w.reg.Rendition(nil, photo.Photo, w.copies(t, "ann").Viewer)
	if err != nil {
		t.Fatal(err)
	}
	neutral, err := w.reg.Rendition(nil, photo.Photo, canary.Neutral)
	if err != nil {
		t.Fatal(err)
	}
	served := func(url string) string {
		_, body := get(t, url+"/m/"+photo.Token+".jpg")
		switch {
		case bytes.Equal(body, own):
			return "own"
		case bytes.Equal(body, neutral):
			return "neutral"
		}
		return "another"
	}
	options := [2]edge.Options{w.options(t), w.options(t)}
	one, stop := run(t, options[0])
	two, _ := run(t, options[1])
	if served(one) != "own" || served(two) != "own" {
		t.Fatal("ann does not get her own copy")
	}
	tell([]byte("nonsense"))
	tell(canary.EdgeSwitch{Neutral: true}.Marshal())
	wait(t, "neutral copies on both edges", func() bool { return served(one) == "neutral" && served(two) == "neutral" })
	stop()
	one, _ = run(t, options[0])
	if got := served(one); got != "neutral" { // the broker gives no message twice
		t.Errorf("after a restart: %s", got)
	}
	tell(canary.EdgeSwitch{Neutral: false}.Marshal())
	wait(t, "own copies on both edges", func() bool { return served(one) == "own" && served(two) == "own" })
}

// While the broker is away everything is served, somebody is told, and nothing is
// lost or doubled afterwards.
func TestBrokerAwayOnlyGrowsTheJournal(t *testing.T) {
	w := newWorld(t, brokers.NATS)
	w.takeIn(t)
	o := w.options(t)
	url, stop := run(t, o)
	c := w.copies(t, "ann")
	fetch := func(from, to int) {
		for i := from; i < to; i++ {
			if status, _ := get(t, url+"/m/"+c.Photos[0].Token+".jpg", "User-Agent", fmt.Sprint("fetch ", i)); status != 200 {
				t.Fatalf("fetch %d: status %d", i, status)
			}
		}
	}
	fetch(0, 20)
	wait(t, "20 hits", func() bool { return len(w.byAgent(t)) == 20 })
	w.broker.Stop()
	fetch(20, 60)
	wait(t, "an alarm", func() bool {
		status, body := get(t, url+"/healthz")
		return status == 503 && bytes.Contains(body, []byte("hits wait in the journal since"))
	})
	if status, _ := get(t, url+"/readyz"); status != 200 {
		t.Errorf("a load balancer is told to send nobody here: %d", status)
	}
	if _, body := get(t, url+"/metrics"); !bytes.Contains(body, []byte("birdring_healthy 0")) || bytes.Contains(body, []byte("birdring_edge_waiting_seconds 0\n")) {
		t.Errorf("the metrics say nothing of it:\n%s", body)
	}
	stop() // the rest stays in the journal
	url, _ = run(t, o)
	fetch(60, 70)
	w.broker.Start(t)
	wait(t, "all hits", func() bool { return len(w.byAgent(t)) == 70 })
	for agent, n := range w.byAgent(t) {
		if n != 1 {
			t.Errorf("%q is counted %d times", agent, n)
		}
	}
	wait(t, "health", func() bool {
		status, _ := get(t, url+"/healthz")
		return status == 200
	})
}

// An edge is killed under load again and again, at random moments: what it
// answered is in the registry once, what it did not answer at most once.
func TestKilledUnderLoadLosesAndDoublesNothing(t *testing.T) {
	w := newWorld(t, brokers.NATS)
	w.takeIn(t)
	o := w.options(t)
	c := w.copies(t, "ann")
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	var mu sync.Mutex
	answered, asked := map[string]bool{}, map[string]bool{}
	for round := range rounds {
		url, kill := child(t, o)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: 10 * time.Second}
		stop := make(chan struct{})
		var load sync.WaitGroup
		for worker := range 4 {
			load.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					agent := fmt.Sprintf("round %d worker %d request %d", round, worker, i)
					mu.Lock()
					asked[agent] = true
					mu.Unlock()
					if fetched(client, url+"/m/"+c.Photos[1].Token+".jpg", agent) == nil {
						mu.Lock()
						answered[agent] = true
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(time.Duration(100+rand.IntN(200)) * time.Millisecond)
		kill()
		close(stop)
		load.Wait()
	}
	run(t, o) // sends what the last one left
	wait(t, "what was answered", func() bool {
		got := w.byAgent(t)
		for agent := range answered {
			if got[agent] == 0 {
				return false
			}
		}
		return true
	})
	got := w.byAgent(t)
	doubled := 0
	for agent, n := range got {
		if n != 1 || !asked[agent] {
			doubled++
			t.Errorf("%q: %d hits", agent, n)
		}
	}
	t.Logf("rounds %d, asked %d, answered %d, found %d, lost 0, doubled %d", rounds, len(asked), len(answered), len(got), doubled)
	if len(answered) < rounds {
		t.Errorf("only %d requests were answered: the edge was never under load", len(answered))
	}
}

func fetched(client *http.Client, url, agent string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", agent)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// child runs an edge as a process; kill ends it as kill -9 does.
func child(t *testing.T, o edge.Options) (url string, kill func()) {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(data))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(kill)
	if _, err := fmt.Fscanln(out, &url); err != nil {
		t.Fatalf("the edge does not start: %v", err)
	}
	return url, kill
}
