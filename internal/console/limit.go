package console

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"birdring/internal/offer"
)

// limiter holds back each key to one trace in two seconds, bursts of ten: who
// can ask often enough learns from the answers how to spoil a ring.
type limiter struct {
	mu  sync.Mutex // guards all
	all map[string]*rate.Limiter
}

func (l *limiter) allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]*rate.Limiter{}
	}
	if l.all[key] == nil {
		l.all[key] = rate.NewLimiter(0.5, 10)
	}
	return l.all[key].Allow()
}

// repeats remembers answers by Idempotency-Key for a day, so that a request sent
// again gets the answer of the first. A restart forgets them; what is then
// recorded twice is one exposure more of the same copy, and harmless.
type repeats struct {
	mu  sync.Mutex // guards all and old
	all map[string]*repeat
	old []string // keys, oldest first
}

type repeat struct {
	body   string     // hash of the request
	at     time.Time  // when it began
	mu     sync.Mutex // held while the first request works
	done   bool
	answer []offer.ExposureAnswer
}

const (
	repeatLife = 24 * time.Hour
	mostRepeat = 20_000
)

// begin returns the memory of a key, locked: the caller works or reads the
// answer, then unlocks. fits is false if the key came with another body before.
func (m *repeats) begin(key string, body []byte, now time.Time) (q *repeat, fits bool) {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	m.mu.Lock()
	if m.all == nil {
		m.all = map[string]*repeat{}
	}
	for len(m.old) > 0 && (len(m.old) > mostRepeat || now.Sub(m.all[m.old[0]].at) > repeatLife) {
		delete(m.all, m.old[0])
		m.old = m.old[1:]
	}
	q = m.all[key]
	if q == nil {
		q = &repeat{body: hash, at: now}
		m.all[key] = q
		m.old = append(m.old, key)
	}
	m.mu.Unlock()
	q.mu.Lock()
	return q, q.body == hash
}
