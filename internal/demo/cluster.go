package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"birdring/internal/console"
	"birdring/registry"
	"birdring/registry/jobs"
)

// cluster is the demo's Birdring as processes of their own: a server that takes in
// what comes through the stream, two workers, and two edges. The platform keeps
// passes, asks edges for copies and passes their bytes on unchanged.
type cluster struct {
	s       *stage
	servers []*process
	edges   []*process
	key     string // of role platform
	turn    atomic.Uint64
	client  *http.Client
	jobs    *jobs.Queue

	mu     sync.Mutex // guards passes
	passes map[string]string
}

// The size of the demo's cluster.
const (
	clusterWorkers = 2
	clusterEdges   = 2
)

// process is a command of this program under way.
type process struct {
	name, url string
	cmd       *exec.Cmd
}

// start runs a command of this program and reads the line in which it says that it
// is ready.
func (s *stage) start(ctx context.Context, name string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.CommandContext(ctx, s.Exe, append(args, "--json")...)}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	p.cmd.WaitDelay = 15 * time.Second
	p.cmd.Stderr = s.Log
	p.cmd.Env = append(os.Environ(), "BIRDRING_API_KEY=", "BIRDRING_REGISTRY=")
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	lines := bufio.NewScanner(out)
	var ready struct{ URL string }
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &ready) != nil {
		p.stop()
		return nil, fmt.Errorf("%s does not start, see above", name)
	}
	p.url = ready.URL
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	fmt.Fprintf(s.Log, "  %s runs as process %d %s\n", name, p.cmd.Process.Pid, p.url)
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt) // it ended by itself
	done := time.AfterFunc(15*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // how it ended is in the log
	done.Stop()
}

// openCluster starts the processes on the stage's registry.
func (s *stage) openCluster(ctx context.Context) error {
	if s.Stream == "" {
		return nil
	}
	if s.Exe == "" {
		return errors.New("the cluster's processes need this program's file")
	}
	c := &cluster{s: s, passes: map[string]string{}, client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	s.cluster = c
	keys, _, err := console.OpenKeys(s.Dir)
	if err != nil {
		return err
	}
	if _, c.key, err = keys.Add(console.Platform, "the demo's platform"); err != nil {
		return err
	}
	where := []string{"--data", s.Dir}
	if s.Database != "" {
		where = append(where, "--registry", s.Database)
	}
	server, err := s.start(ctx, "serve", append([]string{"serve", "--http", "127.0.0.1:0", "--stream", s.Stream, "--no-worker"}, where...)...)
	if err != nil {
		return err
	}
	c.servers = append(c.servers, server)
	for i := range clusterWorkers {
		p, err := s.start(ctx, fmt.Sprint("worker ", i+1), append([]string{"worker", "--allow", loopback[0], "--watch-every", "0", "--scans", "1"}, where...)...)
		if err != nil {
			return err
		}
		c.servers = append(c.servers, p)
	}
	if c.jobs, err = jobs.Open(ctx, jobs.Config{Registry: s.reg}); err != nil {
		return err
	}
	return c.openEdges(ctx, server.url)
}

// openEdges exports what edges serve and starts them.
func (c *cluster) openEdges(ctx context.Context, server string) error {
	dir := filepath.Join(c.s.Dir, "edges")
	platforms, err := console.PlatformKeys(c.s.Dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	keys, secret := filepath.Join(dir, "keys.json"), filepath.Join(dir, "api-key")
	if err := os.WriteFile(secret, []byte(c.key), 0o600); err != nil {
		return err
	}
	if err := c.s.reg.ExportEdgeKeys(ctx, keys); err != nil {
		return err
	}
	pictures := filepath.Join(dir, "pictures")
	if _, err := c.s.reg.ExportEdgePictures(ctx, pictures, platforms); err != nil {
		return err
	}
	for i := range clusterEdges {
		name := fmt.Sprint("edge ", i+1)
		p, err := c.s.start(ctx, name, "edge", "--http", "127.0.0.1:0", "--keys", keys, "--pictures", pictures, "--stream", c.s.Stream,
			"--journal", filepath.Join(dir, fmt.Sprint("journal-", i+1)), "--registry-url", server, "--api-key-file", secret)
		if err != nil {
			return err
		}
		c.edges = append(c.edges, p)
	}
	return nil
}

func (c *cluster) close() {
	if c == nil {
		return
	}
	for _, p := range c.edges {
		p.stop()
	}
	for _, p := range c.servers {
		p.stop()
	}
	if c.jobs != nil {
		_ = c.jobs.Close() // everything it was asked is answered
	}
}

// edge is the next edge in turn.
func (c *cluster) edge() *process { return c.edges[c.turn.Add(1)%uint64(len(c.edges))] }

// pass is what the platform keeps for an account, given once by the registry.
func (c *cluster) pass(ctx context.Context, account string) (string, error) {
	c.mu.Lock()
	pass, ok := c.passes[account]
	c.mu.Unlock()
	if ok {
		return pass, nil
	}
	v, err := c.s.reg.Number(ctx, account, "")
	if err != nil {
		return "", err
	}
	pass = c.s.reg.Keyring().ViewerPass(v)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passes[account] = pass
	return pass, nil
}

// expose asks an edge for copies, as a platform does (platform.Config).
func (c *cluster) expose(ctx context.Context, all []registry.Exposure) ([]registry.Copy, error) {
	asks := make([]map[string]any, len(all))
	for i, e := range all {
		pass, err := c.pass(ctx, e.Account)
		if err != nil {
			return nil, err
		}
		asks[i] = map[string]any{"pass": pass, "decoy": e.Decoy, "surface": e.Surface, "time": e.At}
	}
	body, err := json.Marshal(asks)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.edge().url+"/v1/exposures", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	data, err := c.do(req)
	if err != nil {
		return nil, err
	}
	var answers []struct {
		Decoy, Handle, Link string
		Photos              []struct {
			Photo, URL    string
			Width, Height int
			SizeOf        string `json:"size_of"`
		}
	}
	if err := json.Unmarshal(data, &answers); err != nil || len(answers) != len(all) {
		return nil, fmt.Errorf("an edge answers %d of %d exposures: %w", len(answers), len(all), err)
	}
	out := make([]registry.Copy, len(all))
	for i, a := range answers {
		out[i] = registry.Copy{Account: all[i].Account, Decoy: a.Decoy, Handle: a.Handle, Link: a.Link}
		for _, p := range a.Photos {
			token := strings.TrimSuffix(p.URL[strings.LastIndexByte(p.URL, '/')+1:], ".jpg")
			out[i].Photos = append(out[i].Photos, registry.CopyPhoto{Photo: p.Photo, URL: p.URL, Token: token, Group: p.SizeOf, Width: p.Width, Height: p.Height})
		}
	}
	return out, nil
}

// media fetches a viewer's copy from an edge (platform.Config).
func (c *cluster) media(r *http.Request, token string) ([]byte, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, c.edge().url+"/m/"+token+".jpg", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", r.UserAgent())
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		req.Header.Set("X-Forwarded-For", host)
	}
	return c.do(req)
}

func (c *cluster) do(req *http.Request) ([]byte, error) {
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %.200s", req.URL.Host, resp.Status, data)
	}
	return data, err
}

// settle waits until the registry has what the edges wrote down.
func (c *cluster) settle(ctx context.Context) error {
	for {
		missing, err := c.missing(ctx)
		if err != nil || missing == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), missing)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// missing says what is not taken in yet, "" if all is.
func (c *cluster) missing(ctx context.Context) (string, error) {
	sources, err := c.s.reg.Sources(ctx)
	if err != nil {
		return "", err
	}
	taken := map[string]uint64{}
	for _, q := range sources {
		taken[q.Source] = uint64(q.Records)
	}
	for _, p := range c.edges {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/healthz", nil)
		if err != nil {
			return "", err
		}
		data, err := c.do(req)
		if err != nil {
			return "", err
		}
		var h struct {
			Source        string
			Written, Sent struct{ Segment, Offset uint64 }
			Records       uint64
		}
		if err := json.Unmarshal(data, &h); err != nil {
			return "", err
		}
		if h.Sent != h.Written && h.Records > 0 || taken[h.Source] < h.Records {
			return fmt.Sprintf("%s sent %d records, %d are taken in", p.name, h.Records, taken[h.Source]), nil
		}
		fmt.Fprintf(c.s.Log, "  %s served and sent %d records, the registry has %d\n", p.name, h.Records, taken[h.Source])
	}
	return "", nil
}

// detect lets workers ask and scan the sites, and waits for them.
func (c *cluster) detect(ctx context.Context, live, still []string) error {
	if err := c.settle(ctx); err != nil {
		return err
	}
	for range probesPerSite {
		for _, address := range live {
			if _, err := c.jobs.AddProbe(ctx, jobs.ProbeArgs{Site: siteName(address), Template: address + "/{handle}"}); err != nil {
				return err
			}
		}
	}
	for _, address := range still {
		if _, _, err := c.jobs.AddScan(ctx, siteName(address), []string{address}); err != nil {
			return err
		}
	}
	told := map[int64]bool{}
	for {
		rows, err := c.jobs.List(ctx, nil, 0)
		if err != nil {
			return err
		}
		waiting := 0
		for _, r := range rows {
			switch {
			case r.State == "retryable" || r.State == jobs.Discarded:
				return fmt.Errorf("job %d (%s) failed: %s", r.ID, r.Kind, *r.Error)
			case r.Ended == nil:
				waiting++
			case !told[r.ID]:
				told[r.ID] = true
				fmt.Fprintf(c.s.Log, "  %s %s by %s\n", r.Kind, r.Args, *r.WorkedBy)
			}
		}
		if waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
