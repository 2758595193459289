package beacon

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"github.com/miekg/dns"

	"birdring/canary"
)

// headerSize is the length of a message's header.
const headerSize = 12

// fastMargin keeps answers near the limit of their size away from here, so that
// only one piece of code decides what is truncated.
const fastMargin = 64

// fastZones finds the zone of a question.
type fastZones struct {
	byName     map[string]*zone // by lower-case name in wire form
	most, less int              // labels of the longest and of the shortest one
}

// fastZone is what fastAnswer needs of a zone, ready to be copied.
type fastZone struct {
	can     bool                // no name of it is written in an unusual way
	firsts  map[string]struct{} // lower-case labels next to the zone under which we have names
	records [2][]byte           // A and AAAA records of canary names, owner compressed
	counts  [2]uint16
	mname   tail   // of the SOA
	rname   []byte // labels of the SOA's mailbox before the zone's name
	numbers [20]byte
}

// tail is a name as labels and a step into the zone's own labels.
type tail struct {
	labels []byte
	step   int  // bytes from the zone's name to where the pointer goes
	root   bool // it ends at the root instead
}

func newFastZones(zones []*zone) fastZones {
	f := fastZones{byName: map[string]*zone{}, less: 1 << 10}
	for _, z := range zones {
		f.byName[string(wireName(z.name))] = z
		f.most, f.less = max(f.most, z.labels), min(f.less, z.labels)
	}
	return f
}

func newFastZone(z *zone) fastZone {
	f := fastZone{firsts: map[string]struct{}{"hostmaster": {}}}
	for name := range z.sets {
		if labels := dns.SplitDomainName(name); len(labels) > z.labels {
			f.firsts[labels[len(labels)-z.labels-1]] = struct{}{}
		}
	}
	for _, addr := range z.addrs {
		i, qtype := 0, dns.TypeA
		if addr.Is6() {
			i, qtype = 1, dns.TypeAAAA
		}
		b := append(f.records[i], 0xc0, headerSize)
		b = binary.BigEndian.AppendUint16(b, qtype)
		b = binary.BigEndian.AppendUint16(b, dns.ClassINET)
		b = binary.BigEndian.AppendUint32(b, z.ttl)
		b = binary.BigEndian.AppendUint16(b, uint16(addr.BitLen()/8))
		f.records[i] = append(b, addr.AsSlice()...)
		f.counts[i]++
	}
	shared := dns.CompareDomainName(z.soa.Ns, z.name)
	wire, ns := wireName(z.name), wireName(z.soa.Ns)
	f.mname.step = len(wire) - len(skipLabels(wire, z.labels-shared))
	f.mname.root = shared == 0
	rest := skipLabels(ns, dns.CountLabel(z.soa.Ns)-shared)
	f.mname.labels = ns[:len(ns)-len(rest)]
	mbox := wireName(z.soa.Mbox)
	f.rname = mbox[:len(mbox)-len(wire)]
	for i, n := range []uint32{z.soa.Serial, z.soa.Refresh, z.soa.Retry, z.soa.Expire, z.soa.Minttl} {
		binary.BigEndian.PutUint32(f.numbers[4*i:], n)
	}
	f.can = plainName(z.name) && plainName(z.soa.Ns) && dns.CompareDomainName(z.soa.Ns, z.soa.Mbox) == shared
	return f
}

func skipLabels(wire []byte, n int) []byte {
	for range n {
		wire = wire[1+wire[0]:]
	}
	return wire
}

// plainName reports whether a name is written without escapes.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c == '\\' || c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// fastAnswer answers what almost every query is: one question of class IN for a
// name below one of our zones that is none of our own, with at most an OPT record
// whose options we know. It reads and writes bytes, allocates nothing and appends
// the answer to dst. ok is false for whatever it leaves to answer; hit is
// meaningful if the outcome is Answered, and its name lies in m.
func (d *DNS) fastAnswer(dst, m []byte, from netip.AddrPort, now uint32, hit *dnsHit) (out []byte, outcome Outcome, ok bool) {
	if len(m) < headerSize+5 || m[2]&0xf8 != 0 || m[4] != 0 || m[5] != 1 ||
		m[6]|m[7]|m[8]|m[9]|m[10] != 0 || m[11] > 1 {
		return dst, 0, false
	}
	var starts [128]uint8
	labels, at := 0, headerSize
	for ; ; labels++ {
		if at >= len(m) || m[at] > 63 || at > 255 || labels == len(starts) {
			return dst, 0, false
		}
		if m[at] == 0 {
			break
		}
		starts[labels] = uint8(at)
		at += 1 + int(m[at])
	}
	end := at + 1 // of the name
	question := end + 4
	if end-headerSize > 255 || len(m) < question || be16(m[end+2:]) != dns.ClassINET {
		return dst, 0, false
	}
	qtype := be16(m[end:])
	if 128 <= qtype && qtype <= 255 || qtype == dns.TypeOPT { // transfers, ANY and their like
		return dst, 0, false
	}
	edns := &hit.edns
	if !edns.read(m[question:], m[11]) {
		return dst, 0, false
	}
	z, count := d.fast.find(m, starts[:labels], end)
	if z == nil || count == labels || !z.fast.can {
		return dst, 0, false
	}
	next := labels - count - 1 // the label next to the zone
	var lower [63]byte
	n := lowerTo(lower[:], m[starts[next]+1:][:m[starts[next]]])
	if _, own := z.fast.firsts[string(lower[:n])]; own {
		return dst, 0, false
	}
	outcome = Forged
	for i := next; i >= 0; i-- {
		if m[starts[i]] != canary.TokenLength {
			continue
		}
		if t, err := d.keys.OpenToken(unsafe.String(&m[starts[i]+1], canary.TokenLength)); err == nil {
			hit.token, outcome = t, Answered
			break
		}
	}
	size := 512
	if edns.present {
		size = min(max(size, int(edns.size)), udpSize)
	}
	begin := len(dst)
	dst = append(dst, m[:question]...)
	h := dst[begin:]
	h[2] = 0x84 | m[2]&1 // answer, authoritative, recursion desired as asked
	h[3] = m[3] & 0x10   // checking disabled as asked
	h[11] = 0
	which := -1
	if outcome == Answered {
		switch {
		case qtype == dns.TypeA && z.fast.counts[0] > 0:
			which = 0
		case qtype == dns.TypeAAAA && z.fast.counts[1] > 0:
			which = 1
		}
	} else {
		h[3] |= byte(dns.RcodeNameError)
	}
	if which >= 0 {
		if question+len(z.fast.records[which])+fastMargin+edns.replySize() > size {
			return dst[:begin], 0, false
		}
		binary.BigEndian.PutUint16(h[6:], z.fast.counts[which])
		dst = append(dst, z.fast.records[which]...)
	} else {
		h[9] = 1
		dst = z.appendSOA(dst, int(starts[labels-count]))
	}
	if edns.present {
		dst[begin+11] = 1
		dst = d.appendOPT(dst, edns, from.Addr(), now)
	}
	if len(dst)-begin+fastMargin > size {
		return dst[:begin], 0, false
	}
	if outcome == Answered {
		hit.qtype, hit.tcp, hit.from, hit.name = qtype, false, from, m[headerSize:end]
		hit.proved = edns.cookie && d.cookies.valid(edns.client, edns.server[:edns.serverN], from.Addr(), now)
	}
	return dst, outcome, true
}

// find returns the longest zone that a name lies in, and its labels.
func (f *fastZones) find(m []byte, starts []uint8, end int) (*zone, int) {
	var lower [256]byte
	for n := min(f.most, len(starts)); n >= f.less; n-- {
		name := m[starts[len(starts)-n]:end]
		lowerTo(lower[:], name)
		if z := f.byName[string(lower[:len(name)])]; z != nil {
			return z, n
		}
	}
	return nil, 0
}

// lowerTo copies src to dst in lower case. Lengths of labels are below 'A'.
func lowerTo(dst, src []byte) int {
	for i, c := range src {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst[i] = c
	}
	return len(src)
}

// appendSOA writes the reason for an answer without data; zoneAt is where the
// question spells the zone's name.
func (z *zone) appendSOA(dst []byte, zoneAt int) []byte {
	pointer := 0xc000 | uint16(zoneAt)
	dst = binary.BigEndian.AppendUint16(dst, pointer)
	dst = append(dst, 0, byte(dns.TypeSOA), 0, dns.ClassINET, 0, 0, 0, min(negativeTTL, 255))
	rdata := len(dst) + 2
	dst = append(dst, 0, 0)
	dst = append(dst, z.fast.mname.labels...)
	if z.fast.mname.root {
		dst = append(dst, 0)
	} else {
		dst = binary.BigEndian.AppendUint16(dst, pointer+uint16(z.fast.mname.step))
	}
	dst = append(dst, z.fast.rname...)
	dst = binary.BigEndian.AppendUint16(dst, pointer)
	dst = append(dst, z.fast.numbers[:]...)
	binary.BigEndian.PutUint16(dst[rdata-2:], uint16(len(dst)-rdata))
	return dst
}

// read reads what follows the question: nothing, or one OPT record that ends the
// message. It reports whether that is all there is and nothing in it is odd.
func (e *ednsSeen) read(b []byte, records byte) bool {
	*e = ednsSeen{}
	if records == 0 {
		return len(b) == 0
	}
	if len(b) < 11 || b[0] != 0 || be16(b[1:]) != dns.TypeOPT || b[6] != 0 || int(be16(b[9:])) != len(b)-11 {
		return false
	}
	e.present, e.size, e.do = true, be16(b[3:]), b[7]&0x80 != 0
	for b = b[11:]; len(b) > 0; {
		if len(b) < 4 {
			return false
		}
		code, n := be16(b), int(be16(b[2:]))
		if b = b[4:]; n > len(b) {
			return false
		}
		data := b[:n]
		b = b[n:]
		switch code {
		case dns.EDNS0COOKIE:
			if e.cookie || n != clientCookieSize && (n < 16 || n > 40) {
				return false
			}
			e.cookie, e.client = true, [clientCookieSize]byte(data)
			e.serverN = copy(e.server[:], data[clientCookieSize:])
		case dns.EDNS0SUBNET:
			if e.subnet.IsValid() || !e.readSubnet(data) {
				return false
			}
		case dns.EDNS0NSID, dns.EDNS0PADDING: // nothing we answer to
		default:
			return false
		}
	}
	return true
}

// readSubnet reads a client subnet that keeps to RFC 7871.
func (e *ednsSeen) readSubnet(b []byte) bool {
	if len(b) < 4 || b[0] != 0 || b[3] != 0 || len(b) != 4+(int(b[2])+7)/8 {
		return false
	}
	bits := int(b[2])
	var addr netip.Addr
	switch {
	case b[1] == 1 && bits <= 32:
		var a [4]byte
		copy(a[:], b[4:])
		addr = netip.AddrFrom4(a)
	case b[1] == 2 && bits <= 128:
		var a [16]byte
		copy(a[:], b[4:])
		addr = netip.AddrFrom16(a)
	default:
		return false
	}
	e.subnet = netip.PrefixFrom(addr, bits).Masked()
	return true
}

// replySize is the most that appendOPT appends.
func (e *ednsSeen) replySize() int {
	if !e.present {
		return 0
	}
	return 11 + 4 + cookieSize + 4 + 20
}

// appendOPT writes the OPT record of an answer, as replyOPT makes it.
func (d *DNS) appendOPT(dst []byte, e *ednsSeen, addr netip.Addr, now uint32) []byte {
	flags := byte(0)
	if e.do {
		flags = 0x80
	}
	dst = append(dst, 0, 0, byte(dns.TypeOPT), udpSize>>8, udpSize&0xff, 0, 0, flags, 0, 0, 0)
	rdata := len(dst)
	if e.cookie {
		dst = append(dst, 0, dns.EDNS0COOKIE, 0, cookieSize)
		dst = d.cookies.appendCookie(dst, e.client, addr, now)
	}
	if e.subnet.IsValid() {
		bits := e.subnet.Bits()
		n := (bits + 7) / 8
		family := byte(1)
		if e.subnet.Addr().Is6() {
			family = 2
		}
		dst = append(dst, 0, dns.EDNS0SUBNET, 0, byte(4+n), 0, family, byte(bits), 0)
		if family == 1 {
			a := e.subnet.Addr().As4()
			dst = append(dst, a[:n]...)
		} else {
			a := e.subnet.Addr().As16()
			dst = append(dst, a[:n]...)
		}
	}
	binary.BigEndian.PutUint16(dst[rdata-2:], uint16(len(dst)-rdata))
	return dst
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
