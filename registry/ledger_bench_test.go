package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"birdring/registry"
)

// BenchmarkLedger measures exposures with the ledger and without, single ones by
// 64 goroutines (group commit), arrays of 100 and an import, side by side, and
// prints the ratios. "sealed" has the cost of tiles and heads in it.
func BenchmarkLedger(b *testing.B) {
	for _, c := range []struct {
		name string
		run  func(b *testing.B, r *registry.Registry, decoy string, round int) int
	}{
		{"single", exposeSingly}, {"hundreds", exposeHundreds}, {"import", exposeImport},
	} {
		b.Run(c.name, func(b *testing.B) {
			with, _, decoys := ledgerWorld(b)
			without, _, _ := ledgerWorld(b)
			without.WithoutLedger()
			var spent [2]time.Duration
			var rows [2]int
			round := 0
			for b.Loop() {
				for i, r := range []*registry.Registry{with, without} {
					begin := time.Now()
					rows[i] += c.run(b, r, decoys[0].ID, round)
					if i == 0 {
						seal(b, r)
					}
					spent[i] += time.Since(begin)
				}
				round++
			}
			rate := func(i int) float64 { return float64(rows[i]) / spent[i].Seconds() }
			b.ReportMetric(rate(0), "with/s")
			b.ReportMetric(rate(1), "without/s")
			b.ReportMetric(rate(0)/rate(1), "ratio")
		})
	}
}

func exposeSingly(b *testing.B, r *registry.Registry, decoy string, round int) int {
	const workers, each = 64, 60
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				e := registry.Exposure{Account: fmt.Sprintf("acc-%d", w*each+i), Decoy: decoy, At: time.UnixMicro(1_790_000_000_000_000 + int64(round))}
				if _, err := r.Expose(context.Background(), []registry.Exposure{e}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return workers * each
}

func exposeHundreds(b *testing.B, r *registry.Registry, decoy string, round int) int {
	const arrays = 80
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < arrays; i += 8 {
				all := make([]registry.Exposure, 100)
				for j := range all {
					all[j] = registry.Exposure{Account: fmt.Sprintf("acc-%d", i*100+j), Decoy: decoy, At: time.UnixMicro(1_790_000_000_000_000 + int64(round))}
				}
				if _, err := r.Expose(context.Background(), all); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return 100 * arrays
}

func exposeImport(b *testing.B, r *registry.Registry, decoy string, round int) int {
	const n = 50_000
	var csv bytes.Buffer
	for i := range n {
		fmt.Fprintf(&csv, "acc-%d,%s,%s\n", i%10_000, decoy, time.UnixMicro(1_790_000_000_000_000+int64(round*n+i)).UTC().Format(time.RFC3339Nano))
	}
	if _, stored, _, err := r.ImportExposures(context.Background(), &csv); err != nil || stored != n {
		b.Fatalf("%d stored, %v", stored, err)
	}
	return n
}
