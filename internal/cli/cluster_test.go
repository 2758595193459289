package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
	"birdring/registry/stream/brokers"
)

// commands runs this program.
type commands struct {
	t     *testing.T
	exe   string
	where []string // --data and --registry
}

func newCommands(t *testing.T, where ...string) *commands {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &commands{t, exe, append(where, "--json")}
}

// command is one whose first argument makes the test binary the program.
func (c *commands) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), c.exe, append(args, c.where...)...)
	cmd.Args[0] = "birdring"
	cmd.Env = append(os.Environ(), "BIRDRING_DATA=", "BIRDRING_REGISTRY=", "BIRDRING_API_KEY=")
	return cmd
}

// run runs a command to its end and returns its lines.
func (c *commands) run(args ...string) (lines []map[string]any) {
	c.t.Helper()
	cmd := c.command(args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("birdring %s: %v: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	for line := range bytes.Lines(out) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			c.t.Fatalf("birdring %s says %q", strings.Join(args, " "), line)
		}
		lines = append(lines, m)
	}
	return lines
}

// start starts a command and returns its first line; kill ends it as kill -9 does.
func (c *commands) start(args ...string) (ready map[string]any, kill func()) {
	c.t.Helper()
	cmd := c.command(args...)
	var log syncBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	c.t.Cleanup(func() {
		kill()
		if c.t.Failed() {
			c.t.Logf("birdring %s: %s", args[0], log.String())
		}
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &ready) != nil {
		c.t.Fatalf("birdring %s does not start: %s", strings.Join(args, " "), log.String())
	}
	go io.Copy(io.Discard, out)
	return ready, kill
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// post sends JSON with a key and reads the answer.
func post(t *testing.T, url, key string, body, answer any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 || json.Unmarshal(data, answer) != nil {
		t.Fatalf("POST %s: %s %s %v", url, resp.Status, data, err)
	}
}

// TestCluster is the story on a cluster of processes: PostgreSQL, NATS, a server,
// two workers, two edges. Meanwhile an edge and a worker are killed and the broker
// is away for a while: the account is named all the same, an alert goes out, and
// every fetch is there once. At last every picture is switched to neutral.
func TestCluster(t *testing.T) {
	database := testkit.Postgres(t)
	broker := brokers.NATS(t)
	dir := t.TempDir()
	c := newCommands(t, "--data", filepath.Join(dir, "data"), "--registry", database)
	photos := filepath.Join(dir, "photos")
	if err := os.Mkdir(photos, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		testkit.WriteJPEG(t, filepath.Join(photos, fmt.Sprint(i, ".jpg")), paint.Scene(i+31, 672, 504), 92)
	}
	c.run("init")
	decoy := c.run("seed", "--decoys", "1", "--per-decoy", "2", "--share", "1", "--photos", photos)[0]["decoy"].(string)

	var mu sync.Mutex
	var alerts []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Data struct{ Account string } }
		json.NewDecoder(r.Body).Decode(&m)
		mu.Lock()
		defer mu.Unlock()
		alerts = append(alerts, m.Data.Account)
	}))
	defer hook.Close()
	c.run("alerts", "add", hook.URL)

	serve, _ := c.start("serve", "--http", "127.0.0.1:0", "--stream", broker.URL, "--no-worker")
	url := serve["url"].(string)
	var made struct{ Secret string }
	post(t, url+"/v1/keys", serve["token"].(string), map[string]string{"role": "platform", "note": "test"}, &made)
	_, killWorker := c.start("worker", "--allow", "127.0.0.0/8:*")
	c.start("worker", "--allow", "127.0.0.0/8:*")

	keys, secret, pictures := filepath.Join(dir, "edge.keys"), filepath.Join(dir, "key"), filepath.Join(dir, "pictures")
	if err := os.WriteFile(secret, []byte(made.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("edge", "export", pictures, "--keys", keys)
	startEdge := func(name string) (string, func()) {
		e := newCommands(t)
		ready, kill := e.start("edge", "--http", "127.0.0.1:0", "--keys", keys, "--pictures", pictures, "--stream", broker.URL,
			"--journal", filepath.Join(dir, name), "--registry-url", url, "--api-key-file", secret)
		return ready["url"].(string), kill
	}
	first, _ := startEdge("journal-1")
	second, killEdge := startEdge("journal-2")

	fetches := 0
	fetch := func(edge, address, account string) []byte {
		t.Helper()
		fetches++
		req, err := http.NewRequest(http.MethodGet, edge+address[strings.LastIndex(address, "/m/"):], nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", fmt.Sprintf("%s %d", account, fetches))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", req.URL, resp.Status, err)
		}
		return data
	}
	show := func(edge, account string) (addresses []string) {
		t.Helper()
		var copies []struct{ Photos []struct{ URL string } }
		post(t, edge+"/v1/exposures", made.Secret, map[string]string{"account": account, "decoy": decoy, "surface": "search"}, &copies)
		for _, p := range copies[0].Photos {
			addresses = append(addresses, p.URL)
		}
		return addresses
	}
	for _, account := range []string{"ann", "bob", "cid"} {
		for _, a := range show(first, account) {
			fetch(second, a, account)
		}
	}
	broker.Stop()
	stolen := show(second, "eve")
	var copies [][]byte
	for _, a := range stolen {
		copies = append(copies, fetch(first, a, "eve"))
		fetch(second, a, "eve")
	}
	killEdge() // with what it served in its journal
	broker.Start(t)
	third, _ := startEdge("journal-2")

	clone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var i int
		if n, err := fmt.Sscanf(r.URL.Path, "/%d.jpg", &i); n == 1 && err == nil && i < len(copies) {
			w.Header().Set("Content-Type", "image/jpeg")
			w.Write(copies[i])
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><img src="/0.jpg"><img src="/1.jpg">`)
	}))
	defer clone.Close()
	within(t, "every fetch in the registry", func() bool { return len(c.run("list", "hits")) == fetches })
	c.run("jobs", "scan", clone.URL+"/")
	killWorker() // perhaps with the scan under way
	within(t, "the alert", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(alerts) > 0
	})
	found := filepath.Join(dir, "found.jpg")
	if err := os.WriteFile(found, copies[1], 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("jobs", "trace", found)
	within(t, "the trace of an upload", func() bool { return c.run("jobs", "traced")[0]["done"] != nil })
	if got := fmt.Sprint(c.run("jobs", "traced")[0]["results"]); !strings.Contains(got, "eve") || !strings.Contains(got, "attributed") {
		t.Errorf("the upload is traced to %s", got)
	}
	named := c.run("list", "attributions")
	if len(named) != 1 || named[0]["account"] != "eve" || named[0]["bits"].(float64) < 64 || len(alerts) != 1 || alerts[0] != "eve" {
		t.Errorf("attributed %v, alerts %v; eve alone fed the site", named, alerts)
	}
	agents := map[any]int{}
	for _, h := range c.run("list", "hits") {
		agents[h["user_agent"]] += 1 + int(h["repeats"].(float64))
	}
	for agent, n := range agents {
		if n != 1 {
			t.Errorf("%v is counted %d times", agent, n)
		}
	}
	if len(agents) != fetches {
		t.Errorf("%d fetches are in the registry, %d were served", len(agents), fetches)
	}

	// One command makes every picture neutral on all edges.
	c.run("neutral", "on")
	began := time.Now()
	within(t, "the switch on all edges", func() bool {
		return !bytes.Equal(fetch(first, stolen[0], "eve"), copies[0]) && !bytes.Equal(fetch(third, stolen[0], "eve"), copies[0])
	})
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the switch took %v", took)
	}
	if !bytes.Equal(fetch(first, stolen[0], "eve"), fetch(third, show(first, "ann")[0], "ann")) {
		t.Error("what is served is not the same for everybody")
	}
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
