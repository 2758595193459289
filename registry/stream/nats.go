package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsStream speaks NATS JetStream: a topic is a stream NAME-TOPIC with the
// subject NAME.TOPIC, on files; a group is a durable consumer of it.
type natsStream struct {
	a    address
	conn *nats.Conn
	js   jetstream.JetStream

	mu    sync.Mutex // guards ready
	ready map[string]bool
}

// keepFor is how long a broker keeps messages: consumers may be away so long.
const keepFor = 7 * 24 * time.Hour

// dropTwins is how long JetStream remembers ids. Later twins are dropped by takers.
const dropTwins = 10 * time.Minute

// redeliver is how long a taker has.
const redeliver = time.Minute

func openNATS(a address) (Stream, error) {
	o := []nats.Option{
		nats.Name("birdring"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectBufSize(-1), // what the broker does not take now is an error now: the journal keeps it
		nats.Timeout(patience),
	}
	if a.user != "" {
		o = append(o, nats.UserInfo(a.user, a.pass))
	}
	if a.creds != "" {
		o = append(o, nats.UserCredentials(a.creds))
	}
	if a.tls {
		o = append(o, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	conn, err := nats.Connect("nats://"+strings.Join(a.servers, ",nats://"), o...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", a, err)
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(patience), jetstream.WithPublishAsyncMaxPending(4*batch))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", a, err)
	}
	return &natsStream{a: a, conn: conn, js: js, ready: map[string]bool{}}, nil
}

func (s *natsStream) subject(topic string) string { return s.a.name + "." + topic }
func (s *natsStream) stream(topic string) string  { return s.a.name + "-" + topic }

// ensure makes a topic's stream unless it is there. One that is there is left
// as its operator set it up.
func (s *natsStream) ensure(ctx context.Context, topic string) error {
	s.mu.Lock()
	ready := s.ready[topic]
	s.mu.Unlock()
	if ready {
		return nil
	}
	if !s.conn.IsConnected() {
		return s.away()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := s.js.Stream(ctx, s.stream(topic))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: s.stream(topic), Subjects: []string{s.subject(topic)}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
			MaxAge: keepFor, Duplicates: dropTwins, Replicas: s.a.replicas,
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			err = nil // somebody was faster
		}
	}
	if err != nil {
		return fmt.Errorf("stream %s of %s: %w", s.stream(topic), s.a, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready[topic] = true
	return nil
}

// away says that the broker does not answer, with the reason if there is one.
func (s *natsStream) away() error {
	if err := s.conn.LastError(); err != nil {
		return fmt.Errorf("%s does not answer: %w", s.a, err)
	}
	return fmt.Errorf("%s does not answer", s.a)
}

// forget makes ensure look again: a broker that came back may have lost its streams.
func (s *natsStream) forget(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ready, topic)
}

// Publish implements Stream.
func (s *natsStream) Publish(ctx context.Context, topic string, all []Message) (err error) {
	if err := tooLarge(all); err != nil {
		return err
	}
	if err := s.ensure(ctx, topic); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.forget(topic)
			err = fmt.Errorf("publish to %s: %w", s.a, err)
		}
	}()
	futures := make([]jetstream.PubAckFuture, 0, len(all))
	for _, m := range all {
		msg := &nats.Msg{Subject: s.subject(topic), Data: m.Data}
		f, err := s.js.PublishMsgAsync(msg, jetstream.WithMsgID(m.ID), jetstream.WithExpectStream(s.stream(topic)))
		if err != nil {
			return err
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Consume implements Stream.
func (s *natsStream) Consume(ctx context.Context, topic, group string, take func(context.Context, []Message) error) error {
	if err := s.ensure(ctx, topic); err != nil {
		return ended(ctx, err)
	}
	c, err := s.js.CreateOrUpdateConsumer(ctx, s.stream(topic), jetstream.ConsumerConfig{
		Durable: group, AckPolicy: jetstream.AckExplicitPolicy, AckWait: redeliver, MaxAckPending: 4 * batch, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		s.forget(topic)
		return ended(ctx, fmt.Errorf("consume %s of %s: %w", topic, s.a, err))
	}
	for ctx.Err() == nil {
		if err := s.fetch(ctx, c, take); err != nil {
			s.forget(topic)
			return ended(ctx, fmt.Errorf("consume %s of %s: %w", topic, s.a, err))
		}
	}
	return nil
}

// fetch takes what waits, or waits for a second.
func (s *natsStream) fetch(ctx context.Context, c jetstream.Consumer, take func(context.Context, []Message) error) error {
	raw, err := received(c.FetchNoWait(batch))
	if err == nil && len(raw) == 0 {
		raw, err = received(c.Fetch(1, jetstream.FetchMaxWait(time.Second)))
	}
	if err != nil && len(raw) == 0 {
		return err
	}
	all := make([]Message, len(raw))
	for i, m := range raw {
		all[i] = Message{ID: m.Headers().Get(jetstream.MsgIDHeader), Data: m.Data()}
		if meta, err := m.Metadata(); err == nil {
			all[i].At = meta.Timestamp.UTC()
		}
	}
	if len(all) == 0 {
		if !s.conn.IsConnected() {
			return s.away()
		}
		return nil
	}
	if err := take(ctx, all); err != nil {
		for _, m := range raw {
			_ = m.NakWithDelay(time.Second) // else the broker gives it again after redeliver
		}
		return err
	}
	for _, m := range raw {
		if err := m.Ack(); err != nil {
			return err // stored; what comes again is dropped
		}
	}
	return nil
}

// received waits for the end of a batch.
func received(got jetstream.MessageBatch, err error) (all []jetstream.Msg, _ error) {
	if err != nil {
		return nil, err
	}
	for m := range got.Messages() {
		all = append(all, m)
	}
	return all, got.Error()
}

// Close implements Stream.
func (s *natsStream) Close() error {
	if s.conn.IsConnected() {
		_ = s.conn.FlushTimeout(time.Second) // acks under way; what is lost comes again
	}
	s.conn.Close()
	return nil
}

// ended is nil if ctx ended: whatever failed then was asked to.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
