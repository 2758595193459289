package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
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

// fresh makes a registry and opens it.
func fresh(t testing.TB) (*registry.Registry, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	makeRegistry(t, dir)
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

// small is a picture that takes a ring quickly: texture of few pixels.
func small(t testing.TB, seed uint64) registry.Photo {
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
	return photoBytes(fmt.Sprintf("small-%d.png", seed), buf.Bytes())
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
