package main

import (
	"context"
	"fmt"
	"runtime"

	"birdring/canary"
)

// measureToken times the check of a token, half of them ours and half forged, by the
// processor's time of one thread: what else runs on the machine matters less so.
func measureToken(_ context.Context, b *bench) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	keys, err := canary.NewKeyring()
	if err != nil {
		return err
	}
	forger, err := canary.NewKeyring()
	if err != nil {
		return err
	}
	const n, turns = 1 << 12, 1 << 9
	tokens := append(manyLabels(keys, n/2), manyLabels(forger, n/2)...)
	var each []float64
	for range b.rounds {
		opened := 0
		before, err := threadTime()
		if err != nil {
			return err
		}
		for range turns {
			for _, s := range tokens {
				if _, err := keys.OpenToken(s); err == nil {
					opened++
				}
			}
		}
		after, err := threadTime()
		if err != nil {
			return err
		}
		if opened != turns*n/2 {
			return fmt.Errorf("%d of %d tokens opened", opened, turns*n/2)
		}
		each = append(each, float64(after-before)/float64(turns*n))
	}
	b.add(row{name: "token check, nanoseconds", got: median(each), target: 50, most: true, detail: fmt.Sprintf("%d checks a round, half of them of forged ones", turns*n)})
	return nil
}
