// Package brokers runs real brokers inside a test: a NATS server with JetStream,
// and kfake, which speaks the Kafka protocol. Both keep their messages in a
// folder, so that a test can stop one and start it again. Only tests import it.
package brokers

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is one that may be stopped and started again at the same address.
type Broker struct {
	URL   string
	start func(t testing.TB) (stop func())
	stop  func()
}

// Start starts a broker that was stopped.
func (b *Broker) Start(t testing.TB) {
	t.Helper()
	b.stop = b.start(t)
}

// Stop ends the broker; its messages stay on disk.
func (b *Broker) Stop() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// NATS starts a NATS server with JetStream until the test ends.
func NATS(t testing.TB) *Broker {
	t.Helper()
	dir, port := t.TempDir(), -1
	b := &Broker{}
	b.start = func(t testing.TB) func() {
		t.Helper()
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, SyncAlways: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("the NATS server does not start")
		}
		port = s.Addr().(*net.TCPAddr).Port
		b.URL = "nats://" + s.Addr().String()
		return func() {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	b.Start(t)
	t.Cleanup(b.Stop)
	return b
}

// Kafka starts a broker of the Kafka protocol until the test ends.
func Kafka(t testing.TB) *Broker {
	t.Helper()
	dir, port := t.TempDir(), 0
	b := &Broker{}
	b.start = func(t testing.TB) func() {
		t.Helper()
		o := []kfake.Opt{kfake.NumBrokers(1), kfake.DataDir(dir), kfake.SyncWrites()}
		if port != 0 {
			o = append(o, kfake.Ports(port))
		}
		c, err := kfake.NewCluster(o...)
		for try := 0; err != nil && try < 50 && port != 0; try++ { // the system gives the port back a little later
			time.Sleep(100 * time.Millisecond)
			c, err = kfake.NewCluster(o...)
		}
		if err != nil {
			t.Fatal(err)
		}
		addr := c.ListenAddrs()[0]
		_, p, err := net.SplitHostPort(addr)
		n, convErr := strconv.Atoi(p)
		if err = errors.Join(err, convErr); err != nil {
			t.Fatal(fmt.Errorf("address of kfake: %w", err))
		}
		port = n
		b.URL = "kafka://127.0.0.1:" + p
		return c.Close
	}
	b.Start(t)
	t.Cleanup(b.Stop)
	return b
}
