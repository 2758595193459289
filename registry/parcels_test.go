package registry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
	"birdring/registry"
)

// packed is a journal's records in parcels of about size bytes.
func packed(t *testing.T, j *journal.Journal, size int) (out [][]byte) {
	t.Helper()
	source, err := j.Source()
	if err != nil {
		t.Fatal(err)
	}
	parcels, _, err := j.Pack(journal.Position{}, source, size, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parcels {
		data, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

// counted is how many hits the rows stand for.
func counted(t *testing.T, r *registry.Registry) (n int64) {
	for _, h := range rows[registry.HitRow](t, r, "hits", time.Time{}, 0) {
		n += 1 + h.Repeats
	}
	return n
}

// Messages come twice, late, out of order and packed anew; the registry is
// closed and opened in between; the edge's clock is set back by an hour: every
// record is stored once.
func TestParcelsAreTakenInExactlyOnce(t *testing.T) {
	r, dir, d := oneDecoy(t)
	v, err := r.Number(t.Context(), "alice", "")
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.OpenWith(t.TempDir(), journal.Options{SegmentBytes: 20 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	const n = 600
	write := func(h beacon.Hit) {
		t.Helper()
		rec, err := h.MarshalBinary()
		if err == nil {
			err = j.Append(rec)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fetches := 0
	for i := range n {
		h := hit(i, beacon.KindLink, canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: v})
		if i%3 == 0 {
			h.Kind, h.Token = beacon.KindFetch, canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: v}
			h.SHA256 = ""
			h.UserAgent = uuid.NewString() // no repeat of another
			fetches++
		}
		if i > n/2 {
			h.At = h.At.Add(-time.Hour)
		}
		write(h)
	}
	offered := hit(n, beacon.KindOffer, canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: v})
	offered.Surface = "search"
	write(offered)

	rng := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for _, size := range []int{3000, 700, 1, 100_000} {
		all := packed(t, j, size)
		all = append(all, all[:len(all)/2]...)
		rng.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		for len(all) > 0 {
			k := min(len(all), 1+rng.IntN(7))
			got, err := r.TakeParcels(t.Context(), all[:k])
			if err != nil {
				t.Fatal(err)
			}
			taken += got
			all = all[k:]
		}
		if taken != n+1 {
			t.Fatalf("parcels of %d bytes: %d records taken in, want %d", size, taken, n+1)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open(t, dir, registry.Options{})
	}
	if got := counted(t, r); got != n {
		t.Errorf("%d hits are counted, want %d", got, n)
	}
	var fetched, offers int
	for _, e := range rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0) {
		switch {
		case e.Kind == registry.Fetched:
			fetched++
		case e.Kind == registry.Offered && *e.Surface == "search" && e.Time.Equal(offered.At):
			offers++
		}
	}
	if fetched != fetches || offers != 1 {
		t.Errorf("%d fetches and %d offers are recorded, want %d and 1", fetched, offers, fetches)
	}
	sources, err := r.Sources(t.Context())
	if err != nil || len(sources) != 1 || sources[0].Records != n+1 {
		t.Errorf("sources: %+v, %v", sources, err)
	}
	if h, err := r.Health(t.Context()); err != nil || !h.OK || h.Hits != n {
		t.Errorf("health: %+v, %v", h, err)
	}
}

// A message that is no parcel, and links to what nobody planted, are alarms; what
// is beside them is stored.
func TestUnreadableParcelsAreAlarms(t *testing.T) {
	r, _, d := oneDecoy(t)
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	good, err1 := hit(1, beacon.KindLink, canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: 70_000}).MarshalBinary()
	bad, err2 := hit(2, beacon.KindOffer, canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: 70_001}).MarshalBinary()
	if err := errors.Join(err1, err2, j.Append(good), j.Append(bad)); err != nil {
		t.Fatal(err)
	}
	all := append([][]byte{[]byte("\x01no parcel"), bytes.Repeat([]byte{9}, 50)}, packed(t, j, 1000)...)
	if n, err := r.TakeParcels(t.Context(), all); err != nil || n != 2 {
		t.Fatalf("%d taken in, %v", n, err)
	}
	h, err := r.Health(t.Context())
	if err != nil || h.Alarms != 3 || h.Hits != 1 {
		t.Errorf("%d alarms, %d hits, %v: %q", h.Alarms, h.Hits, err, h.Problems)
	}
}

// What is told is told until the stream took it, and only while it is wanted.
func TestTellsHitsUntilTheyAreSent(t *testing.T) {
	r, dir, d := oneDecoy(t)
	link := canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: 70_000}
	report := func(i int) {
		t.Helper()
		if err := r.ReportHit(t.Context(), hit(i, beacon.KindLink, link)); err != nil {
			t.Fatal(err)
		}
	}
	report(1)
	if err := r.SetTelling(t.Context(), []string{registry.TellHits}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		report(2 + i)
	}
	report(2) // the same again is no news
	down := errors.New("broker away")
	if _, err := r.Tell(t.Context(), registry.TellHits, 3, func([]registry.Telling) error { return down }); !errors.Is(err, down) {
		t.Fatalf("sending failed, and Tell says %v", err)
	}
	again := open(t, dir, registry.Options{})
	var ids []string
	for {
		n, err := again.Tell(t.Context(), registry.TellHits, 3, func(all []registry.Telling) error {
			for _, q := range all {
				var row registry.HitRow
				if err := json.Unmarshal(q.Data, &row); err != nil || row.ID != q.ID || *row.Decoy != d.ID {
					t.Errorf("told %s: %+v, %v", q.Data, row, err)
				}
				ids = append(ids, q.ID)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if len(ids) != 5 || ids[0] != hit(2, "", link).ID || ids[4] != hit(6, "", link).ID {
		t.Errorf("told %v", ids)
	}
	if err := r.SetTelling(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	report(20)
	if n, err := r.Tell(t.Context(), registry.TellHits, 10, func([]registry.Telling) error { return nil }); n != 0 || err != nil {
		t.Errorf("%d told although nobody wants to know, %v", n, err)
	}
	if err := r.SetTelling(t.Context(), []string{"secrets"}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("an unknown topic: %v", err)
	}
}
