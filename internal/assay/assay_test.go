package assay_test

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"birdring/internal/assay"
	"birdring/internal/assay/change"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
	"birdring/registry"
)

// photo is a photo that lies in memory.
func photo(name string, data []byte) registry.Photo {
	return registry.Photo{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

func painting(t *testing.T, seed uint64, w, h int) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, paint.Scene(seed, w, h), &jpeg.Options{Quality: 93}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func bed(t *testing.T, photos ...registry.Photo) *assay.Bed {
	t.Helper()
	b, err := assay.Plant(t.Context(), photos, assay.Options{Accounts: 40, Companions: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestAssay plants a painted photo and does the quick plan to it: every row must
// say what it measured, the light changes must lead to the account, and no row to another.
func TestAssay(t *testing.T) {
	testkit.Long(t)
	b := bed(t, photo("scene.jpg", painting(t, 21, 512, 368)))
	if len(b.Pictures) != 1 || b.Pictures[0].File != "scene.jpg" || b.Pictures[0].Segments != b.Pictures[0].Grid.Segments() {
		t.Fatalf("planted %+v", b.Pictures)
	}
	plan := assay.Quick()
	rows, err := b.Assay(t.Context(), b.Pictures[0], plan)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(plan.Singles)+len(plan.Collusions) {
		t.Fatalf("%d rows for %d changes and %d collusions", len(rows), len(plan.Singles), len(plan.Collusions))
	}
	must := map[string]bool{"jpeg75": true, "crop25_off": true, "rot2": true, "thumb320": true}
	for _, r := range rows {
		t.Logf("%-10s %-30s %2d  %8.1f bits  z %5.1f of %4.1f  %s", r.Matrix, r.Change, r.Copies, r.Bits, r.Z, math.Sqrt(float64(r.Left)), r.Verdict)
		if len(r.Wrong) > 0 {
			t.Errorf("%s leads to %v", r.Change, r.Wrong)
		}
		if r.Z > math.Sqrt(float64(r.Segments)) {
			t.Errorf("%s: z %.1f is more than the root of %d segments", r.Change, r.Z, r.Segments)
		}
		if !(r.PSNR > 46 && r.PSNR < 70 && r.SSIM > .98 && r.SSIM < 1) {
			t.Errorf("%s: PSNR %.1f, SSIM %.4f", r.Change, r.PSNR, r.SSIM)
		}
		if (r.Verdict == registry.VerdictAttributed) != (r.Named > 0) {
			t.Errorf("%s: %s, and %d named", r.Change, r.Verdict, r.Named)
		}
		if must[r.Change] && !r.Reaches() {
			t.Errorf("%s: %.1f bits, %s", r.Change, r.Bits, r.Verdict)
		}
	}
	if got := assay.Judge(rows); !strings.HasPrefix(got, assay.AdvicePlant) {
		t.Error(got)
	}
	t.Run("z", func(t *testing.T) { checkZ(t, b) })
	t.Run("foreign", func(t *testing.T) { checkForeign(t, b) })
	t.Run("report", func(t *testing.T) { checkReport(t, b, rows) })
}

// checkReport: the page needs nothing but itself, and a file's name is never markup.
func checkReport(t *testing.T, b *assay.Bed, rows []assay.Row) {
	const evil = `<img src=x onerror=alert(1)>"'.jpg`
	hostile := *b.Pictures[0]
	hostile.File = evil
	rows = slices.Clone(rows)
	rows[0].Wrong = []string{evil}
	r := assay.Report{At: time.Unix(1.7e9, 0), Left: []string{evil}, Refused: []registry.Refused{{File: evil, Reason: evil}}}
	if err := r.Add(t.Context(), b, &hostile, rows); err == nil {
		t.Error("a photo that is no longer there was added")
	}
	r.Photos = nil
	if err := r.Add(t.Context(), b, b.Pictures[0], rows); err != nil {
		t.Fatal(err)
	}
	r.Photos[0].Picture = &hostile
	var page strings.Builder
	if err := r.Write(&page); err != nil {
		t.Fatal(err)
	}
	html := page.String()
	if strings.Contains(html, "<img src=x") || !strings.Contains(html, "&lt;img src=x onerror=alert(1)&gt;") {
		t.Error("the name of a file is markup in the page")
	}
	if n := strings.Count(html, `<img src="data:image/jpeg;base64,`); n != len(rows)+2 || n != strings.Count(html, "<img") {
		t.Errorf("%d pictures in the page, want %d", n, len(rows)+2)
	}
	for _, outside := range []string{"http:", "https:", "<script", "<link"} {
		if strings.Contains(html, outside) {
			t.Errorf("the page refers outside: %s", outside)
		}
	}
	if !strings.Contains(html, "leads to") {
		t.Error("a wrong account is not told")
	}
}

// checkZ: the right account's z is far above everybody else's.
func checkZ(t *testing.T, b *assay.Bed) {
	p := b.Pictures[0]
	row, f, err := b.SingleRow(t.Context(), p, change.ByName("thumb320"), 5)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		v, err := b.Reg.Number(t.Context(), assay.Account(n), "")
		if err != nil {
			t.Fatal(err)
		}
		switch z := f.Centred(v); {
		case n == 5:
			if math.Abs(f.Z(v)-row.Z) > .001 || z < 12 {
				t.Errorf("right account: z %v, %v by its code, row says %v", f.Z(v), z, row.Z)
			}
		case math.Abs(z) > 6: // chance 2e-9 each
			t.Errorf("account %d: z %v", n, z)
		}
	}
}

// checkForeign: a foreign program's file lies as its twin does and leads to the same account.
func checkForeign(t *testing.T, b *assay.Bed) {
	testkit.Tool(t, "convert")
	testkit.Tool(t, "cwebp")
	foreign, err := assay.ForeignChanges()
	if err != nil {
		t.Fatal(err)
	}
	for i := range foreign {
		c := &foreign[i]
		if c.Twin == nil {
			t.Fatalf("%s has no twin", c.Name)
		}
		if c.Name != "320px-q75" && c.Name != "rot2" {
			continue
		}
		row, f, err := b.ForeignRow(t.Context(), b.Pictures[0], c, 3)
		if err != nil {
			t.Fatal(err)
		}
		made, err := c.Twin.Make(mustServe(t, b, 3), 3)
		if err != nil {
			t.Fatal(err)
		}
		a, want := f.Affine, made.Truth.Affine
		if math.Abs(a.A-want.A) > .005 || math.Abs(a.B-want.B) > .005 || math.Abs(a.C-want.C) > 1 || math.Abs(a.F-want.F) > 1 {
			t.Errorf("%s lies at %+v, its twin at %+v", c.Name, a, want)
		}
		if row.Bits < 64 {
			t.Errorf("%s: %.1f bits", c.Name, row.Bits)
		}
	}
}

// TestBadPhotos: what cannot be planted is named with its reason, whatever its
// name and content, also when nothing else is there.
func TestBadPhotos(t *testing.T) {
	var plain bytes.Buffer
	if err := png.Encode(&plain, image.NewGray(image.Rect(0, 0, 700, 700))); err != nil {
		t.Fatal(err)
	}
	const evil = "<script>alert(1)</script>\n\x1b[2J.jpg"
	b := bed(t,
		photo(evil, []byte("\xff\xd8\xff no picture")),
		photo("small.jpg", painting(t, 1, 200, 150)),
		photo("plain.png", plain.Bytes()),
		photo("empty.jpg", nil),
		registry.Photo{Name: "gone.jpg", Open: func() (io.ReadCloser, error) { return nil, os.ErrNotExist }},
	)
	if len(b.Pictures) != 0 || len(b.Refused) != 5 {
		t.Fatalf("planted %d, refused %v", len(b.Pictures), b.Refused)
	}
	for i, want := range []struct{ file, reason string }{
		{evil, "picture"}, {"small.jpg", "small"}, {"plain.png", "plain"}, {"empty.jpg", "empty"}, {"gone.jpg", "not exist"},
	} {
		if got := b.Refused[i]; got.File != want.file || !strings.Contains(got.Reason, want.reason) {
			t.Errorf("%q refused: %s; want one that says %q", got.File, got.Reason, want.reason)
		}
	}
}

// TestClose: the keys die with the bed.
func TestClose(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	b, err := assay.Plant(t.Context(), nil, assay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func mustServe(t *testing.T, b *assay.Bed, n int) []byte {
	t.Helper()
	data, err := b.Served(t.Context(), b.Pictures[0], n)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestExamineRefusesSites: measuring never touches a site's evidence.
func TestExamineRefusesSites(t *testing.T) {
	b := bed(t)
	if _, err := b.Reg.Examine(t.Context(), registry.TraceRequest{Site: "clone.example", Data: []byte("x")}); !errors.Is(err, registry.ErrInvalid) {
		t.Error(err)
	}
}

// TestJudge: the advice follows from the rows.
func TestJudge(t *testing.T) {
	row := func(matrix, name string, copies, named int, bits float64) assay.Row {
		return assay.Row{Matrix: matrix, Change: name, When: name, Copies: copies, Named: named, Bits: bits}
	}
	good := func(name string) assay.Row { return row(assay.Single, name, 1, 1, 500) }
	bad := func(name string) assay.Row { return row(assay.Single, name, 1, 0, 20) }
	wrong := good("a")
	wrong.Wrong = []string{"acct-00001"}
	for _, c := range []struct {
		rows []assay.Row
		want string
	}{
		{[]assay.Row{good("jpeg75"), good("a")}, "plant"},
		{[]assay.Row{good("jpeg75"), good("a"), good("b"), bad("small")}, "plant, weak when it is small"},
		{[]assay.Row{good("jpeg75"), good("a"), bad("b"), bad("c")}, "do not plant: 2 of 4 changes are too much for it"},
		{[]assay.Row{bad("jpeg75"), good("a"), good("b"), good("c"), good("d")}, "do not plant: a plain JPEG 75 is too much for it"},
		{[]assay.Row{good("jpeg75"), row(assay.Collusion, "two", 2, 1, 10)}, "plant, weak when two"},
		{[]assay.Row{good("jpeg75"), row(assay.Collusion, "four", 4, 0, 10)}, "plant"},
		{[]assay.Row{good("jpeg75"), wrong}, "do not plant: when it is a, it leads to an account it was not served to"},
	} {
		if got := assay.Judge(c.rows); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
