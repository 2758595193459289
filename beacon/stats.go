package beacon

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is what became of one DNS query or HTTP request. Every one received
// ends in exactly one outcome, so Received is their sum.
type Outcome uint8

// The outcomes.
const (
	Answered    Outcome = iota // valid token: recorded, then answered
	Lost                       // valid token: could not be recorded, so not answered (DNS) or 503 (HTTP)
	Failed                     // valid token: recorded, but the answer could not be made (HTTP 500)
	Forged                     // no valid token where one belongs: NXDOMAIN or 404, nothing written
	Own                        // our own records: apex, name servers
	Refused                    // outside our zones, zone transfers, other classes
	Malformed                  // no query we can read
	Unsupported                // other opcodes, newer EDNS
	Dropped                    // answers sent to us, source port 0
	Limited                    // too many answers to one network: a hit is recorded, the answer is none or "ask by TCP"
	outcomes
)

// outcomeNames are used in health pages and metrics.
var outcomeNames = [outcomes]string{
	"answered", "lost", "failed", "forged", "own", "refused", "malformed", "unsupported", "dropped", "limited",
}

// String is the outcome in one lower-case word.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// Stats counts what a beacon received and what became of it. Its zero value is
// ready to use; it is safe for concurrent use.
type Stats struct {
	DNS, HTTP Counters
	journaled atomic.Uint64
	drops     struct {
		mu      sync.Mutex // guards what follows
		sockets []*net.UDPConn
	}
	failure struct {
		mu    sync.Mutex // guards what follows
		err   error      // why the newest attempt to record failed; nil after a success
		since time.Time
	}
	failing atomic.Bool // failure.err != nil, readable without the lock
}

// Counters are those of one protocol.
type Counters struct {
	received  atomic.Uint64
	byOutcome [outcomes]atomic.Uint64
	unsent    atomic.Uint64
}

// Received is the number of queries or requests so far.
func (c *Counters) Received() uint64 { return c.received.Load() }

// Count is the number of those that ended in an outcome.
func (c *Counters) Count(o Outcome) uint64 {
	if o >= outcomes {
		return 0
	}
	return c.byOutcome[o].Load()
}

// Unsent is the number of answers that the network did not take. It is no
// outcome: each of them is counted under one as well.
func (c *Counters) Unsent() uint64 { return c.unsent.Load() }

// Snapshot returns all counters by name. While requests are under way, received
// may be a little more than the sum of the outcomes.
func (c *Counters) Snapshot() map[string]uint64 {
	all := make(map[string]uint64, outcomes+2)
	for o := range outcomes {
		all[o.String()] = c.Count(o)
	}
	all["unsent"], all["received"] = c.Unsent(), c.Received()
	return all
}

func (c *Counters) end(o Outcome) { c.byOutcome[o].Add(1) }

// Err returns why hits cannot be recorded: the newest attempt failed. It is nil
// when the newest attempt succeeded or there was none.
func (s *Stats) Err() error {
	s.failure.mu.Lock()
	defer s.failure.mu.Unlock()
	if s.failure.err == nil {
		return nil
	}
	return fmt.Errorf("hits cannot be recorded since %s, %d refused so far: %w",
		s.failure.since.Format(time.RFC3339), s.DNS.Count(Lost)+s.HTTP.Count(Lost), s.failure.err)
}

// Journaled is the number of hits that were recorded.
func (s *Stats) Journaled() uint64 { return s.journaled.Load() }

// KernelDrops is how many DNS queries the system threw away because the server
// did not take them in time; nobody received those.
func (s *Stats) KernelDrops() (n uint64) {
	s.drops.mu.Lock()
	defer s.drops.mu.Unlock()
	for _, c := range s.drops.sockets {
		n += socketDrops(c)
	}
	return n
}

// watchDrops makes KernelDrops look at sockets.
func (s *Stats) watchDrops(sockets []*net.UDPConn) {
	s.drops.mu.Lock()
	defer s.drops.mu.Unlock()
	s.drops.sockets = append(s.drops.sockets, sockets...)
}

// recorded remembers how an attempt to record n hits went.
func (s *Stats) recorded(n int, err error) {
	if err == nil {
		s.journaled.Add(uint64(n))
	}
	if err == nil && !s.failing.Load() {
		return
	}
	s.failure.mu.Lock()
	defer s.failure.mu.Unlock()
	if err != nil && s.failure.err == nil {
		s.failure.since = time.Now().UTC()
	}
	s.failure.err = err
	s.failing.Store(err != nil)
}
