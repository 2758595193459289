package beacon_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/beacon"
	"birdring/canary"
)

// recorder keeps hits, or fails when told to.
type recorder struct {
	mu   sync.Mutex
	hits []beacon.Hit
	fail bool
}

func (r *recorder) record(_ context.Context, h beacon.Hit) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail {
		return errors.New("disk full")
	}
	r.hits = append(r.hits, h)
	return nil
}

// take returns the hits so far and forgets them.
func (r *recorder) take() []beacon.Hit {
	r.mu.Lock()
	defer r.mu.Unlock()
	hits := r.hits
	r.hits = nil
	return hits
}

func (r *recorder) failing(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = yes
}

func keyring(t testing.TB) *canary.Keyring {
	t.Helper()
	k, err := canary.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// forged is a token of other keys: well formed, and none of ours.
func forged(t testing.TB) string {
	return keyring(t).Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: canary.FirstViewer})
}

// patience bounds every wait in these tests.
const patience = 10 * time.Second

// eventually waits until done; what says what it waits for. A client may see its
// answer before the server has counted it.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// sum checks that every query or request received ended in exactly one outcome;
// one that was answered just now may be counted a moment later.
func sum(t *testing.T, c *beacon.Counters) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		var total uint64
		for name, n := range c.Snapshot() {
			if name != "received" && name != "unsent" {
				total += n
			}
		}
		if total == c.Received() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d received, outcomes %v", c.Received(), c.Snapshot())
		}
	}
}

func TestTokensAreFoundInAnyText(t *testing.T) {
	k := keyring(t)
	a := k.Seal(canary.Token{Kind: canary.KindLink, Object: 7, Viewer: 70000})
	b := k.Seal(canary.Token{Kind: canary.KindPicture, Object: 9, Viewer: 70001})
	page := "<a href='http://x/l/" + a + "?utm=1'>" + forged(t) + " x" + a + " " + strings.ToUpper(b) + ".jpg"
	var got []uint32
	var indices []int
	tried := beacon.Tokens(k, []byte(page), func(f beacon.Found) {
		if in := page[f.Start:f.End]; !strings.EqualFold(in, a) && !strings.EqualFold(in, b) {
			t.Errorf("range %q", in)
		}
		got = append(got, f.Object)
		indices = append(indices, f.Index)
	})
	// The forged one has the form of a token, and is one of those that were met.
	if want := []int{1, 3, 4}; !slices.Equal(indices, want) || tried != 4 {
		t.Errorf("tokens number %v of %d, want %v of 4", indices, tried, want)
	}
	if len(got) != 3 || got[0] != 7 || got[1] != 7 || got[2] != 9 {
		t.Errorf("found objects %v, want 7, 7 and 9", got)
	}
	if _, ok := beacon.TokenIn(k, "nothing here"); ok {
		t.Error("a token where none is")
	}
}

func TestHitComesBackFromBytes(t *testing.T) {
	h := beacon.Hit{ID: "x", Kind: beacon.KindDNS, Token: canary.Token{Kind: canary.KindLink, Object: 3, Viewer: 70000}, Name: "A\x00b", Bytes: 5}
	data, err := h.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back beacon.Hit
	if err := back.UnmarshalBinary(data); err != nil || back != h {
		t.Errorf("%+v came back as %+v: %v", h, back, err)
	}
	for _, bad := range [][]byte{nil, {9}, {1}, {1, '{'}} {
		if err := new(beacon.Hit).UnmarshalBinary(bad); err == nil {
			t.Errorf("%v was read", bad)
		}
	}
}

func FuzzHit(f *testing.F) {
	f.Add([]byte("\x01{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h beacon.Hit
		if h.UnmarshalBinary(data) != nil {
			return
		}
		if _, err := h.MarshalBinary(); err != nil {
			t.Error(err)
		}
	})
}
