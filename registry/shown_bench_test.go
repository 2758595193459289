package registry_test

import (
	"context"
	"testing"
	"time"

	"birdring/canary"
)

// BenchmarkShown reads who was shown a picture, out of 200,000, as a server does:
// with a context that can end.
func BenchmarkShown(b *testing.B) {
	r, _, d := oneDecoy(b)
	at := time.Now().Add(-time.Hour)
	if err := r.Crowd(b.Context(), 200_000, at); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	n := 0
	for b.Loop() {
		n = 0
		if err := r.Shown(ctx, d.Avatar, time.Now(), func(canary.Viewer, time.Time) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	if n != 200_000 {
		b.Fatal(n)
	}
}
