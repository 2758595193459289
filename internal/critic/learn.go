package critic

import (
	"math"
	"math/rand/v2"

	"birdring/canary/handle/forest"
)

// linear is logistic regression over runs of one to five signs, hashed, with the
// step sizes of AdaGrad (Duchi, Hazan and Singer 2011).
type linear struct{ w, g []float64 }

const linearBits = 18

func newLinear(s sample, rng *rand.Rand) *linear {
	l := &linear{make([]float64, 1<<linearBits), make([]float64, 1<<linearBits)}
	const rate, passes, shrink = 0.15, 4, 1e-5
	order := rng.Perm(len(s.names))
	for range passes {
		for _, i := range order {
			y := 0.0
			if s.real[i] {
				y = 1
			}
			at := hashes(s.names[i])
			d := 1/(1+math.Exp(-l.sum(at))) - y
			for _, k := range at {
				g := d + shrink*l.w[k]
				l.g[k] += g * g
				l.w[k] -= rate * g / math.Sqrt(l.g[k]+1e-4)
			}
		}
	}
	return l
}

func (l *linear) sum(at []uint32) (v float64) {
	for _, k := range at {
		v += l.w[k]
	}
	return v / math.Sqrt(float64(len(at)))
}

func (l *linear) score(name string) float64 { return l.sum(hashes(name)) }

func hashes(name string) (out []uint32) {
	s := "^" + name + "$"
	for i := range len(s) {
		h := uint64(0xcbf29ce484222325)
		for n := 0; n < 5 && i+n < len(s); n++ {
			h = (h ^ uint64(s[i+n])) * 0x100000001b3
			out = append(out, uint32((h^h>>29)*0x9e3779b97f4a7c15>>(64-linearBits)))
		}
	}
	return out
}

// trees is how large the forest grows that he stacks his means under.
var trees = forest.Size{Rounds: 320, Depth: 5, Rate: 0.05}
