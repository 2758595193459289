package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"birdring/registry"
)

// path is one way things are written.
type path struct {
	name string
	// write does one thing after another and calls told with what identifies each
	// once it was acknowledged.
	write func(ctx context.Context, w *worker, told func(string)) error
	// count says how often each thing is stored, and is given what was acknowledged.
	count func(ctx context.Context, s *stage) (map[string]int, error)
	apart time.Duration // between the first acknowledgement, or mark, and the kill, at most
}

// stage is a registry that children write to.
type stage struct {
	dir, url string
	reg      *registry.Registry
	hook     *receiver
}

// play kills children on one path.
func play(ctx context.Context, rng *rand.Rand, p path, url string, rounds int) (r row, err error) {
	dir, err := os.MkdirTemp("", "birdring-kill-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := setStage(ctx, filepath.Join(dir, "data"), url)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	acknowledged := map[string]bool{}
	for round := range rounds {
		told, err := round1(ctx, rng, p, s)
		if err != nil {
			return r, fmt.Errorf("round %d: %w", round, err)
		}
		for _, id := range told {
			acknowledged[id] = true
		}
		r.Rounds++
	}
	stored, err := p.count(ctx, s)
	if err != nil {
		return r, err
	}
	r.Path, r.Acknowledged = p.name, len(acknowledged)
	for id := range acknowledged {
		if stored[id] == 0 {
			r.Lost++
			fmt.Fprintf(os.Stderr, "kill-test: %s was acknowledged and is lost\n", id)
		} else {
			r.Found++
		}
	}
	for id, n := range stored {
		if n > 1 {
			r.Doubled++
			fmt.Fprintf(os.Stderr, "kill-test: %s is stored %d times\n", id, n)
		}
	}
	if r.Acknowledged < rounds/4 {
		return r, fmt.Errorf("only %d acknowledged in %d rounds: nothing is shown by that", r.Acknowledged, rounds)
	}
	return r, nil
}

// mark is the line by which a child says that it is about to write.
const mark = "#"

// round1 starts one child and kills it at a random moment after its first line.
func round1(ctx context.Context, rng *rand.Rand, p path, s *stage) ([]string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, "-child", p.name, "-dir", s.dir, "-database", s.url, "-seed", fmt.Sprint(rng.Uint64()>>1))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	in := bufio.NewReader(out)
	first, err := in.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the child ended by itself: %w", err), cmd.Wait())
	}
	rest := make(chan []string)
	go func() { rest <- lines(in) }()
	wait := time.Duration(rng.Int64N(int64(p.apart)))
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
	if err := cmd.Process.Kill(); err != nil {
		return nil, errors.Join(err, cmd.Wait())
	}
	told := slices.DeleteFunc(append([]string{strings.TrimSuffix(first, "\n")}, <-rest...), func(s string) bool { return s == mark })
	if err := cmd.Wait(); err == nil {
		return nil, errors.New("the child ended by itself")
	}
	return told, ctx.Err()
}

// lines reads whole lines until the other end is gone.
func lines(in *bufio.Reader) (out []string) {
	for {
		s, err := in.ReadString('\n')
		if err != nil {
			return out // a line without its end was not told
		}
		out = append(out, strings.TrimSuffix(s, "\n"))
	}
}

// work is the child: it writes until it is killed.
func work(ctx context.Context, name, dir, url string, seed uint64) error {
	for _, p := range paths {
		if p.name != name {
			continue
		}
		reg, err := registry.Open(ctx, dir, registry.Options{Database: url, Lease: time.Second})
		if err != nil {
			return err
		}
		defer reg.Close()
		w := &worker{reg: reg, rng: rand.New(rand.NewPCG(seed, 1)), id: fmt.Sprintf("%d-%x", os.Getpid(), seed)}
		return p.write(ctx, w, func(id string) { io.WriteString(os.Stdout, id+"\n") })
	}
	return fmt.Errorf("there is no path %q", name)
}

// worker is what a child works with.
type worker struct {
	reg *registry.Registry
	rng *rand.Rand
	id  string // of this child, in what it writes
}
