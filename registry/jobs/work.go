package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"birdring/registry"
)

// How long ended jobs are kept.
const (
	keepCompleted = time.Hour
	keepDiscarded = 30 * 24 * time.Hour
)

// riverConfig is River's configuration for this process.
func (q *Queue) riverConfig() *river.Config {
	host, err := os.Hostname()
	if err != nil {
		host = "somewhere"
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, scanWorker{q: q})
	river.AddWorker(workers, leadWorker{q: q})
	river.AddWorker(workers, alertWorker{q: q})
	river.AddWorker(workers, probeWorker{q: q})
	river.AddWorker(workers, traceWorker{q: q})
	q.name = fmt.Sprintf("%.40s-%d-%s", host, os.Getpid(), uuid.NewString()[:8])
	return &river.Config{
		ID:         q.name,
		Logger:     slog.New(onlyTrouble{q.c.Log.Handler()}),
		Workers:    workers,
		Middleware: []rivertype.Middleware{river.WorkerMiddlewareFunc(q.within)},
		Queues: map[string]river.QueueConfig{
			queueScans: {MaxWorkers: q.c.Workers}, queueAlerts: {MaxWorkers: 16}, queueProbes: {MaxWorkers: 4}, queueTraces: {MaxWorkers: q.c.Workers},
		},
		CompletedJobRetentionPeriod: keepCompleted, CancelledJobRetentionPeriod: keepDiscarded, DiscardedJobRetentionPeriod: keepDiscarded,
		RescueStuckJobsAfter: scanTimeout + 5*time.Minute,
	}
}

// onlyTrouble leaves out what River says of a day without trouble.
type onlyTrouble struct{ slog.Handler }

// Enabled says whether a record of a level is kept.
func (h onlyTrouble) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps leaving out.
func (h onlyTrouble) WithAttrs(a []slog.Attr) slog.Handler {
	return onlyTrouble{h.Handler.WithAttrs(a)}
}

// WithGroup keeps leaving out.
func (h onlyTrouble) WithGroup(name string) slog.Handler {
	return onlyTrouble{h.Handler.WithGroup(name)}
}

// Pauses of Work.
const (
	lookEvery = time.Second      // for what is to be done
	stopGrace = 10 * time.Second // for jobs that are told to stop
	mostDue   = 100
)

// Work works until ctx ends; jobs under way are then told to stop, and are taken
// up again by whoever works next.
func (q *Queue) Work(ctx context.Context) error {
	if err := q.live(ctx); err != nil {
		return fmt.Errorf("work on jobs: %w", err)
	}
	var beating sync.WaitGroup
	living, die := context.WithCancel(context.WithoutCancel(ctx)) // while jobs are told to stop, too
	beating.Go(func() { q.keepAlive(living) })
	defer beating.Wait()
	defer die()
	if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("work on jobs: %w", err)
	}
	_ = registry.Every(ctx, lookEvery, func(ctx context.Context) { // it returns nil
		if err := q.look(ctx); err != nil && ctx.Err() == nil {
			q.c.Log.ErrorContext(ctx, "jobs not made, will try again", "error", err)
		}
	})
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer done()
	q.stopping.Store(true)
	if err := q.client.StopAndCancel(grace); err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	die()
	beating.Wait()
	if err := q.leave(grace); err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	return nil
}

// look makes jobs of what is to be done. Any number of workers may look: a job
// that is there is not made again.
func (q *Queue) look(ctx context.Context) error {
	var make []river.InsertManyParams
	hooks, err := q.c.Registry.DueWebhooks(ctx)
	if err != nil {
		return err
	}
	for _, h := range hooks {
		make = append(make, river.InsertManyParams{Args: AlertArgs{h}})
	}
	uploads, err := q.c.Registry.DueUploads(ctx, mostDue)
	if err != nil {
		return err
	}
	for _, u := range uploads {
		make = append(make, river.InsertManyParams{Args: TraceArgs{u}})
	}
	if q.c.FollowLeads {
		leads, err := q.c.Registry.Leads(ctx, mostDue)
		if err != nil {
			return err
		}
		for _, l := range leads {
			make = append(make, river.InsertManyParams{Args: LeadArgs{l.URL}})
		}
	}
	if q.c.WatchEvery > 0 {
		sites, err := q.c.Registry.DueSites(ctx, time.Now().Add(-q.c.WatchEvery), mostDue)
		if err != nil {
			return err
		}
		for _, s := range sites {
			make = append(make, river.InsertManyParams{Args: ScanArgs{s.Site, s.URLs}, InsertOpts: watched(q.c.WatchEvery)})
		}
	}
	if len(make) == 0 {
		return nil
	}
	_, err = q.client.InsertMany(ctx, make)
	return err
}
