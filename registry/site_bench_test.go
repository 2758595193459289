package registry_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"birdring/registry"
)

// BenchmarkAddSighting adds a find to a site with 100 finds of 4 photos (BIRDRING_FINDS=1000 for more; it takes minutes) and
// 100,000 exposed viewers, and reports what it costs to begin anew, without caches.
func BenchmarkAddSighting(b *testing.B) {
	s := newStage(b, 4)
	if err := s.Crowd(b.Context(), 100_000, time.Now().Add(-time.Hour)); err != nil {
		b.Fatal(err)
	}
	n := 0
	add := func() {
		photo := s.photos[n%len(s.photos)]
		y := s.copyOf(b, photo, 1, uint64(n), fmt.Sprintf("many-%d", 1+n%3))
		if err := s.Found(b.Context(), "big.example", s.at.Add(time.Duration(n)*time.Second), registry.Read{Photo: photo, Y: y}); err != nil {
			b.Fatal(err)
		}
		n++
	}
	finds := 100
	if s := os.Getenv("BIRDRING_FINDS"); s != "" {
		var err error
		if finds, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for range finds {
		add()
	}
	for b.Loop() {
		add()
	}
	b.ReportMetric(480, "cache-bytes/viewer")
	begin := time.Now()
	s.DropCaches()
	add()
	b.ReportMetric(time.Since(begin).Seconds(), "s-without-cache")
}
