package beacon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"

	"birdring/beacon/journal"
)

// DNSConfig of ServeDNS.
type DNSConfig struct {
	Addr    string         // address and port to listen on, UDP and TCP; port 0: a free one
	Zone    string         // one or more zones, separated by commas
	NS      []string       // names of the name servers, at least two; nil: ns1 and ns2 in each zone
	NSAddrs []netip.Addr   // addresses of the name servers that lie in our zones, in turn; nil: as A
	A       []netip.Addr   // addresses that canary names answer with, IPv4 and IPv6; nil: the address listened on, if it is a specific one
	Records string         // own records in zone-file form: A, AAAA, NS, MX, TXT, CAA; relative names are in every zone
	TTL     uint32         // of canary names, 1 to 60 seconds; 0: 10
	Serial  uint32         // of the SOA, the same on all servers of the zone; 0: seconds at the start
	Cookies []CookieSecret // shared by all servers of the zone, the first one makes cookies; nil: a random one
	Limit   RateLimit      // of answers by UDP
	Sockets int            // for UDP; 0: one a processor
	Keyring Opener
	Journal *journal.Journal // where hits are written, a batch at a time
	Record  Recorder         // asked instead if there is no Journal
	Stats   *Stats           // nil: counted nowhere
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
	zones      []*zone
	fast       fastZones
	keys       Opener
	journal    *journal.Journal
	record     Recorder
	stats      *Stats
	cookies    cookieJar
	limit      RateLimit
	challenges atomic.Pointer[map[string][]string] // values of TXT records by canonical name
	ctx        context.Context
	udp        []*net.UDPConn
	tcp        *dns.Server
	streams    sync.Pool // *udpWorker: what one query by TCP needs
	addr       string
	running    sync.WaitGroup
	ending     atomic.Bool
	close      sync.Once
	mu         sync.Mutex // guards err, and changes of challenges
	err        error      // why a listener ended
}

// ServeDNS answers authoritatively for its zones by UDP and TCP until ctx ends
// or Close is called.
//
// A canary name is a token as a label below the zone, with any labels before it:
// TOKEN.zone, www.TOKEN.zone. A query of any type for one is a hit; it is
// recorded before the answer, and not answered if it cannot be recorded, so that
// resolvers ask elsewhere or again. Names in the zone that carry no token of
// ours do not exist.
//
// Two ways lead to an answer. Plain questions by UDP are answered from the bytes
// of the question (fastAnswer); everything else goes through miekg/dns (answer).
// Where both could answer, they answer alike, byte for byte.
func ServeDNS(ctx context.Context, c DNSConfig) (*DNS, error) {
	if c.Stats == nil {
		c.Stats = &Stats{}
	}
	if c.Cookies == nil {
		c.Cookies = make([]CookieSecret, 1)
		rand.Read(c.Cookies[0][:])
	}
	conns, listener, err := listenBoth(ctx, c)
	if err != nil {
		return nil, err
	}
	local := conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
	zones, err := newZones(c, local.Addr().Unmap())
	if err != nil {
		return nil, errors.Join(err, closeAll(conns), listener.Close())
	}
	d := &DNS{
		zones: zones, fast: newFastZones(zones), keys: c.Keyring, journal: c.Journal, record: c.Record, stats: c.Stats,
		cookies: c.Cookies, limit: c.Limit.withDefaults(), ctx: context.WithoutCancel(ctx), udp: conns, addr: local.String(),
	}
	d.streams.New = func() any { return newUDPWorker(d) }
	c.Stats.watchDrops(conns)
	for _, conn := range conns {
		d.running.Go(func() { d.ended("udp", newUDPWorker(d).serve(conn)) })
	}
	d.serveTCP(netutil.LimitListener(listener, maxConnections))
	context.AfterFunc(ctx, func() { _ = d.Close() }) // the owner's own Close reports the error
	return d, nil
}

// ended remembers why a listener ended, unless it was asked to.
func (d *DNS) ended(network string, err error) {
	if err == nil || d.ending.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = errors.Join(d.err, fmt.Errorf("serve dns by %s on %s: %w", network, d.addr, err))
}

// serveTCP starts the server for streams and waits until it runs.
func (d *DNS) serveTCP(l net.Listener) {
	started, ended := make(chan struct{}), make(chan struct{})
	d.tcp = &dns.Server{
		Listener: l, Handler: d, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		IdleTimeout: func() time.Duration { return idleTimeout }, MaxTCPQueries: 1000,
		MsgAcceptFunc: d.accept, MsgInvalidFunc: d.invalid,
		DecorateWriter:    func(w dns.Writer) dns.Writer { return &dnsWriter{w, &d.stats.DNS} },
		NotifyStartedFunc: func() { close(started) },
	}
	d.running.Go(func() {
		defer close(ended)
		d.ended("tcp", d.tcp.ActivateAndServe())
	})
	select {
	case <-started:
	case <-ended:
	}
}

// listenBoth opens the sockets for UDP and the one for TCP on the same port.
func listenBoth(ctx context.Context, c DNSConfig) ([]*net.UDPConn, net.Listener, error) {
	at, err := net.ResolveUDPAddr("udp", c.Addr)
	if err != nil {
		return nil, nil, fmt.Errorf("dns address %q: %w", c.Addr, err)
	}
	for try := 0; ; try++ {
		conns, err := listenUDP(ctx, at, c.Sockets)
		if err != nil {
			return nil, nil, explainListen(c.Addr, err)
		}
		listener, err := net.Listen("tcp", conns[0].LocalAddr().String())
		if err == nil {
			return conns, listener, nil
		}
		err = errors.Join(explainListen(c.Addr, err), closeAll(conns))
		if at.Port != 0 || try == 10 {
			return nil, nil, err
		}
	}
}

func closeAll(conns []*net.UDPConn) (err error) {
	for _, c := range conns {
		err = errors.Join(err, c.Close())
	}
	return err
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
		d.ending.Store(true)
		_ = closeAll(d.udp) // the workers end; there is nobody left who would need the sockets
		// Fails only if it is not running, or if TCP clients linger; they end with the process.
		_ = d.tcp.ShutdownContext(ctx)
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

// SetChallenge sets the values of the TXT records at _acme-challenge in a zone of
// ours, by which a certificate authority sees that the zone is ours; none removes them.
func (d *DNS) SetChallenge(name string, values []string) error {
	name = dns.CanonicalName(name)
	z := zoneOf(d.zones, name)
	if z == nil || name != challengeLabel+z.name {
		return fmt.Errorf("%s is not the name of a challenge in a zone of ours", name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string][]string{}
	if old := d.challenges.Load(); old != nil {
		for k, v := range *old {
			all[k] = v
		}
	}
	all[name] = slices.Clone(values)
	d.challenges.Store(&all)
	return nil
}

// Challenge returns the values that SetChallenge set.
func (d *DNS) Challenge(name string) []string {
	if all := d.challenges.Load(); all != nil {
		return (*all)[dns.CanonicalName(name)]
	}
	return nil
}
