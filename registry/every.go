package registry

import (
	"context"
	"time"
)

// Every calls f now and then every d until ctx ends, never twice at once: a call
// that takes longer than d is followed by the next right away. It returns nil, so
// that it can be what a part of a server is.
func Every(ctx context.Context, d time.Duration, f func(ctx context.Context)) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for ctx.Err() == nil {
		f(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}
