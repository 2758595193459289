package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutations break one rule of the evidence each, in the source itself; the tests
// named must see it.
var mutations = []struct {
	rule, file, old, new, pkg, tests string
}{
	{"reposts multiplied", "registry/evidence.go", "return f.from[0].picture.group }", "return f.from[0].picture.group + string(rune(f.id)) }", "./registry", "TestRepostsDoNotMultiply"},
	{"sizes of one photo multiplied", "registry/evidence.go", "return f.from[0].picture.group }", "return f.from[0].picture.id }", "./registry", "TestOnePhotoInThreeDecoysAndTwoSizes"},
	{
		"alignment picked by score", "registry/trial.go", "		out.scores[account] = ring.Average(all)\n	}\n	return out, nil",
		"		best := all[0]\n		for _, s := range all {\n			if s.Alone() > best.Alone() {\n				best = s\n			}\n		}\n		out.scores[account] = best\n	}\n	return out, nil",
		"./registry", "TestOnePhotoInThreeDecoysAndTwoSizes",
	},
	{
		"weights from rings", "canary/ring/score.go", "	return down(logSum(room.logs))\n}\n\n// mean is",
		"	return max(slices.Max(logs), slices.Max(append(more, Never)))\n}\n\n// mean is", "./canary/ring", "TestMeanOfEIsOne",
	},
	{"sightings of one photo summed", "canary/ring/evalue.go", "w = down(-log(float64(again) * float64(s.n-1) * float64(s.n)))", "w = 0", "./canary/ring", "TestAgainNeverMultiplies"},
	{"a score below the line told", "registry/evidence.go", "	least := int64(ring.AttributedMillibits)\n", "	least := int64(5_000)\n", "./registry", "TestNoScoreBelowTheLineLeaves"},
	{"screen by the scores of others", "canary/ring/screen.go", "k < len(normal)-1 && n>>k > weighed", "k < len(normal)-1", "./canary/ring", "TestScreenAgainstPlainSums"},
}

// Each broken rule makes a test fail; the rule unbroken lets it pass.
func TestBrokenRulesAreSeen(t *testing.T) {
	if testing.Short() || os.Getenv("BIRDRING_MUTATIONS") == "" {
		t.Skip("set BIRDRING_MUTATIONS=1: it builds and runs tests of mutated sources for a minute or two; make sim does")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutations {
		t.Run(m.rule, func(t *testing.T) {
			source := filepath.Join(root, m.file)
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(text), m.old) != 1 {
				t.Fatalf("%s has changed: the mutation fits no more", m.file)
			}
			dir := t.TempDir()
			broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
			replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: broken}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(overlay, replace, 0o600); err != nil {
				t.Fatal(err)
			}
			run := func(text string) (string, error) {
				if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-run", "^("+m.tests+")$", m.pkg)
				cmd.Dir = root
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			if out, err := run(string(text)); err != nil {
				t.Fatalf("%s fails with the rule unbroken: %v\n%s", m.tests, err, out)
			}
			out, err := run(strings.Replace(string(text), m.old, m.new, 1))
			if err == nil || !strings.Contains(out, "--- FAIL") {
				t.Errorf("%s does not see the broken rule: %v\n%s", m.tests, err, out)
			}
		})
	}
}
