package jpeg_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"birdring/canary/jpeg"
	"birdring/internal/testkit"
)

// foreignFile is what cjpeg makes of noise with these options.
func foreignFile(t testing.TB, seed uint64, args ...string) []byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	data := fmt.Appendf(nil, "P6 83 61 255\n")
	v := 128
	for range 83 * 61 * 3 {
		v = min(255, max(0, v+rng.IntN(31)-15))
		data = append(data, byte(v))
	}
	return run(t, data, testkit.Tool(t, "cjpeg"), args...)
}

func run(t testing.TB, data []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(data), &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, &complaints)
	}
	return out.Bytes()
}

var dialects = map[string]struct {
	args      []string
	described string
}{
	"default":            {[]string{"-quality", "90"}, "baseline 4:2:0, standard Huffman tables, markers APP0 DQT DQT SOF0 DHT DHT DHT DHT SOS"},
	"4:2:2":              {[]string{"-quality", "85", "-sample", "2x1"}, "baseline 4:2:2, standard"},
	"4:4:4":              {[]string{"-quality", "92", "-sample", "1x1"}, "baseline 4:4:4, standard"},
	"4:4:0":              {[]string{"-quality", "75", "-sample", "1x2"}, "baseline 4:4:0, standard"},
	"optimised":          {[]string{"-quality", "80", "-optimize"}, "baseline 4:2:0, optimised"},
	"progressive":        {[]string{"-quality", "80", "-progressive"}, "progressive 4:2:0 in 10 scans, markers APP0 DQT DQT SOF2"},
	"progressive, 4:2:2": {[]string{"-quality", "75", "-progressive", "-sample", "2x1"}, "progressive 4:2:2 in 10 scans"},
	"progressive, 4:4:4": {[]string{"-quality", "92", "-progressive", "-sample", "1x1"}, "progressive 4:4:4 in 10 scans"},
}

// A file of a dialect, parsed and written again, is the file itself; learned from
// it, the dialect says so too and writes the same header for another picture.
func TestLearnedDialectsWriteTheirFiles(t *testing.T) {
	for name, c := range dialects {
		t.Run(name, func(t *testing.T) {
			one, other := foreignFile(t, 1, c.args...), foreignFile(t, 2, c.args...)
			d, notes, err := jpeg.Learn([]jpeg.Sample{{Name: "one", Data: one}, {Name: "other", Data: other}})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(d, notes)
			if !strings.HasPrefix(d.String(), c.described) {
				t.Errorf("described as %s", d)
			}
			f, err := jpeg.Parse(other)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(f.Encode(), other) {
				t.Error("parsed and written again, the file differs")
			}
			f.Dialect = d
			if !bytes.Equal(f.Encode(), other) {
				t.Error("written in the learned dialect, the file differs from libjpeg's")
			}
		})
	}
}

// Splices of every dialect are what its encoder writes.
func TestSplicesOfAllDialects(t *testing.T) {
	for name, c := range dialects {
		t.Run(name, func(t *testing.T) {
			d, _, err := jpeg.Learn([]jpeg.Sample{{Data: foreignFile(t, 1, c.args...)}})
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range [][2]int{{83, 61}, {64, 48}, {200, 17}, {8, 8}, {121, 120}} {
				for run := 1; run <= 4; run *= 2 {
					m := sceneIn(d, size[0], size[1], run, 0.3, 5)
					if d.Optimal {
						checkPooled(t, m)
						continue
					}
					checkSplices(t, m, 7)
				}
			}
		})
	}
}

// checkPooled: with tables made for the picture, every splice parses to the
// coefficients chosen and is what an encoder with its tables writes.
func checkPooled(t *testing.T, m *jpeg.Marked) {
	t.Helper()
	p := m.Write()
	if len(p.Files[0]) != len(p.Files[1]) {
		t.Fatalf("variants of %d and %d bytes", len(p.Files[0]), len(p.Files[1]))
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 5 {
		got, want := choose(m, p, func(int) int { return rng.IntN(2) })
		f, err := jpeg.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual([]jpeg.Grid{f.Luma, f.Cb, f.Cr}, []jpeg.Grid{want.Luma, want.Cb, want.Cr}) {
			t.Fatal("parsed coefficients are not the ones chosen")
		}
		if !bytes.Equal(f.Encode(), got) {
			t.Fatal("the splice is not what an encoder with its tables writes")
		}
	}
}

func TestLearnTakesTheMostCommonDialect(t *testing.T) {
	var files []jpeg.Sample
	for i, q := range []string{"75", "90", "90"} {
		files = append(files, jpeg.Sample{Name: q, Data: foreignFile(t, uint64(i), "-quality", q)})
	}
	d, notes, err := jpeg.Learn(files)
	if err != nil {
		t.Fatal(err)
	}
	if d.Quant != jpeg.Default(90).Quant || len(notes) != 1 || !strings.HasPrefix(notes[0], "1 of 3 files") {
		t.Errorf("%v: %q", d, notes)
	}
}

// Metadata that belongs to one photo is not carried into another.
func TestLearnLeavesMetadataOut(t *testing.T) {
	file := foreignFile(t, 1, "-quality", "90")
	exif := []byte("\xff\xe1\x00\x10Exif\x00\x00secret!!")
	comment := func(s string) []byte { return append([]byte{0xff, 0xfe, 0, byte(2 + len(s))}, s...) }
	with := func(seed uint64, note string) jpeg.Sample {
		f := foreignFile(t, seed, "-quality", "90")
		return jpeg.Sample{Data: append(append(append(bytes.Clone(f[:20]), exif...), comment(note)...), f[20:]...)}
	}
	d, notes, err := jpeg.Learn([]jpeg.Sample{with(1, "mine"), with(2, "yours")})
	if err != nil {
		t.Fatal(err)
	}
	f, err := jpeg.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	f.Dialect = d
	if got := f.Encode(); !bytes.Equal(got, file) || len(notes) != 2 {
		t.Errorf("notes %q", notes)
	}
	// A comment that all files have belongs to the dialect.
	if d, _, err = jpeg.Learn([]jpeg.Sample{with(1, "ours"), with(2, "ours")}); err != nil {
		t.Fatal(err)
	}
	f.Dialect = d
	if !bytes.Contains(f.Encode(), comment("ours")) {
		t.Error("a comment in all files was left out")
	}
}

func TestLearnRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":  nil,
		"text":     []byte("hello, this is no picture"),
		"grey":     foreignFile(t, 1, "-grayscale"),
		"RGB":      foreignFile(t, 1, "-rgb"),
		"cut off":  foreignFile(t, 1)[:100],
		"odd mode": bytes.Replace(foreignFile(t, 1), []byte{0xff, 0xc0}, []byte{0xff, 0xc9}, 1),
	} {
		if _, _, err := jpeg.Learn([]jpeg.Sample{{Name: name, Data: data}}); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := jpeg.Learn(nil); err == nil {
		t.Error("learned from nothing")
	}
}

// Whatever is learned writes files that can be read.
func FuzzLearn(f *testing.F) {
	f.Add(jpeg.NewFrame(20, 20, jpeg.Default(75)).Encode())
	f.Add(bytes.Replace(jpeg.NewFrame(20, 20, jpeg.Default(75)).Encode(), []byte{0xff, 0xc0}, []byte{0xff, 0xc2}, 1))
	f.Add(jpeg.NewFrame(20, 20, inScript(f, scripts["libjpeg"], 85, 2, 2)).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		d, _, err := jpeg.Learn([]jpeg.Sample{{Data: data}})
		if err != nil {
			return
		}
		m := sceneIn(d, 40, 24, 2, 0.3, 1)
		for _, file := range append(m.Write().Files[:], m.Plain.Encode()) {
			if _, err := jpeg.Parse(file); err != nil {
				t.Fatal(err)
			}
		}
	})
}
