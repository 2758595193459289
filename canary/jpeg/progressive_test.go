package jpeg_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"birdring/canary/jpeg"
	"birdring/internal/testkit"
)

// Scripts as cjpeg -scans reads them.
var scripts = map[string]string{
	"libjpeg":          "0,1,2: 0-0, 0, 1; 0: 1-5, 0, 2; 2: 1-63, 0, 1; 1: 1-63, 0, 1; 0: 6-63, 0, 2; 0: 1-63, 2, 1; 0,1,2: 0-0, 1, 0; 2: 1-63, 1, 0; 1: 1-63, 1, 0; 0: 1-63, 1, 0;",
	"mozjpeg":          "0,1,2: 0-0, 0, 0; 0: 1-8, 0, 2; 1: 1-8, 0, 0; 2: 1-8, 0, 0; 0: 9-63, 0, 2; 0: 1-63, 2, 1; 0: 1-63, 1, 0; 1: 9-63, 0, 0; 2: 9-63, 0, 0;",
	"bands only":       "0,1,2: 0-0, 0, 0; 0: 1-9, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0; 0: 10-63, 0, 0;",
	"luma on its own":  "0: 0-0, 0, 0; 1,2: 0-0, 0, 0; 0: 1-63, 0, 1; 1: 1-63, 0, 0; 2: 1-63, 0, 0; 0: 1-63, 1, 0;",
	"every bit of DC":  "0,1,2: 0-0, 0, 3; 0,1,2: 0-0, 3, 2; 0,1,2: 0-0, 2, 1; 0,1,2: 0-0, 1, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;",
	"DC refined alone": "0,1,2: 0-0, 0, 1; 0: 0-0, 1, 0; 1,2: 0-0, 1, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;",
}

// inScript is the dialect of a script, from a file that has headers only: libjpeg's
// default of this quality and subsampling otherwise.
func inScript(t testing.TB, text string, quality, across, down int) *jpeg.Dialect {
	t.Helper()
	d := jpeg.Default(quality)
	file := jpeg.NewFrame(16, 16, d).Encode()
	at := bytes.Index(file, []byte{0xff, 0xc4}) // all tables and the scan follow
	file = bytes.Replace(file[:at:at], []byte{0xff, 0xc0}, []byte{0xff, 0xc2}, 1)
	file[bytes.Index(file, []byte{0xff, 0xc2})+11] = byte(across<<4 | down)
	for line := range strings.SplitSeq(strings.TrimSuffix(text, ";"), ";") {
		var ss, se, ah, al int
		comps, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if _, err := fmt.Sscanf(rest, " %d-%d, %d, %d", &ss, &se, &ah, &al); err != nil {
			t.Fatal(err)
		}
		sos := []byte{0}
		seen := map[byte]bool{}
		for c := range strings.SplitSeq(comps, ",") {
			n := c[0] - '0'
			number := min(n, 1)
			id, both := number, number<<4
			switch {
			case ss > 0:
				id, both = 0x10|number, number
			case ah > 0:
				both = 0
			}
			sos[0]++
			sos = append(sos, n+1, both)
			if (ss > 0 || ah == 0) && !seen[id] {
				seen[id] = true
				file = append(file, 0xff, 0xc4, 0, 20, id, 1)
				file = append(file, make([]byte, 16)...)
			}
		}
		file = append(file, 0xff, 0xda, 0, byte(5+len(sos)))
		file = append(append(file, sos...), byte(ss), byte(se), byte(ah<<4|al))
	}
	out, notes, err := jpeg.Learn([]jpeg.Sample{{Name: "headers", Data: append(file, 0xff, 0xd9)}})
	if err != nil {
		t.Fatal(err)
	}
	if !out.Progressive() {
		t.Fatalf("%s was not learned: %q", text, notes)
	}
	return out
}

// Whatever the script, the size of the picture and of segments, every mixture of
// the variants is a file of the coefficients chosen.
func TestProgressiveSplices(t *testing.T) {
	for name, text := range scripts {
		t.Run(name, func(t *testing.T) {
			for _, mcu := range [][2]int{{2, 2}, {2, 1}, {1, 1}, {1, 2}} {
				d := inScript(t, text, 85, mcu[0], mcu[1])
				for i, size := range [][2]int{{83, 61}, {8, 8}, {200, 17}, {121, 120}} {
					busy := []float32{0.3, 1, 0, 0.05}[(i+mcu[0]+2*mcu[1])%4]
					checkPooled(t, sceneIn(d, size[0], size[1], 1<<(i%3), busy, 5))
				}
			}
		})
	}
}

// libjpeg writes the same file as we do for the same coefficients: unringed, and for
// a rendition's coefficients with tables of their own.
func TestProgressiveFilesAreLibjpegs(t *testing.T) {
	for name, text := range scripts {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "scans")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			theirs := foreignFile(t, 3, "-quality", "88", "-scans", file)
			f, err := jpeg.Parse(theirs)
			if err != nil {
				t.Fatal(err)
			}
			d := inScript(t, text, 88, 2, 2)
			if f.Dialect = d; !bytes.Equal(f.Encode(), theirs) {
				t.Error("parsed and written in the dialect, the file differs")
			}
			m := sceneIn(d, 83, 61, 1, 0.3, 4)
			got, want := choose(m, m.Write(), func(k int) int { return k & 1 })
			if best := run(t, got, testkit.Tool(t, "jpegtran"), "-copy", "all", "-scans", file); !bytes.Equal(best, want.Encode()) {
				t.Error("jpegtran writes another file for a rendition's coefficients")
			}
		})
	}
}

// The pieces of a busy picture are rarely left alike, and the variants share what
// scans carry that do not differ.
func TestProgressiveVariants(t *testing.T) {
	m := sceneIn(inScript(t, scripts["libjpeg"], 85, 2, 2), 400, 304, 1, 0.3, 9)
	p := m.Write()
	if n := len(p.Off) - 1; p.Bare > 0 || p.Given*50 > n {
		t.Errorf("%d segments bare, %d of %d pieces given up", p.Bare, p.Given, n)
	}
	differ := 0
	for i := range p.As[0].Luma.Blocks {
		for z := 1; z < 64; z++ {
			a, b := p.As[0].Luma.Blocks[i][z], p.As[1].Luma.Blocks[i][z]
			if a/2 != b/2 {
				t.Fatalf("block %d coefficient %d is %d and %d: more than the lowest bit", i, z, a, b)
			}
			if a != b {
				differ++
			}
		}
	}
	if differ < len(p.As[0].Luma.Blocks) {
		t.Errorf("%d AC coefficients differ in %d blocks", differ, len(p.As[0].Luma.Blocks))
	}
}

// Scripts that are none are refused with a reason, and learned as baseline.
func TestProgressiveParseRefuses(t *testing.T) {
	good := sceneIn(inScript(t, scripts["libjpeg"], 85, 2, 2), 70, 50, 1, 0.3, 5).Plain.Encode()
	refuses(t, good, 0xc2, 80)
	// Without its last scan a file lacks the lowest bits.
	last := bytes.LastIndex(good, []byte{0xff, 0xc4})
	cut := append(bytes.Clone(good[:last]), 0xff, 0xd9)
	if _, err := jpeg.Parse(cut); err == nil {
		t.Error("a file without its last scan was parsed")
	}
	d, notes, err := jpeg.Learn([]jpeg.Sample{{Data: cut}})
	if err != nil || d.Progressive() || !strings.Contains(fmt.Sprint(notes), "the scans do not bring all of the picture") {
		t.Errorf("learned as %v: %q, %v", d, notes, err)
	}
}

// Restart markers in a progressive file are passed over by Learn.
func TestLearnProgressiveWithRestarts(t *testing.T) {
	d, notes, err := jpeg.Learn([]jpeg.Sample{{Data: foreignFile(t, 2, "-quality", "80", "-progressive", "-restart", "1")}})
	if err != nil || !d.Progressive() || !strings.Contains(fmt.Sprint(notes), "restart markers are not written") {
		t.Errorf("learned as %v: %q, %v", d, notes, err)
	}
}

// FuzzProgressiveSplices: whatever the picture and the script, every splice is a
// file of the coefficients chosen.
func FuzzProgressiveSplices(f *testing.F) {
	f.Add(uint8(40), uint8(24), uint8(1), uint8(0), float32(0.3), uint64(1))
	f.Add(uint8(17), uint8(33), uint8(2), uint8(4), float32(3), uint64(2))
	f.Add(uint8(26), uint8(17), uint8(32), uint8(93), float32(51.3), uint64(85)) // blocks without an end
	var dialects []*jpeg.Dialect
	for _, name := range []string{"libjpeg", "mozjpeg", "bands only", "luma on its own", "every bit of DC", "DC refined alone"} {
		for _, mcu := range [][2]int{{2, 2}, {2, 1}, {1, 1}, {1, 2}} {
			dialects = append(dialects, inScript(f, scripts[name], 85, mcu[0], mcu[1]))
		}
	}
	f.Fuzz(func(t *testing.T, w, h, run, kind uint8, busy float32, seed uint64) {
		if w == 0 || h == 0 || !(busy >= 0 && busy < 100) {
			return
		}
		m := sceneIn(dialects[int(kind)%len(dialects)], int(w), int(h), 1+int(run%4), busy, seed)
		p := m.Write()
		rng := rand.New(rand.NewPCG(seed, 3))
		got, want := choose(m, p, func(int) int { return rng.IntN(2) })
		back, err := jpeg.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want.Luma.Blocks {
			if back.Luma.Blocks[i] != want.Luma.Blocks[i] {
				t.Fatalf("block %d is not the one chosen", i)
			}
		}
		if !bytes.Equal(back.Encode(), got) {
			t.Fatal("the splice is not what an encoder with its tables writes")
		}
	})
}
