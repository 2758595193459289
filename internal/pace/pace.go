// Package pace measures planting and serving as ratios to something done in the
// same run: a plain copy of the same bytes, and libjpeg-turbo's encoder in its
// own process, without the time that starting it takes.
package pace

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"birdring/canary"
	"birdring/canary/ring"
)

// Row is what one photo gave.
type Row struct {
	Photo       string  `json:"photo"`
	Bytes       int     `json:"bytes"`         // of a rendition
	Segments    int     `json:"segments"`      // of the picture
	Hot         float64 `json:"hot"`           // times a copy of the same bytes: the same picture for one viewer after another
	Cold        float64 `json:"cold"`          // likewise, 96 pictures in random order
	Ring        float64 `json:"ring"`          // the part of Hot that deriving the ring takes
	Allocations float64 `json:"allocations"`   // of a rendition
	Memory      float64 `json:"memory"`        // of a picture ready to be served, times its file
	Turbo       float64 `json:"turbo"`         // times faster than libjpeg-turbo encodes the photo; 0: not measured
	TurboCold   float64 `json:"turbo_cold"`    // likewise, Cold
	Prepare     float64 `json:"prepare"`       // preparing the picture, times libjpeg-turbo's encode; 0: not measured
	PrepareTime float64 `json:"prepare_s"`     // in seconds of this machine
	PSNR        float64 `json:"psnr"`          // of the worst rendition, dB
	SSIM        float64 `json:"ssim"`          // of that rendition
	Growth      float64 `json:"bytes_percent"` // of the file against the unringed one
}

// pictures is how many are rendered in turn for Cold: more than caches near a core hold.
const pictures = 96

// Measure prepares a photo and serves it. turbo is what NewTurbo returned, or nil.
func Measure(ctx context.Context, name string, img image.Image, turbo *Turbo) (Row, error) {
	row := Row{Photo: name}
	key := bytes.Repeat([]byte{7}, 32)
	began := time.Now()
	p, rep, err := canary.Prepare(img, canary.PrepareOptions{ID: "p", Code: ring.D, Key: key})
	row.PrepareTime = time.Since(began).Seconds()
	if err != nil {
		return row, err
	}
	row.Bytes, row.Segments, row.PSNR, row.SSIM = p.Size(), p.Segments(), rep.PSNR, rep.SSIM
	row.Growth = 100 * (float64(rep.Bytes)/float64(rep.PlainBytes) - 1)
	s, err := newStand(p, key)
	if err != nil {
		return row, err
	}
	row.Memory = float64(s.renderers[0].Memory()) / float64(p.Size())
	row.Allocations = s.allocations()
	render, copied := s.measure(&row)
	if turbo == nil {
		return row, nil
	}
	encode, err := turbo.Seconds(ctx, img)
	if err != nil {
		return row, err
	}
	row.Turbo, row.TurboCold, row.Prepare = encode/render, encode/(row.Cold*copied), row.PrepareTime/encode
	return row, nil
}

// stand serves one picture, and many that are equal but lie elsewhere in memory.
type stand struct {
	renderers []*canary.Renderer
	files     [][]byte // a rendition each
	out       []byte
	word      []uint64
	viewer    canary.Viewer
}

func newStand(p *canary.Picture, key []byte) (*stand, error) {
	s := &stand{out: make([]byte, 0, p.Size()), viewer: canary.FirstViewer}
	packed, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	for range pictures {
		q, err := canary.UnmarshalPicture(packed)
		if err != nil {
			return nil, err
		}
		r, err := canary.NewRenderer(q, key)
		if err != nil {
			return nil, err
		}
		s.renderers, s.files = append(s.renderers, r), append(s.files, r.Append(nil, s.viewer))
	}
	s.word = make([]uint64, s.renderers[0].Book().Words())
	return s, nil
}

func (s *stand) render(i int) {
	s.out = s.renderers[i].Append(s.out[:0], s.viewer)
	s.viewer++
}

// measure lets renditions, copies and rings take turns and compares the least
// time of each over the rounds: what they take when nothing else runs. It returns
// what a hot rendition and a cold copy take, in seconds.
func (s *stand) measure(row *Row) (render, coldCopy float64) {
	const rounds, times, warm = 60, 16, 3
	rng := rand.New(rand.NewPCG(1, 1))
	each := func(n int, f func(int)) float64 {
		for range warm {
			f(0)
		}
		began := time.Now()
		for i := range n {
			f(i)
		}
		return time.Since(began).Seconds() / float64(n)
	}
	copyOf := func(i int) { s.out = append(s.out[:0], s.files[i]...) }
	least := [5]float64{1, 1, 1, 1, 1}
	for range rounds {
		turn := rng.Perm(pictures)
		for i, took := range [5]float64{
			each(times, func(int) { copyOf(0) }),
			each(times, func(int) { s.render(0) }),
			each(times, func(i int) { s.renderers[0].Book().Codeword(s.word, uint64(s.viewer)+uint64(i)) }),
			each(pictures, func(i int) { copyOf(turn[i]) }),
			each(pictures, func(i int) { s.render(turn[i]) }),
		} {
			least[i] = min(least[i], took)
		}
	}
	row.Hot, row.Ring, row.Cold = least[1]/least[0], least[2]/least[0], least[4]/least[3]
	return least[1], least[3]
}

// allocations of one rendition, on average over a hundred.
func (s *stand) allocations() float64 {
	const times = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		s.render(0)
	}
	runtime.ReadMemStats(&after)
	return math.Floor(float64(after.Mallocs-before.Mallocs) / times)
}

//go:embed turbo/encode.c
var turboSource []byte

// Turbo encodes with libjpeg-turbo in a process of its own.
type Turbo struct{ dir, program string }

// ErrNoTurbo is wrapped when there is no C compiler or no libjpeg to build with.
var ErrNoTurbo = errors.New("libjpeg-turbo is not measured: a C compiler and libjpeg's headers are needed (apt-get install gcc libjpeg-dev)")

// NewTurbo builds the encoder. Close removes it.
func NewTurbo(ctx context.Context) (*Turbo, error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return nil, ErrNoTurbo
	}
	dir, err := os.MkdirTemp("", "birdring-turbo-")
	if err != nil {
		return nil, err
	}
	t := &Turbo{dir: dir, program: filepath.Join(dir, "turbo")}
	source := filepath.Join(dir, "turbo.c")
	if err := os.WriteFile(source, turboSource, 0o600); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if out, err := exec.CommandContext(ctx, cc, "-O2", "-o", t.program, source, "-ljpeg").CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrNoTurbo, firstLine(out)), t.Close())
	}
	return t, nil
}

// Close removes what NewTurbo made.
func (t *Turbo) Close() error { return os.RemoveAll(t.dir) }

// Seconds is the least time of 25 encodes of a photo at quality 90, 4:2:0,
// standard Huffman tables: what a rendition replaces.
func (t *Turbo) Seconds(ctx context.Context, img image.Image) (float64, error) {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, img, img.Bounds().Min, draw.Src)
	pixels := make([]byte, 0, 3*w*h)
	for i := 0; i < len(m.Pix); i += 4 {
		pixels = append(pixels, m.Pix[i:i+3]...)
	}
	cmd := exec.CommandContext(ctx, t.program, strconv.Itoa(w), strconv.Itoa(h), "90", "25")
	cmd.Stdin = bytes.NewReader(pixels)
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("libjpeg-turbo: %w", err)
	}
	least := 0.0
	for line := range strings.Lines(string(out)) {
		ns, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			return 0, fmt.Errorf("libjpeg-turbo printed %q", line)
		}
		if least == 0 || ns < least {
			least = ns
		}
	}
	return least / 1e9, nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}
