// Package stream carries messages between processes of one Birdring through a
// broker: from edges to the registry, from the platform to the registry, and
// from the registry to whoever wants to know.
//
//	s, err := stream.Open("nats://broker:4222")
//	err = s.Publish(ctx, stream.Journals, []stream.Message{{ID: id, Key: edge, Data: data}})
//
// A message is acknowledged by the broker before Publish returns, and given to a
// consumer until its taker returned nil: at least once, usually in order, now
// and then twice or late. Whoever takes messages drops those it has, by what the
// messages say of themselves.
//
// The broker speaks NATS JetStream (nats://) or the Kafka protocol (kafka://). How
// long an acknowledged message survives power loss is the broker's matter: give
// it replicas, or tell NATS to sync always.
//
// The package knows nothing of what is in a message.
package stream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Topics, below the name that the URL gives.
const (
	Journals     = "journals"     // edges -> registry: parcels of a journal
	Exposures    = "exposures"    // platform -> registry: JSON lines as POST /v1/exposures takes them
	Hits         = "hits"         // registry -> anybody: a hit a message, as GET /v1/hits tells it
	Attributions = "attributions" // registry -> anybody: an attribution a message, as alerts tell it
	Switches     = "switches"     // registry -> every edge: whether copies are neutral
)

// Topics lists all of them.
var Topics = []string{Journals, Exposures, Hits, Attributions, Switches}

// Message is one message.
type Message struct {
	ID   string    // the same for the same message sent again: brokers drop it where they can
	Key  string    // messages of one key keep their order
	Data []byte    // at most MaxData bytes
	At   time.Time // when the broker took it; set on messages consumed
}

// MaxData is the most bytes a message may have: what brokers take without being told (1 MiB), less a header.
const MaxData = 1<<20 - 16<<10

// Stream is an open connection to a broker. It is safe for concurrent use.
type Stream interface {
	// Publish returns nil once the broker has acknowledged every message. After an
	// error any of them may have arrived. While the broker is away it fails within seconds.
	Publish(ctx context.Context, topic string, all []Message) error
	// Consume gives the messages of a topic to take, some at a time, until ctx ends
	// (nil) or something fails: the caller tries again. Each message goes to one
	// consumer of a group, and again after an error of take.
	Consume(ctx context.Context, topic, group string, take func(ctx context.Context, all []Message) error) error
	Close() error
}

// batch is the most messages given to a taker at once.
const batch = 64

// patience is how long a broker has to acknowledge a message.
const patience = 5 * time.Second

// ErrTooLarge is returned for a message that no broker takes.
var ErrTooLarge = errors.New("message is too large")

// address is a stream's URL, read.
type address struct {
	kafka      bool
	servers    []string // host:port
	name       string   // before every topic
	replicas   int
	partitions int32
	user, pass string
	sasl       string // kafka: plain, scram-sha-256, scram-sha-512
	creds      string // nats: credentials file
	tls        bool
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`)

// Check says what is wrong with the URL of a stream.
func Check(u string) error {
	_, err := parse(u)
	return err
}

// parse reads
//
//	nats://[user:pass@]host[:4222][,host...][/NAME][?replicas=3&tls=true&creds=FILE]
//	kafka://[user:pass@]host[:9092][,host...][/NAME][?replicas=3&partitions=8&tls=true&sasl=plain|scram-sha-256|scram-sha-512]
func parse(text string) (a address, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	port := ":4222"
	switch {
	case ok && scheme == "nats":
	case ok && scheme == "kafka":
		a.kafka, port = true, ":9092"
	default:
		return a, fmt.Errorf("stream %q: a URL like nats://HOST:4222 or kafka://HOST:9092 is wanted", hidePassword(text))
	}
	// net/url reads no list of hosts: it is cut out first.
	hosts, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		hosts, tail = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(hosts, '@'); i >= 0 {
		u, err := url.Parse(scheme + "://" + hosts[:i] + "@x")
		if err != nil {
			return a, fmt.Errorf("stream: the user of its URL cannot be read: escape what is not a letter or digit as %%XX")
		}
		a.user = u.User.Username()
		a.pass, _ = u.User.Password()
		hosts = hosts[i+1:]
	}
	u, err := url.Parse(tail)
	if err != nil {
		return a, fmt.Errorf("stream %q: %v", hidePassword(text), err)
	}
	for h := range strings.SplitSeq(hosts, ",") {
		if h == "" {
			return a, fmt.Errorf("stream %q: a host is missing", hidePassword(text))
		}
		if i := strings.LastIndexByte(h, ':'); i < 0 || strings.HasSuffix(h, "]") {
			h += port
		}
		a.servers = append(a.servers, h)
	}
	if a.name = strings.Trim(u.Path, "/"); a.name == "" {
		a.name = "birdring"
	}
	if !plainName.MatchString(a.name) {
		return a, fmt.Errorf("stream %q: its name has other characters than letters, digits, - and _", hidePassword(text))
	}
	return a, a.options(u.Query())
}

func (a *address) options(q url.Values) error {
	a.replicas, a.partitions = 1, 1
	for k, v := range q {
		n, numErr := strconv.Atoi(v[0])
		bad := false
		switch {
		case k == "replicas":
			a.replicas, bad = n, numErr != nil || n < 1 || n > 9
		case k == "partitions" && a.kafka:
			a.partitions, bad = int32(n), numErr != nil || n < 1 || n > 10_000
		case k == "tls":
			on, err := strconv.ParseBool(v[0])
			a.tls, bad = on, err != nil
		case k == "sasl" && a.kafka:
			a.sasl = strings.ToLower(v[0])
			bad = a.sasl != "plain" && a.sasl != "scram-sha-256" && a.sasl != "scram-sha-512"
		case k == "creds" && !a.kafka:
			a.creds = v[0]
		default:
			return fmt.Errorf("stream: its URL has an unknown option %q", k)
		}
		if bad {
			return fmt.Errorf("stream: option %s=%s of its URL makes no sense", k, v[0])
		}
	}
	return nil
}

var secretPart = regexp.MustCompile(`//[^/?]*@`)

// hidePassword is a URL as it may stand in messages.
func hidePassword(text string) string { return secretPart.ReplaceAllString(text, "//...@") }

// String is the address as it may stand in messages.
func (a address) String() string {
	scheme := "nats"
	if a.kafka {
		scheme = "kafka"
	}
	return scheme + "://" + strings.Join(a.servers, ",") + "/" + a.name
}

// Open prepares a connection to the broker of a URL. The broker may be away: it is
// looked for again at every Publish and Consume.
func Open(text string) (Stream, error) {
	a, err := parse(text)
	if err != nil {
		return nil, err
	}
	if a.kafka {
		return openKafka(a)
	}
	return openNATS(a)
}

// tooLarge finds a message that no broker takes.
func tooLarge(all []Message) error {
	for _, m := range all {
		if len(m.Data) > MaxData {
			return fmt.Errorf("%w: message %s has %d bytes, at most %d", ErrTooLarge, m.ID, len(m.Data), MaxData)
		}
	}
	return nil
}
