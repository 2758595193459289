package beacon

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 9018, appendix A.
func TestServerCookieVectors(t *testing.T) {
	const old, later = "dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"
	for _, c := range []struct {
		secret, addr, client, server string
		now                          uint32
	}{
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "198.51.100.100", "2464c4abcf10c957", "010000005cf79f111f8130c3eee29480", 1559731985},
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "198.51.100.100", "2464c4abcf10c957", "010000005cf7a871d4a564a1442aca77", 1559734385},
		{old, "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298", "010000005cf7c57926556bd0934c72f8", 1559741817},
		{later, "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298", "010000005cf7c609a6bb79d16625507a", 1559741961},
	} {
		jar := cookieJar{CookieSecret(unhex(t, c.secret))}
		client, addr := [8]byte(unhex(t, c.client)), netip.MustParseAddr(c.addr)
		if got := hex.EncodeToString(jar.appendCookie(nil, client, addr, c.now)); got != c.client+c.server {
			t.Errorf("%s at %d: cookie %s, want %s", c.addr, c.now, got[16:], c.server)
		}
		server := unhex(t, c.server)
		rolled := cookieJar{CookieSecret{1}, jar[0]} // ours is the old secret now
		for _, jar := range []cookieJar{jar, rolled} {
			if !jar.valid(client, server, addr, c.now+cookieMaxAge) || !jar.valid(client, server, addr, c.now-cookieMaxAhead) {
				t.Errorf("%s: a cookie of ours is not accepted", c.addr)
			}
		}
		other := client
		other[3]++
		if jar.valid(client, server, addr, c.now+cookieMaxAge+1) || jar.valid(client, server, addr, c.now-cookieMaxAhead-1) ||
			jar.valid(other, server, addr, c.now) || jar.valid(client, server, addr.Next(), c.now) ||
			jar.valid(client, server[:15], addr, c.now) || (cookieJar{{2}}).valid(client, server, addr, c.now) {
			t.Errorf("%s: a cookie that is old, early, cut or another's is accepted", c.addr)
		}
	}
}
