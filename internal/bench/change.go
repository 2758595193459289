package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// change is something that foreign software does to a served file.
type change struct {
	name  string
	steps [][]string // programs with {in} and {out}; the last one's {out} is the result
	ext   string
}

// foreignChanges lists the seven changes with the programs found on this machine.
func foreignChanges() ([]change, error) {
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
	im := func(name string, args ...string) change {
		return change{name: name, ext: ".jpg", steps: [][]string{append(append([]string{convert, "{in}"}, args...), "{out}")}}
	}
	return []change{
		im("jpeg75", "-quality", "75"),
		im("jpeg50", "-quality", "50"),
		im("640px-q75", "-filter", "Lanczos", "-resize", "640x640", "-quality", "75"),
		im("320px-q75", "-filter", "Lanczos", "-resize", "320x320", "-quality", "75"),
		im("crop75", "-gravity", "center", "-crop", "86.6x86.6%+0+0", "+repage", "-quality", "90"),
		im("mirror", "-flop", "-quality", "90"),
		{name: "webp75", ext: ".webp", steps: [][]string{{"cwebp", "-quiet", "-q", "75", "{in}", "-o", "{out}"}}},
	}, nil
}

// apply runs the change on a file's bytes.
func (c change) apply(ctx context.Context, dir string, data []byte) ([]byte, error) {
	in := filepath.Join(dir, "served.jpg")
	if err := os.WriteFile(in, data, 0o600); err != nil {
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
