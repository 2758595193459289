package mark_test

import (
	"math"
	"os"
	"testing"

	"birdring/canary/mark"
	"birdring/canary/ring"
)

// TestSoftShapes compares ways to turn likelihoods into soft values by the evidence they give.
func TestSoftShapes(t *testing.T) {
	if os.Getenv("BIRDRING_EXPLORE") == "" {
		t.Skip("explores; set BIRDRING_EXPLORE")
	}
	dir := kept(t)
	shapes := map[string]func(l, med float64) float64{
		"k.5":   func(l, _ float64) float64 { return l / (math.Abs(l) + .5) },
		"k1":    func(l, _ float64) float64 { return l / (math.Abs(l) + 1) },
		"k2":    func(l, _ float64) float64 { return l / (math.Abs(l) + 2) },
		"k4":    func(l, _ float64) float64 { return l / (math.Abs(l) + 4) },
		"k8":    func(l, _ float64) float64 { return l / (math.Abs(l) + 8) },
		"tanh":  func(l, _ float64) float64 { return math.Tanh(l / 2) },
		"tanh4": func(l, _ float64) float64 { return math.Tanh(l / 4) },
		"med":   func(l, m float64) float64 { return l / (math.Abs(l) + m) },
		"med2":  func(l, m float64) float64 { return l / (math.Abs(l) + 2*m) },
		"sqrt":  func(l, m float64) float64 { return math.Copysign(math.Sqrt(math.Abs(l))/4, l) },
		"clip3": func(l, m float64) float64 { return min(max(l/3, -1), 1) },
		"clip6": func(l, m float64) float64 { return min(max(l/6, -1), 1) },
	}
	names := []string{"own", "k.5", "k1", "k2", "k4", "k8", "tanh", "tanh4", "med", "med2", "sqrt", "clip3", "clip6"}
	for _, a := range attacks {
		if !chosen(a.name) {
			continue
		}
		sum := map[string]float64{}
		var ideal float64
		for _, p := range plant(t, dir, some(t, 2)) {
			s, tr := a.make(t, dir, p.file, p.pic.W, p.pic.H)
			l, _, _, err := mark.Likelihoods(t.Context(), p.ref, s, tr)
			if err != nil {
				t.Fatal(err)
			}
			var abs []float64
			for _, v := range l {
				abs = append(abs, math.Abs(v))
			}
			m := median(abs)
			book := p.render.Book()
			word := make([]uint64, book.Words())
			book.Codeword(word, uint64(guilty))
			for k, pos := range book.Order() {
				x := word[pos>>6] >> (pos & 63) & 1
				pr := book.P(int(pos))
				e := math.Exp(min(max(l[k], -16), 16))
				d := pr*e + 1 - pr
				if x == 1 {
					ideal += math.Log2(e / d)
				} else {
					ideal += math.Log2(1 / d)
				}
			}
			soft, err := mark.Read(t.Context(), p.ref, s, tr)
			if err != nil {
				t.Fatal(err)
			}
			reading, err := ring.NewReading(book, soft.Y)
			if err != nil {
				t.Fatal(err)
			}
			sum["own"] += float64(ring.SiteBits([]ring.TrackLogs{reading.Score(uint64(guilty))})) / 1000
			for n, f := range shapes {
				y := make([]int16, len(l))
				for k := range l {
					y[k] = int16(1024 * f(l[k], m))
				}
				reading, err := ring.NewReading(book, y)
				if err != nil {
					t.Fatal(err)
				}
				sum[n] += float64(ring.SiteBits([]ring.TrackLogs{reading.Score(uint64(guilty))})) / 1000
			}
		}
		line := ""
		for _, n := range names {
			line += "  " + n + " " + itoa(sum[n])
		}
		t.Logf("%-15s ideal %s %s", a.name, itoa(ideal), line)
	}
}
