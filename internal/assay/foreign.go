package assay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"birdring/internal/assay/change"
)

// Foreign is a change made by other people's software: ImageMagick (which saves
// with libjpeg-turbo) or libwebp.
type Foreign struct {
	Name  string
	Twin  *change.Change // the same, made by package change
	steps [][]string     // programs with {in} and {out}; the last one's {out} is the result
	ext   string
}

// ForeignChanges lists ten changes with the programs found on this machine. The
// first seven are those of issue 2.
func ForeignChanges() ([]Foreign, error) {
	convert := ""
	for _, name := range []string{"magick", "convert-im6.q16", "convert-im6", "convert"} {
		if path, err := exec.LookPath(name); err == nil {
			convert = path
			break
		}
	}
	if convert == "" {
		return nil, errors.New("ImageMagick is missing: apt-get install imagemagick")
	}
	if _, err := exec.LookPath("cwebp"); err != nil {
		return nil, errors.New("cwebp is missing: apt-get install webp")
	}
	im := func(name, twin string, args ...string) Foreign {
		return Foreign{Name: name, Twin: change.ByName(twin), ext: ".jpg", steps: [][]string{append(append([]string{convert, "{in}"}, args...), "{out}")}}
	}
	return []Foreign{
		im("jpeg75", "jpeg75", "-quality", "75"),
		im("jpeg50", "jpeg50", "-quality", "50"),
		im("640px-q75", "thumb640", "-filter", "Lanczos", "-resize", "640x640", "-quality", "75"),
		im("320px-q75", "thumb320", "-filter", "Lanczos", "-resize", "320x320", "-quality", "75"),
		im("crop75", "crop75_centre", "-gravity", "center", "-crop", "86.6x86.6%+0+0", "+repage", "-quality", "90"),
		im("mirror", "hflip", "-flop", "-quality", "90"),
		{Name: "webp75", Twin: change.ByName("webp75"), ext: ".webp", steps: [][]string{{"cwebp", "-quiet", "-q", "75", "{in}", "-o", "{out}"}}},
		im("blur2", "blur2", "-gaussian-blur", "0x2", "-quality", "90"),
		im("rot2", "rot2", "-virtual-pixel", "black", "-distort", "SRT", "2", "-quality", "90"),
		im("grey", "grey", "-colorspace", "Gray", "-quality", "90"),
	}, nil
}

// Make runs the programs on a served file.
func (c *Foreign) Make(ctx context.Context, served []byte) (data []byte, err error) {
	dir, err := os.MkdirTemp("", "birdring-foreign-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	in := filepath.Join(dir, "served.jpg")
	if err := os.WriteFile(in, served, 0o600); err != nil {
		return nil, err
	}
	out := ""
	for i, step := range c.steps {
		out = filepath.Join(dir, fmt.Sprintf("step%d%s", i, c.ext))
		args := make([]string, len(step))
		for j, a := range step {
			switch a {
			case "{in}":
				a = in
			case "{out}":
				a = out
			}
			args[j] = a
		}
		if msg, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", args[0], err, msg)
		}
		in = out
	}
	return os.ReadFile(out)
}

// ForeignName is what rows call a change made by foreign software.
func ForeignName(twin *change.Change) string { return twin.Name + " by foreign software" }

// ForeignRow has foreign software change the n-th account's copy and traces it.
func (b *Bed) ForeignRow(ctx context.Context, p *Picture, c *Foreign, n int) (Row, *Find, error) {
	served, err := b.Served(ctx, p, n)
	if err != nil {
		return Row{}, nil, err
	}
	made, err := c.Twin.Make(served, uint64(n)) // says what is left of the picture
	if err != nil {
		return Row{}, nil, err
	}
	if made.Data, err = c.Make(ctx, served); err != nil {
		return Row{}, nil, fmt.Errorf("%s: %w", p.File, err)
	}
	row := Row{
		Picture: p, Matrix: Single, Change: ForeignName(c.Twin), When: c.Twin.When + " (by ImageMagick)",
		Copies: 1, Demand: c.Twin.Demand(&made.Truth),
	}
	f, err := b.fill(ctx, &row, made, []int{n})
	return row, f, err
}
