package beacon

import (
	"net/netip"
	"time"
)

// SomeResolver is where the datagrams of tests without sockets come from.
var SomeResolver = netip.MustParseAddrPort("192.0.2.53:53")

// Datagram answers a datagram as a socket's goroutine does, rate limit left away.
func (d *DNS) Datagram(m []byte) []byte { return d.DatagramAt(m, time.Now()) }

// DatagramAt is Datagram by a clock that says so.
func (d *DNS) DatagramAt(m []byte, now time.Time) []byte {
	w := d.streams.Get().(*udpWorker)
	defer d.streams.Put(w)
	out, _, _ := w.datagram(make([]byte, 0, replySize), m, SomeResolver, now)
	if w.flush() != nil {
		return nil
	}
	return out
}

// Allowed says which answers to one resolver a limit lets through at the times given.
func Allowed(rate RateLimit, times []time.Time) (out []bool) {
	rate = rate.withDefaults()
	var l limiter
	for _, at := range times {
		out = append(out, l.allow(&rate, SomeResolver.Addr(), 0, at))
	}
	return out
}
