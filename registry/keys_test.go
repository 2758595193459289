package registry_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"birdring/canary"
	"birdring/registry"
)

// Rotation changes no byte that was served, here, in a process that was running,
// and in one that opens the folder afterwards; its commitment is in the ledger.
func TestRotationChangesNoByteServed(t *testing.T) {
	s := newStage(t, 4)
	running := open(t, s.Dir(), registry.Options{})
	before := sums(t, s.Registry, s.photos, canary.Neutral, 65536, 65590)
	pass := s.Keyring().ViewerPass(65536)
	done, err := s.RotateKeys(t.Context(), false)
	if err != nil || done.Epoch != 2 || done.State != "in use" {
		t.Fatalf("%+v, %v", done, err)
	}
	// The running process takes the epoch up with its next look at the registry.
	c, err := s.Expose(t.Context(), []registry.Exposure{{Account: "crowd-000", Decoy: decoysOf(t, s)[0].ID}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := running.Expose(t.Context(), []registry.Exposure{{Account: "crowd-001", Decoy: decoysOf(t, s)[0].ID}}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*registry.Registry{s.Registry, running, open(t, s.Dir(), registry.Options{})} {
		r.DropCaches()
		if got := sums(t, r, s.photos, canary.Neutral, 65536, 65590); !slices.Equal(got, before) {
			t.Error("renditions changed")
		}
		if v, err := r.Keyring().OpenPass(pass); err != nil || v != 65536 {
			t.Errorf("an old pass opens as %d, %v", v, err)
		}
		if token, err := r.Keyring().OpenToken(c[0].Photos[0].Token); err != nil || token.Viewer != 65536 {
			t.Errorf("a token of the new epoch opens as %+v, %v", token, err)
		}
	}
	if rep := wantSound(t, s.Registry); rep.Entries["commitment"] != 2 {
		t.Errorf("%+v", rep.Entries)
	}
	epochs, err := s.Epochs(t.Context())
	if err != nil || len(epochs) != 2 || epochs[1].State != "in use" || epochs[1].Commitment == nil || *epochs[1].Commitment != done.Commitment {
		t.Errorf("%+v, %v", epochs, err)
	}
}

// A rotation that was cut off, anywhere, is finished or taken back by whoever
// opens the folder next.
func TestRotationCutOff(t *testing.T) {
	s := newStage(t, 4)
	onSQLite(t, s.Dir())
	keys := filepath.Join(s.Dir(), "keys.json")
	old, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateKeys(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	new, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.Dir(), name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Behind the commitment, before the keys were moved in.
	put("keys.json", old)
	put("keys.json.new", new)
	r := open(t, s.Dir(), registry.Options{})
	if got, err := os.ReadFile(keys); err != nil || !bytes.Equal(got, new) || len(r.Keyring().Epochs()) != 2 {
		t.Errorf("the rotation was not finished: %v", err)
	}
	// Before the commitment: half a file, or another keyring on its way.
	put("keys.json.new", new[:len(new)/2])
	if len(open(t, s.Dir(), registry.Options{}).Keyring().Epochs()) != 2 {
		t.Error("half a file was taken up")
	}
	put("keys.json", old)
	if _, err := registry.Open(t.Context(), s.Dir(), registry.Options{}); err == nil || !strings.Contains(err.Error(), "not the keys") {
		t.Errorf("old keys were taken: %v", err)
	}
	put("keys.json", new)
	if done, err := r.RotateKeys(t.Context(), false); err != nil || done.State != "in use" || done.Epoch != 2 {
		t.Errorf("%+v, %v", done, err)
	}
}

// What is found since a leak is void, and what stands without it stands.
func TestLeakVoidsWhatIsFoundSince(t *testing.T) {
	s := newStage(t, 4)
	s.find(t, "early.example", s.photos[:3], "crowd-003") // stored before the leak
	since := time.Now()
	s.find(t, "late.example", s.photos[:3], "crowd-004")
	s.find(t, "early.example", s.photos[3:], "crowd-003")
	stood := attributionOf(t, s.Registry, "crowd-003")
	running := open(t, s.Dir(), registry.Options{})
	if _, err := running.SiteView(t.Context(), "late.example", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.AddWebhook(t.Context(), "http://127.0.0.1:9/"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeclareLeak(t.Context(), 7, since, ""); err == nil {
		t.Error("an epoch that is not there leaked")
	}
	l, err := s.DeclareLeak(t.Context(), 1, since, "laptop stolen")
	if err != nil || len(l.Voided) != 1 || l.Voided[0].Account != "crowd-004" || l.Sightings != 4 {
		t.Fatalf("%+v, %v", l, err)
	}
	if _, err := s.DeclareLeak(t.Context(), 1, since.Add(time.Millisecond), ""); err == nil {
		t.Error("a later time replaced an earlier one")
	}
	for _, r := range []*registry.Registry{s.Registry, running} {
		void := attributionOf(t, r, "crowd-004")
		if void.Verdict != string(registry.VerdictVoid) || void.Void == nil || void.VoidReason == nil || !strings.Contains(*void.VoidReason, "other hands") {
			t.Errorf("%+v", void)
		}
		if a := attributionOf(t, r, "crowd-003"); a.Verdict != "attributed" || a.Void != nil || a.Bits >= stood.Bits || a.Bits < 64 {
			t.Errorf("it stood on %.3f bits before, and has %.3f now: %+v", stood.Bits, a.Bits, a)
		}
		e, err := r.Explain(t.Context(), "late.example", "crowd-004", false)
		if err != nil || e.Void == nil || e.Bits != 0 {
			t.Errorf("%+v, %v", e, err)
		}
		if e, err = r.Explain(t.Context(), "early.example", "crowd-003", false); err != nil || !e.Same || e.Void != nil {
			t.Errorf("%+v, %v", e, err)
		}
		v, err := r.SiteView(t.Context(), "late.example", time.Time{})
		if err != nil || len(v.Accounts) != 0 || len(v.Void) != 1 || v.Verdict == registry.VerdictAttributed {
			t.Errorf("%+v, %v", v, err)
		}
	}
	// More of the same says nothing any more, and an alert said so.
	s.find(t, "third.example", s.photos, "crowd-005")
	if _, ok := s.attributed(t)["crowd-005"]; ok {
		t.Error("what anybody can forge names somebody")
	}
	hooks, err := s.Webhooks(t.Context())
	if err != nil || len(hooks) != 1 || hooks[0].Pending < 1 {
		t.Errorf("%+v, %v", hooks, err)
	}
	if !slices.Contains(messages(t, s.Registry), "key.leaked") {
		t.Error("no message tells of it")
	}
	wantSound(t, s.Registry)
}

func messages(t *testing.T, r *registry.Registry) []string {
	t.Helper()
	all, err := r.MessageTypes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}
