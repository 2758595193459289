package mark_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"birdring/canary"
	"birdring/canary/mark"
	"birdring/canary/ring"
	"birdring/internal/testkit"
)

// planted is a photo prepared for the tables.
type planted struct {
	name   string
	key    []byte
	pic    *canary.Picture
	ref    *mark.Reference
	render *canary.Renderer
	file   string // rendition of viewer guilty
	plain  string // an ordinary JPEG of the photo, unringed
	report *canary.Report
}

const guilty = canary.Viewer(70_001)

// plant prepares photos, at most n of them (0: all), spread over the folder from its first to its last.
func plant(t testing.TB, dir string, n int) []*planted {
	t.Helper()
	paths := testkit.Photos(t)
	if only := os.Getenv("BIRDRING_ONLY"); only != "" {
		paths = slices.DeleteFunc(paths, func(p string) bool { return !strings.Contains(p, only) })
	}
	if n > 0 && n < len(paths) {
		var some []string
		for i := range n {
			some = append(some, paths[i*(len(paths)-1)/max(1, n-1)])
		}
		paths = some
	}
	var out []*planted
	for i, path := range paths {
		out = append(out, plantOne(t, dir, path, byte(i)))
	}
	return out
}

func plantOne(t testing.TB, dir, path string, seed byte) *planted {
	t.Helper()
	p := &planted{name: strings.TrimSuffix(filepath.Base(path), ".jpg"), key: bytes.Repeat([]byte{seed + 1}, 32)}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, p.name+".picture")
	if data, err := os.ReadFile(kept); err == nil {
		if p.pic, err = canary.UnmarshalPicture(data); err != nil {
			t.Fatal(err)
		}
	} else {
		if p.pic, p.report, err = canary.Prepare(img, canary.PrepareOptions{ID: p.name, Num: 1, Code: ring.D, Key: p.key}); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		data, err := p.pic.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		save(t, kept, data)
	}
	if p.ref, err = p.pic.Reference(); err != nil {
		t.Fatal(err)
	}
	if p.render, err = canary.NewRenderer(p.pic, p.key); err != nil {
		t.Fatal(err)
	}
	p.file = filepath.Join(dir, p.name+".jpg")
	save(t, p.file, p.render.Append(nil, guilty))
	p.plain = filepath.Join(dir, p.name+"-plain.jpg")
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	save(t, p.plain, buf.Bytes())
	return p
}

func save(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// result is one reading judged by the ring of the guilty viewer.
type result struct {
	bits, marked float64
	z            float64 // correlation of the soft values with the ring
	wrong, read  int
	seconds      float64
	innocent     float64 // most bits among some others
}

func (p *planted) judge(t testing.TB, s *mark.Suspect, tr mark.Affine) result {
	t.Helper()
	start := time.Now()
	soft, err := mark.Read(t.Context(), p.ref, s, tr)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	r := result{seconds: time.Since(start).Seconds(), marked: float64(soft.MarkedMillibits) / 1000, read: soft.Read}
	book := p.render.Book()
	reading, err := ring.NewReading(book, soft.Y)
	if err != nil {
		t.Fatal(err)
	}
	bits := func(v uint64) float64 {
		return float64(reading.Score(v).Alone()) / 1000
	}
	r.bits, r.innocent = bits(uint64(guilty)), math.Inf(-1)
	for v := range uint64(40) {
		r.innocent = max(r.innocent, bits(80_000+v))
	}
	word := make([]uint64, book.Words())
	book.Codeword(word, uint64(guilty))
	var sum, square float64
	for k, pos := range book.Order() {
		y := float64(soft.Y[k])
		c := 2*float64(word[pos>>6]>>(pos&63)&1) - 1
		sum += c * y
		square += y * y
		if c*y < 0 {
			r.wrong++
		}
	}
	if square > 0 {
		r.z = sum / math.Sqrt(square)
	}
	return r
}

func kept(t testing.TB) string {
	if dir := os.Getenv("BIRDRING_KEEP"); dir != "" {
		return dir
	}
	return t.TempDir()
}

func some(t testing.TB, n int) int {
	if v := os.Getenv("BIRDRING_COUNT"); v != "" {
		k, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	return n
}

// promised are the attacks that come first: every photo must be read after them.
const promised = 7

// taken are the photos for attack i: all of them after those that are promised, by turns one
// after the others unless photos were asked for.
func taken(photos []*planted, i int) []*planted {
	if i < promised || os.Getenv("BIRDRING_COUNT") != "" {
		return photos
	}
	return photos[i%len(photos):][:1]
}

func chosen(name string) bool {
	only := os.Getenv("BIRDRING_ATTACKS")
	return only == "" || slices.Contains(strings.Split(only, ";"), name)
}

// TestTables reads what foreign programs make of photos, with a ring and without one, side by
// side. BIRDRING_COUNT=0 takes all photos, every one for every attack.
func TestTables(t *testing.T) {
	dir := kept(t)
	photos := plant(t, dir, some(t, 2))
	t.Run("ringed", func(t *testing.T) { t.Parallel(); readTable(t, dir, photos) })
	t.Run("unringed", func(t *testing.T) { t.Parallel(); unringedTable(t, dir, photos) })
}

// readTable reads attacked renditions, the transform given, and prints per
// attack median and worst bits of the right account.
func readTable(t *testing.T, dir string, photos []*planted) {
	for i, a := range attacks {
		if !chosen(a.name) || testing.Short() && i >= promised {
			continue
		}
		var bits, zs, marked, secs []float64
		worst, wrong := "", 0.0
		innocent := math.Inf(-1)
		photos := taken(photos, i)
		for _, p := range photos {
			s, tr := a.make(t, dir, p.file, p.pic.W, p.pic.H)
			r := p.judge(t, s, tr)
			if os.Getenv("BIRDRING_VERBOSE") != "" {
				t.Logf("   %-24s %-14s bits %7.1f z %5.1f of %4.1f, wrong %4d of %4d, marked %8.0f, %.2f s", p.name, a.name, r.bits, r.z, math.Sqrt(float64(r.read)), r.wrong, r.read, r.marked, r.seconds)
			}
			if len(bits) == 0 || r.bits < slices.Min(bits) {
				worst = p.name
			}
			bits, zs, marked, secs = append(bits, r.bits), append(zs, r.z), append(marked, r.marked), append(secs, r.seconds)
			wrong += float64(r.wrong) / float64(max(1, r.read)) / float64(len(photos))
			innocent = max(innocent, r.innocent)
			if i < promised && r.bits < 64 {
				t.Errorf("%s, %s: %.1f bits, want 64", p.name, a.name, r.bits)
			}
		}
		t.Logf("%-15s bits %7.1f worst %7.1f (%-12.12s) z %5.1f worst %5.1f  wrong %4.1f%%  marked %7.0f worst %6.0f  innocent %5.1f  %.2f s",
			a.name, median(bits), slices.Min(bits), worst, median(zs), slices.Min(zs), 100*wrong, median(marked), slices.Min(marked), innocent, median(secs))
	}
}

// unringedTable reads originals that carry no ring: never marked.
func unringedTable(t *testing.T, dir string, photos []*planted) {
	for i, a := range attacks {
		if !chosen(a.name) || testing.Short() && i >= promised {
			continue
		}
		var marked, bits []float64
		worst := ""
		for _, p := range taken(photos, i) {
			s, tr := a.make(t, dir, p.plain, p.pic.W, p.pic.H)
			r := p.judge(t, s, tr)
			if len(marked) == 0 || r.marked > slices.Max(marked) {
				worst = p.name
			}
			marked, bits = append(marked, r.marked), append(bits, r.innocent)
			if r.marked >= 58 {
				t.Errorf("%s, unringed, %s: marked by %.0f bits", p.name, a.name, r.marked)
			}
		}
		t.Logf("%-15s marked %9.1f most %9.1f (%-12.12s) most bits %5.1f", a.name, median(marked), slices.Max(marked), worst, slices.Max(bits))
	}
}

func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	return s[len(s)/2]
}
