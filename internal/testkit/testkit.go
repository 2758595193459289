// Package testkit is what tests of several packages share: foreign programs that
// may be absent, and photos to work on.
package testkit

import (
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"birdring/internal/demo/paint"
)

// Tool returns the path of a foreign program. A test that needs one which is
// not there is skipped; with BIRDRING_REQUIRE=all in the environment, as in CI, it fails.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	Lack(t, name+" is not installed")
	return ""
}

// Lack ends a test that this system does not let run, and says why: skipped, or
// with BIRDRING_REQUIRE=all failed.
func Lack(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("BIRDRING_REQUIRE") == "all" {
		t.Fatalf("%s and BIRDRING_REQUIRE=all", why)
	}
	t.Skip(why)
}

// Long skips a test of much arithmetic and little concurrency in -short runs,
// such as that with the race detector.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("long")
	}
}

// Root returns the folder of go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}

// Photos returns paths of JPEG photos, sorted: those of the folder BIRDRING_PHOTOS,
// else those of ../shared/photos beside the repository, else painted scenes.
func Photos(t testing.TB) []string {
	t.Helper()
	for _, dir := range []string{os.Getenv("BIRDRING_PHOTOS"), filepath.Join(Root(t), "..", "shared", "photos")} {
		if dir == "" {
			continue
		}
		if found := jpegs(t, dir); len(found) > 0 {
			return found
		}
	}
	return painted(t)
}

func jpegs(t testing.TB, dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Logf("photos: %v", err)
		return nil
	}
	var out []string
	for _, e := range entries {
		if strings.EqualFold(filepath.Ext(e.Name()), ".jpg") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(out)
	return out
}

// scenes paints once a process what painted hands out to every test.
var scenes = sync.OnceValue(func() []image.Image {
	var out []image.Image
	for seed := range uint64(8) {
		w, h := 1080, 810
		if seed%3 == 2 {
			w, h = h, w
		}
		out = append(out, paint.Scene(seed+1, w, h))
	}
	return out
})

func painted(t testing.TB) []string {
	dir := t.TempDir()
	var out []string
	for i, img := range scenes() {
		path := filepath.Join(dir, "painted-"+string(rune('a'+i))+".jpg")
		WriteJPEG(t, path, img, 92)
		out = append(out, path)
	}
	return out
}

// WriteJPEG writes img as a JPEG file.
func WriteJPEG(t testing.TB, path string, img image.Image, quality int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(f, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
