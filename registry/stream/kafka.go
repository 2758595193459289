package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// kafkaStream speaks the Kafka protocol: a topic is NAME.TOPIC, messages of one
// key go to one partition, and a record's id is in its header "id".
type kafkaStream struct {
	a      address
	client *kgo.Client // for publishing

	mu    sync.Mutex // guards ready
	ready map[string]bool
}

func openKafka(a address) (Stream, error) {
	c, err := kgo.NewClient(append(a.kafkaOptions(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// What is not acknowledged in time is an error, and sent again by the caller: twins are dropped by takers.
		kgo.RecordDeliveryTimeout(patience), kgo.ProduceRequestTimeout(patience), kgo.AllowIdempotentProduceCancellation(),
		kgo.ProducerBatchMaxBytes(1<<20), kgo.ProducerLinger(0),
	)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", a, err)
	}
	return &kafkaStream{a: a, client: c, ready: map[string]bool{}}, nil
}

func (a address) kafkaOptions() []kgo.Opt {
	o := []kgo.Opt{
		kgo.SeedBrokers(a.servers...), kgo.ClientID("birdring"), kgo.DialTimeout(patience), kgo.RetryTimeout(patience),
		kgo.MetadataMinAge(200 * time.Millisecond),
	}
	if a.tls {
		o = append(o, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	var m sasl.Mechanism
	switch {
	case a.user == "":
		return o
	case a.sasl == "scram-sha-256":
		m = scram.Auth{User: a.user, Pass: a.pass}.AsSha256Mechanism()
	case a.sasl == "scram-sha-512":
		m = scram.Auth{User: a.user, Pass: a.pass}.AsSha512Mechanism()
	default:
		m = plain.Auth{User: a.user, Pass: a.pass}.AsMechanism()
	}
	return append(o, kgo.SASL(m))
}

func (s *kafkaStream) topic(name string) string { return s.a.name + "." + name }

// ensure makes a topic unless it is there. One that is there is left as its
// operator set it up.
func (s *kafkaStream) ensure(ctx context.Context, topic string) error {
	s.mu.Lock()
	ready := s.ready[topic]
	s.mu.Unlock()
	if ready {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = s.topic(topic), s.a.partitions, int16(s.a.replicas)
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, t), int32(patience/time.Millisecond)
	resp, err := req.RequestWith(ctx, s.client)
	if err == nil && len(resp.Topics) == 1 {
		// A topic that we may not make was made by its operator, or publishing says what is missing.
		if err = kerr.ErrorForCode(resp.Topics[0].ErrorCode); errors.Is(err, kerr.TopicAlreadyExists) || errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("topic %s of %s: %w", s.topic(topic), s.a, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready[topic] = true
	return nil
}

// Publish implements Stream.
func (s *kafkaStream) Publish(ctx context.Context, topic string, all []Message) error {
	if err := tooLarge(all); err != nil {
		return err
	}
	if err := s.ensure(ctx, topic); err != nil {
		return err
	}
	records := make([]*kgo.Record, 0, len(all))
	for _, m := range all {
		r := &kgo.Record{Topic: s.topic(topic), Value: m.Data, Headers: []kgo.RecordHeader{{Key: "id", Value: []byte(m.ID)}}}
		if m.Key != "" {
			r.Key = []byte(m.Key)
		}
		records = append(records, r)
	}
	if err := s.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		s.mu.Lock()
		delete(s.ready, topic)
		s.mu.Unlock()
		return fmt.Errorf("publish to %s: %w", s.a, err)
	}
	return nil
}

// Consume implements Stream. What a taker did not take is given again to
// whoever consumes next: the place in the partition is stored after it did.
func (s *kafkaStream) Consume(ctx context.Context, topic, group string, take func(context.Context, []Message) error) error {
	if err := s.ensure(ctx, topic); err != nil {
		return ended(ctx, err)
	}
	c, err := kgo.NewClient(append(s.a.kafkaOptions(),
		kgo.ConsumerGroup(s.a.name+"-"+group), kgo.ConsumeTopics(s.topic(topic)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(500*time.Millisecond),
		kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(time.Second),
	)...)
	if err != nil {
		return fmt.Errorf("consume %s of %s: %w", topic, s.a, err)
	}
	defer c.CloseAllowingRebalance()
	for ctx.Err() == nil {
		if err := s.poll(ctx, c, take); err != nil {
			return ended(ctx, fmt.Errorf("consume %s of %s: %w", topic, s.a, err))
		}
	}
	return nil
}

// unanswered is how long a poll may wait before the broker is asked whether it is there.
const unanswered = 5 * time.Second

// poll takes what comes.
func (s *kafkaStream) poll(ctx context.Context, c *kgo.Client, take func(context.Context, []Message) error) error {
	waiting, cancel := context.WithTimeout(ctx, unanswered)
	defer cancel()
	fetched := c.PollRecords(waiting, batch)
	defer c.AllowRebalance()
	if waiting.Err() != nil && fetched.NumRecords() == 0 {
		// The client looks for a broker that is away for ever: somebody should know.
		ping, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return c.Ping(ping)
	}
	for _, e := range fetched.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) {
			return e.Err
		}
	}
	var all []Message
	fetched.EachRecord(func(r *kgo.Record) {
		m := Message{Key: string(r.Key), Data: r.Value, At: r.Timestamp.UTC()}
		for _, h := range r.Headers {
			if h.Key == "id" {
				m.ID = string(h.Value)
			}
		}
		all = append(all, m)
	})
	if len(all) == 0 {
		return nil
	}
	if err := take(ctx, all); err != nil {
		return err
	}
	return c.CommitRecords(ctx, fetched.Records()...)
}

// Close implements Stream.
func (s *kafkaStream) Close() error {
	s.client.Close()
	return nil
}
