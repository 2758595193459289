package beacon

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// RateLimit bounds the answers by UDP to one client network (IPv4 /24, IPv6 /56)
// of one kind (answers, names that do not exist, refusals, ...), so that a forged
// source address gains nothing from us. It never keeps a hit from being recorded.
//
// Kinds are response codes, not names: with a wildcard every name is another
// one. The limit is held by each socket by itself.
type RateLimit struct {
	PerSecond int // answers; 0: 1000, negative: no limit
	Slip      int // of so many limited answers one says "ask by TCP"; 0: 2, negative: none
}

func (l RateLimit) withDefaults() RateLimit {
	if l.PerSecond == 0 {
		l.PerSecond = 1000
	}
	if l.Slip == 0 {
		l.Slip = 2
	}
	return l
}

// limiter holds the buckets of one socket, most recent network in each slot: a
// flood from more networks than slots hits nobody hard enough to matter.
type limiter struct {
	buckets []bucket
	limited int
}

type bucket struct {
	key    uint64
	last   int64  // milliseconds
	tokens uint32 // thousandths of an answer
}

const limiterSlots = 1 << 13

// allow takes an answer of a kind to an address from its bucket.
func (l *limiter) allow(rate *RateLimit, addr netip.Addr, rcode byte, now time.Time) bool {
	if rate.PerSecond < 0 {
		return true
	}
	if l.buckets == nil {
		l.buckets = make([]bucket, limiterSlots)
	}
	key := network(addr)<<4 | uint64(rcode)
	b := &l.buckets[key*0x9e3779b97f4a7c15>>(64-13)]
	ms := now.UnixMilli()
	full := uint32(min(rate.PerSecond, 1<<20)) * 1000 // a second's worth
	if b.key != key || b.last == 0 {
		*b = bucket{key: key, last: ms, tokens: full}
	} else if ms > b.last {
		gained := (ms - b.last) * int64(rate.PerSecond)
		b.tokens = uint32(min(int64(full), int64(b.tokens)+gained))
		b.last = ms
	} else if ms < b.last-1000 {
		b.last = ms // the clock was set back
	}
	if b.tokens < 1000 {
		l.limited++
		return false
	}
	b.tokens -= 1000
	return true
}

// network is what shares a bucket, 57 bits.
func network(addr netip.Addr) uint64 {
	if addr = addr.Unmap(); addr.Is4() {
		a := addr.As4()
		return uint64(a[0])<<16 | uint64(a[1])<<8 | uint64(a[2])
	}
	a := addr.As16()
	return 1<<56 | binary.BigEndian.Uint64(a[:8])>>8
}

// slip turns an answer that is over the limit into nothing or, now and then, into
// one that says "ask by TCP", where a forged address gets nothing.
func (l *limiter) slip(rate *RateLimit, dst, answer []byte) []byte {
	if rate.Slip < 0 || l.limited%rate.Slip != 0 {
		return dst
	}
	return append(dst, truncated(answer[len(dst):])...)
}

// truncated is an answer without its records: header, question, and an OPT record
// if the answer had any additional record, in place.
func truncated(m []byte) []byte {
	end := headerSize
	if be16(m[4:]) == 1 {
		for end < len(m) && m[end] != 0 {
			end += 1 + int(m[end])
		}
		end += 5
	}
	if end > len(m) {
		return nil
	}
	opt := m[11] > 0
	m[2] |= 2
	m[3] &^= 15
	clear(m[6:headerSize])
	m = m[:end]
	if opt {
		m[11] = 1
		m = append(m, 0, 0, 41, udpSize>>8, udpSize&0xff, 0, 0, 0, 0, 0, 0)
	}
	return m
}
