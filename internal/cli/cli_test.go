package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"birdring/internal/cli"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"birdring": func() {
			os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestJourneys plays the scripts of testdata: what a person types, with the exit
// codes and lines that scripts outside rely on.
func TestJourneys(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":    exits,
			"jsonhas":  jsonHas,
			"pick":     pick,
			"paint":    paintCommand(t),
			"truncate": truncateFile,

			"makenames": makeNames,
			// postgres VAR makes an empty database and puts its URL into VAR.
			"postgres": func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv(args[0], testkit.Postgres(t)) },
		},
		Condition: func(what string) (bool, error) {
			if what != "postgres" {
				return false, fmt.Errorf("there is no condition %q", what)
			}
			return testkit.HasPostgres(), nil
		},
	})
}

// exits CODE COMMAND ... runs a command and wants just this exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if stderr := ts.ReadFile("stderr"); strings.Contains(stderr, "panic:") {
		ts.Fatalf("panic")
	}
}

// makenames N FILE writes a list of N made-up names, its third and last lines none.
func makeNames(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	rng := rand.New(rand.NewPCG(1, 1))
	syllables := strings.Fields("an be co di er fa ga hel in jo ka lu ma nor os pe ra sil to un vi wa xan yo zel")
	var b strings.Builder
	for i := range n {
		for range 2 + rng.IntN(3) {
			b.WriteString(syllables[rng.IntN(len(syllables))])
		}
		if rng.IntN(3) == 0 {
			fmt.Fprintf(&b, "_%d", rng.IntN(100))
		}
		b.WriteByte('\n')
		if i == 1 {
			b.WriteString("not a name\n")
		}
	}
	b.WriteString("änna\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// rows reads stdout as JSON lines: nothing else may be there.
func rows(ts *testscript.TestScript) []map[string]any {
	var out []map[string]any
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			ts.Fatalf("no JSON object: %q", line)
		}
		out = append(out, row)
	}
	return out
}

// jsonhas KEY ... wants every row of stdout to have just these keys.
func jsonHas(ts *testscript.TestScript, _ bool, args []string) {
	all := rows(ts)
	if len(all) == 0 {
		ts.Fatalf("no rows")
	}
	for _, row := range all {
		for _, key := range args {
			if _, ok := row[key]; !ok {
				ts.Fatalf("row has no key %s: %v", key, row)
			}
		}
		if len(row) != len(args) {
			ts.Fatalf("row has other keys than %v: %v", args, row)
		}
	}
}

// pick VAR ROW KEY[.KEY] puts a value of a row (from 1; lists by index) into an environment variable.
func pick(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	all := rows(ts)
	if n > len(all) {
		ts.Fatalf("only %d rows", len(all))
	}
	var v any = all[n-1]
	for key := range strings.SplitSeq(args[2], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("%s: only %d entries", args[2], len(at))
			}
			v = at[i]
		default:
			ts.Fatalf("%s: nothing there", args[2])
		}
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// paint SEED FILE [W H] paints a picture that nobody planted.
func paintCommand(t *testing.T) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		seed, err := strconv.ParseUint(args[0], 10, 64)
		ts.Check(err)
		w, h := 960, 720
		if len(args) == 4 {
			w, err = strconv.Atoi(args[2])
			ts.Check(err)
			h, err = strconv.Atoi(args[3])
			ts.Check(err)
		}
		path := ts.MkAbs(args[1])
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		testkit.WriteJPEG(t, path, paint.Scene(seed, w, h), 92)
	}
}

// truncate FILE BYTES cuts a file short.
func truncateFile(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}
