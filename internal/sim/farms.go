package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"birdring/beacon/decode"
	"birdring/canary"
	"birdring/registry"
)

const (
	farmPhotos   = 20
	farmInnocent = 200
	mostFarm     = 16
)

// farms plants real photos and has sites republish copies of farms of 1, 4 and
// 16 accounts, reduced to 640 px and JPEG quality 75: every picture from one of
// them at random, or every picture the mean of all of theirs. Everything runs
// through registry and scan.
func farms(folder string, tell func(row)) error {
	if folder == "" {
		fmt.Fprintln(os.Stderr, "sim: farms left out: give a folder of photos with PHOTOS=DIR")
		return nil
	}
	names, err := filepath.Glob(filepath.Join(folder, "*.jpg"))
	if err != nil {
		return err
	}
	if len(names) < farmPhotos {
		return fmt.Errorf("%s holds %d photos (*.jpg), %d are needed", folder, len(names), farmPhotos)
	}
	dir, err := os.MkdirTemp("", "birdring-sim-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	if _, err := registry.Init(ctx, filepath.Join(dir, "data")); err != nil {
		return err
	}
	reg, err := registry.Open(ctx, filepath.Join(dir, "data"), registry.Options{})
	if err != nil {
		return err
	}
	defer reg.Close()
	f := &field{reg: reg, rng: random(20, 20)}
	if err := f.plant(ctx, names); err != nil {
		return err
	}
	for _, c := range []int{1, 4, mostFarm} {
		for _, mean := range []bool{false, true} {
			if mean && c == 1 {
				continue
			}
			r, err := f.farm(ctx, c, mean)
			if err != nil {
				return err
			}
			r.Table = "farms"
			tell(r)
		}
	}
	return nil
}

// field is a registry with decoys that everybody was shown.
type field struct {
	reg    *registry.Registry
	rng    *rand.Rand
	photos []string
	viewer map[string]canary.Viewer
}

func (f *field) plant(ctx context.Context, names []string) error {
	var photos []registry.Photo
	for _, name := range names {
		photos = append(photos, registry.Photo{Name: filepath.Base(name), Open: func() (io.ReadCloser, error) { return os.Open(name) }})
	}
	planted, err := f.reg.Plant(ctx, registry.PlantRequest{Decoys: farmPhotos, PerDecoy: 1, Share: 1, Photos: photos, Progress: func(done, total int, _ string) {
		fmt.Fprintf(os.Stderr, "sim: planted %d of %d\n", done, total)
	}})
	if err != nil {
		return err
	}
	var all []registry.Exposure
	for _, p := range planted {
		f.photos = append(f.photos, p.Photos[0].Photo)
		for i := range farmInnocent {
			all = append(all, registry.Exposure{Account: fmt.Sprintf("innocent-%03d", i), Decoy: p.Decoy.ID, Surface: "search"})
		}
		for i := range mostFarm {
			all = append(all, registry.Exposure{Account: fmt.Sprintf("farm-%02d", i), Decoy: p.Decoy.ID, Surface: "search"})
		}
	}
	copies, err := f.reg.Expose(ctx, all)
	f.viewer = map[string]canary.Viewer{}
	for _, c := range copies {
		f.viewer[c.Account] = c.Viewer
	}
	return err
}

// farm scans the site of one farm.
func (f *field) farm(ctx context.Context, c int, mean bool) (row, error) {
	files := map[string][]byte{}
	var page strings.Builder
	from := map[string]int{}
	for i, photo := range f.photos {
		who := []string{fmt.Sprintf("farm-%02d", f.rng.IntN(c))}
		if mean {
			who = nil
			for j := range c {
				who = append(who, fmt.Sprintf("farm-%02d", j))
			}
		}
		data, err := f.republished(photo, who)
		if err != nil {
			return row{}, err
		}
		for _, name := range who {
			from[name]++
		}
		path := fmt.Sprintf("/p/%d.jpg", i)
		files[path] = data
		fmt.Fprintf(&page, `<img src="%s">`, path)
	}
	files["/"] = []byte("<html><body>" + page.String() + "</body></html>")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		data, ok := files[q.URL.Path]
		if !ok {
			http.NotFound(w, q)
			return
		}
		w.Header().Set("Content-Type", http.DetectContentType(data))
		_, _ = w.Write(data)
	}))
	defer site.Close()
	begin := time.Now()
	results, err := f.reg.Scan(ctx, registry.ScanRequest{URLs: []string{site.URL + "/"}, Allow: []string{"127.0.0.0/8:*"}}, nil)
	if err != nil {
		return row{}, err
	}
	named, innocent, least := 0, 0, math.Inf(1)
	var best string
	for _, r := range results {
		if r.Account == nil || r.Verdict != registry.VerdictAttributed {
			continue
		}
		if from[*r.Account] == 0 {
			innocent++
			continue
		}
		if named++; best == "" {
			best = *r.Account
		}
		least = min(least, *r.Bits)
	}
	out := row{
		Case: fmt.Sprintf("%d photos, 640 px q75, each the copy of one of %d accounts", len(f.photos), c), Runs: len(f.photos),
		Want: fmt.Sprintf("all %d accounts whose copies are there, of %d shown them nobody else; explained bit for bit, read again within 1 %%", len(from), farmInnocent+mostFarm),
		Got:  fmt.Sprintf("%d named, the least %.0f bits, %d others, %.0f s", named, least, innocent, time.Since(begin).Seconds()),
		OK:   named == len(from) && innocent == 0,
	}
	if mean {
		out.Case = fmt.Sprintf("%d photos, 640 px q75, each the mean of %d accounts' copies", len(f.photos), c)
		out.Want = fmt.Sprintf("at least one of %d accounts, of %d shown them nobody else; explained bit for bit, read again within 1 %%", c, farmInnocent+mostFarm)
		out.OK = named > 0 && innocent == 0
	}
	if best != "" {
		e, err := f.reg.Explain(ctx, site.URL, best, c == 1)
		if err != nil {
			return row{}, err
		}
		out.OK = out.OK && e.Same && (e.Reread == nil || math.Abs(*e.Reread-e.Stored) <= .01*e.Stored)
	}
	return out, nil
}

// republished is the mean of some accounts' copies as a clone site shows it.
func (f *field) republished(photo string, who []string) ([]byte, error) {
	slices.Sort(who)
	var sum [][3]uint32
	var b image.Rectangle
	for _, name := range who {
		data, err := f.reg.Rendition(nil, photo, f.viewer[name])
		if err != nil {
			return nil, err
		}
		img, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		b = img.Bounds()
		if sum == nil {
			sum = make([][3]uint32, b.Dx()*b.Dy())
		}
		i := 0
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				r, g, bl, _ := img.At(x, y).RGBA()
				sum[i][0], sum[i][1], sum[i][2] = sum[i][0]+r>>8, sum[i][1]+g>>8, sum[i][2]+bl>>8
				i++
			}
		}
	}
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	n := uint32(len(who))
	for i, s := range sum {
		out.SetRGBA(i%b.Dx(), i/b.Dx(), color.RGBA{uint8((s[0] + n/2) / n), uint8((s[1] + n/2) / n), uint8((s[2] + n/2) / n), 255})
	}
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, decode.Shrink(out, 640), &jpeg.Options{Quality: 75})
	return buf.Bytes(), err
}
