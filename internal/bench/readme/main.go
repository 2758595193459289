// Command readme makes what the README shows from runs of the program: the
// transcript of a demo, a picture of its console taken with Chromium, and the
// figures that the measuring commands print. Run it from the root of the
// repository; it needs chromium, and what bench-mark needs.
//
//	go run ./internal/bench/readme [-photos DIR] [-quick]
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	photos := flag.String("photos", "", "folder of photos for the measured table; default as bench-mark's")
	quick := flag.Bool("quick", false, "leave the measured figures as they are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *photos, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "readme:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, photos string, quick bool) error {
	text, err := os.ReadFile("README.md")
	if err != nil {
		return fmt.Errorf("%w: run this from the root of the repository", err)
	}
	transcript, err := playDemo(ctx, filepath.Join("docs", "console.png"))
	if err != nil {
		return err
	}
	if text, err = replace(text, "transcript", "```\n$ go run . demo\n"+strings.TrimLeft(transcript, "\n")+"```"); err != nil {
		return err
	}
	if !quick {
		measured, err := measure(ctx, photos)
		if err != nil {
			return err
		}
		if text, err = replace(text, "measured", measured); err != nil {
			return err
		}
	}
	return os.WriteFile("README.md", text, 0o644)
}

// replace puts text between the marks <!-- name --> and <!-- /name -->.
func replace(doc []byte, name, text string) ([]byte, error) {
	open, end := []byte("<!-- "+name+" -->\n"), []byte("<!-- /"+name+" -->")
	i, j := bytes.Index(doc, open), bytes.Index(doc, end)
	if i < 0 || j < i {
		return nil, fmt.Errorf("README.md has no place for the %s: put %q and %q there", name, open, end)
	}
	i += len(open)
	return bytes.Join([][]byte{doc[:i], []byte(text), []byte("\n"), doc[j:]}, nil), nil
}

// playDemo plays the default demo, takes the picture of its console and returns
// what it printed.
func playDemo(ctx context.Context, picture string) (string, error) {
	exe, cleanUp, err := build(ctx)
	if err != nil {
		return "", err
	}
	defer cleanUp()
	cmd := exec.CommandContext(ctx, exe, "demo", "--hold")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	// A file: what the demo printed is all there when it tells the console's address.
	printed, err := os.Create(exe + ".txt")
	if err != nil {
		return "", err
	}
	defer printed.Close()
	cmd.Stdout = printed
	progress, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	address, token, err := awaitConsole(progress)
	if err != nil {
		return "", errors.Join(err, cmd.Wait())
	}
	go io.Copy(os.Stderr, progress)
	transcript, err := os.ReadFile(printed.Name())
	if err != nil {
		return "", errors.Join(err, cmd.Cancel(), cmd.Wait())
	}
	shot := errors.New("the demo printed no site to take a picture of")
	if m := pictured.FindSubmatch(transcript); m != nil {
		shot = takePicture(ctx, address, token, string(m[1]), picture)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return "", errors.Join(shot, err)
	}
	if err := cmd.Wait(); err != nil {
		return "", errors.Join(shot, fmt.Errorf("demo: %w", err))
	}
	return string(transcript), shot
}

func build(ctx context.Context) (exe string, cleanUp func(), err error) {
	dir, err := os.MkdirTemp("", "birdring-readme-")
	if err != nil {
		return "", nil, err
	}
	exe = filepath.Join(dir, "birdring")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", exe, ".")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("build: %w", err), os.RemoveAll(dir))
	}
	return exe, func() { os.RemoveAll(dir) }, nil
}

var consoleLine = regexp.MustCompile(`console at (\S+), token ([^;\s]+)`)

// pictured is the site whose page is shown in the README.
var pictured = regexp.MustCompile(`(?m)^(\S+)\s+mirror\s`)

// awaitConsole passes progress on until the console's address comes.
func awaitConsole(progress io.Reader) (address, token string, err error) {
	lines := bufio.NewScanner(progress)
	for lines.Scan() {
		if m := consoleLine.FindStringSubmatch(lines.Text()); m != nil {
			return m[1], m[2], nil
		}
		fmt.Fprintln(os.Stderr, lines.Text())
	}
	return "", "", errors.Join(errors.New("the demo ended without a console"), lines.Err())
}

// measure runs the measuring commands and returns their last lines.
func measure(ctx context.Context, photos string) (string, error) {
	commands := [][]string{
		{"go", "run", "./internal/bench", "-photos", photos, "-figures", "foreign,quality"},
		{"go", "test", "-run", "^$", "-bench", "Append", "-benchtime", "300ms", "./canary"},
	}
	var out strings.Builder
	for i, c := range commands {
		out.WriteString([]string{"```\n$ make bench-mark FIGURES=foreign,quality PHOTOS=" + photos + "\n", "$ go test -bench Append ./canary\n"}[i])
		cmd := exec.CommandContext(ctx, c[0], c[1:]...)
		cmd.Stderr = os.Stderr
		data, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("%s: %w", strings.Join(c, " "), err)
		}
		for line := range strings.Lines(string(data)) {
			if keep(line) {
				out.WriteString(tidy(line) + "\n")
			}
		}
	}
	out.WriteString("```")
	return out.String(), nil
}

var gaps = regexp.MustCompile(`\s*\t\s*`)

// tidy closes the wide gaps of benchmark lines.
func tidy(line string) string {
	line = gaps.ReplaceAllString(strings.TrimRight(line, " \t\n"), "  ")
	return strings.ReplaceAll(strings.TrimPrefix(line, "Benchmark"), " x-", " x ")
}

// keep leaves out what a reader of the README does not need.
func keep(line string) bool {
	if strings.TrimSpace(line) == "" {
		return false
	}
	for _, p := range []string{"goos:", "goarch:", "pkg:", "PASS", "ok ", "ok\t", "cpu:", "{"} {
		if strings.HasPrefix(line, p) {
			return false
		}
	}
	return true
}
