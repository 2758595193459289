package beacon

import (
	"net/netip"
	"time"

	"birdring/beacon/journal"
)

// batchSize is how many datagrams are read, recorded and answered together.
const batchSize = 64

// replySize is room for an answer by UDP, in bytes.
const replySize = udpSize + 64

// udpWorker answers the queries of one socket. It is used by one goroutine.
type udpWorker struct {
	d       *DNS
	ids     *hitIDs
	batch   journal.Batch // hits that wait to be recorded
	rec     []byte
	hit     dnsHit
	limiter limiter
	counts  [outcomes]uint64
}

func newUDPWorker(d *DNS) *udpWorker { return &udpWorker{d: d, ids: newHitIDs()} }

// datagram appends the answer to one datagram to dst; nothing is silence. If it
// is a hit, it waits in the batch: flush must succeed before the answer is sent.
func (w *udpWorker) datagram(dst, m []byte, from netip.AddrPort, now time.Time) (out []byte, outcome Outcome, hit bool) {
	if from.Port() == 0 {
		return dst, Dropped, false
	}
	pending := &w.hit
	out, outcome, ok := w.d.fastAnswer(dst, m, from, uint32(now.Unix()), pending)
	if !ok {
		out, outcome, pending = w.d.slowAnswer(dst, m, from, now)
	}
	if outcome == Answered {
		if w.keep(pending, now) != nil {
			return dst, Lost, false
		}
		hit = true
	}
	if len(out) > len(dst) && !w.limiter.allow(&w.d.limit, from.Addr(), out[len(dst)+3]&15, now) {
		return w.limiter.slip(&w.d.limit, dst, out), Limited, hit
	}
	return out, outcome, hit
}

// keep puts a hit into the batch.
func (w *udpWorker) keep(hit *dnsHit, now time.Time) error {
	w.rec = hit.append(w.rec[:0], w.ids.next(now), now)
	return w.batch.Add(w.rec)
}

// flush records the hits of the batch and empties it.
func (w *udpWorker) flush() (err error) {
	n := w.batch.Len()
	if n == 0 {
		return nil
	}
	if w.d.journal != nil {
		err = w.d.journal.AppendBatch(&w.batch)
	} else {
		err = w.batch.Visit(func(rec []byte) error {
			var h Hit
			if err := h.UnmarshalBinary(rec); err != nil {
				return err
			}
			return w.d.record(w.d.ctx, h)
		})
	}
	w.batch.Reset()
	w.d.stats.recorded(n, err)
	return err
}

// count adds what was counted in this goroutine alone to what everybody sees.
func (w *udpWorker) count(received int) {
	c := &w.d.stats.DNS
	c.received.Add(uint64(received))
	for o, n := range w.counts {
		if n > 0 {
			c.byOutcome[o].Add(n)
			w.counts[o] = 0
		}
	}
}
