package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"birdring/beacon/decode"
	"birdring/canary"
	"birdring/internal/testkit"
	"birdring/registry"
)

// served is the copy of a photo that an account's session gets, shown first.
func served(t testing.TB, r *registry.Registry, account, session, decoy, photo string, at time.Time) []byte {
	t.Helper()
	c, err := r.Expose(t.Context(), []registry.Exposure{{Account: account, Session: session, Decoy: decoy, Surface: "profile", At: at, Kind: registry.Offered}})
	if err != nil {
		t.Fatal(err)
	}
	return rendition(t, r, photo, c[0].Viewer)
}

func rendition(t testing.TB, r *registry.Registry, photo string, v canary.Viewer) []byte {
	t.Helper()
	data, err := r.Rendition(nil, photo, v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// crowd shows decoys to n innocent accounts.
func crowd(t testing.TB, r *registry.Registry, n int, decoys ...canary.Decoy) {
	t.Helper()
	var all []registry.Exposure
	for i := range n {
		for _, d := range decoys {
			all = append(all, registry.Exposure{Account: fmt.Sprintf("crowd-%03d", i), Decoy: d.ID, Surface: "search", Kind: registry.Offered})
		}
	}
	if _, err := r.Expose(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

// changed re-encodes a copy as a clone site would.
func changed(t testing.TB, data []byte, longest, quality int) []byte {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if longest > 0 {
		img = decode.Shrink(img, longest)
	}
	return encoded(t, img, quality)
}

// cropped is the middle of a copy, share of either side.
func cropped(t testing.TB, data []byte, share float64, quality int) []byte {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	w, h := int(float64(b.Dx())*share), int(float64(b.Dy())*share)
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(out, out.Bounds(), img, image.Pt((b.Dx()-w)/2, (b.Dy()-h)/2), draw.Src)
	return encoded(t, out, quality)
}

func encoded(t testing.TB, img image.Image, quality int) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func trace(t testing.TB, r *registry.Registry, q registry.TraceRequest) registry.TraceResult {
	t.Helper()
	if q.Name == "" {
		q.Name = "found.jpg"
	}
	all, err := r.Trace(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d results, want 1: %+v", len(all), all)
	}
	return all[0]
}

func wantNamed(t testing.TB, res registry.TraceResult, account string) {
	t.Helper()
	if res.Verdict != registry.VerdictAttributed || len(res.Accounts) != 1 || res.Accounts[0].Account != account || !res.Accounts[0].Exposed {
		t.Errorf("%s: %s %+v, want %s attributed", res.Input, res.Verdict, res.Accounts, account)
	}
}

// bed is a registry with two decoys of two pictures, shown to a crowd and to the mole.
func bed(t testing.TB, from []registry.Photo) (*registry.Registry, []canary.Decoy) {
	t.Helper()
	r, _ := fresh(t)
	all := planted(t, r, registry.PlantRequest{Decoys: 2, PerDecoy: 2, Photos: from})
	crowd(t, r, 40, all...)
	return r, all
}

func pictures(t testing.TB, r *registry.Registry, decoy string) (out []string) {
	t.Helper()
	for _, d := range rows[registry.DecoyRow](t, r, "decoys", time.Time{}, 0) {
		if d.Decoy == decoy {
			for _, p := range d.Photos {
				out = append(out, p.Photo)
			}
		}
	}
	return out
}

// One registry serves all of these: planting is the slow part.
func TestTrace(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	r, decoys := bed(t, append(photos(t, 2), smalls(t, 2)...))
	d := decoys[0]
	photo := pictures(t, r, d.ID)[1]
	copyOf := served(t, r, "mole", "", d.ID, photo, time.Time{})

	t.Run("names the account whose copy it is", func(t *testing.T) {
		for name, data := range map[string][]byte{
			"as served": copyOf, "q75": changed(t, copyOf, 0, 75), "640 px q75": changed(t, copyOf, 640, 75),
			"320 px q75": changed(t, copyOf, 320, 75), "crop": cropped(t, copyOf, .866, 80),
		} {
			res := trace(t, r, registry.TraceRequest{Name: name, Data: data})
			wantNamed(t, res, "mole")
			if res.Candidates != 41 || *res.Decoy != d.ID || *res.Photo != photo || res.Transform == nil {
				t.Errorf("%s: %+v", name, res)
			}
			if len(res.Accounts) > 0 {
				t.Logf("%-10s %.1f bits, %.2f s, %+v", name, res.Accounts[0].Bits, res.Seconds, *res.Transform)
			}
		}
		if n := len(rows[registry.SightingRow](t, r, "sightings", time.Time{}, 0)); n != 0 {
			t.Errorf("%d sightings were stored without a site", n)
		}
	})

	t.Run("says how the copy was cropped and turned", func(t *testing.T) {
		res := trace(t, r, registry.TraceRequest{Data: cropped(t, copyOf, .8, 85)})
		img, err := jpeg.Decode(bytes.NewReader(copyOf))
		if err != nil {
			t.Fatal(err)
		}
		w, h := float64(img.Bounds().Dx()), float64(img.Bounds().Dy())
		want := [4]float64{w * .1, h * .1, w * .8, h * .8}
		for i, v := range res.Transform.Crop {
			if math.Abs(v-want[i]) > 2 {
				t.Errorf("crop %v, want %v", res.Transform.Crop, want)
				break
			}
		}
		if math.Abs(res.Transform.ScaleX-1) > .003 || res.Transform.Mirror || math.Abs(res.Transform.RotateDeg) > .2 {
			t.Errorf("transform %+v", *res.Transform)
		}
	})

	t.Run("sessions of an account are one account", func(t *testing.T) {
		data := served(t, r, "twoface", "phone", d.ID, photo, time.Time{})
		served(t, r, "twoface", "web", d.ID, photo, time.Time{})
		wantNamed(t, trace(t, r, registry.TraceRequest{Data: changed(t, data, 0, 80)}), "twoface")
	})

	t.Run("names nobody for what was not served", func(t *testing.T) {
		neutral := trace(t, r, registry.TraceRequest{Data: rendition(t, r, photo, canary.Neutral)})
		if neutral.Verdict != registry.VerdictNeutral || len(neutral.Accounts) != 0 {
			t.Errorf("neutral copy: %+v", neutral)
		}
		control := trace(t, r, registry.TraceRequest{Data: changed(t, rendition(t, r, photo, 4711), 0, 80)})
		if control.Verdict != registry.VerdictError || control.Error == "" || len(control.Accounts) != 0 {
			t.Errorf("control copy: %+v", control)
		}
		if h, err := r.Health(t.Context()); err != nil || h.Alarms != 1 {
			t.Errorf("health after a control was found: %+v, %v", h, err)
		}
		v, err := r.Number(t.Context(), "stranger", "")
		if err != nil {
			t.Fatal(err)
		}
		strange := changed(t, rendition(t, r, photo, v), 0, 80)
		if res := trace(t, r, registry.TraceRequest{Data: strange}); res.Verdict != registry.VerdictMarked || len(res.Accounts) != 0 {
			t.Errorf("copy of an account that was never shown it: %+v", res)
		}
		all := trace(t, r, registry.TraceRequest{Data: strange, AllAccounts: true})
		if all.Verdict != registry.VerdictMarked || len(all.Accounts) != 1 || all.Accounts[0].Account != "stranger" || all.Accounts[0].Exposed {
			t.Errorf("the same with all accounts: %+v", all)
		}
		late := served(t, r, "late", "", d.ID, photo, time.Now().Add(time.Hour))
		if res := trace(t, r, registry.TraceRequest{Data: late}); res.Verdict != registry.VerdictMarked || len(res.Accounts) != 0 {
			t.Errorf("copy of an account that was shown it after the capture: %+v", res)
		}
	})

	t.Run("foreign pictures are unknown", func(t *testing.T) {
		res := trace(t, r, registry.TraceRequest{Data: encoded(t, image.NewGray(image.Rect(0, 0, 400, 300)), 80)})
		data, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"input":"found.jpg","decoy":null,"photo":null,"verdict":"unknown","candidates":0,"transform":null,"accounts":[],"seconds":`; !strings.HasPrefix(string(data), want) {
			t.Errorf("%s", data)
		}
		if _, err := r.Trace(t.Context(), registry.TraceRequest{Name: "x", Data: []byte("no picture")}); err == nil {
			t.Error("text was traced")
		}
	})

	t.Run("other keys name nobody", func(t *testing.T) {
		keys, err := canary.NewKeyring()
		if err != nil {
			t.Fatal(err)
		}
		other := open(t, r.Dir(), registry.Options{ReadOnly: true, ForeignKeys: keys})
		if res := trace(t, other, registry.TraceRequest{Data: copyOf}); len(res.Accounts) != 0 || res.Verdict == registry.VerdictAttributed {
			t.Errorf("with foreign keys: %+v", res)
		}
	})
}

func TestSiteEvidence(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	r, decoys := bed(t, smalls(t, 4))
	site := "clone.example"
	var at time.Time
	count := func() int { return len(rows[registry.SightingRow](t, r, "sightings", time.Time{}, 0)) }
	named := func() []registry.AttributionRow {
		return rows[registry.AttributionRow](t, r, "attributions", time.Time{}, 0)
	}
	first := pictures(t, r, decoys[0].ID)[0]
	data := changed(t, served(t, r, "mole", "", decoys[0].ID, first, time.Time{}), 440, 75)
	at = time.Now()

	wantNamed(t, trace(t, r, registry.TraceRequest{Name: "a", Data: data, Site: "https://www." + site + "/x", CapturedAt: at}), "mole")
	a := named()
	if len(a) != 1 || a[0].Site != site || a[0].Account != "mole" || !a[0].SingleSource || a[0].Pictures != 1 || !a[0].Exposed {
		t.Fatalf("attributions after one picture: %+v", a)
	}
	one := a[0].Bits

	// The same file again under its own URL adds nothing; under another it is a sighting that counts once.
	trace(t, r, registry.TraceRequest{Name: "a", Data: data, Site: site, CapturedAt: at.Add(time.Minute)})
	if count() != 1 {
		t.Errorf("%d sightings after the same file again", count())
	}
	trace(t, r, registry.TraceRequest{Name: "b", Data: data, Site: site, CapturedAt: at})
	if a := named(); count() != 2 || a[0].Bits != one {
		t.Errorf("%d sightings, %.3f bits after a byte duplicate; had %.3f", count(), a[0].Bits, one)
	}

	// Reposts of one photo are averaged: never more than the best of them.
	best := one
	for i, longest := range []int{420, 400, 360} {
		repost := changed(t, served(t, r, "mole", "", decoys[0].ID, first, time.Time{}), longest, 70)
		res := trace(t, r, registry.TraceRequest{Name: fmt.Sprint("repost", i), Data: repost, Site: site})
		wantNamed(t, res, "mole")
		best = max(best, res.Accounts[0].Bits)
	}
	a = named()
	if a[0].Bits > best+1 || a[0].Bits < one || !a[0].SingleSource {
		t.Errorf("reposts of one photo: %.3f bits, the best of them has %.3f, single source %v", a[0].Bits, best, a[0].SingleSource)
	}
	one = a[0].Bits

	// Another photo multiplies.
	second := pictures(t, r, decoys[1].ID)[0]
	trace(t, r, registry.TraceRequest{Name: "c", Data: changed(t, served(t, r, "mole", "", decoys[1].ID, second, time.Time{}), 440, 75), Site: site})
	a = named()
	if len(a) != 1 || a[0].Bits < one+60 || a[0].SingleSource || a[0].Pictures != 2 || len(a[0].Decoys) != 2 {
		t.Errorf("two photos: %+v, one had %.3f bits", a, one)
	}

	// One message per site and account, whatever was added.
	hook, _, err := r.AddWebhook(t.Context(), "http://127.0.0.1:9/hook")
	if err != nil {
		t.Fatal(err)
	}
	if hook.Pending != 1 {
		t.Errorf("%d messages in the outbox, want 1", hook.Pending)
	}

	// In site mode an innocent viewer's find names only those whose copy this very picture is.
	other := changed(t, served(t, r, "second", "", decoys[1].ID, pictures(t, r, decoys[1].ID)[1], time.Time{}), 440, 75)
	wantNamed(t, trace(t, r, registry.TraceRequest{Name: "d", Data: other, Site: site}), "second")
	for _, s := range rows[registry.SightingRow](t, r, "sightings", time.Time{}, 0) {
		if s.Verdict == nil || *s.Verdict != registry.VerdictAttributed || s.SHA256 == nil || s.Source != "trace" {
			t.Errorf("sighting %+v", s)
		}
	}
}

func readAll(t testing.TB, f io.Reader) []byte {
	t.Helper()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
