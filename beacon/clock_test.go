package beacon_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
)

// A clock that jumps by years, forward or back, costs no answer and no hit, and no
// two hits get one name.
func TestClockJumps(t *testing.T) {
	s := startOwn(t)
	base := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	times := []time.Time{base, base.AddDate(10, 0, 0), base, base.AddDate(-10, 0, 0), base, base.Add(-time.Second), base}
	m := query(s.name(1), dns.TypeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
	for _, at := range times {
		answer := new(dns.Msg)
		if err := answer.Unpack(s.DatagramAt(pack(t, m), at)); err != nil || answer.Rcode != dns.RcodeSuccess || len(answer.Answer) != 1 {
			t.Fatalf("at %v: %v, %v", at, answer, err)
		}
		// What a resolver got is sent back under another clock: too old or from the
		// future, it proves nothing, and is answered all the same.
		for _, o := range answer.IsEdns0().Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				m.IsEdns0().Option[0].(*dns.EDNS0_COOKIE).Cookie = c.Cookie
			}
		}
	}
	hits := s.take()
	names := map[string]bool{}
	for i, h := range hits {
		names[h.ID] = true
		if !h.At.Equal(times[i]) {
			t.Errorf("hit %d at %v, want %v", i, h.At, times[i])
		}
		if h.Proved && i > 0 && times[i-1].Sub(times[i]).Abs() > 2*time.Hour {
			t.Errorf("hit %d is proved by a cookie of %v", i, times[i-1])
		}
	}
	if len(hits) != len(times) || len(names) != len(times) {
		t.Errorf("%d hits by %d names, want %d", len(hits), len(names), len(times))
	}
}

// A limit that has been used up opens again after a second by the new clock,
// wherever the clock was set to.
func TestLimitOutlivesClockJumps(t *testing.T) {
	base := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, jump := range []time.Duration{0, 87600 * time.Hour, -87600 * time.Hour, -time.Minute} {
		times := []time.Time{base, base, base, base.Add(jump), base.Add(jump + time.Second), base.Add(jump + 2*time.Second)}
		got := beacon.Allowed(beacon.RateLimit{PerSecond: 2}, times)
		if !got[0] || !got[1] || got[2] || !got[4] || !got[5] {
			t.Errorf("clock set by %v: %v", jump, got)
		}
	}
}
