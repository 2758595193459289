package beacon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"

	"birdring/canary"
)

// DNSConfig of ServeDNS.
type DNSConfig struct {
	Addr    string       // address and port to listen on, UDP and TCP; port 0: a free one
	Zone    string       // one or more zones, separated by commas
	NS      []string     // names of the name servers, at least two; nil: ns1 and ns2 in each zone
	NSAddrs []netip.Addr // addresses of the name servers that lie in our zones, in turn; nil: as A
	A       []netip.Addr // addresses that canary names answer with, IPv4 and IPv6; nil: the address listened on, if it is a specific one
	TTL     uint32       // of canary names, 1 to 60 seconds; 0: 10
	Keyring Opener
	Record  Recorder
	Stats   *Stats // nil: counted nowhere
}

// Limits of the server.
const (
	udpSize        = 1232 // bytes of an answer by UDP, which no path fragments
	maxConnections = 512
	idleTimeout    = 10 * time.Second
	receiveBuffer  = 4 << 20
)

// DNS is a running server.
type DNS struct {
	zones    []*zone
	keys     Opener
	record   Recorder
	stats    *Stats
	ctx      context.Context
	udp, tcp *dns.Server
	addr     string
	running  sync.WaitGroup
	close    sync.Once
	mu       sync.Mutex // guards err
	err      error      // why a listener ended
}

// ServeDNS answers authoritatively for its zones by UDP and TCP until ctx ends
// or Close is called.
//
// A canary name is a token as a label below the zone, with any labels before it:
// TOKEN.zone, www.TOKEN.zone. A query of any type for one is a hit; it is
// recorded before the answer, and not answered if it cannot be recorded, so that
// resolvers ask elsewhere or again. Names in the zone that carry no token of
// ours do not exist.
func ServeDNS(ctx context.Context, c DNSConfig) (*DNS, error) {
	if c.Stats == nil {
		c.Stats = &Stats{}
	}
	conn, listener, err := listenBoth(c.Addr)
	if err != nil {
		return nil, err
	}
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	zones, err := newZones(c, local.Addr().Unmap())
	if err != nil {
		return nil, errors.Join(err, conn.Close(), listener.Close())
	}
	// A short receive buffer loses queries in a burst; a system that grants less still works.
	_ = conn.SetReadBuffer(receiveBuffer)
	d := &DNS{
		zones: zones, keys: c.Keyring, record: c.Record, stats: c.Stats,
		ctx: context.WithoutCancel(ctx), addr: local.String(),
	}
	d.udp = d.server()
	d.udp.PacketConn = conn
	d.tcp = d.server()
	d.tcp.Listener = netutil.LimitListener(listener, maxConnections)
	for _, s := range []*dns.Server{d.udp, d.tcp} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		ended := make(chan struct{})
		d.running.Go(func() {
			defer close(ended)
			if err := s.ActivateAndServe(); err != nil {
				d.mu.Lock()
				d.err = errors.Join(d.err, fmt.Errorf("serve dns on %s: %w", d.addr, err))
				d.mu.Unlock()
			}
		})
		select {
		case <-started:
		case <-ended:
		}
	}
	context.AfterFunc(ctx, func() { _ = d.Close() }) // the owner's own Close reports the error
	return d, nil
}

func (d *DNS) server() *dns.Server {
	return &dns.Server{
		Handler: d, UDPSize: udpSize, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		IdleTimeout: func() time.Duration { return idleTimeout }, MaxTCPQueries: 1000,
		MsgAcceptFunc: d.accept, MsgInvalidFunc: d.invalid,
		DecorateWriter: func(w dns.Writer) dns.Writer { return &dnsWriter{w, &d.stats.DNS} },
	}
}

// listenBoth opens UDP and TCP on the same port.
func listenBoth(addr string) (*net.UDPConn, net.Listener, error) {
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, nil, fmt.Errorf("dns address %q: %w", addr, err)
	}
	for try := 0; ; try++ {
		conn, err := net.ListenUDP("udp", at)
		if err != nil {
			return nil, nil, explainListen(addr, err)
		}
		listener, err := net.Listen("tcp", conn.LocalAddr().String())
		if err == nil {
			return conn, listener, nil
		}
		err = errors.Join(explainListen(addr, err), conn.Close())
		if at.Port != 0 || try == 10 {
			return nil, nil, err
		}
	}
}

func explainListen(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("dns address %s is in use: stop what listens there or choose another with --dns", addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("dns address %s: no permission, ports below 1024 need CAP_NET_BIND_SERVICE: %w", addr, err)
	}
	return fmt.Errorf("listen for dns on %s: %w", addr, err)
}

// Addr is the address and port that are listened on.
func (d *DNS) Addr() string { return d.addr }

// Close stops listening, lets queries under way finish and says why a listener
// ended early, if one did. It may be called again.
func (d *DNS) Close() error {
	d.close.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		for _, s := range []*dns.Server{d.udp, d.tcp} {
			// Fails only if it is not running, or if TCP clients linger; they end with the process.
			_ = s.ShutdownContext(ctx)
		}
		d.running.Wait()
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Err says why a listener ended early; nil while all is well.
func (d *DNS) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// accept looks at the header alone.
func (d *DNS) accept(h dns.Header) dns.MsgAcceptAction {
	count := &d.stats.DNS
	count.received.Add(1)
	switch opcode := int(h.Bits>>11) & 0xf; {
	case h.Bits&(1<<15) != 0: // an answer: two servers that answered answers would never stop
		count.end(Dropped)
		return dns.MsgIgnore
	case opcode != dns.OpcodeQuery:
		count.end(Unsupported)
		return dns.MsgRejectNotImplemented
	case h.Qdcount != 1 || h.Ancount > 1 || h.Nscount > 1 || h.Arcount > 4:
		count.end(Malformed)
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// invalid counts messages that cannot be parsed: those without a whole header
// were not seen by accept.
func (d *DNS) invalid(m []byte, _ error) {
	if len(m) < 12 {
		d.stats.DNS.received.Add(1)
	}
	d.stats.DNS.end(Malformed)
}

// ServeDNS answers one query.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	peer := w.RemoteAddr()
	udp, byUDP := peer.(*net.UDPAddr)
	if byUDP && udp.Port == 0 {
		d.stats.DNS.end(Dropped)
		return
	}
	a, outcome := d.answer(q, peer.String())
	d.stats.DNS.end(outcome)
	if a == nil {
		return
	}
	size := dns.MaxMsgSize
	if byUDP {
		size = dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = min(max(size, int(opt.UDPSize())), udpSize)
		}
	}
	a.Compress = true
	a.Truncate(size)
	_ = w.WriteMsg(a) // counted by dnsWriter
}

// answer decides what a query gets; nil is silence.
func (d *DNS) answer(q *dns.Msg, peer string) (*dns.Msg, Outcome) {
	a := new(dns.Msg).SetReply(q)
	opt, err := ednsOf(q)
	if err != nil || len(q.Question) != 1 { // a header may announce a question that never comes
		a.Rcode = dns.RcodeFormatError
		return a, Malformed
	}
	if opt != nil {
		reply := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
		reply.SetUDPSize(udpSize)
		if opt.Do() {
			reply.SetDo()
		}
		a.Extra = append(a.Extra, reply)
		if opt.Version() != 0 {
			a.Rcode = dns.RcodeBadVers
			return a, Unsupported
		}
	}
	question := q.Question[0]
	name := dns.CanonicalName(question.Name)
	z := zoneOf(d.zones, name)
	switch {
	case z == nil || question.Qclass != dns.ClassINET,
		question.Qtype == dns.TypeAXFR, question.Qtype == dns.TypeIXFR:
		a.Rcode = dns.RcodeRefused
		return a, Refused
	}
	a.Authoritative = true
	if z.own(a, question, name) {
		return a, Own
	}
	token, ok := d.token(z, name)
	if !ok {
		a.Rcode = dns.RcodeNameError
		a.Ns = append(a.Ns, z.negative())
		return a, Forged
	}
	if err := d.hit(token, question, opt, peer); err != nil {
		return nil, Lost
	}
	z.canary(a, question)
	return a, Answered
}

// ednsOf returns the OPT record of a query; two are an error.
func ednsOf(q *dns.Msg) (opt *dns.OPT, err error) {
	for _, rr := range q.Extra {
		o, ok := rr.(*dns.OPT)
		if !ok {
			continue
		}
		if opt != nil || o.Hdr.Name != "." {
			return nil, errors.New("more than one OPT record, or one that is not at the root")
		}
		opt = o
	}
	return opt, nil
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

// hit records a query for a canary name.
func (d *DNS) hit(t canary.Token, q dns.Question, opt *dns.OPT, peer string) error {
	h, err := newHit(KindDNS, t)
	if err == nil {
		h.Name, h.QType, h.Addr = cut(strings.TrimSuffix(q.Name, "."), maxName), dns.Type(q.Qtype).String(), peer
		h.Subnet = subnetOf(opt)
		err = d.record(d.ctx, h)
	}
	d.stats.recorded(err)
	return err
}

// subnetOf is the client subnet that a resolver passed on (RFC 7871), "" if none.
func subnetOf(opt *dns.OPT) string {
	if opt == nil {
		return ""
	}
	for _, o := range opt.Option {
		if s, ok := o.(*dns.EDNS0_SUBNET); ok && s.Address != nil {
			return fmt.Sprintf("%s/%d", s.Address, s.SourceNetmask)
		}
	}
	return ""
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
