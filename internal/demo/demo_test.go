package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
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

func play(t *testing.T, o demo.Options) (ok bool, out string) {
	t.Helper()
	if testing.Short() {
		t.Skip("plays the whole story")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	o.Dir, o.Out, o.Log, o.Exe, o.CloneArg = filepath.Join(t.TempDir(), "data"), &buf, t.Output(), exe, []string{"clone"}
	ok, err = demo.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return ok, buf.String()
}

// Every site comes out as the truth has it, and the README shows what is printed.
func TestDemo(t *testing.T) {
	ok, out := play(t, demo.Options{})
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

// The control run: under keys that were never used, what the sites publish leads
// to nobody. Whoever is named then is named by chance or by a defect of ours.
func TestDemoWithSwappedKeysAttributesNothing(t *testing.T) {
	ok, out := play(t, demo.Options{SwapKeys: true, Sites: 4, Accounts: 60, JSON: true})
	if ok {
		t.Error("sites without attribution passed as right")
	}
	sites, sum := 0, struct {
		Sites, Attributed int
		Innocent          int `json:"innocent_accused"`
	}{Attributed: -1}
	for line := range strings.Lines(out) {
		var site struct {
			Site       string
			Attributed []json.RawMessage
		}
		if strings.Contains(line, `"innocent_accused"`) {
			if err := json.Unmarshal([]byte(line), &sum); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := json.Unmarshal([]byte(line), &site); err != nil {
			t.Fatal(err)
		}
		sites++
		if len(site.Attributed) != 0 {
			t.Errorf("%s: attributed under foreign keys: %s", site.Site, site.Attributed)
		}
	}
	if sites != 4 || sum.Sites != 3 || sum.Attributed != 0 || sum.Innocent != 0 {
		t.Errorf("%d sites, %+v", sites, sum)
	}
}
