package ring_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"birdring/canary/ring"
)

func TestExpAndLogAreWithinTwoUlps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		x := rng.NormFloat64() * 100
		if got, want := ring.Exp(x), math.Exp(x); math.Abs(got-want) > 4.5e-16*want {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
		x = math.Exp(rng.NormFloat64() * 20)
		if got, want := ring.Log(x), math.Log(x); math.Abs(got-want) > 4.5e-16*math.Abs(want)+1e-18 {
			t.Fatalf("log(%v) = %v, want %v", x, got, want)
		}
	}
	if ring.Exp(-1e9) != 0 || ring.Exp(math.Inf(-1)) != 0 || ring.Exp(0) != 1 || ring.Log(1) != 0 || !math.IsInf(ring.Log(0), -1) {
		t.Error("exp or log is wrong at its ends")
	}
}

func TestMillibitsRoundDown(t *testing.T) {
	for _, c := range []struct {
		nats float64
		want int64
	}{{0, 0}, {math.Ln2, 999}, {64 * math.Ln2, 63999}, {1e-7, 0}, {-1e-7, -1}, {-math.Ln2, -1001}, {1000, 1442695}, {-1000, -1442696}} {
		if got := ring.Nats(math.Floor(c.nats * (1 << 24))).Millibits(); got != c.want {
			t.Errorf("%v nats: %d millibits, want %d", c.nats, got, c.want)
		}
	}
}

// What is compiled for arm64 must hold no fused multiply-add: it would give other
// bits there than on amd64. The library's exp and log differ too.
func TestNoFusedArithmetic(t *testing.T) {
	object := filepath.Join(t.TempDir(), "ring.a")
	build := exec.Command("go", "build", "-o", object, ".")
	build.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build for arm64: %v\n%s", err, out)
	}
	dump, err := exec.Command("go", "tool", "objdump", object).CombinedOutput()
	if err != nil {
		t.Fatalf("go tool objdump: %v\n%s", err, dump)
	}
	fused := regexp.MustCompile(`\bFN?M(ADD|SUB)[SD]?\b`)
	function, bad := "", 0
	for line := range strings.Lines(string(dump)) {
		if strings.HasPrefix(line, "TEXT ") {
			function = line
		}
		if fused.MatchString(line) {
			if bad++; bad < 20 {
				t.Errorf("%s%s", function, line)
			}
		}
	}
	if !bytes.Contains(dump, []byte("FMUL")) {
		t.Error("no multiplication was found at all: this test looks at the wrong thing")
	}
	own, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range own {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") && regexp.MustCompile(`math\.(Exp|Log|Pow|FMA)`).Match(src) {
			t.Errorf("%s calls an inexact function of package math", f)
		}
	}
}

// Scores of fixed values, bit for bit, the same on every machine.
func TestScoresAreGolden(t *testing.T) {
	golden := map[string]string{"U": "394c89b40611c49c", "D": "a6b1e201488b7222", "D6": "ac5d6c6212df8e0e"}
	for _, code := range []ring.Code{ring.U, ring.D, ring.D6} {
		h := sha256.New()
		for _, strength := range []int{40, 300, 2500} {
			b := book(t, code, 700)
			y := make([]int16, b.M())
			word := make([]uint64, b.Words())
			b.Codeword(word, 70_000)
			noise := rand.New(rand.NewPCG(5, 5))
			for k, pos := range b.Order() {
				y[k] = int16(noise.IntN(2001) - 1000 + strength*(int(word[pos>>6]>>(pos&63)&1)*2-1))
			}
			r := reading(t, b, y)
			given := r.Given([]uint64{70_000, 70_001})
			for v := uint64(70_000); v < 70_020; v++ {
				binary.Write(h, binary.LittleEndian, r.Score(v))
				binary.Write(h, binary.LittleEndian, given.Score(v))
				binary.Write(h, binary.LittleEndian, siteBits(r.Score(v), given.Score(v)))
			}
			whole, prefix := r.Sweep(1 << 20).Least()
			binary.Write(h, binary.LittleEndian, [2]int64{int64(whole), int64(prefix)})
		}
		if got := hex.EncodeToString(h.Sum(nil)[:8]); got != golden[code.String()] {
			t.Errorf("%q: %q,", code, got)
		}
	}
}
