// Package demo plays the whole story on loopback: a lookalike platform, a
// population of accounts, clone sites that republish what some of the accounts
// took, and Birdring finding out which.
//
// Three parties are kept apart. The clone sites are processes that get
// addresses and tokens. The detective (scan and probe) gets the sites'
// addresses and the registry. The truth - which accounts feed which site - is
// known to the third party alone, which joins it to the verdicts at the end.
package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"birdring/internal/demo/platform"
	"birdring/registry"
)

// Options of a demo run. Zero values mean the defaults named here.
type Options struct {
	Dir      string    // data folder; "" is a new temporary one
	Database string    // postgres:// URL of the registry; "": registry.db in Dir
	Stream   string    // URL of a stream: Birdring runs as a cluster of processes; "": in this one
	Sites    int       // clone sites, default 8
	Accounts int       // accounts on the platform, default 200
	Keep     bool      // keep the temporary folder
	JSON     bool      // results as JSON lines on Out
	Seed     uint64    // of the painted pictures and the crowd; 0 draws one
	Out, Log io.Writer // results; progress and logs
	Exe      string    // this program, started again for clone sites
	CloneArg []string  // arguments that make Exe a clone site

	// Control has some sites asked and scanned a second time, on a copy of the
	// registry from before the first, under keys that were never used. The run
	// is right only if that names nobody. Not for a cluster.
	Control bool
	// Hold, if set, is called with the data folder before the demo cleans up,
	// to serve the console until the user has seen enough.
	Hold func(ctx context.Context, dir string) error
}

// The default size of the stage.
const (
	defaultSites    = 8
	defaultAccounts = 200
	sharedDecoys    = 9
	ordinaryCount   = 16
	storyLife       = 20 * time.Second // a day on this platform's clock
)

func (o Options) defaults() Options {
	if o.Sites <= 0 {
		o.Sites = defaultSites
	}
	if o.Accounts <= 0 {
		o.Accounts = defaultAccounts
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

// Run plays the demo and reports whether every site came out as the truth has it.
func Run(ctx context.Context, o Options) (ok bool, err error) {
	o = o.defaults()
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "birdring-demo-"); err != nil {
			return false, err
		}
		if o.Keep {
			fmt.Fprintf(o.Log, "data folder: %s\n", o.Dir)
		} else {
			defer os.RemoveAll(o.Dir)
		}
	}
	s := &stage{Options: o, started: time.Now()}
	defer s.close()
	if err := s.play(ctx); err != nil {
		return false, err
	}
	if s.Options.Hold != nil {
		if err := s.Options.Hold(ctx, o.Dir); err != nil {
			return false, err
		}
	}
	return s.good, nil
}

// stage is one run of the demo.
type stage struct {
	Options
	started  time.Time
	reg      *registry.Registry
	platform *platform.Platform
	base     string // of the platform
	servers  []*http.Server
	shared   []registry.Photo // the avatars of shared decoys, as they were before planting
	sites    []*siteProcess
	spare    string // for Control: a copy of the data folder from before anything was found
	named    int    // accounts named by the control run
	good     bool
	cluster  *cluster // nil without a stream
}

// play runs the acts in order.
func (s *stage) play(ctx context.Context) error {
	acts := []struct {
		title string
		skip  bool
		run   func(context.Context) error
	}{
		{"planting decoys", false, s.plant},
		{"starting the cluster", s.Stream == "", s.openCluster},
		{"opening the platform", false, s.open},
		{"accounts look around, clone sites copy", false, s.crowdAndClones},
		{"stories run out on the platform", false, s.waitForStories},
		{"setting a copy aside", !s.Control, s.setAside},
		{"asking and scanning the sites", false, s.detect},
		{"asking and scanning under keys never used", !s.Control, s.control},
	}
	for _, act := range acts {
		if act.skip {
			continue
		}
		began := time.Now()
		fmt.Fprintf(s.Log, "%s ...\n", act.title)
		if err := act.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", act.title, err)
		}
		fmt.Fprintf(s.Log, "%s: %.1f s\n", act.title, time.Since(began).Seconds())
	}
	return s.compare(ctx)
}

func (s *stage) close() {
	for _, p := range s.sites {
		p.stop()
	}
	for _, srv := range s.servers {
		srv.Close()
	}
	s.cluster.close()
	if s.reg != nil {
		s.reg.Close()
	}
	if s.spare != "" {
		os.RemoveAll(s.spare)
	}
}

// serve answers on a free loopback port until the stage is closed.
func (s *stage) serve(h http.Handler) (base string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.serveOn(ln, h)
	return "http://" + ln.Addr().String(), nil
}

func (s *stage) serveOn(ln net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	s.servers = append(s.servers, srv)
	go srv.Serve(ln)
}
