package mark_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"birdring/canary/mark"
	"birdring/canary/ring"
)

// FuzzRead reads suspects of noise under any transform, with any tables, bounds and
// bends: never a panic, and never evidence against anybody.
func FuzzRead(f *testing.F) {
	f.Add(uint64(1), 320, 240, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, uint8(0))
	f.Add(uint64(2), 150, 110, -0.45, 0.0, 150.0, 0.0, 0.45, 0.0, uint8(1))
	f.Add(uint64(3), 340, 260, 0.99, -0.08, 5.0, 0.08, 0.99, -4.0, uint8(2))
	f.Add(uint64(4), 700, 530, 2.2, 0.0, 0.0, 0.0, 2.2, 0.0, uint8(6))
	const w, h = 320, 240
	key := bytes.Repeat([]byte{9}, 32)
	plan, err := mark.NewPlan(noise(1, w, h), mark.Grid{W: w, H: h, MCU: 16, Run: 1}, key[:16])
	if err != nil {
		f.Fatal(err)
	}
	ref := &mark.Reference{Mean: noise(1, w, h), Half: plan.Bump, Grid: plan.Grid}
	book, err := ring.NewBook(key, ring.D, plan.Grid.Segments())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seed uint64, sw, sh int, a, b, c, d, e, g float64, extra uint8) {
		sw, sh = (sw&1023+1024)%1024+1, (sh&1023+1024)%1024+1
		s := &mark.Suspect{Luma: noise(seed, sw, sh)}
		rng := rand.New(rand.NewPCG(seed, 2))
		if extra&1 != 0 {
			s.Quant = new([64]uint16)
			for i := range s.Quant {
				s.Quant[i] = uint16(rng.IntN(99))
			}
		}
		if extra&2 != 0 {
			across := (sw + 15) / 16 * 4
			n := across * ((sh + 15) / 16 * 4) * 16
			s.Rounded = &mark.Rounded{Across: across, Low: make([]float32, n), High: make([]float32, n)}
			for i := range n {
				s.Rounded.Low[i], s.Rounded.High[i] = -20*rng.Float32(), 20*rng.Float32()
			}
		}
		if extra&4 != 0 {
			s.Bend = &mark.Field{Step: 50, NX: 3, NY: 2, Nodes: make([]float32, 12), Cols: make([]float32, sw)}
			for i := range s.Bend.Nodes {
				s.Bend.Nodes[i] = 10 * (rng.Float32() - 0.5)
			}
		}
		soft, err := mark.Read(t.Context(), ref, s, mark.Affine{A: a, B: b, C: c, D: d, E: e, F: g})
		if err != nil {
			return
		}
		if len(soft.Y) != plan.Grid.Segments() {
			t.Fatalf("%d soft values", len(soft.Y))
		}
		reading, err := ring.NewReading(book, soft.Y)
		if err != nil {
			t.Fatal(err)
		}
		for v := range uint64(50) {
			s := reading.Score(v)
			if bits := s.Alone(); bits >= ring.AttributedMillibits {
				t.Fatalf("noise attributed to viewer %d at %d millibits", v, bits)
			}
		}
	})
}

func noise(seed uint64, w, h int) mark.Plane {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := mark.Plane{W: w, H: h, Pix: make([]float32, w*h)}
	for i := range p.Pix {
		p.Pix[i] = rng.Float32() * 255
	}
	return p
}
