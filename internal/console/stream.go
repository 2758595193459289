package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"birdring/canary"
	"birdring/internal/offer"
	"birdring/registry"
	"birdring/registry/stream"
)

// streams joins a server to a broker: hits of edges and exposures of the platform
// come in, hits and attributions go out.
type streams struct {
	server  *server
	console *Console
	stream  stream.Stream
	tell    []string // topics told

	mu     sync.Mutex // guards broken
	broken map[string]trouble
}

// trouble is why a direction of the stream stands still.
type trouble struct {
	since time.Time
	err   error
}

// consumerGroup is the group of all registries: each message is taken in by one.
const consumerGroup = "registry"

// Pauses before a stream that failed is tried again, and between looks at what is to be told.
const (
	streamPause   = time.Second
	streamSettled = 15 * time.Second
	tellEvery     = 200 * time.Millisecond
	tellMost      = 500

	switchEvery = time.Second      // how soon edges are told of the switch
	switchAgain = 10 * time.Minute // and are told again: a broker keeps messages for days only
)

// note remembers how a direction went.
func (q *streams) note(what string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		delete(q.broken, what)
		return
	}
	if q.broken == nil {
		q.broken = map[string]trouble{}
	}
	t, failing := q.broken[what]
	if !failing {
		t.since = time.Now().UTC()
	}
	t.err = err
	q.broken[what] = t
}

// problems are the directions that stand still, one sentence each.
func (q *streams) problems() (out []string) {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for what, t := range q.broken {
		out = append(out, fmt.Sprintf("%s stand still since %s: %v", what, t.since.Format(time.RFC3339), t.err))
	}
	slices.Sort(out)
	return out
}

// consume takes in a topic until ctx ends, and again after every failure.
func (q *streams) consume(ctx context.Context, what, topic string, take func(context.Context, []stream.Message) error) error {
	for ctx.Err() == nil {
		alive := func(ctx context.Context, all []stream.Message) error {
			err := take(ctx, all)
			if ctx.Err() == nil {
				q.note(what, err)
			}
			return err
		}
		// While nothing comes a stream says nothing: what does not fail for so long works.
		settled := time.AfterFunc(streamSettled, func() { q.note(what, nil) })
		err := q.stream.Consume(ctx, topic, consumerGroup, alive)
		settled.Stop()
		if err == nil || ctx.Err() != nil {
			continue
		}
		q.note(what, err)
		q.server.log.WarnContext(ctx, "stream not taken in, will try again", "topic", topic, "error", err)
		pause(ctx, streamPause)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// journals takes in hits of edges.
func (q *streams) journals(ctx context.Context) error {
	return q.consume(ctx, "hits of edges", stream.Journals, func(ctx context.Context, all []stream.Message) error {
		packed := make([][]byte, len(all))
		for i, m := range all {
			packed[i] = m.Data
		}
		_, err := q.console.reg.TakeParcels(ctx, packed)
		return err
	})
}

// exposures takes in what the platform showed: in each message JSON as POST
// /v1/exposures takes it, one object or an array, or several on lines of their
// own. Without a time it is that of the message, so that a message that comes
// twice is one exposure. What makes no sense becomes the case of an alarm.
func (q *streams) exposures(ctx context.Context) error {
	return q.consume(ctx, "exposures", stream.Exposures, func(ctx context.Context, all []stream.Message) error {
		err := q.console.takeExposures(ctx, all)
		if !atFault(err) || ctx.Err() != nil {
			return err
		}
		for i, m := range all { // one of them will never do: it must not stop the others
			err := q.console.takeExposures(ctx, all[i:i+1])
			if atFault(err) {
				err = q.console.reg.RaiseAlarm(ctx, "exposures", fmt.Sprintf("a message of exposures is not understood: %v", err), map[string]string{"id": m.ID, "data": string(m.Data)})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// atFault says that a message will never be understood, however often it comes.
func atFault(err error) bool {
	if status, ok := errors.AsType[huma.StatusError](err); ok {
		return status.GetStatus()/100 == 4
	}
	return errors.Is(err, registry.ErrInvalid) || errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrConflict)
}

// takeExposures records the exposures of some messages, all or none.
func (c *Console) takeExposures(ctx context.Context, all []stream.Message) error {
	var out []registry.Exposure
	for _, m := range all {
		for part := range bytes.Lines(m.Data) {
			if part = bytes.TrimSpace(part); len(part) == 0 {
				continue
			}
			asks, err := oneOrMany[offer.ExposureAsk](part, offer.MostAsks)
			if err != nil {
				return err
			}
			for _, a := range asks {
				if a.Decoy == "" {
					return huma.Error422UnprocessableEntity("decoy is missing: only who shows it knows which one it was")
				}
				more, err := c.exposuresOf(ctx, a, m.At)
				if err != nil {
					return err
				}
				out = append(out, more...)
			}
		}
	}
	_, err := c.reg.Expose(ctx, out)
	return err
}

// told sends a topic's messages until ctx ends.
func (q *streams) told(topic string) func(context.Context) error {
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			n, err := q.console.reg.Tell(ctx, topic, tellMost, func(all []registry.Telling) error {
				messages := make([]stream.Message, len(all))
				for i, t := range all {
					messages[i] = stream.Message{ID: t.ID, Key: t.ID, Data: t.Data}
				}
				return q.stream.Publish(ctx, topic, messages)
			})
			if ctx.Err() != nil {
				break
			}
			q.note(topic+" to be told", err)
			switch {
			case err != nil:
				q.server.log.WarnContext(ctx, "stream not told, will try again", "topic", topic, "error", err)
				pause(ctx, streamPause)
			case n < tellMost:
				pause(ctx, tellEvery)
			}
		}
		return nil
	}
}

// switches tells edges whether copies are neutral, until ctx ends. Several servers
// tell the same; each reads the switch just before.
func (q *streams) switches(ctx context.Context) error {
	var told *bool
	var at time.Time
	for ctx.Err() == nil {
		on, err := q.console.reg.NeutralOnly(ctx)
		if err == nil && (told == nil || *told != on || time.Since(at) >= switchAgain) {
			id := fmt.Sprintf("neutral-%t-%d", on, time.Now().UnixNano())
			err = q.stream.Publish(ctx, stream.Switches, []stream.Message{{ID: id, Key: "neutral", Data: canary.EdgeSwitch{Neutral: on}.Marshal()}})
			if err == nil {
				told, at = &on, time.Now()
			}
		}
		if ctx.Err() != nil {
			break
		}
		q.note("switches for edges", err)
		if err != nil {
			q.server.log.WarnContext(ctx, "edges not told of the switch for neutral copies, will try again", "error", err)
		}
		pause(ctx, switchEvery)
	}
	return nil
}
