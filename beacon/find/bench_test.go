package find_test

import (
	"testing"

	"birdring/beacon/find"
	"birdring/canary/mark"
	"birdring/internal/testkit"
)

func BenchmarkQuery(b *testing.B) {
	p := load(b, testkit.Photos(b)[1])
	b.ReportAllocs()
	for b.Loop() {
		find.NewQuery(p)
	}
}

func BenchmarkPDQ(b *testing.B) {
	p := load(b, testkit.Photos(b)[1])
	b.ReportAllocs()
	for b.Loop() {
		find.PDQ(p)
	}
}

func BenchmarkSearch(b *testing.B) {
	x := index(b)
	q := find.NewQuery(painted()[1])
	b.ReportAllocs()
	for b.Loop() {
		x.Search(q, 5)
	}
}

func BenchmarkAlign(b *testing.B) {
	p := load(b, testkit.Photos(b)[1])
	suspect := warp(p, 900, 640, mark.Affine{A: 1.01, C: 20.3, E: 0.99, F: 17.8})
	start := mark.Affine{A: 1, E: 1, C: -20, F: -20}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := find.Align(b.Context(), p, suspect, []mark.Affine{start}); err != nil {
			b.Fatal(err)
		}
	}
}
