package beacon

import (
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"birdring/canary"
)

// accept looks at the header alone.
func (d *DNS) accept(h dns.Header) dns.MsgAcceptAction {
	count := &d.stats.DNS
	count.received.Add(1)
	action, outcome := acceptable(h)
	if action != dns.MsgAccept {
		count.end(outcome)
	}
	return action
}

// acceptable decides by the header alone; outcome is for what is not accepted.
func acceptable(h dns.Header) (dns.MsgAcceptAction, Outcome) {
	switch opcode := int(h.Bits>>11) & 0xf; {
	case h.Bits&(1<<15) != 0: // an answer: two servers that answered answers would never stop
		return dns.MsgIgnore, Dropped
	case opcode != dns.OpcodeQuery:
		return dns.MsgRejectNotImplemented, Unsupported
	case h.Qdcount != 1 || h.Ancount > 1 || h.Nscount > 1 || h.Arcount > 4:
		return dns.MsgReject, Malformed
	}
	return dns.MsgAccept, Answered
}

// invalid counts messages that cannot be parsed: those without a whole header
// were not seen by accept.
func (d *DNS) invalid(m []byte, _ error) {
	if len(m) < 12 {
		d.stats.DNS.received.Add(1)
	}
	d.stats.DNS.end(Malformed)
}

// ServeDNS answers one query by TCP.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	from := netip.AddrPort{}
	if tcp, ok := w.RemoteAddr().(*net.TCPAddr); ok {
		from = tcp.AddrPort()
	}
	a, outcome, hit := d.answer(q, from, true, time.Now())
	if hit != nil {
		t := d.streams.Get().(*udpWorker)
		t.batch.Reset()
		if t.keep(hit, time.Now()) != nil || t.flush() != nil {
			a, outcome = nil, Lost
		}
		d.streams.Put(t)
	}
	d.stats.DNS.end(outcome)
	if a != nil {
		_ = w.WriteMsg(a) // counted by dnsWriter
	}
}

// slowAnswer answers a datagram by way of miekg/dns. It appends the answer to
// dst; nothing is silence.
func (d *DNS) slowAnswer(dst, m []byte, from netip.AddrPort, now time.Time) (out []byte, outcome Outcome, hit *dnsHit) {
	if len(m) < headerSize {
		return dst, Malformed, nil
	}
	h := dns.Header{
		Id: be16(m[0:]), Bits: be16(m[2:]), Qdcount: be16(m[4:]), Ancount: be16(m[6:]), Nscount: be16(m[8:]), Arcount: be16(m[10:]),
	}
	q := new(dns.Msg)
	action, outcome := acceptable(h)
	if action == dns.MsgIgnore {
		return dst, outcome, nil
	}
	err := q.Unpack(m)
	if action == dns.MsgAccept && err != nil {
		action, outcome = dns.MsgReject, Malformed
	}
	if action != dns.MsgAccept {
		return packAnswer(dst, rejection(q, action)), outcome, nil
	}
	a, outcome, hit := d.answer(q, from, false, now)
	return packAnswer(dst, a), outcome, hit
}

// rejection is the answer to what is no query we read.
func rejection(q *dns.Msg, action dns.MsgAcceptAction) *dns.Msg {
	a := &dns.Msg{MsgHdr: dns.MsgHdr{Id: q.Id, Response: true, Opcode: dns.OpcodeQuery, Rcode: dns.RcodeFormatError}}
	a.RecursionDesired, a.CheckingDisabled = q.RecursionDesired, q.CheckingDisabled
	if action == dns.MsgRejectNotImplemented {
		a.Opcode, a.Rcode = q.Opcode, dns.RcodeNotImplemented
	}
	return a
}

// packAnswer appends the message as it goes over the wire.
func packAnswer(dst []byte, a *dns.Msg) []byte {
	out, err := a.Pack()
	if err != nil {
		return dst // a question that cannot be written again; its asker hears nothing
	}
	return append(dst, out...)
}

// answer decides what a query gets, and whether it is a hit, which the caller
// records before it sends the answer.
func (d *DNS) answer(q *dns.Msg, from netip.AddrPort, tcp bool, now time.Time) (*dns.Msg, Outcome, *dnsHit) {
	a := new(dns.Msg).SetReply(q)
	edns, version, err := ednsOf(q)
	if err != nil || len(q.Question) != 1 { // a header may announce a question that never comes
		a.Rcode = dns.RcodeFormatError
		return a, Malformed, nil
	}
	proved := tcp || edns.cookie && d.cookies.valid(edns.client, edns.server[:edns.serverN], from.Addr(), uint32(now.Unix()))
	if edns.present {
		a.Extra = append(a.Extra, d.replyOPT(edns, from.Addr(), now))
		if version != 0 {
			a.Rcode = dns.RcodeBadVers
			return a, Unsupported, nil
		}
	}
	question := q.Question[0]
	name := dns.CanonicalName(question.Name)
	z := zoneOf(d.zones, name)
	if z == nil || question.Qclass != dns.ClassINET || question.Qtype == dns.TypeAXFR || question.Qtype == dns.TypeIXFR {
		a.Rcode = dns.RcodeRefused
		return a, Refused, nil
	}
	a.Authoritative = true
	outcome := Answered
	var hit *dnsHit
	if token, ok := d.token(z, name); ok {
		hit = &dnsHit{token: token, qtype: question.Qtype, tcp: tcp, from: from, edns: edns, proved: proved, name: wireName(question.Name)}
		z.canary(a, question)
	} else if z.own(a, question, name, d.Challenge(name)) {
		outcome = Own
	} else {
		a.Rcode, outcome = dns.RcodeNameError, Forged
		a.Ns = append(a.Ns, z.negative(question.Name))
	}
	d.fit(a, edns, tcp)
	return a, outcome, hit
}

// fit compresses an answer and shortens one that does not fit.
func (d *DNS) fit(a *dns.Msg, edns ednsSeen, tcp bool) {
	a.Compress = true
	size := dns.MaxMsgSize
	if !tcp {
		size = dns.MinMsgSize
		if edns.present {
			size = min(max(size, int(edns.size)), udpSize)
		}
	}
	if a.Len() > size {
		a.Truncate(size)
		a.Compress = true
	}
}

// ednsOf reads the OPT record of a query; two are an error, and so are cookies
// and client subnets that break their rules (RFC 7873, RFC 7871).
func ednsOf(q *dns.Msg) (seen ednsSeen, version uint8, err error) {
	for _, rr := range q.Extra {
		o, ok := rr.(*dns.OPT)
		if !ok {
			continue
		}
		if seen.present || o.Hdr.Name != "." {
			return seen, 0, errors.New("more than one OPT record, or one that is not at the root")
		}
		seen.present, seen.do, seen.size, version = true, o.Do(), o.UDPSize(), o.Version()
		for _, option := range o.Option {
			if err := seen.option(option); err != nil {
				return seen, 0, err
			}
		}
	}
	return seen, version, nil
}

// option reads one option. Of two alike the first one counts.
func (e *ednsSeen) option(option dns.EDNS0) error {
	switch o := option.(type) {
	case *dns.EDNS0_COOKIE:
		b, err := hex.DecodeString(o.Cookie)
		if err != nil || len(b) != clientCookieSize && (len(b) < 16 || len(b) > 40) {
			return errors.New("cookie of an impossible length")
		}
		if !e.cookie {
			e.cookie, e.client = true, [clientCookieSize]byte(b)
			e.serverN = copy(e.server[:], b[clientCookieSize:])
		}
	case *dns.EDNS0_SUBNET:
		if o.SourceScope != 0 {
			return errors.New("client subnet with a scope in a query")
		}
		addr, ok := netip.AddrFromSlice(o.Address)
		if o.Family == 1 {
			addr = addr.Unmap()
		}
		if !e.subnet.IsValid() && ok && o.Family != 0 {
			e.subnet = netip.PrefixFrom(addr, int(o.SourceNetmask)).Masked()
		}
	}
	return nil
}

// replyOPT is the OPT record of an answer: what was asked with cookies and client
// subnet gets them back, nothing else is echoed.
func (d *DNS) replyOPT(seen ednsSeen, addr netip.Addr, now time.Time) *dns.OPT {
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	o.SetUDPSize(udpSize)
	if seen.do {
		o.SetDo()
	}
	if seen.cookie {
		o.Option = append(o.Option, &dns.EDNS0_COOKIE{
			Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(d.cookies.appendCookie(nil, seen.client, addr, uint32(now.Unix()))),
		})
	}
	if seen.subnet.IsValid() {
		family := uint16(1)
		if seen.subnet.Addr().Is6() {
			family = 2
		}
		o.Option = append(o.Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(seen.subnet.Bits()), Address: seen.subnet.Addr().AsSlice(),
		})
	}
	return o
}

// token finds a token among the labels between the zone and the left end, the
// one next to the zone first.
func (d *DNS) token(z *zone, name string) (canary.Token, bool) {
	labels := dns.SplitDomainName(name)
	for i := len(labels) - z.labels - 1; i >= 0; i-- {
		if len(labels[i]) != canary.TokenLength {
			continue
		}
		if t, err := d.keys.OpenToken(labels[i]); err == nil {
			return t, true
		}
	}
	return canary.Token{}, false
}

// wireName is a name as it goes over the wire.
func wireName(name string) []byte {
	var b [256]byte
	n, err := dns.PackDomainName(name, b[:], 0, nil, false)
	if err != nil {
		return []byte{0} // cannot be: it was unpacked a moment ago
	}
	return slices.Clone(b[:n])
}

// dnsWriter clears the flags that an authoritative server never sets, also in
// answers that the library makes by itself, and counts what could not be sent.
type dnsWriter struct {
	dns.Writer
	count *Counters
}

func (w *dnsWriter) Write(m []byte) (int, error) {
	if len(m) > 3 {
		m = slices.Clone(m)
		m[3] &^= 0xa0 // recursion available, authentic data
	}
	n, err := w.Writer.Write(m)
	if err != nil {
		w.count.unsent.Add(1)
	}
	return n, err
}
