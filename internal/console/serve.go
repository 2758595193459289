package console

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
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/beacon/visit"
	"birdring/canary"
	"birdring/internal/cert"
	"birdring/registry"
	"birdring/registry/jobs"
	"birdring/registry/stream"
)

// ServeOptions of Serve.
type ServeOptions struct {
	Dir       string           // data folder
	Database  string           // postgres:// URL of the registry, "": registry.db in Dir
	HTTP      string           // address of pages, API, links and pictures
	DNS       string           // address of the DNS beacon, "" for none
	Zone      string           // its zone
	PublicURL string           // how others reach HTTP, "" for its own address
	Name      beacon.DNSConfig // own records, answers and limits of the DNS beacon; the rest is filled in
	Journal   journal.Options
	Proxies   []netip.Prefix // whose X-Forwarded-For is believed
	TLSCert   string         // files of certificate and key for HTTP; "" for none
	TLSKey    string
	Visit     *visit.Rules       // who a hit probably was; nil: the built-in rules
	Stream    string             // URL of the stream that hits of edges and exposures come through, "" for none
	Tell      []string           // topics told on it: hits, attributions
	Jobs      jobs.Config        // of the worker in this process; the registry and log are filled in
	NoWorker  bool               // leave jobs to other processes
	Standby   bool               // wait while another server runs, take over when it is gone
	Certs     *cert.Config       // certificates for HTTP from an authority, instead of files; the rest is filled in
	TSA       registry.Authority // has the ledger's heads stamped; no URL: nobody
	Confirm   visit.Resolver     // who is asked whether crawlers are who they call themselves; nil: nobody
	Log       *slog.Logger
	Ready     func(Ready) // called once when everything answers
}

// Ready says where a server is reached.
type Ready struct {
	URL   string // of the console
	DNS   string // address of the DNS beacon, "" for none
	Token string // of the admin key made at first start, "" later
}

// server is one running Serve.
type server struct {
	o       ServeOptions
	reg     *registry.Registry
	journal *journal.Journal
	stats   *beacon.Stats
	neutral atomic.Bool // every picture is the neutral copy
	streams *streams    // nil without --stream
	jobs    *jobs.Queue
	log     *slog.Logger
}

// Serve answers HTTP and DNS on one data folder until ctx ends: it writes each
// hit to the journal before the reply, takes hits into the registry and
// delivers alerts. Only one server runs on a registry; with Standby another waits.
func Serve(ctx context.Context, o ServeOptions) (err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var listener net.Listener
	if !o.Standby { // which takes no calls that it leaves unanswered
		if listener, err = listen(o.HTTP); err != nil {
			return err
		}
		defer listener.Close() // closed before by the server; this is for early returns
	}
	reg, err := registry.Open(ctx, o.Dir, registry.Options{Database: o.Database, Log: o.Log, Visit: o.Visit})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	held, err := o.lock(ctx, reg)
	if err != nil {
		return err
	}
	defer held.Close()
	if listener == nil {
		if listener, err = listen(o.HTTP); err != nil {
			return err
		}
		defer listener.Close()
	}
	if o.PublicURL == "" {
		o.PublicURL = o.scheme() + listener.Addr().String()
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	if err := reg.SetPublicURL(ctx, o.PublicURL); err != nil {
		return err
	}
	keys, token, err := OpenKeys(o.Dir)
	if err != nil {
		return err
	}
	j, err := journal.OpenWith(filepath.Join(o.Dir, "journal"), o.Journal)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	s := &server{o: o, reg: reg, journal: j, stats: &beacon.Stats{}, log: o.Log}
	console, err := New(Config{Registry: reg, Keys: keys, PublicURL: o.PublicURL, Log: o.Log, Beacon: s.stats, Journal: j})
	if err != nil {
		return err
	}
	o.Jobs.Registry, o.Jobs.Log = reg, o.Log
	if s.jobs, err = jobs.Open(ctx, o.Jobs); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.jobs.Close()) }()
	console.jobs = s.jobs
	if err := reg.SetTelling(ctx, o.Tell); err != nil {
		return err
	}
	if o.Stream != "" {
		broker, err := stream.Open(o.Stream)
		if err != nil {
			return err
		}
		defer broker.Close()
		s.streams = &streams{server: s, console: console, stream: broker, tell: o.Tell}
		console.streams = s.streams
	}
	return s.run(ctx, listener, console, token)
}

// lock makes this the one server.
func (o *ServeOptions) lock(ctx context.Context, reg *registry.Registry) (io.Closer, error) {
	if !o.Standby {
		return reg.LockServe()
	}
	if reg.DatabaseURL() != "" {
		// This machine's hits of an earlier time as the server are nobody else's.
		j, err := journal.OpenWith(filepath.Join(o.Dir, "journal"), o.Journal)
		if err == nil {
			_, err = reg.IngestJournal(ctx, j)
			err = errors.Join(err, j.Close())
		}
		if err != nil && !errors.Is(err, journal.ErrInUse) {
			return nil, err
		}
	}
	return reg.AwaitServe(ctx, func(why error) { o.Log.InfoContext(ctx, "standing by", "because", why) })
}

// oustedEvery is how soon a server with a standby notices that it was replaced.
const oustedEvery = 2 * time.Second

// ousted ends a server that another one has replaced.
func (s *server) ousted(ctx context.Context) (err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	_ = registry.Every(ctx, oustedEvery, func(context.Context) { // it returns nil
		if err = s.reg.Ousted(); err != nil {
			end()
		}
	})
	return err
}

// scheme of the pages, API, links and pictures.
func (o *ServeOptions) scheme() string {
	if o.TLSCert != "" || o.Certs != nil {
		return "https://"
	}
	return "http://"
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address %s is in use: stop what listens there or choose another with --http", addr)
	}
	return l, err
}

// beacons answers links, pictures and pixels.
func (s *server) beacons() http.Handler {
	return beacon.NewHTTP(beacon.HTTPConfig{
		Keyring: s.reg.Keyring(),
		Record:  s.record,
		Rendition: func(dst []byte, object uint32, v canary.Viewer) ([]byte, error) {
			out, err := s.reg.RenditionNum(dst, object, v)
			if errors.Is(err, registry.ErrNotFound) {
				err = fmt.Errorf("%w: %w", beacon.ErrNoPicture, err)
			}
			return out, err
		},
		Neutral: s.neutral.Load,
		Stats:   s.stats,
		Proxies: s.o.Proxies,
	})
}

// split sends beacon paths to the beacon and everything else to the console.
func split(hits, console http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, prefix := range []string{beacon.LinkPath, beacon.PicturePath, beacon.PixelPath} {
			if strings.HasPrefix(r.URL.Path, prefix) {
				hits.ServeHTTP(w, r)
				return
			}
		}
		console.ServeHTTP(w, r)
	})
}

// neutralEvery is how soon a change of the switch is seen.
const neutralEvery = 5 * time.Second

// watchNeutral follows the switch that makes every picture neutral.
func (s *server) watchNeutral(ctx context.Context) error {
	return registry.Every(ctx, neutralEvery, func(ctx context.Context) {
		on, err := s.reg.NeutralOnly(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "switch for neutral copies not read, it stays as it is", "error", err)
		} else if err == nil && s.neutral.Swap(on) != on {
			s.log.WarnContext(ctx, "switch for neutral copies changed", "on", on)
		}
	})
}

// record puts a hit on disk before anybody gets an answer.
func (s *server) record(_ context.Context, h beacon.Hit) error {
	rec, err := h.MarshalBinary()
	if err != nil {
		return err
	}
	return s.journal.Append(rec)
}

// run serves until ctx ends, then lets requests finish and takes in what is left.
func (s *server) run(ctx context.Context, listener net.Listener, console http.Handler, token string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ready := Ready{URL: s.o.scheme() + listener.Addr().String(), Token: token}
	var names *beacon.DNS
	if s.o.DNS != "" {
		name := s.o.Name
		name.Addr, name.Zone, name.Keyring, name.Journal, name.Stats = s.o.DNS, s.o.Zone, s.reg.Keyring(), s.journal, s.stats
		name.Cookies = s.reg.Keyring().CookieSecrets()
		dns, err := beacon.ServeDNS(ctx, name)
		if err != nil {
			return err
		}
		defer dns.Close()
		names, ready.DNS = dns, dns.Addr()
	}
	on, err := s.reg.NeutralOnly(ctx)
	if err != nil {
		return err
	}
	s.neutral.Store(on) // before the first request
	secured, err := s.tls(ctx, names)
	if err != nil {
		return err
	}
	hits := s.beacons()
	web := &http.Server{
		Handler: split(hits, console), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	var work sync.WaitGroup
	part := func(name string, f func(context.Context) error) {
		work.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	front, err := beacon.NewFront(hits, web, secured)
	if err != nil {
		return err
	}
	part("http", func(context.Context) error { return front.Serve(netutil.LimitListener(listener, maxConnections)) })
	part("neutral", s.watchNeutral)
	if s.o.Standby {
		part("standby", s.ousted)
	}
	part("hits", s.ingest)
	part("ledger", s.reg.KeepLedger)
	if s.o.TSA.URL != "" {
		part("time stamps", func(ctx context.Context) error { return s.reg.KeepStamps(ctx, s.o.TSA) })
	}
	part("keys", s.reg.WatchKeys)
	part("retention", s.reg.KeepRetention)
	if !s.o.NoWorker {
		part("jobs", s.jobs.Work)
	}
	if s.streams != nil {
		part("hits of edges", s.streams.journals)
		part("exposures", s.streams.exposures)
		part("switches", s.streams.switches)
		for _, topic := range s.streams.tell {
			part("telling "+topic, s.streams.told(topic))
		}
	}
	part("crawlers", s.confirmCrawlers)
	if s.o.Ready != nil {
		s.o.Ready(ready)
	}
	<-ctx.Done()
	cause := context.Cause(ctx)
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	err = errors.Join(listener.Close(), front.Shutdown(grace))
	work.Wait()
	_, last := s.reg.IngestJournal(grace, s.journal)
	if errors.Is(cause, context.Canceled) {
		cause = nil // asked to stop
	}
	return errors.Join(cause, err, last)
}

// maxConnections bounds those of HTTP.
const maxConnections = 16 << 10

// tls is the configuration of --tls-cert or --tls-auto, nil for neither.
func (s *server) tls(ctx context.Context, names *beacon.DNS) (*tls.Config, error) {
	if s.o.Certs != nil {
		c := *s.o.Certs
		c.Dir, c.DNS, c.Log = filepath.Join(s.o.Dir, "certs"), names, s.log
		for zone := range strings.SplitSeq(s.o.Zone, ",") {
			c.Zones = append(c.Zones, strings.TrimSpace(zone))
		}
		return cert.Keep(ctx, c)
	}
	if s.o.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(s.o.TLSCert, s.o.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", s.o.TLSCert, s.o.TLSKey, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// ingestEvery is how long a hit waits in the journal until the registry has it.
const ingestEvery = 200 * time.Millisecond

// ingest takes hits from the journal into the registry. A hit that cannot be
// stored stays in the journal and is tried again; /healthz shows the failure.
func (s *server) ingest(ctx context.Context) error {
	return registry.Every(ctx, ingestEvery, func(ctx context.Context) {
		if _, err := s.reg.IngestJournal(ctx, s.journal); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "hits not stored, will try again", "error", err)
		}
	})
}

// confirmEvery is how long a hit that calls itself a crawler waits at most.
const confirmEvery = 10 * time.Second

// confirmCrawlers asks for the names of addresses, away from every request.
func (s *server) confirmCrawlers(ctx context.Context) error {
	if s.o.Confirm == nil {
		return nil
	}
	return registry.Every(ctx, confirmEvery, func(ctx context.Context) {
		if _, err := s.reg.ConfirmHits(ctx, s.o.Confirm); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "crawlers not confirmed, will try again", "error", err)
		}
	})
}
