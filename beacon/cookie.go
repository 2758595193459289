package beacon

import (
	"encoding/binary"
	"net/netip"

	"github.com/dchest/siphash"
)

// DNS cookies (RFC 7873) with the interoperable server cookie of RFC 9018:
// version 1, three zero bytes, seconds u32, SipHash-2-4 of client cookie, those
// eight bytes and the client's address. Whoever returns one of ours has received
// mail at the address it writes from: its source is not forged.
const (
	clientCookieSize = 8
	serverCookieSize = 16
	cookieSize       = clientCookieSize + serverCookieSize
	cookieMaxAge     = 3600 // seconds
	cookieMaxAhead   = 300  // seconds that another server's clock may be ahead
)

// CookieSecret is shared by all servers of a zone. To change it without a client
// noticing: add the new one behind the old one everywhere, move it to the front
// everywhere, remove the old one an hour later (RFC 9018, section 5).
type CookieSecret = [16]byte

// cookieJar makes cookies with the first secret and accepts those of all.
type cookieJar []CookieSecret

// appendCookie appends client cookie and a fresh server cookie.
func (j cookieJar) appendCookie(dst []byte, client [clientCookieSize]byte, addr netip.Addr, now uint32) []byte {
	from := len(dst)
	dst = append(dst, client[:]...)
	dst = append(dst, 1, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, now)
	return binary.LittleEndian.AppendUint64(dst, hashCookie(j[0], (*[16]byte)(dst[from:]), addr))
}

// valid reports whether the server part of a cookie, as received, is ours, of
// this client and of its age.
func (j cookieJar) valid(client [clientCookieSize]byte, server []byte, addr netip.Addr, now uint32) bool {
	if len(server) != serverCookieSize || server[0] != 1 {
		return false
	}
	// Serial number arithmetic (RFC 1982): the counter wraps in 2106.
	age := int32(now - binary.BigEndian.Uint32(server[4:]))
	if age > cookieMaxAge || age < -cookieMaxAhead {
		return false
	}
	var head [16]byte
	copy(head[:], client[:])
	copy(head[8:], server[:8])
	for _, secret := range j {
		if hashCookie(secret, &head, addr) == binary.LittleEndian.Uint64(server[8:]) {
			return true
		}
	}
	return false
}

// hashCookie is over client cookie, version, reserved bytes and time, then the address.
func hashCookie(s CookieSecret, head *[16]byte, addr netip.Addr) uint64 {
	var b [32]byte
	n := copy(b[:], head[:])
	if addr = addr.Unmap(); addr.Is4() {
		a := addr.As4()
		n += copy(b[n:], a[:])
	} else {
		a := addr.As16()
		n += copy(b[n:], a[:])
	}
	return siphash.Hash(binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:]), b[:n])
}
