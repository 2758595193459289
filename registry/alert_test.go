package registry_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"birdring/registry"
)

// receiver is somebody's webhook.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex // guards the rest
	secret string
	status int
	ids    []string
	bodies []string
}

func newReceiver(t *testing.T) *receiver {
	rc := &receiver{status: 200}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		rc.mu.Lock()
		defer rc.mu.Unlock()
		hook, herr := standardwebhooks.NewWebhook(rc.secret)
		if err = errors.Join(err, herr); err == nil {
			err = hook.Verify(body, r.Header)
		}
		if err != nil {
			t.Errorf("signature: %v", err)
		}
		rc.ids, rc.bodies = append(rc.ids, r.Header.Get("webhook-id")), append(rc.bodies, string(body))
		w.WriteHeader(rc.status)
	}))
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) answer(status int) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.status = status
}

func (rc *receiver) got() []string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]string(nil), rc.ids...)
}

var alert = registry.AttributionAlert{Site: "clone.example", Account: "alice", Bits: 80.123, Verdict: "attributed", Pictures: 1, Decoys: []string{"d-x"}, SingleSource: true, First: time.Now()}

func hook(t *testing.T, r *registry.Registry, rc *receiver) registry.Webhook {
	t.Helper()
	h, secret, err := r.AddWebhook(t.Context(), rc.URL)
	if err != nil {
		t.Fatal(err)
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.secret = secret
	return h
}

func TestAlertIsDeliveredOncePerSiteAndAccount(t *testing.T) {
	r, dir := fresh(t)
	rc := newReceiver(t)
	hook(t, r, rc)
	for range 3 {
		if err := r.Alert(alert); err != nil {
			t.Fatal(err)
		}
	}
	rc.answer(500)
	if err := r.DeliverDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.DeliverDue(t.Context()); err != nil { // not due again yet
		t.Fatal(err)
	}
	if n := len(rc.got()); n != 1 {
		t.Fatalf("%d tries", n)
	}
	rc.answer(204)
	again := open(t, dir, registry.Options{}) // over a restart
	if err := again.Advance(time.Minute); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := again.DeliverDue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ids := rc.got()
	if len(ids) != 2 || ids[0] != ids[1] || !strings.HasPrefix(ids[0], "msg_") {
		t.Fatalf("tries %v", ids)
	}
	var m struct {
		Type      string
		Timestamp time.Time
		Data      registry.AttributionAlert
	}
	if err := json.Unmarshal([]byte(rc.bodies[1]), &m); err != nil {
		t.Fatal(err)
	}
	if m.Type != "attribution.created" || m.Data.Account != "alice" || !m.Data.SingleSource || m.Data.Pictures != 1 || m.Data.Bits != 80.123 {
		t.Errorf("message %s", rc.bodies[1])
	}
}

func TestAlertIsGivenUpAfterDaysAndShown(t *testing.T) {
	r, _ := fresh(t)
	rc := newReceiver(t)
	h := hook(t, r, rc)
	rc.answer(503)
	if err := r.Alert(alert); err != nil {
		t.Fatal(err)
	}
	passed := time.Duration(0)
	for range 150 { // hours; pauses are stretched by up to a fifth
		if err := r.DeliverDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Advance(time.Hour); err != nil {
			t.Fatal(err)
		}
		passed += time.Hour
		health, err := r.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if health.DeadAlerts == 1 {
			if passed < 72*time.Hour || health.OK || len(health.Problems) != 1 {
				t.Errorf("given up after %v: %+v", passed, health)
			}
			break
		}
		if health.PendingAlerts != 1 || !health.OK {
			t.Fatalf("health %+v after %v", health, passed)
		}
	}
	ids := rc.got()
	if len(ids) != 12 {
		t.Errorf("%d tries", len(ids))
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("tries have ids %v", ids)
		}
	}
	list, err := r.Webhooks(t.Context())
	if err != nil || len(list) != 1 || list[0].Dead != 1 || list[0].LastError == nil || !strings.Contains(*list[0].LastError, "503") {
		t.Errorf("webhooks %+v, %v", list, err)
	}
	if err := r.RemoveWebhook(t.Context(), h.ID); err != nil {
		t.Fatal(err)
	}
	if health, err := r.Health(t.Context()); err != nil || !health.OK {
		t.Errorf("health %+v, %v", health, err)
	}
}

func TestWebhooks(t *testing.T) {
	r, _ := fresh(t)
	if err := r.TestWebhook(t.Context()); err == nil {
		t.Error("a test without webhooks went through")
	}
	if err := r.Alert(alert); err != nil { // nobody listens yet
		t.Fatal(err)
	}
	rc := newReceiver(t)
	h := hook(t, r, rc)
	if h.Pending != 1 {
		t.Errorf("webhook %+v", h)
	}
	if _, _, err := r.AddWebhook(t.Context(), rc.URL); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("the same webhook again: %v", err)
	}
	if _, _, err := r.AddWebhook(t.Context(), "ftp://x"); !errors.Is(err, registry.ErrInvalid) {
		t.Error(err)
	}
	if err := r.DeliverDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.TestWebhook(t.Context()); err != nil {
		t.Error(err)
	}
	if ids := rc.got(); len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("messages %v", ids)
	}
	rc.answer(302)
	if err := r.TestWebhook(t.Context()); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("a redirect counts as taken: %v", err)
	}
	if err := r.RemoveWebhook(t.Context(), rc.URL); err != nil {
		t.Error(err)
	}
	if err := r.RemoveWebhook(t.Context(), rc.URL); !errors.Is(err, registry.ErrNotFound) {
		t.Error(err)
	}
	if hook(t, r, rc).ID == h.ID {
		t.Error("the webhook came back with its old id")
	}
}

func TestAlarmsMakeUnhealthy(t *testing.T) {
	r, _ := fresh(t)
	for range 3 {
		if err := r.Alarm("control", "control 7 stands at 40 bits"); err != nil {
			t.Fatal(err)
		}
	}
	h, err := r.Health(t.Context())
	if err != nil || h.OK || h.Alarms != 1 || len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "control 7") {
		t.Errorf("health %+v, %v", h, err)
	}
	if err := r.ClearAlarms(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h, err := r.Health(t.Context()); err != nil || !h.OK {
		t.Errorf("health %+v, %v", h, err)
	}
}
