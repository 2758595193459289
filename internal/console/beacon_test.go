package console_test

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"birdring/beacon"
	"birdring/canary"
	"birdring/registry"
)

// Metrics tell the counters, and whatever was received has one outcome.
func TestMetrics(t *testing.T) {
	s := open(t)
	for _, path := range []string{"/l/aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "/m/x", "/p/y.gif"} {
		res, err := s.httpClient.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	values := map[string]float64{}
	sum := 0.0
	for line := range strings.Lines(string(s.get(s.url + "/metrics"))) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		values[name] = v
		if strings.HasPrefix(name, "birdring_beacon_outcomes_total{") && strings.Contains(name, `protocol="http"`) {
			sum += v
		}
	}
	if got := values[`birdring_beacon_received_total{protocol="http"}`]; got != 3 || sum != got || values["birdring_healthy"] != 1 {
		t.Errorf("received %v, outcomes %v, all %v", got, sum, values)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.9") // through a proxy: not the own machine
	res, err := s.httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("metrics for everybody: %s", res.Status)
	}
}

// One switch makes every picture neutral on a running server, and nobody is
// recorded as having got a copy of their own.
func TestNeutralSwitch(t *testing.T) {
	s := open(t)
	reg, err := registry.Open(t.Context(), s.dir, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	v, err := reg.Number(t.Context(), "alice", "")
	if err != nil {
		t.Fatal(err)
	}
	photo := reg.Keyring().Seal(canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: v})
	address := s.url + beacon.PicturePath + photo + ".jpg"
	own, err := reg.RenditionNum(nil, 1, v)
	if err != nil {
		t.Fatal(err)
	}
	neutral, err := reg.RenditionNum(nil, 1, canary.Neutral)
	if err != nil {
		t.Fatal(err)
	}
	if string(s.get(address)) != string(own) {
		t.Fatal("a viewer does not get its own copy")
	}
	if err := reg.SetNeutralOnly(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for string(s.get(address)) != string(neutral) {
		if time.Since(begin) > time.Minute {
			t.Fatal("the switch was not followed within 60 s")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.stop = func() error { return nil }
	copies, others := 0, 0
	err = reg.Rows(t.Context(), "hits", time.Time{}, 0, func(row any) error {
		if h := row.(registry.HitRow); h.Account != nil {
			copies++
		} else {
			others++
		}
		return nil
	})
	if err != nil || copies == 0 || others == 0 {
		t.Errorf("%d rows name the viewer, %d are of the neutral copy: %v", copies, others, err)
	}
}

// Hits that cannot be taken in pile up: decoys are no longer handed out, and
// health says why.
func TestFullJournalStopsDecoys(t *testing.T) {
	s := open(t)
	key := s.key("platform")
	ask := []map[string]string{{"account": "bob"}}
	if code := s.call("POST", "/v1/exposures", key, ask, nil); code != 200 {
		t.Fatalf("before: %d", code)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	// What another run left, more than the quota, and damaged so that nobody takes it in.
	if err := os.WriteFile(filepath.Join(s.dir, "journal", "00000000000000ff.hits"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s.quota = 1 << 19
	s.start()
	if code := s.call("POST", "/v1/exposures", key, ask, nil); code != 503 {
		t.Errorf("a decoy was handed out though its fetch could not be recorded: %d", code)
	}
	res, err := s.httpClient.Get(s.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := bufio.NewReader(res.Body).ReadString(0)
	if res.StatusCode != 503 || !strings.Contains(text, "journal") {
		t.Errorf("health %s: %s %v", res.Status, text, err)
	}
}
