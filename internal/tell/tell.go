// Package tell tries to tell files that carry a ring from ordinary ones of the
// same dialect, the way somebody would who knows how rings are made but no key:
// it trains on one part of the photos and is judged on the others.
package tell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // photos come in these formats
	_ "image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	xdraw "golang.org/x/image/draw"

	"birdring/canary"
	"birdring/canary/jpeg"
	"birdring/canary/ring"
	"birdring/internal/demo/paint"
)

// AUC is how well files were told apart by a logistic regression and by boosted
// decision stumps: .5 is guessing, 1 is certainty.
type AUC struct{ Logistic, Stumps float64 }

// Stronger is the better of the two.
func (a AUC) Stronger() float64 { return max(a.Logistic, a.Stumps) }

// Result is how well files could be told apart.
type Result struct {
	Pairs   int // ringed files, each with ordinary ones of the same pixels
	Photos  int // that they were cut from; none is in both training and judgement
	Own     AUC // against files of our own encoder without a ring
	Foreign AUC // against libjpeg's files; NaN if there are none
	Known   AUC // control: ordinary files against the same with one coefficient in thirty off by one, which must be told
}

// cutsPerPhoto is how many pictures are cut from a photo.
const cutsPerPhoto = 6

// paintedScenes are added to the photos.
const paintedScenes = 12

// sample is one picture in all its files, as features.
type sample struct {
	photo                        int
	ringed, own, foreign, edited []float64
}

// Measure cuts pictures from the photos and from painted scenes, makes the files in a
// dialect (nil: libjpeg's default, quality 90), and judges. Only in the default are
// there libjpeg's files.
func Measure(ctx context.Context, photos []string, like *jpeg.Dialect, log io.Writer) (Result, error) {
	var sources []func() (image.Image, error)
	for _, path := range photos {
		sources = append(sources, func() (image.Image, error) { return load(path) })
	}
	for i := range paintedScenes {
		sources = append(sources, func() (image.Image, error) { return paint.Scene(uint64(900+i), 1080, 810), nil })
	}
	cjpeg := ""
	if like == nil {
		if cjpeg, _ = exec.LookPath("cjpeg"); cjpeg == "" {
			fmt.Fprintln(log, "tell: cjpeg is not installed: no files of libjpeg's to compare with")
		}
	}
	var all []sample
	for i, open := range sources {
		img, err := open()
		if err != nil {
			return Result{}, err
		}
		cuts, err := cutSamples(ctx, i, img, like, cjpeg)
		if err != nil {
			return Result{}, err
		}
		all = append(all, cuts...)
		fmt.Fprintf(log, "tell: %d of %d photos, %d pairs\n", i+1, len(sources), len(all))
	}
	if len(all) < 20 {
		return Result{}, errors.New("tell: fewer than 20 pictures took a ring: more photos are needed")
	}
	r := Result{Pairs: len(all), Photos: len(sources), Foreign: AUC{math.NaN(), math.NaN()}}
	ringed := func(s *sample) []float64 { return s.ringed }
	own := func(s *sample) []float64 { return s.own }
	r.Own = judge(all, own, ringed)
	r.Known = judge(all, own, func(s *sample) []float64 { return s.edited })
	if cjpeg != "" {
		r.Foreign = judge(all, func(s *sample) []float64 { return s.foreign }, ringed)
	}
	return r, nil
}

func load(path string) (image.Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return img, nil
}

// cutSamples cuts pictures from a photo, parts of it reduced by different
// factors, and makes their files.
func cutSamples(ctx context.Context, photo int, img image.Image, like *jpeg.Dialect, cjpeg string) ([]sample, error) {
	out := make([]*sample, cutsPerPhoto)
	errs := make([]error, cutsPerPhoto)
	var wg sync.WaitGroup
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range out {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if ctx.Err() != nil {
				return
			}
			rng := rand.New(rand.NewPCG(uint64(photo), uint64(i)))
			out[i], errs[i] = newSample(ctx, photo, cutOut(img, rng), like, cjpeg, rng)
		})
	}
	wg.Wait()
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	var kept []sample
	for _, s := range out {
		if s != nil {
			kept = append(kept, *s)
		}
	}
	return kept, nil
}

// cutOut is a part of the photo, 4:3 and 560 pixels wide, reduced: what was
// compressed before leaves no grid in it.
func cutOut(img image.Image, rng *rand.Rand) image.Image {
	const w, h = 560, 420
	b := img.Bounds()
	scale := min(float64(b.Dx())/w, float64(b.Dy())/h)
	scale *= 0.75 + 0.25*rng.Float64()
	scale = max(scale, 1.05)
	sw, sh := min(b.Dx(), int(w*scale)), min(b.Dy(), int(h*scale))
	x, y := b.Min.X+rng.IntN(b.Dx()-sw+1), b.Min.Y+rng.IntN(b.Dy()-sh+1)
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	xdraw.CatmullRom.Scale(out, out.Rect, img, image.Rect(x, y, x+sw, y+sh), xdraw.Src, nil)
	return out
}

// newSample makes a picture's files; nil if it takes no ring.
func newSample(ctx context.Context, photo int, img image.Image, like *jpeg.Dialect, cjpeg string, rng *rand.Rand) (*sample, error) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(rng.Uint32())
	}
	p, _, err := canary.Prepare(img, canary.PrepareOptions{ID: "p", Code: ring.D, Key: key, Dialect: like})
	if errors.Is(err, canary.ErrTooPlain) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := canary.NewRenderer(p, key)
	if err != nil {
		return nil, err
	}
	plain, err := canary.PreparePlain(img, like)
	if err != nil {
		return nil, err
	}
	s := &sample{photo: photo}
	edited, err := nudged(plain, like, rng)
	if err != nil {
		return nil, err
	}
	files := map[*[]float64][]byte{&s.ringed: r.Append(nil, canary.FirstViewer+canary.Viewer(rng.IntN(1000))), &s.own: plain, &s.edited: edited}
	if cjpeg != "" {
		if files[&s.foreign], err = libjpeg(ctx, cjpeg, img); err != nil {
			return nil, err
		}
	}
	for to, data := range files {
		if *to, err = features(data); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// nudged changes one in thirty of a file's coefficients that are not zero by one.
func nudged(data []byte, like *jpeg.Dialect, rng *rand.Rand) ([]byte, error) {
	f, err := jpeg.Parse(data)
	if err != nil {
		return nil, err
	}
	for i := range f.Luma.Blocks {
		b := &f.Luma.Blocks[i]
		for z := 1; z < 64; z++ {
			if b[z] != 0 && rng.IntN(30) == 0 {
				b[z] += int16(2*rng.IntN(2) - 1)
			}
		}
	}
	f.FillDummies()
	if like != nil {
		f.Dialect = like
	}
	return f.Encode(), nil
}

// libjpeg is what cjpeg makes of the picture in the same dialect.
func libjpeg(ctx context.Context, cjpeg string, img image.Image) ([]byte, error) {
	b := img.Bounds()
	data := fmt.Appendf(nil, "P6 %d %d 255\n", b.Dx(), b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			data = append(data, byte(r>>8), byte(g>>8), byte(bl>>8))
		}
	}
	cmd := exec.CommandContext(ctx, cjpeg, "-quality", "90")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cjpeg: %w", err)
	}
	return out, nil
}

// judge lets both families of learners try and returns what each reaches.
func judge(all []sample, ordinary, ringed func(*sample) []float64) AUC {
	return AUC{crossed(all, ordinary, ringed, regressions), crossed(all, ordinary, ringed, boosts)}
}

// crossed leaves every fifth photo out in turn, trains on the others and scores its
// files; the scores of all turns, which are alike in size, make one AUC.
func crossed(all []sample, ordinary, ringed func(*sample) []float64, family []learner) float64 {
	const folds = 5
	var scores []float64
	var labels []bool
	for fold := range folds {
		train := func(s *sample) bool { return s.photo%folds != fold }
		inner := func(s *sample) bool { return train(s) && s.photo/folds%3 != 0 }
		best, chosen := 0.0, family[0]
		for _, l := range family {
			got, label := fitAndScore(all, ordinary, ringed, inner, func(s *sample) bool { return train(s) && !inner(s) }, l)
			if a := auc(got, label); a > best {
				best, chosen = a, l
			}
		}
		got, label := fitAndScore(all, ordinary, ringed, train, func(s *sample) bool { return !train(s) }, chosen)
		scores, labels = append(scores, got...), append(labels, label...)
	}
	return auc(scores, labels)
}

func fitAndScore(all []sample, ordinary, ringed func(*sample) []float64, train, judged func(*sample) bool, l learner) ([]float64, []bool) {
	collect := func(which func(*sample) bool) (x [][]float64, label []bool) {
		for i := range all {
			if s := &all[i]; which(s) {
				x, label = append(x, ordinary(s), ringed(s)), append(label, false, true)
			}
		}
		return x, label
	}
	x, label := collect(train)
	scale := newScaler(x)
	for i := range x {
		x[i] = scale.scale(x[i])
	}
	score := l(x, label)
	x, label = collect(judged)
	scores := make([]float64, len(x))
	for i, row := range x {
		scores[i] = score(scale.scale(row))
	}
	// Scores of one turn to ranks: turns differ in scale.
	order := slices.Sorted(slices.Values(scores))
	for i, s := range scores {
		at, _ := slices.BinarySearch(order, s)
		scores[i] = float64(at) / float64(len(order))
	}
	return scores, label
}
