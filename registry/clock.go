package registry

import (
	"sync/atomic"
	"time"
)

// The registry's clock never goes back: what is stored later says so, whatever is
// done to the machine's. It stands still until the machine's has caught up. So
// rows agree with the ledger, whose times never go back either, and nothing is
// found before it was shown.
var (
	latest atomic.Int64                  // microseconds, the last time told
	wall   atomic.Pointer[time.Duration] // added to the machine's clock by tests
)

// mostBack is how far back a clock may have been set when a registry is opened: a
// time further ahead was a mistake that is not waited out.
const mostBack = 25 * time.Hour

// now is the time with the precision that is stored.
func now() time.Time {
	t := machineTime().UnixMicro()
	for {
		last := latest.Load()
		if t <= last {
			return time.UnixMicro(last).UTC()
		}
		if latest.CompareAndSwap(last, t) {
			return time.UnixMicro(t).UTC()
		}
	}
}

func machineTime() time.Time {
	t := time.Now()
	if d := wall.Load(); d != nil {
		t = t.Add(*d)
	}
	return t
}

// notBefore sets the clock to a time that was recorded.
func notBefore(micros int64) {
	if micros-machineTime().UnixMicro() > mostBack.Microseconds() {
		return
	}
	for last := latest.Load(); last < micros && !latest.CompareAndSwap(last, micros); last = latest.Load() {
	}
}
