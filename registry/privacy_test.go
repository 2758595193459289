package registry_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"birdring/beacon"
	"birdring/canary"
	"birdring/registry"
)

// attributedStage has crowd-003 attributed on clone.example by three pictures.
func attributedStage(t *testing.T) *stage {
	t.Helper()
	s := newStage(t, 4)
	s.find(t, "clone.example", s.photos[:3], "crowd-003")
	if s.attributed(t)["crowd-003"] < 64_000 {
		t.Fatalf("attributed: %v", s.attributed(t))
	}
	return s
}

func (s *stage) find(t *testing.T, site string, photos []string, account string) {
	t.Helper()
	for i, p := range photos {
		if err := s.Found(t.Context(), site, s.at.Add(time.Duration(i)*time.Second), registry.Read{Photo: p, Y: s.copyOf(t, p, 1.2, uint64(i), account)}); err != nil {
			t.Fatal(err)
		}
	}
}

func attributionOf(t *testing.T, r *registry.Registry, account string) registry.AttributionRow {
	t.Helper()
	for _, a := range rows[registry.AttributionRow](t, r, "attributions", time.Time{}, 0) {
		if a.Account == account {
			return a
		}
	}
	t.Fatalf("%s is not attributed", account)
	return registry.AttributionRow{}
}

// Sightings and attributions are in the ledger; what is done to them is named.
func TestVerifyNamesChangedEvidence(t *testing.T) {
	s := attributedStage(t)
	onSQLite(t, s.Dir())
	seal(t, s.Registry)
	for _, c := range []struct{ name, query, kind, class string }{
		{"bits", `UPDATE attributions SET millibits = millibits + 1000`, "changed", "attribution"},
		{"account of an attribution", `UPDATE attributions SET account = (SELECT id FROM accounts WHERE name = 'crowd-007')`, "changed", "attribution"},
		{"attribution gone", `DELETE FROM attributions`, "removed", "attribution"},
		{"soft values", `UPDATE sightings SET y = zeroblob(length(y)) WHERE id = 2`, "changed", "sighting"},
		{"capture back-dated", `UPDATE sightings SET captured_at = captured_at - 1000000 WHERE id = 2`, "back-dated", "sighting"},
		{"sighting gone", `DELETE FROM sightings WHERE id = 2`, "removed", "sighting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, dir := copyOf(t, s.Dir())
			tamper(t, dir, `PRAGMA foreign_keys = OFF; `+c.query)
			if rep := verified(t, r); rep.Problems == 0 || rep.First.Kind != c.kind || rep.First.Class != c.class {
				t.Errorf("%+v", rep.First)
			}
		})
	}
}

// Old exposures go unless evidence rests on them; those that went are told by the
// ledger, which goes on verifying and goes on missing what went otherwise.
func TestRetentionKeepsWhatEvidenceRestsOn(t *testing.T) {
	s := attributedStage(t) // pictures 0 to 2 were found, decoy 4 never
	before := rows[registry.ExposureRow](t, s.Registry, "exposures", time.Time{}, 0)
	if run, err := s.Retain(t.Context(), time.Now()); err != nil || run.Exposures != 0 {
		t.Fatalf("young ones went: %+v, %v", run, err)
	}
	hit := beacon.Hit{ID: "h", At: time.Now(), Kind: beacon.KindDNS}
	if err := s.ReportHit(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	late := time.Now().AddDate(0, 0, 91)
	run, err := s.Retain(t.Context(), late)
	if err != nil {
		t.Fatal(err)
	}
	// 60 viewers were shown decoy 4; crowd-003 is attributed, and keeps its own.
	if run.Exposures != 59 || run.Hits != 1 || run.Captures != 0 {
		t.Errorf("gone: %+v", run)
	}
	after := rows[registry.ExposureRow](t, s.Registry, "exposures", time.Time{}, 0)
	if len(after) != len(before)-59 {
		t.Errorf("%d exposures of %d are left", len(after), len(before))
	}
	rep := wantSound(t, s.Registry)
	if rep.Removed != 59 {
		t.Errorf("the ledger tells of %d removed rows", rep.Removed)
	}
	e, err := s.Explain(t.Context(), "clone.example", "crowd-003", false)
	if err != nil || !e.Same {
		t.Errorf("evidence changed: %+v, %v", e, err)
	}
	if run, err := s.Retain(t.Context(), late); err != nil || run.Exposures != 0 {
		t.Errorf("again: %+v, %v", run, err)
	}
	onSQLite(t, s.Dir())
	tamper(t, s.Dir(), `DELETE FROM exposures WHERE decoy = 4`) // by hand
	if rep := verified(t, s.Registry); rep.Problems != 1 || rep.First.Kind != "removed" {
		t.Errorf("%+v", rep.First)
	}
}

// A forgotten account leaves numbers, and no word of it in any file of the folder.
func TestForgetLeavesNumbersAndAVerifyingLedger(t *testing.T) {
	s := newStage(t, 4)
	onSQLite(t, s.Dir())
	const name, session, address = "zebulon.quagga", "sess-xyzzy", "203.0.113.77"
	c, err := s.Expose(t.Context(), []registry.Exposure{{Account: name, Session: session, Decoy: decoysOf(t, s)[0].ID}})
	if err != nil {
		t.Fatal(err)
	}
	v := c[0].Viewer
	if err := s.Fetched(t.Context(), registry.Fetch{Viewer: v, Photo: s.photos[0], Address: address, UserAgent: "agent"}); err != nil {
		t.Fatal(err)
	}
	if err := s.ReportHit(t.Context(), beacon.Hit{ID: "h", At: time.Now(), Kind: beacon.KindLink, Addr: address, Token: canary.Token{Kind: canary.KindLink, Object: 1, Viewer: v}}); err != nil {
		t.Fatal(err)
	}
	seal(t, s.Registry)
	if _, err := s.ForgetAccount(t.Context(), registry.ForgetRequest{Account: name}); err == nil {
		t.Error("forgotten without a reason")
	}
	done, err := s.ForgetAccount(t.Context(), registry.ForgetRequest{Account: name, Reason: "asked to"})
	if err != nil || len(done.Viewers) != 1 || done.Viewers[0] != v || done.Exposures != 1 || done.Hits != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if account, _, err := s.AccountOf(t.Context(), v); err != nil || account != done.Tombstone {
		t.Errorf("behind the number stands %q, %v", account, err)
	}
	again, err := s.Number(t.Context(), name, session)
	if err != nil || again <= v {
		t.Errorf("met again it has number %d, %v; it had %d", again, err, v)
	}
	if _, err := s.ForgetAccount(t.Context(), registry.ForgetRequest{Account: name, Reason: "asked to"}); err != nil {
		t.Error(err)
	}
	wantSound(t, s.Registry)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(s.Dir(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, word := range []string{name, session, address} {
			if strings.Contains(string(data), word) {
				t.Errorf("%s stands in %s", word, d.Name())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSound(t, open(t, s.Dir(), registry.Options{ReadOnly: true}))
}

// Behind the ledger's back nobody is made forgotten, or given to somebody else.
func TestForgettingIsInTheLedger(t *testing.T) {
	s := newStage(t, 4)
	onSQLite(t, s.Dir())
	if _, err := s.ForgetAccount(t.Context(), registry.ForgetRequest{Account: "crowd-009", Reason: "asked to"}); err != nil {
		t.Fatal(err)
	}
	tamper(t, s.Dir(), `UPDATE accounts SET tombstone = randomblob(16), forgotten_at = 1 WHERE name = 'crowd-010'`)
	if rep := verified(t, s.Registry); rep.Problems == 0 {
		t.Error("nobody noticed")
	}
}

// An attributed account is forgotten only if somebody says so; the attribution
// then names the tombstone.
func TestForgetAnAttributedAccount(t *testing.T) {
	s := attributedStage(t)
	if _, err := s.ForgetAccount(t.Context(), registry.ForgetRequest{Account: "crowd-003", Reason: "asked to"}); err == nil {
		t.Fatal("evidence was forgotten")
	}
	done, err := s.ForgetAccount(t.Context(), registry.ForgetRequest{Account: "crowd-003", Reason: "a court said so", Attributed: true})
	if err != nil {
		t.Fatal(err)
	}
	attributionOf(t, s.Registry, done.Tombstone)
	wantSound(t, s.Registry)
}

// With pseudonyms no account's name is readable in the folder; coins, numbers and
// personal decoys work as before, and unmasking is in the audit log.
func TestPseudonymsAtRest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := registry.InitWith(t.Context(), dir, registry.InitOptions{Pseudonyms: true}); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir, registry.Options{})
	const name = "zebulon.quagga"
	v, err := r.Number(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := open(t, dir, registry.Options{}).Number(t.Context(), name, ""); err != nil || again != v {
		t.Errorf("another process gives %d, %v", again, err)
	}
	stored, _, err := r.AccountOf(t.Context(), v)
	if err != nil || !strings.HasPrefix(stored, "~") || strings.Contains(stored, name) {
		t.Fatalf("kept as %q, %v", stored, err)
	}
	// Somebody who names an account after the pseudonym is somebody else.
	if other, err := r.Number(t.Context(), stored, ""); err != nil || other == v {
		t.Errorf("number %d, %v", other, err)
	}
	if _, err := r.Unmask(t.Context(), stored, "", " "); err == nil {
		t.Error("unmasked without a reason")
	}
	told, err := r.Unmask(t.Context(), stored, "analyst-1", "case 7")
	if err != nil || told != name {
		t.Errorf("%q, %v", told, err)
	}
	var log []registry.AuditRow
	if err := r.Audit(t.Context(), time.Time{}, func(a registry.AuditRow) error { log = append(log, a); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(log) != 1 || log[0].Who != "analyst-1" || log[0].Reason != "case 7" || log[0].Subject != stored {
		t.Errorf("%+v", log)
	}
	seal(t, r)
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), name) {
			t.Errorf("the name stands in %s", d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSound(t, r)
}

// The file of numbers is what the table is, however it was cut off.
func TestViewersFileFollowsTheTable(t *testing.T) {
	s := newStage(t, 4)
	path := filepath.Join(s.Dir(), "viewers.csv")
	check := func(want int) {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n := 0
		err = registry.ReadViewersFile(f, func(v registry.ViewerNumber) error {
			n++
			account, session, err := s.AccountOf(t.Context(), v.Number)
			if err == nil && (account != v.Account || session != v.Session) {
				err = fmt.Errorf("%+v, the table has %q, %q", v, account, session)
			}
			return err
		})
		if err != nil || n != want {
			t.Errorf("%d numbers, want %d: %v", n, want, err)
		}
	}
	check(60)
	for i, name := range []string{"with,comma", `with"quote`, "plain"} {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, st.Size()-int64(3*i)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Number(t.Context(), name, "s"); err != nil {
			t.Fatal(err)
		}
		seal(t, s.Registry)
		check(61 + i)
	}
}

func FuzzViewersFile(f *testing.F) {
	f.Add("65536,a,\n65537,\"b,c\",s\n")
	f.Add("65537,a,\n65536,b,\n")
	f.Fuzz(func(t *testing.T, text string) {
		last := canary.Viewer(0)
		_ = registry.ReadViewersFile(strings.NewReader(text), func(v registry.ViewerNumber) error { // only what it visits counts
			if v.Number <= last || v.Number < canary.FirstViewer {
				t.Errorf("number %d behind %d", v.Number, last)
			}
			last = v.Number
			return nil
		})
	})
}

func sums(t *testing.T, r *registry.Registry, photos []string, viewers ...canary.Viewer) (out []string) {
	t.Helper()
	for _, p := range photos {
		for _, v := range viewers {
			out = append(out, fmt.Sprintf("%x", sha256.Sum256(rendition(t, r, p, v))))
		}
	}
	return out
}

// Each source tells the table of numbers, and notices when it does not.
func TestNumbersFollowFromEachSource(t *testing.T) {
	s := newStage(t, 4)
	onSQLite(t, s.Dir())
	for i := range 5 { // moments of their own
		if _, err := s.Expose(t.Context(), []registry.Exposure{{Account: fmt.Sprintf("alone-%d", i), Session: "s", Decoy: decoysOf(t, s)[0].ID}}); err != nil {
			t.Fatal(err)
		}
	}
	seal(t, s.Registry)
	want := func(bad string, exposures int64) {
		t.Helper()
		all, err := s.CheckNumbers(t.Context())
		if err != nil || len(all) != 4 {
			t.Fatalf("%+v, %v", all, err)
		}
		for _, c := range all {
			if c.OK == strings.Contains(bad, c.Source) {
				t.Errorf("%+v", c)
			}
			if c.Source == "exposures" && c.Of < exposures {
				t.Errorf("%+v", c)
			}
		}
	}
	want("", 5)
	tamper(t, s.Dir(), `UPDATE viewers SET session = 'other' WHERE number = 65600`)
	want("viewers file, ledger", 5)
	tamper(t, s.Dir(), `UPDATE viewers SET session = 's' WHERE number = 65600`)
	if err := os.Remove(filepath.Join(s.Dir(), "viewers.csv")); err != nil {
		t.Fatal(err)
	}
	want("viewers file", 5)
}
