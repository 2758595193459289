package registry_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
	"birdring/registry"
)

func hit(i int, kind string, token canary.Token) beacon.Hit {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(i)+1)
	return beacon.Hit{
		ID: id.String(), At: time.Date(2026, 11, 24, 0, 0, i, 0, time.UTC), Kind: kind, Token: token,
		Addr: "192.0.2.7:4711", Method: "GET", Path: "/m/x.jpg", Status: 200, SHA256: strings.Repeat("0a", 32), UserAgent: "agent",
	}
}

func TestIngestIsExactlyOnce(t *testing.T) {
	r, dir, d := oneDecoy(t)
	v, err := r.Number(t.Context(), "alice", "")
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.OpenWith(filepath.Join(dir, "journal"), journal.Options{SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	picture := canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: v}
	link := canary.Token{Kind: canary.KindLink, Object: d.Num, Viewer: v}
	total := 0
	write := func(n int, kind string, token canary.Token) {
		for range n {
			rec, err := hit(total, kind, token).MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			// What is written twice, as after a retry, is one hit.
			if err := errors.Join(j.Append(rec), j.Append(rec)); err != nil {
				t.Fatal(err)
			}
			total++
		}
	}
	ingest := func(reg *registry.Registry, want int) {
		t.Helper()
		if n, err := reg.IngestJournal(t.Context(), j); err != nil || n != want {
			t.Fatalf("%d taken in, want %d, %v", n, want, err)
		}
	}
	write(700, beacon.KindFetch, picture)
	write(1, beacon.KindLink, link)
	ingest(r, 1402)
	ingest(r, 0)
	write(3, beacon.KindLink, link)
	again := open(t, dir, registry.Options{})
	ingest(again, 6)
	if err := j.Append([]byte("\x01no hit")); err != nil {
		t.Fatal(err)
	}
	write(1, beacon.KindFetch, canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: v + 1}) // a number nobody was given
	write(1, beacon.KindFetch, canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: canary.Neutral})
	ingest(again, 5)

	// 700 fetches and four hits on the link, one a second: repeats within a minute
	// are one row; a row that was there before a restart is not found again.
	hits := rows[registry.HitRow](t, r, "hits", time.Time{}, 0)
	var told int64
	for _, h := range hits {
		told += 1 + h.Repeats
		if first, last := h.Time.Truncate(time.Minute), h.Last; last != nil && !last.Truncate(time.Minute).Equal(first) {
			t.Errorf("a row from %v to %v", h.Time, last)
		}
	}
	if told != int64(total) || len(hits) != 12+2+2 {
		t.Fatalf("%d hits in %d rows, want %d in 16", told, len(hits), total)
	}
	if h := hits[0]; *h.Account != "alice" || *h.Decoy != d.ID || *h.Photo != d.Avatar || h.Kind != "fetch" || h.Repeats != 59 {
		t.Errorf("hit %+v", h)
	}
	if h := hits[12]; *h.Account != "alice" || *h.Decoy != d.ID || h.Photo != nil || h.Kind != "link" || h.Repeats != 0 {
		t.Errorf("hit %+v", h)
	}
	exposures := rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0)
	if len(exposures) != 12 || exposures[0].Kind != "fetched" || *exposures[0].Address != "192.0.2.7" || *exposures[0].Photo != d.Avatar {
		t.Errorf("%d exposures, first %+v", len(exposures), exposures[0])
	}
	health, err := r.Health(t.Context())
	if err != nil || health.Alarms != 2 || health.Hits != int64(total) || health.Exposures != 12 {
		t.Errorf("health %+v, %v", health, err)
	}
}

// What differs in anything but port and spelling is another row.
func TestOnlyRepeatsAreFolded(t *testing.T) {
	r, dir := fresh(t)
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	base := hit(0, beacon.KindDNS, canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000})
	n := 0
	add := func(change func(h *beacon.Hit)) {
		t.Helper()
		h := base
		n++
		h.ID = hit(n, "", canary.Token{}).ID
		change(&h)
		rec, err := h.MarshalBinary()
		if err == nil {
			err = j.Append(rec)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add(func(*beacon.Hit) {})
	add(func(h *beacon.Hit) { h.Addr = "192.0.2.7:9" })
	add(func(h *beacon.Hit) { h.Name = "OTHER.Spelling" })
	add(func(h *beacon.Hit) { h.At = h.At.Add(59 * time.Second) })
	others := []func(h *beacon.Hit){
		func(h *beacon.Hit) { h.At = h.At.Add(time.Minute) },
		func(h *beacon.Hit) { h.Addr = "192.0.2.8:4711" },
		func(h *beacon.Hit) { h.QType = "AAAA" },
		func(h *beacon.Hit) { h.Token.Viewer++ },
		func(h *beacon.Hit) { h.Token.Object++ },
		func(h *beacon.Hit) { h.UserAgent = "another" },
		func(h *beacon.Hit) { h.Referer = "http://a.example/" },
		func(h *beacon.Hit) { h.Subnet = "198.51.100.0/24" },
		func(h *beacon.Hit) { h.Self = true },
		func(h *beacon.Hit) { h.Status = 304 },
	}
	for _, change := range others {
		add(change)
	}
	if got, err := r.IngestJournal(t.Context(), j); err != nil || got != n {
		t.Fatalf("%d taken in, want %d: %v", got, n, err)
	}
	hits := rows[registry.HitRow](t, r, "hits", time.Time{}, 0)
	repeats := int64(0)
	for _, h := range hits {
		repeats += h.Repeats
	}
	if len(hits) != 1+len(others) || repeats != 3 {
		t.Errorf("%d rows with %d repeats, want %d with 3", len(hits), repeats, 1+len(others))
	}
}

// A Referer opens a lead: a page to be scanned, once, and no more of one site
// than somebody could look at. It never is evidence.
func TestRefererOpensALead(t *testing.T) {
	r, _ := fresh(t)
	if err := r.SetPublicURL(t.Context(), "https://media.platform.example"); err != nil {
		t.Fatal(err)
	}
	n := 0
	report := func(referer, origin string, self bool) {
		t.Helper()
		h := hit(n, beacon.KindFetch, canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 70000})
		h.Kind, h.Referer, h.Origin, h.Self = beacon.KindLink, referer, origin, self
		n++
		if err := r.ReportHit(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	report("https://clone.example/profile?u=1#top", "", false)
	report("https://clone.example/profile?u=1", "https://clone.example", false)
	report("", "https://other-clone.example", false)
	report("https://media.platform.example/l/x", "", false) // our own page
	report("https://self.example/", "", true)               // our own scanner
	for _, bad := range []string{"no url", "javascript:alert(1)", "file:///etc/passwd", "http://user:pw@x.example/", "http://", "null"} {
		report(bad, "", false)
	}
	leads, err := r.Leads(t.Context(), 100)
	if err != nil || len(leads) != 2 || leads[0].URL != "https://clone.example/profile?u=1" || leads[0].Site != "clone.example" || leads[0].Hits != 2 ||
		leads[1].Site != "other-clone.example" {
		t.Errorf("leads %+v, %v", leads, err)
	}
	for i := range 100 {
		report(fmt.Sprintf("https://flood.example/%d", i), "", false)
	}
	if leads, err = r.Leads(t.Context(), 1000); err != nil || len(leads) != 2+20 {
		t.Errorf("%d leads after a flood, want 22: %v", len(leads), err)
	}
	if got := rows[registry.SiteRow](t, r, "sites", time.Time{}, 0); len(got) != 0 {
		t.Errorf("a header made a site: %+v", got)
	}
}

func TestReportHit(t *testing.T) {
	r, _ := fresh(t)
	for range 2 {
		if err := r.ReportHit(t.Context(), hit(0, beacon.KindDNS, canary.Token{Kind: canary.KindPixel, Object: 9, Viewer: 70000})); err != nil {
			t.Fatal(err)
		}
	}
	if got := rows[registry.HitRow](t, r, "hits", time.Time{}, 0); len(got) != 1 || got[0].Decoy != nil || got[0].Account != nil {
		t.Errorf("hits %+v", got)
	}
	if err := r.ReportHit(t.Context(), beacon.Hit{}); !errors.Is(err, registry.ErrInvalid) {
		t.Error(err)
	}
}

func TestRowsSinceAndLimit(t *testing.T) {
	r, _ := fresh(t)
	for i := range 20 {
		if err := r.ReportHit(t.Context(), hit((i*7)%20, beacon.KindDNS, canary.Token{})); err != nil {
			t.Fatal(err)
		}
	}
	seconds := func(since time.Time, limit int) (out []int) {
		for _, h := range rows[registry.HitRow](t, r, "hits", since, limit) {
			out = append(out, h.Time.Second())
		}
		return out
	}
	at := func(s int) time.Time { return time.Date(2026, 11, 24, 0, 0, s, 0, time.UTC) }
	if got := seconds(time.Time{}, 0); len(got) != 20 || !slices.IsSorted(got) {
		t.Errorf("all: %v", got)
	}
	if got := seconds(at(17), 0); !slices.Equal(got, []int{17, 18, 19}) {
		t.Errorf("since 17: %v", got)
	}
	if got := seconds(at(5), 4); !slices.Equal(got, []int{16, 17, 18, 19}) {
		t.Errorf("since 5, the newest 4: %v", got)
	}
	if got := seconds(at(30), 4); len(got) != 0 {
		t.Errorf("since 30: %v", got)
	}
	for _, what := range []string{"decoys", "accounts", "exposures", "sightings", "sites", "attributions"} {
		for _, limit := range []int{0, 3} {
			if err := r.Rows(t.Context(), what, at(0), limit, func(any) error { return nil }); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if err := r.Rows(t.Context(), "secrets", time.Time{}, 0, nil); !errors.Is(err, registry.ErrInvalid) {
		t.Error(err)
	}
	stop := fmt.Errorf("stop")
	if err := r.Rows(t.Context(), "hits", time.Time{}, 0, func(any) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// Servers that take turns on one registry, each with a journal of its own, lose and
// double nothing; a journal taken in before journals had names goes on where it was.
func TestEveryJournalIsTakenIn(t *testing.T) {
	r, _ := fresh(t)
	i := 0
	var journals []*journal.Journal
	for range 2 {
		j, err := journal.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		journals = append(journals, j)
	}
	turn := func(j *journal.Journal, n int) {
		t.Helper()
		for range n {
			rec, err := hit(i, beacon.KindLink, canary.Token{Kind: canary.KindLink, Object: 1, Viewer: canary.FirstViewer}).MarshalBinary()
			if err == nil {
				err = j.Append(rec)
			}
			if err != nil {
				t.Fatal(err)
			}
			i++
		}
		if got, err := r.IngestJournal(t.Context(), j); err != nil || got != n {
			t.Fatalf("%d taken in of %d, %v", got, n, err)
		}
	}
	turn(journals[0], 5)
	turn(journals[1], 2)
	turn(journals[0], 1)
	if err := r.NamelessJournal(t.Context(), journals[0]); err != nil {
		t.Fatal(err)
	}
	turn(journals[0], 3)
	turn(journals[1], 9)
	seen := int64(0)
	for _, h := range rows[registry.HitRow](t, r, "hits", time.Time{}, 0) {
		seen += 1 + h.Repeats
	}
	if seen != int64(i) {
		t.Errorf("%d hits of %d", seen, i)
	}
}

func TestLockServe(t *testing.T) {
	r, dir := fresh(t)
	lock, err := r.LockServe()
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, dir, registry.Options{})
	if _, err := other.LockServe(); err == nil || !strings.Contains(err.Error(), "another birdring serve") {
		t.Errorf("a second server: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	lock, err = other.LockServe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPublicURLIsKept(t *testing.T) {
	_, dir := fresh(t)
	r := open(t, dir, registry.Options{})
	if err := r.SetPublicURL(t.Context(), "https://x.example/"); err != nil || r.PublicURL() != "https://x.example" {
		t.Error(r.PublicURL(), err)
	}
	if u := open(t, dir, registry.Options{ReadOnly: true}).PublicURL(); u != "https://x.example" {
		t.Error(u)
	}
	ro := open(t, dir, registry.Options{ReadOnly: true})
	if err := ro.SetPublicURL(t.Context(), "http://other"); err == nil {
		t.Error("a registry open for reading moved its links")
	}
	if _, err := ro.Number(t.Context(), "a", ""); err == nil {
		t.Error("a registry open for reading numbered an account")
	}
}
