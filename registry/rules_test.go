package registry_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/registry"
)

// One photo stands in three decoys and in two sizes. A file found says the average
// of what it says about the pictures it could come from: not the product, not the
// best. A second file of it, of the other size, is a repost.
func TestOnePhotoInThreeDecoysAndTwoSizes(t *testing.T) {
	s := newStage(t, 4)
	if err := s.Group(s.photos...); err != nil {
		t.Fatal(err)
	}
	v, err := s.Number(t.Context(), "crowd-005", "")
	if err != nil {
		t.Fatal(err)
	}
	var seen ring.Sightings
	best, product := int64(0), int64(0)
	for n := range 2 {
		var as []registry.Read
		var scores []ring.Score
		for i := range s.photos {
			photo := s.photos[(i+n)%len(s.photos)]
			y := s.copyOf(t, photo, 1.3+.2*float64(i), uint64(10*n+i), "crowd-005")
			as = append(as, registry.Read{Photo: photo, Y: y})
			book, err := s.Book(t.Context(), photo)
			if err != nil {
				t.Fatal(err)
			}
			reading, err := ring.NewReading(book, y)
			if err != nil {
				t.Fatal(err)
			}
			scores = append(scores, reading.Score(uint64(v)))
			best, product = max(best, scores[i].Alone()), product+scores[i].Alone()
		}
		seen.See(ring.Average(scores))
		if err := s.Found(t.Context(), "clone.example", s.at.Add(time.Duration(n)*time.Second), as...); err != nil {
			t.Fatal(err)
		}
		var l ring.Ledger
		if err := l.Rings(seen.Factor("photo")); err != nil {
			t.Fatal(err)
		}
		l.Silent(ring.KindLink) // links were handed out and none was found
		got, want := s.attributed(t)["crowd-005"], l.Millibits()
		if got != want || want < ring.AttributedMillibits || want > best {
			t.Errorf("file %d: %d millibits, the average is %d; the best picture has %d, the product about %d", n+1, got, want, best, product)
		}
	}
	a := rows[registry.AttributionRow](t, s.Registry, "attributions", time.Time{}, 0)
	if len(a) != 1 || a[0].Pictures != 1 || !a[0].SingleSource {
		t.Errorf("one photo in several decoys counts as %+v", a)
	}
}

// stage is a registry of small pictures whose finds are made of drawn soft values.
type stage struct {
	*registry.Registry
	photos []string
	at     time.Time
	token  string // of the console, once it was served
}

// stages have four shared decoys of one picture that sixty accounts were shown.
var stages template

func newStage(t testing.TB, pictures int) *stage {
	t.Helper()
	dir := stages.copy(t, func(r *registry.Registry) {
		crowd(t, r, 60, planted(t, r, registry.PlantRequest{Decoys: 4, PerDecoy: 1, Share: 1})...)
	})
	s := &stage{Registry: open(t, dir, registry.Options{}), at: time.Now().Add(time.Hour)}
	for _, d := range decoysOf(t, s)[:pictures] {
		s.photos = append(s.photos, d.Avatar)
	}
	return s
}

// copyOf are the soft values of the mean of some accounts' copies, with errors.
func (s *stage) copyOf(t testing.TB, photo string, noise float64, seed uint64, accounts ...string) []int16 {
	t.Helper()
	book, err := s.Book(t.Context(), photo)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	y := make([]int16, book.M())
	words := make([][]uint64, len(accounts))
	for i, name := range accounts {
		v, err := s.Number(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		words[i] = make([]uint64, book.Words())
		book.Codeword(words[i], uint64(v))
	}
	for k, pos := range book.Order() {
		f := -1.
		if words[rng.IntN(len(words))][pos>>6]>>(pos&63)&1 == 1 {
			f = 1
		}
		y[k] = int16(800 * (f + noise*rng.NormFloat64()))
	}
	return y
}

func (s *stage) attributed(t testing.TB) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, a := range rows[registry.AttributionRow](t, s.Registry, "attributions", time.Time{}, 0) {
		out[a.Account] = int64(a.Bits*1000 + .5)
	}
	return out
}

// Adding finds one by one gives the same bits as weighing them all at once, with
// caches and without, exposures told later included.
func TestCachesChangeNoBit(t *testing.T) {
	s := newStage(t, 4)
	for i := range 12 {
		photo := s.photos[i%len(s.photos)]
		y := s.copyOf(t, photo, 1.5, uint64(i), fmt.Sprintf("crowd-%03d", i%3))
		if err := s.Found(t.Context(), "a.example", s.at.Add(time.Duration(i)*time.Second), registry.Read{Photo: photo, Y: y}); err != nil {
			t.Fatal(err)
		}
		if i == 7 { // told late: it was shown before all finds
			crowd(t, s.Registry, 80, decoysOf(t, s)...)
		}
	}
	kept := s.attributed(t)
	s.DropCaches()
	photo := s.photos[0]
	y := s.copyOf(t, photo, 1.5, 99, "crowd-000")
	for _, site := range []string{"a.example", "a.example"} {
		if err := s.Found(t.Context(), site, s.at.Add(time.Hour), registry.Read{Photo: photo, Y: y}); err != nil {
			t.Fatal(err)
		}
	}
	cold := s.attributed(t)
	s2 := open(t, s.Dir(), registry.Options{})
	if err := s2.Found(t.Context(), "a.example", s.at.Add(2*time.Hour), registry.Read{Photo: s.photos[1], Y: s.copyOf(t, s.photos[1], 1.5, 100, "crowd-001")}); err != nil {
		t.Fatal(err)
	}
	warm := s.attributed(t)
	if err := s.Found(t.Context(), "a.example", s.at.Add(2*time.Hour), registry.Read{Photo: s.photos[1], Y: s.copyOf(t, s.photos[1], 1.5, 100, "crowd-001")}); err != nil {
		t.Fatal(err)
	}
	if again := s.attributed(t); len(kept) == 0 || !sameBits(warm, again) {
		t.Errorf("caches change what is found: %v, %v, %v, %v", kept, cold, warm, again)
	}
	for name := range kept {
		e, err := s.Explain(t.Context(), "a.example", name, false)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Same {
			t.Errorf("explained from scratch %s has %.3f bits, stored are %.3f", name, e.Bits, e.Stored)
		}
	}
}

func sameBits(a, b map[string]int64) bool {
	return len(a) == len(b) && func() bool {
		for k, v := range a {
			if b[k] != v {
				return false
			}
		}
		return true
	}()
}

func decoysOf(t testing.TB, s *stage) (out []canary.Decoy) {
	t.Helper()
	all, err := s.Decoys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Reposts of one photo never multiply: twenty weak ones stay below the line that
// twenty distinct photos would be far over.
func TestRepostsDoNotMultiply(t *testing.T) {
	s := newStage(t, 1)
	one := int64(0)
	for i := range 20 {
		if err := s.Found(t.Context(), "b.example", s.at.Add(time.Duration(i)*time.Second), registry.Read{Photo: s.photos[0], Y: s.copyOf(t, s.photos[0], 4.2, uint64(i), "crowd-003")}); err != nil {
			t.Fatal(err)
		}
		if m := s.attributed(t)["crowd-003"]; m > 0 && one == 0 {
			one = m
		}
	}
	if one != 0 {
		t.Errorf("reposts of one weak photo were attributed with %d millibits", one)
	}
}

// Three accounts mix their copies of two photos: all are found, the last with what
// the rings of the others explain.
func TestMixedCopiesNameTheCoalition(t *testing.T) {
	s := newStage(t, 2)
	farm := []string{"crowd-004", "crowd-011", "crowd-029"}
	for i, photo := range s.photos {
		if err := s.Found(t.Context(), "c.example", s.at.Add(time.Duration(i)*time.Second), registry.Read{Photo: photo, Y: s.copyOf(t, photo, .3, uint64(40+i), farm...)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for name := range s.attributed(t) {
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, farm) {
		t.Errorf("attributed %v, want %v", got, farm)
	}
}

// A personal decoy's handle and an account's link found on a page are factors of
// their own; without them the same picture says less.
func TestHandlesAndLinksAreFactors(t *testing.T) {
	t.Parallel()
	r, _ := fresh(t)
	decoys := planted(t, r, registry.PlantRequest{Personal: 1, Decoys: 1, Share: 1, PerDecoy: 1})
	crowd(t, r, 20, decoys[0])
	mine := decoys[1]
	copies, err := r.Expose(t.Context(), []registry.Exposure{{Account: "mole", Decoy: mine.ID, Surface: "profile"}, {Account: "mole", Decoy: decoys[0].ID, Surface: "profile"}})
	if err != nil {
		t.Fatal(err)
	}
	site := newClone(t, map[string][]byte{
		"/":                 fmt.Appendf(nil, `<a href="/u/%s">one</a>`, mine.Handle),
		"/u/" + mine.Handle: fmt.Appendf(nil, `<h1>@%s</h1><a href="%s">bio</a><img src="/a.jpg">`, mine.Handle, copies[0].Link),
		"/a.jpg":            changed(t, rendition(t, r, mine.Avatar, copies[0].Viewer), 440, 80),
	})
	if _, results := scan(t, r, site.URL); len(results) != 1 || results[0].Account == nil || *results[0].Account != "mole" {
		t.Fatalf("results %+v", results)
	}
	e, err := r.Explain(t.Context(), site.URL, "mole", true)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]float64{}
	for _, f := range e.Factors {
		kinds[f.Kind] += f.Bits
	}
	if !e.Same || kinds["ring"] < 64 || kinds["handle"] < 10 || kinds["link"] < 50 || e.Parts.Handles < 10 || e.Parts.Links < 50 {
		t.Errorf("explained: %+v", e)
	}
	if sum := e.Parts.Rings + e.Parts.Handles + e.Parts.Links + e.Parts.Coins + e.Parts.Probes; sum < e.Bits-.01 || sum > e.Bits+.01 {
		t.Errorf("parts sum to %.3f of %.3f bits", sum, e.Bits)
	}
	if e.Reread == nil || *e.Reread < .99*e.Bits || *e.Reread > 1.01*e.Bits {
		t.Errorf("read again: %v, had %.3f", e.Reread, e.Bits)
	}
	// A link nobody gave, or of an account that was never seen, says nothing; one
	// account's link says nothing about another.
	if _, err := r.Explain(t.Context(), site.URL, "crowd-001", false); err == nil {
		t.Error("an account below the line was explained")
	}

	// Where strings of the form of a token were met before it, a link says less:
	// 64 - log2(i(i+1)) bits.
	noise := []byte(fmt.Sprintf(`<a href="/u/%s">one</a>`, mine.Handle))
	const many = 1000
	for i := range many {
		noise = fmt.Appendf(noise, " aa%sa", strings.Map(func(c rune) rune { return c - '0' + 'a' }, fmt.Sprintf("%025d", i)))
	}
	site.files["/"] = noise
	loud := newClone(t, site.files)
	scan(t, r, loud.URL)
	less, err := r.Explain(t.Context(), loud.URL, "mole", true)
	if err != nil {
		t.Fatal(err)
	}
	was := kinds["link"]
	for _, f := range less.Factors {
		if want := was - math.Log2((many+1)*(many+2)/2); f.Kind == "link" && math.Abs(f.Bits-want) > .1 {
			t.Errorf("link behind %d strings: %.3f bits, alone %.3f, want %.3f", many, f.Bits, was, want)
		}
	}
}

// A handle names its account only if it is spelled as it was drawn and was no secret
// told before: a decoy that was burnt is still found, by its pictures.
func TestHandleProvesWhileItIsSecret(t *testing.T) {
	t.Parallel()
	r, _ := fresh(t)
	mine := planted(t, r, registry.PlantRequest{Personal: 1, PerDecoy: 1})[0]
	copies, err := r.Expose(t.Context(), []registry.Exposure{{Account: "mole", Decoy: mine.ID, Surface: "profile"}})
	if err != nil {
		t.Fatal(err)
	}
	found := changed(t, rendition(t, r, mine.Avatar, copies[0].Viewer), 440, 80)
	on := func(name string) (handle float64, sightings int) {
		t.Helper()
		site := newClone(t, map[string][]byte{
			"/":      []byte(`<a href="/p">one</a>`),
			"/p":     fmt.Appendf(nil, `<h1>@%s</h1><img src="/a.jpg">`, name),
			"/a.jpg": found,
		})
		if _, results := scan(t, r, site.URL); len(results) != 1 || results[0].Account == nil || *results[0].Account != "mole" {
			t.Fatalf("@%s: %+v", name, results)
		}
		e, err := r.Explain(t.Context(), site.URL, "mole", false)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Same {
			t.Errorf("@%s: explained %.3f bits, stored %.3f", name, e.Bits, e.Stored)
		}
		for _, row := range rows[registry.SightingRow](t, r, "sightings", time.Time{}, 0) {
			if row.Kind == "handle" && strings.HasPrefix(row.URL, site.URL) {
				sightings++
			}
		}
		return e.Parts.Handles, sightings
	}
	// One find is worth 64 bits at most, however rare the handle.
	if bits, n := on(mine.Handle); bits < min(mine.HandleBits, 64)-12 || n != 1 {
		t.Errorf("plain: %.1f bits of %.1f, %d sightings", bits, mine.HandleBits, n)
	}
	cyrillic := strings.NewReplacer("o", "\u043e", "e", "\u0435", "a", "\u0430", "i", "\u0456", "c", "\u0441", "p", "\u0440", "x", "\u0445", "y", "\u0443", "s", "\u0455")
	if unlike := cyrillic.Replace(mine.Handle); unlike != mine.Handle { // nearly every handle has one of these
		if bits, n := on(unlike); bits > 0 || n != 1 {
			t.Errorf("disguised: %.1f bits, %d sightings", bits, n)
		}
	}
	if _, err := r.Burn(t.Context(), mine.ID, "named in a forum"); err != nil {
		t.Fatal(err)
	}
	if bits, n := on(mine.Handle); bits > 0 || n != 1 {
		t.Errorf("burnt: %.1f bits, %d sightings", bits, n)
	}
}
