// Package edge is a server that answers beacons and serves copies without a
// database, on as many machines as wanted.
//
// It holds the derived keys of the pictures it serves, never the root secret, and
// the prepared pictures. Each hit and fetch is in its journal before the reply;
// from there it goes to a stream, and registries take it in exactly once. While
// the broker is away the journal grows, /healthz and the metrics say so, and
// everything is served on; a full journal is what ends that. The other way round,
// a registry's server tells every edge of the switch for neutral copies.
//
// A viewer's number comes out of what the platform sends: a sealed link, or a
// pass. An edge never invents one: without either it asks the registry, and if
// that does not answer, it answers 503 and the platform shows something else.
package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/registry/stream"
)

// Options of Run.
type Options struct {
	Keys        string           // file of the edge's keys
	Pictures    string           // folder of prepared pictures and decoys.json
	Stream      string           // URL of the stream
	JournalDir  string           // where hits wait
	HTTP        string           // address of links, pictures and API
	DNS         string           // address of the DNS beacon, "" for none
	Zone        string           // its zone
	PublicURL   string           // where links point; "" is what the export says
	Name        beacon.DNSConfig `json:"-"` // own records, answers and limits of the DNS beacon; the rest is filled in
	Journal     journal.Options
	Proxies     []netip.Prefix // whose X-Forwarded-For is believed
	TLSCert     string         // files of certificate and key for HTTP; "" for none
	TLSKey      string
	Registry    string       // URL of a registry's API, asked for viewers without a pass; "" for none
	RegistryKey string       // its bearer key, of role platform
	Log         *slog.Logger `json:"-"`
	Ready       func(Ready)  `json:"-"` // called once when everything answers
}

// Ready says where an edge is reached.
type Ready struct {
	URL    string
	DNS    string // "" for none
	Source string // what its journal is called
}

// maxConnections bounds those of HTTP.
const maxConnections = 16 << 10

// server is one running edge.
type server struct {
	o       Options
	log     *slog.Logger
	served  *served
	journal *journal.Journal
	stats   beacon.Stats
	sender  *sender
	asker   *asker
	stream  stream.Stream
	told    *switches
}

// Run serves until ctx ends, then sends what is left for a few seconds.
func Run(ctx context.Context, o Options) (err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{o: o, log: o.Log, asker: newAsker(o.Registry, o.RegistryKey)}
	if s.served, err = openServed(o.Keys, o.Pictures, o.Log); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.HTTP)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address %s is in use: stop what listens there or choose another with --http", o.HTTP)
	}
	if err != nil {
		return err
	}
	defer listener.Close() // closed before by run; this is for early returns
	if s.journal, err = journal.OpenWith(o.JournalDir, o.Journal); err != nil {
		return err
	}
	defer closing(s.journal, &err)
	broker, err := stream.Open(o.Stream)
	if err != nil {
		return err
	}
	defer closing(broker, &err)
	s.stream = broker
	if s.told, err = openSwitches(o.JournalDir, o.Log); err != nil {
		return err
	}
	if s.sender, err = newSender(o.JournalDir, s.journal, broker, o.Log); err != nil {
		return err
	}
	return s.run(ctx, listener)
}

func closing(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }

// run serves on a listener until ctx ends.
func (s *server) run(ctx context.Context, listener net.Listener) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ready := Ready{URL: "http://" + listener.Addr().String(), Source: s.sender.source}
	secured, err := s.tls()
	if err != nil {
		return err
	}
	if secured != nil {
		ready.URL = "https://" + listener.Addr().String()
	}
	if s.o.PublicURL == "" {
		s.o.PublicURL = s.served.now().decoys.PublicURL
	}
	s.o.PublicURL = strings.TrimRight(s.o.PublicURL, "/")
	if s.o.DNS != "" {
		name := s.o.Name
		name.Addr, name.Zone, name.Keyring, name.Journal, name.Stats = s.o.DNS, s.o.Zone, s.served, s.journal, &s.stats
		name.Cookies = s.served.now().keys.CookieSecrets()
		dns, err := beacon.ServeDNS(ctx, name)
		if err != nil {
			return err
		}
		defer dns.Close()
		ready.DNS = dns.Addr()
	}
	hits := s.beacons()
	web := &http.Server{
		Handler: s.handler(hits), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	front, err := beacon.NewFront(hits, web, secured)
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	work.Go(func() {
		if err := front.Serve(netutil.LimitListener(listener, maxConnections)); err != nil && ctx.Err() == nil {
			stop(fmt.Errorf("http: %w", err))
		}
	})
	work.Go(func() { s.sender.run(ctx) })
	work.Go(func() { s.served.watch(ctx) })
	work.Go(func() { s.told.follow(ctx, s.stream, s.sender.source) })
	if s.o.Ready != nil {
		s.o.Ready(ready)
	}
	<-ctx.Done()
	cause := context.Cause(ctx)
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	err = errors.Join(listener.Close(), front.Shutdown(grace))
	work.Wait()
	s.sender.last(grace)
	if errors.Is(cause, context.Canceled) {
		cause = nil // asked to stop
	}
	return errors.Join(cause, err)
}

// beacons answers links, pictures and pixels.
func (s *server) beacons() http.Handler {
	return beacon.NewHTTP(beacon.HTTPConfig{
		Keyring: s.served, Record: s.record, Rendition: s.served.rendition,
		Neutral: s.neutral,
		Stats:   &s.stats, Proxies: s.o.Proxies,
	})
}

// neutral says whether every picture is the neutral copy.
func (s *server) neutral() bool {
	e := s.served.now()
	return s.told.neutral(e.decoys.Neutral, e.stamp[1])
}

// record puts a hit on disk before anybody gets an answer.
func (s *server) record(_ context.Context, h beacon.Hit) error {
	rec, err := h.MarshalBinary()
	if err != nil {
		return err
	}
	return s.journal.Append(rec)
}

// tls is the configuration of --tls-cert, nil for none.
func (s *server) tls() (*tls.Config, error) {
	if s.o.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(s.o.TLSCert, s.o.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", s.o.TLSCert, s.o.TLSKey, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}, nil
}
