package beacon

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/miekg/dns"

	"birdring/canary"
)

// dnsHit is a query for a canary name before it becomes a Hit: both ways of
// answering fill it in, and the journal keeps it in this compact form.
type dnsHit struct {
	token  canary.Token
	qtype  uint16
	tcp    bool
	from   netip.AddrPort
	name   []byte // as it was asked, in wire form with the root
	edns   ednsSeen
	proved bool // the address is not forged: by TCP, or it returned a cookie of ours
}

// ednsSeen is what we care about in a query's OPT record.
type ednsSeen struct {
	present bool
	do      bool
	size    uint16
	cookie  bool // a client cookie, perhaps with a server cookie
	client  [clientCookieSize]byte
	server  [32]byte // as received
	serverN int
	subnet  netip.Prefix // invalid: none
}

// dnsHitFormat is the first byte of a DNS hit in the journal:
//
//	2 | id 16 | microseconds i64 | kind u8 | object u32 | viewer u64 | qtype u16 |
//	flags u8 (1 TCP, 2 proved, 4 client cookie, 8 client subnet) |
//	address u8 length and bytes, port u16 | [client cookie 8] |
//	[subnet u8 bits, u8 length and bytes] | name, wire form, to the end
//
// Numbers are big-endian.
const dnsHitFormat = 2

const (
	flagTCP = 1 << iota
	flagProved
	flagCookie
	flagSubnet
)

// append writes the hit with its id and time.
func (h *dnsHit) append(dst []byte, id uuid.UUID, at time.Time) []byte {
	dst = append(dst, dnsHitFormat)
	dst = append(dst, id[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(at.UnixMicro()))
	dst = append(dst, byte(h.token.Kind))
	dst = binary.BigEndian.AppendUint32(dst, h.token.Object)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.token.Viewer))
	dst = binary.BigEndian.AppendUint16(dst, h.qtype)
	flags := byte(0)
	for i, set := range [...]bool{h.tcp, h.proved, h.edns.cookie, h.edns.subnet.IsValid()} {
		if set {
			flags |= 1 << i
		}
	}
	dst = append(dst, flags)
	dst = appendAddr(dst, h.from.Addr().Unmap())
	dst = binary.BigEndian.AppendUint16(dst, h.from.Port())
	if h.edns.cookie {
		dst = append(dst, h.edns.client[:]...)
	}
	if h.edns.subnet.IsValid() {
		dst = append(dst, byte(h.edns.subnet.Bits()))
		dst = appendAddr(dst, h.edns.subnet.Addr())
	}
	return append(dst, h.name...)
}

func appendAddr(dst []byte, a netip.Addr) []byte {
	if a.Is4() {
		b := a.As4()
		return append(append(dst, 4), b[:]...)
	}
	b := a.As16()
	return append(append(dst, 16), b[:]...)
}

var errDNSHit = errors.New("read hit: a DNS hit is damaged")

// readDNS reads what dnsHit.append wrote.
func (h *Hit) readDNS(data []byte) error {
	const fixed = 1 + 16 + 8 + 1 + 4 + 8 + 2 + 1
	if len(data) < fixed || data[0] != dnsHitFormat {
		return errDNSHit
	}
	read := Hit{
		ID: uuid.UUID(data[1:17]).String(), Kind: KindDNS,
		At: time.UnixMicro(int64(binary.BigEndian.Uint64(data[17:]))).UTC(),
		Token: canary.Token{
			Kind: canary.TokenKind(data[25]), Object: binary.BigEndian.Uint32(data[26:]),
			Viewer: canary.Viewer(binary.BigEndian.Uint64(data[30:])),
		},
		QType: dns.Type(binary.BigEndian.Uint16(data[38:])).String(),
		Proto: "udp",
	}
	flags, rest := data[40], data[fixed:]
	addr, rest, ok := cutAddr(rest)
	if !ok || len(rest) < 2 {
		return errDNSHit
	}
	read.Addr = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(rest)).String()
	rest = rest[2:]
	if flags&flagTCP != 0 {
		read.Proto = "tcp"
	}
	read.Proved = flags&flagProved != 0
	if flags&flagCookie != 0 {
		if len(rest) < clientCookieSize {
			return errDNSHit
		}
		read.Cookie = hex.EncodeToString(rest[:clientCookieSize])
		rest = rest[clientCookieSize:]
	}
	if flags&flagSubnet != 0 {
		if len(rest) < 1 {
			return errDNSHit
		}
		bits := int(rest[0])
		if addr, rest, ok = cutAddr(rest[1:]); !ok || bits > addr.BitLen() {
			return errDNSHit
		}
		read.Subnet = netip.PrefixFrom(addr, bits).String()
	}
	name, end, err := dns.UnpackDomainName(rest, 0)
	if err != nil || end != len(rest) {
		return errDNSHit
	}
	read.Name = cut(strings.TrimSuffix(name, "."), maxName)
	*h = read
	return nil
}

func cutAddr(b []byte) (a netip.Addr, rest []byte, ok bool) {
	if len(b) < 1 || int(b[0]) > len(b)-1 || b[0] != 4 && b[0] != 16 {
		return a, nil, false
	}
	n := 1 + int(b[0])
	a, ok = netip.AddrFromSlice(b[1:n])
	return a, b[n:], ok
}

// hitIDs draws ids of version 7 (RFC 9562) without asking the system for each:
// milliseconds, microseconds in rand_a, and in rand_b 62 bits that are drawn once
// and counted up. Not safe for concurrent use.
type hitIDs struct{ random uint64 }

func newHitIDs() *hitIDs {
	return &hitIDs{random: rand.Uint64()}
}

// next is an id for a hit at a time.
func (g *hitIDs) next(at time.Time) (id uuid.UUID) {
	g.random++
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|uint64(at.Nanosecond()/1000%1000)<<2)
	binary.BigEndian.PutUint64(id[8:], g.random)
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id
}
