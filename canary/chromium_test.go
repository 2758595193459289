package canary_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"birdring/canary"
	"birdring/canary/jpeg"
	"birdring/canary/ring"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

// comparePixels draws two pictures in a page and counts the samples in which
// they differ; -1 if one of them does not load or they differ in size.
const comparePixels = `(async () => {
	const pixels = async name => {
		const img = new Image();
		img.src = name;
		await img.decode();
		const c = document.createElement("canvas");
		c.width = img.naturalWidth; c.height = img.naturalHeight;
		const g = c.getContext("2d");
		g.drawImage(img, 0, 0);
		return g.getImageData(0, 0, c.width, c.height).data;
	};
	try {
		const [a, b] = [await pixels("%s"), await pixels("%s")];
		if (a.length !== b.length || a.length === 0) return -1;
		let n = 0;
		for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) n++;
		return n;
	} catch (e) { return -1; }
})()`

// A browser shows of a rendition exactly the pixels that it shows of libjpeg's
// own file of the same coefficients.
func TestChromiumShowsRenditionsAsOrdinaryFiles(t *testing.T) {
	browser, jpegtran := testkit.Tool(t, "chromium"), testkit.Tool(t, "jpegtran")
	files := map[string][]byte{"/": []byte("<!doctype html><title>pictures</title>")}
	names := []string{}
	all := subjects(t)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if i%3 != 0 {
			continue // the browser decodes with libjpeg too: djpeg is given all of them
		}
		r := preparedSubject(t, name, all[name]).renderer
		at := fmt.Sprint("/", len(names))
		names = append(names, name)
		files[at] = r.Append(nil, canary.FirstViewer)
		files[at+"p"] = pipe(t, files[at], jpegtran, "-progressive", "-copy", "all")
		// What must be told apart: the copy of another viewer.
		files[at+"o"] = r.Append(nil, canary.FirstViewer+1)
	}
	r := progressive(t)
	at := fmt.Sprint("/", len(names))
	names = append(names, "progressive")
	files[at] = r.Append(nil, canary.FirstViewer)
	files[at+"p"] = pipe(t, files[at], jpegtran, "-optimize", "-copy", "all")
	files[at+"o"] = r.Append(nil, canary.FirstViewer+1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if data, ok := files[r.URL.Path]; ok {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
			return
		}
		http.NotFound(w, r)
	}))
	defer srv.Close()
	ctx := startBrowser(t, browser)
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/")); err != nil {
		t.Fatal(err)
	}
	differing := func(a, b string) int {
		t.Helper()
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](fmt.Sprintf(comparePixels, a, b), chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, name := range names {
		at := fmt.Sprint("/", i)
		if n := differing(at, at+"p"); n != 0 {
			t.Errorf("%s: %d samples differ from those of an ordinary encoding", name, n)
		}
		if n := differing(at, at+"o"); n < 1000 {
			t.Errorf("%s: the copies of two viewers differ in %d samples: this test sees nothing", name, n)
		}
	}
}

// progressive is a picture in libjpeg's progressive dialect.
func progressive(t *testing.T) *canary.Renderer {
	t.Helper()
	img := paint.Scene(11, 424, 403)
	theirs := pipe(t, ppm(img, 1), testkit.Tool(t, "cjpeg"), "-quality", "85", "-progressive")
	d, _, err := jpeg.Learn([]jpeg.Sample{{Data: theirs}})
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := canary.Prepare(img, canary.PrepareOptions{ID: "p", Code: ring.D, Key: testKey, Dialect: d})
	if err != nil {
		t.Fatal(err)
	}
	r, err := canary.NewRenderer(p, testKey)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// startBrowser runs a headless browser until the test ends.
func startBrowser(t *testing.T, path string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}
