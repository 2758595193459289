package house_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"birdring/internal/house"
	"birdring/internal/testkit"
)

const module = "birdring"

// TestArrows holds the house to its rules, over everything the program is made of.
func TestArrows(t *testing.T) {
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("go list names only %d packages: the rule would prove nothing", len(packages))
	}
	for _, breach := range house.Check(module, packages) {
		t.Error(breach)
	}
}

// TestArrowsNoticeBreaches proves that each rule finds its own deliberate violation.
func TestArrowsNoticeBreaches(t *testing.T) {
	for _, c := range []struct{ from, imports, want string }{
		{"birdring/canary", "birdring/beacon", "canary must not point back to beacon"},
		{"birdring/beacon/find", "birdring/registry", "beacon must not point back to registry"},
		{"birdring/registry", "birdring/internal/cli", "registry must not point back to internal"},
		{"birdring/internal/cli", "birdring", "internal must not point back to main"},
		{"birdring/canary/ring", "time", "pure package"},
		{"birdring/canary/mark", "net/http", "pure package"},
		{"birdring/beacon/decode", "database/sql", "pure package"},
		{"birdring/util", "fmt", "lies in no layer"},
	} {
		got := house.Check(module, []house.Package{{ImportPath: c.from, Imports: []string{"fmt", c.imports}}})
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s importing %s: got %q, want one breach saying %q", c.from, c.imports, got, c.want)
		}
	}
	if got := house.Check(module, []house.Package{
		{ImportPath: "birdring", Imports: []string{"birdring/internal/cli", "os"}},
		{ImportPath: "birdring/canary/ring", Imports: []string{"math/bits", "crypto/aes"}},
	}); len(got) != 0 {
		t.Errorf("innocent packages accused: %q", got)
	}
}

// TestTopLevel keeps the first page of the repository short.
func TestTopLevel(t *testing.T) {
	allowed := strings.Fields(`canary beacon registry internal docs main.go go.mod go.sum README.md CHANGELOG.md LICENSE Makefile .ci .gitignore .golangci.yml staticcheck.conf`)
	git := testkit.Tool(t, "git")
	cmd := exec.Command(git, "ls-files")
	cmd.Dir = testkit.Root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	for name := range strings.Lines(string(out)) {
		top, _, _ := strings.Cut(strings.TrimSpace(name), "/")
		if !slices.Contains(allowed, top) {
			t.Errorf("%s does not belong at the top level", top)
		}
	}
}

// list asks the go command for every package of the module, tests left out.
func list(t *testing.T) []house.Package {
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports", "./...")
	cmd.Dir = testkit.Root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []house.Package
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p house.Package
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath+"/", module+"/") {
			packages = append(packages, p)
		}
	}
}
