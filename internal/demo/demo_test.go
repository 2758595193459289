package demo_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"birdring/internal/demo"
	"birdring/internal/testkit"
)

// This test program is also the clone sites' program.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "clone" {
		if err := demo.CloneMain(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Every site comes out as the truth has it, nobody under keys that were never
// used (the control run), and the README shows what is printed.
func TestDemo(t *testing.T) {
	testkit.Long(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	ok, err := demo.Run(t.Context(), demo.Options{
		Dir: filepath.Join(t.TempDir(), "data"), Out: &buf, Log: t.Output(), Exe: exe, CloneArg: []string{"clone"}, Control: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	out := buf.String()
	t.Log(out)
	if !ok || !strings.HasSuffix(out, "6 of 6 sites attributed, 0 innocent accounts accused\n") {
		t.Error("the demo did not come out as the truth has it")
	}
	readme, err := os.ReadFile(filepath.Join(testkit.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for line := range strings.Lines(string(readme)) {
		shown[shape(line)] = true
	}
	for line := range strings.Lines(out) {
		if !shown[shape(line)] {
			t.Errorf("README.md does not show the line %q: run make readme", line)
		}
	}
}

// shape is what a line of the demo has in common from run to run: numbers and
// how many there are of them in a row differ.
func shape(line string) string {
	line = regexp.MustCompile(`[0-9]+`).ReplaceAllString(line, "#")
	line = regexp.MustCompile(`(?:acct-# *)+`).ReplaceAllString(line, "acct ")
	line = regexp.MustCompile(`(?:\s#)+`).ReplaceAllString(line, " #")
	return strings.Join(strings.Fields(line), " ")
}
