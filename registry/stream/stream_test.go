package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"birdring/registry/stream"
	"birdring/registry/stream/brokers"
)

// both runs a test on a real NATS server and on a broker of the Kafka protocol.
func both(t *testing.T, test func(t *testing.T, b *brokers.Broker)) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *brokers.Broker{"nats": brokers.NATS, "kafka": brokers.Kafka} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

func open(t *testing.T, url string) stream.Stream {
	t.Helper()
	s, err := stream.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func messages(from, to int) (all []stream.Message) {
	for i := from; i < to; i++ {
		all = append(all, stream.Message{ID: fmt.Sprintf("m%04d", i), Key: "edge", Data: fmt.Appendf(nil, "body %d", i)})
	}
	return all
}

// taker keeps what it took.
type taker struct {
	mu     sync.Mutex
	ids    []string
	seen   map[string]int
	refuse int // so many batches are refused first
}

func (k *taker) take(_ context.Context, all []stream.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse > 0 {
		k.refuse--
		return errors.New("not now")
	}
	for _, m := range all {
		if k.seen == nil {
			k.seen = map[string]int{}
		}
		if k.seen[m.ID]++; k.seen[m.ID] == 1 {
			k.ids = append(k.ids, m.ID)
		}
		if m.At.IsZero() || string(m.Data) == "" {
			return fmt.Errorf("message %q came without time or data", m.ID)
		}
	}
	return nil
}

func (k *taker) distinct() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.ids)
}

// consume consumes, and again after every failure, until the test or stop ends it.
func consume(t *testing.T, s stream.Stream, group string, k *taker) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			if err := s.Consume(ctx, stream.Journals, group, k.take); err != nil {
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		}
	})
	stop = func() {
		cancel()
		done.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// publish tries until the broker has acknowledged.
func publish(t *testing.T, s stream.Stream, all []stream.Message) {
	t.Helper()
	wait(t, "acknowledgement", func() bool { return s.Publish(t.Context(), stream.Journals, all) == nil })
}

func TestConsumesWhatWasPublishedInOrder(t *testing.T) {
	both(t, func(t *testing.T, b *brokers.Broker) {
		s := open(t, b.URL)
		publish(t, s, messages(0, 100))
		k := &taker{refuse: 2}
		stop := consume(t, s, "registry", k)
		publish(t, s, messages(100, 200))
		wait(t, "200 messages", func() bool { return k.distinct() == 200 })
		stop()

		// Another member of the group goes on behind what was taken.
		publish(t, s, messages(200, 210))
		next := &taker{}
		consume(t, s, "registry", next)
		wait(t, "10 messages more", func() bool { return next.distinct() >= 10 })
		for i, id := range next.ids[len(next.ids)-10:] {
			if want := fmt.Sprintf("m%04d", 200+i); id != want {
				t.Errorf("message %d is %s, want %s", i, id, want)
			}
		}
		// Another group gets everything.
		all := &taker{}
		consume(t, s, "audit", all)
		wait(t, "all messages", func() bool { return all.distinct() == 210 })
	})
}

func TestBrokerAwayIsAnErrorAndLosesNothing(t *testing.T) {
	both(t, func(t *testing.T, b *brokers.Broker) {
		s := open(t, b.URL)
		publish(t, s, messages(0, 50))
		k := &taker{}
		consume(t, s, "registry", k)
		wait(t, "50 messages", func() bool { return k.distinct() == 50 })
		b.Stop()
		if err := s.Publish(t.Context(), stream.Journals, messages(50, 60)); err == nil {
			t.Fatal("a broker that is stopped acknowledged messages")
		}
		b.Start(t)
		publish(t, s, messages(50, 60)) // the same ids again: one each
		wait(t, "60 messages", func() bool { return k.distinct() == 60 })
		for id, n := range k.seen {
			if n > 2 {
				t.Errorf("message %s came %d times", id, n)
			}
		}
	})
}

func TestOpensWhileTheBrokerIsAway(t *testing.T) {
	both(t, func(t *testing.T, b *brokers.Broker) {
		b.Stop()
		s := open(t, b.URL)
		if err := s.Publish(t.Context(), stream.Journals, messages(0, 1)); err == nil {
			t.Fatal("nobody is there, yet a message was acknowledged")
		}
		b.Start(t)
		publish(t, s, messages(0, 1))
		k := &taker{}
		consume(t, s, "registry", k)
		wait(t, "the message", func() bool { return k.distinct() == 1 })
	})
}

func TestRefusesMessagesNoBrokerTakes(t *testing.T) {
	both(t, func(t *testing.T, b *brokers.Broker) {
		s := open(t, b.URL)
		publish(t, s, []stream.Message{{ID: "most", Data: make([]byte, stream.MaxData)}})
		err := s.Publish(t.Context(), stream.Journals, []stream.Message{{ID: "more", Data: make([]byte, stream.MaxData+1)}})
		if !errors.Is(err, stream.ErrTooLarge) {
			t.Errorf("a message of more than MaxData: %v", err)
		}
	})
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	for u, want := range map[string]string{
		"nats://a:4222,b:4222/x?replicas=3":                 "",
		"kafka://u:p%40@a?sasl=scram-sha-512&partitions=12": "",
		"nats://[::1]":                   "",
		"":                               "is wanted",
		"amqp://a":                       "is wanted",
		"nats://":                        "host is missing",
		"nats://a/b/c":                   "other characters",
		"nats://a?sasl=plain":            "unknown option",
		"kafka://a?replicas=0":           "makes no sense",
		"kafka://user:secret@a?sasl=md5": "makes no sense",
		"ftp://user:secret@a":            "is wanted",
	} {
		err := stream.Check(u)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Check(%q) = %v, want %q", u, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Check(%q) tells the password: %v", u, err)
		}
	}
}
