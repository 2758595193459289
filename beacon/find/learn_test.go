package find

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"birdring/beacon/decode"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

// TestLearnBrief chooses the point pairs of descriptors and writes brieftable.go,
// when BIRDRING_LEARN=brief asks for it: out of many drawn pairs those whose
// comparison is a fair coin over the keypoints of training pictures and hardly
// correlates with any chosen before (as ORB, Rublee et al. 2011, learns its
// pairs). Every second photo and as many painted scenes are trained on.
func TestLearnBrief(t *testing.T) {
	if os.Getenv("BIRDRING_LEARN") != "brief" {
		t.Skip("set BIRDRING_LEARN=brief to choose the pairs again")
	}
	rng := rand.New(rand.NewPCG(11, 12))
	pool := drawPairs(rng, 12000)
	columns := make([][]uint64, len(pool))
	n := 0
	learn := func(p pyramid) {
		pts := p.places(700)
		for _, c := range pts {
			l := &p[c.level]
			sin, cos := math.Sincos(l.orientation(c.x, c.y))
			for k, pr := range pool {
				if n&63 == 0 {
					columns[k] = append(columns[k], 0)
				}
				if l.turned(c.x, c.y, sin, cos, pr[0], pr[1]) < l.turned(c.x, c.y, sin, cos, pr[2], pr[3]) {
					columns[k][n>>6] |= 1 << (n & 63)
				}
			}
			n++
		}
	}
	for i, path := range testkit.Photos(t) {
		if i%2 == 0 {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			img, err := decode.Decode(t.Context(), data, decode.Default())
			if err != nil {
				t.Fatal(err)
			}
			learn(newPyramid(reduced(img.Luma)))
		}
		learn(newPyramid(reduced(decode.Luma(paint.Scene(uint64(70+i), 640, 480)))))
	}
	chosen := choose(columns, n)
	var b strings.Builder
	b.WriteString("package find\n\n// brief lists the point pairs that a descriptor compares (x, y, x, y around the\n// keypoint), within a radius of 13 so that turning keeps them in the patch.\n// TestLearnBrief chose them; changing them makes stored prints useless.\nvar brief = [256][4]int8{\n")
	for i, k := range chosen {
		p := pool[k]
		if i%4 == 0 {
			b.WriteString("\t")
		}
		fmt.Fprintf(&b, "{%d, %d, %d, %d},", p[0], p[1], p[2], p[3])
		b.WriteString([]string{" ", " ", " ", "\n"}[i%4])
	}
	b.WriteString("}\n")
	if err := os.WriteFile("brieftable.go", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// drawPairs draws pairs of points, normally distributed around the keypoint.
func drawPairs(rng *rand.Rand, n int) [][4]int8 {
	one := func() (int8, int8) {
		for {
			x, y := rng.NormFloat64()*6.5, rng.NormFloat64()*6.5
			if x*x+y*y <= 12.5*12.5 {
				return int8(math.Round(x)), int8(math.Round(y))
			}
		}
	}
	out := make([][4]int8, 0, n)
	for len(out) < n {
		ax, ay := one()
		bx, by := one()
		if dx, dy := int(ax)-int(bx), int(ay)-int(by); dx*dx+dy*dy >= 16 {
			out = append(out, [4]int8{ax, ay, bx, by})
		}
	}
	return out
}

// choose picks 256 columns of n bits greedily.
func choose(columns [][]uint64, n int) []int {
	ones := make([]int, len(columns))
	order := make([]int, len(columns))
	for k, c := range columns {
		order[k] = k
		for _, w := range c {
			ones[k] += bits.OnesCount64(w)
		}
	}
	unfair := func(k int) int { return max(ones[k]-n/2, n/2-ones[k]) }
	slices.SortFunc(order, func(a, b int) int { return unfair(a) - unfair(b) })
	for limit := 0.15; ; limit += 0.01 {
		var chosen []int
		for _, k := range order {
			if unfair(k) > n/5 { // 30 to 70 in a hundred
				break
			}
			if !slices.ContainsFunc(chosen, func(o int) bool { return correlation(columns, ones, n, k, o) > limit }) {
				if chosen = append(chosen, k); len(chosen) == 256 {
					fmt.Println("limit", limit, "unfairest", unfair(k), "of", n)
					return chosen
				}
			}
		}
	}
}

// correlation is the absolute correlation of two columns.
func correlation(columns [][]uint64, ones []int, n, a, b int) float64 {
	both := 0
	for i, w := range columns[a] {
		both += bits.OnesCount64(w & columns[b][i])
	}
	p, q := float64(ones[a])/float64(n), float64(ones[b])/float64(n)
	return math.Abs(float64(both)/float64(n)-p*q) / math.Sqrt(p*(1-p)*q*(1-q)+1e-12)
}

// turned is the smoothed brightness at u, v in the turned patch around x, y.
func (l *level) turned(x, y int, sin, cos float64, u, v int8) byte {
	fu, fv := float64(u), float64(v)
	dx, dy := int(math.Round(cos*fu-sin*fv)), int(math.Round(sin*fu+cos*fv))
	return l.smooth[(y+dy)*l.w+x+dx]
}
