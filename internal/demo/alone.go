package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"birdring/internal/demo/platform"
	"birdring/registry"
)

// PlatformOptions of the lookalike platform alone.
type PlatformOptions struct {
	Dir, Listen string
	Database    string // postgres:// URL; "": registry.db in Dir
	Accounts    int
	JSON        bool
	Out, Log    io.Writer
}

// Platform serves only the lookalike platform on an existing registry until ctx
// ends. It prints one line of account and token each before it serves.
func Platform(ctx context.Context, o PlatformOptions) error {
	reg, err := registry.Open(ctx, o.Dir, registry.Options{Database: o.Database})
	if err != nil {
		return err
	}
	defer reg.Close()
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("the platform cannot listen on %s: %w: give another --listen", o.Listen, err)
	}
	defer ln.Close()
	base := "http://" + ln.Addr().String()
	p, err := platform.New(platform.Config{
		Registry: reg, Base: base, Accounts: platform.AccountNames(o.Accounts), Ordinary: ordinaryCount, Seed: 1,
	})
	if err != nil {
		return err
	}
	enc := json.NewEncoder(o.Out)
	for _, l := range p.Logins() {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	fmt.Fprintf(o.Log, "platform at %s, stop with Ctrl-C\n", base)
	srv := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		quiet, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		srv.Shutdown(quiet)
	}()
	if err := srv.Serve(ln); err != http.ErrServerClosed {
		return err
	}
	<-stopped
	return nil
}
