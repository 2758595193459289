package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"birdring/canary"
	"birdring/internal/testkit"
	"birdring/registry"
)

var blanks template

// fresh is an empty registry, whose keys others have too.
func fresh(t testing.TB) (*registry.Registry, string) {
	t.Helper()
	dir := blanks.copy(t, func(*registry.Registry) {})
	return open(t, dir, registry.Options{}), dir
}

// engineEnv says on which engine these tests work: "" is SQLite, "postgres" a
// database for each registry on a server of their own.
const engineEnv = "BIRDRING_TEST_REGISTRY"

func onPostgres() bool { return os.Getenv(engineEnv) == "postgres" }

// onlySQLite skips a test about the file that PostgreSQL does not have.
func onlySQLite(t testing.TB) {
	t.Helper()
	if onPostgres() {
		t.Skip("about SQLite's file")
	}
}

// databases are the URLs of registries in PostgreSQL, by folder.
var databases sync.Map

func databaseOf(dir string) string {
	url, ok := databases.Load(dir)
	if !ok {
		return ""
	}
	return url.(string)
}

func makeRegistry(t testing.TB, dir string) {
	t.Helper()
	if onPostgres() {
		databases.Store(dir, testkit.Postgres(t))
	}
	if _, err := registry.InitIn(t.Context(), dir, databaseOf(dir)); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string, o registry.Options) *registry.Registry {
	t.Helper()
	o.Database = databaseOf(dir)
	r, err := registry.Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// photos are n photos to plant.
func photos(t testing.TB, n int) []registry.Photo {
	t.Helper()
	paths := testkit.Photos(t)
	if len(paths) < n {
		t.Skipf("%d photos are needed, there are %d", n, len(paths))
	}
	var out []registry.Photo
	for _, p := range paths[:n] {
		out = append(out, photoFile(p))
	}
	return out
}

func photoFile(path string) registry.Photo {
	return registry.Photo{Name: filepath.Base(path), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
}

func photoBytes(name string, data []byte) registry.Photo {
	return registry.Photo{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// drawn are the files of small pictures, by seed.
var drawn sync.Map

// small is a picture that takes a ring quickly: texture of few pixels.
func small(t testing.TB, seed uint64) registry.Photo {
	t.Helper()
	data, ok := drawn.Load(seed)
	if !ok {
		data, _ = drawn.LoadOrStore(seed, drawSmall(t, seed))
	}
	return photoBytes(fmt.Sprintf("small-%d.png", seed), data.([]byte))
}

func drawSmall(t testing.TB, seed uint64) []byte {
	t.Helper()
	const w, h = 480, 360
	rng := rand.New(rand.NewPCG(seed, 7))
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	// Blobs of two sizes under grain: enough to find and to read.
	type blob struct{ x, y, r, v float64 }
	var blobs []blob
	for range 220 {
		blobs = append(blobs, blob{rng.Float64() * w, rng.Float64() * h, 4 + rng.Float64()*40, rng.Float64()*160 - 80})
	}
	for y := range h {
		for x := range w {
			v := 128 + rng.NormFloat64()*6
			for _, b := range blobs {
				dx, dy := float64(x)-b.x, float64(y)-b.y
				if dx*dx+dy*dy < b.r*b.r {
					v += b.v
				}
			}
			g := uint8(max(20, min(235, v)))
			img.SetRGBA(x, y, color.RGBA{g, uint8(min(255, int(g)+10)), uint8(max(0, int(g)-10)), 255})
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func smalls(t testing.TB, n int) []registry.Photo {
	out := make([]registry.Photo, n)
	for i := range out {
		out[i] = small(t, uint64(i)+1)
	}
	return out
}

// planted plants n shared decoys of k pictures and returns their ids.
func planted(t testing.TB, r *registry.Registry, q registry.PlantRequest) []canary.Decoy {
	t.Helper()
	if q.Photos == nil {
		q.Photos = smalls(t, (q.Decoys+q.Personal+q.Dark)*q.PerDecoy)
	}
	all, err := r.Plant(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var out []canary.Decoy
	for _, p := range all {
		out = append(out, p.Decoy)
	}
	return out
}

// template is a registry that is made once; tests get copies: planting is slow.
type template struct {
	once     sync.Once
	files    map[string][]byte
	database string // on PostgreSQL
}

// copy returns the folder of a copy, made with plant by who comes first.
func (m *template) copy(t testing.TB, plant func(r *registry.Registry)) (dir string) {
	t.Helper()
	m.once.Do(func() {
		dir := filepath.Join(t.TempDir(), "data")
		makeRegistry(t, dir)
		r, err := registry.Open(t.Context(), dir, registry.Options{Database: databaseOf(dir)})
		if err != nil {
			t.Fatal(err)
		}
		m.database = databaseOf(dir)
		plant(r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		m.files = map[string][]byte{}
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			m.files[name], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	dir = t.TempDir()
	for name, data := range m.files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if m.database != "" {
		databases.Store(dir, testkit.PostgresCopy(t, m.database))
	}
	return dir
}

var plots template

// oneDecoy is a registry with one shared decoy of one picture.
func oneDecoy(t testing.TB) (*registry.Registry, string, canary.Decoy) {
	t.Helper()
	dir := plots.copy(t, func(r *registry.Registry) { planted(t, r, registry.PlantRequest{Decoys: 1, PerDecoy: 1}) })
	r := open(t, dir, registry.Options{})
	all, err := r.Decoys(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d decoys, %v", len(all), err)
	}
	return r, dir, all[0]
}

// rows collects a listing.
func rows[T any](t testing.TB, r *registry.Registry, what string, since time.Time, limit int) []T {
	t.Helper()
	var out []T
	err := r.Rows(t.Context(), what, since, limit, func(row any) error {
		v, ok := row.(T)
		if !ok {
			return fmt.Errorf("row is a %T", row)
		}
		out = append(out, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
