package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"birdring/registry"
)

// The queues, each with its own number of jobs at once.
const (
	queueScans  = "scans"
	queueAlerts = "alerts"
	queueProbes = "probes"
	queueTraces = "traces"
)

// ScanArgs: scan a site.
type ScanArgs struct {
	Site string   `json:"site" river:"unique"`
	URLs []string `json:"urls"`
}

// Kind names it.
func (ScanArgs) Kind() string { return "scan" }

// InsertOpts says how it is tried.
func (ScanArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueScans, MaxAttempts: 5, UniqueOpts: onlyOne()}
}

// watched says how the scan of a watched site is made: once in a period, even if
// it failed to the end.
func watched(every time.Duration) *river.InsertOpts {
	o := onlyOne()
	o.ByPeriod = every
	o.ByState = rivertype.JobStates()
	return &river.InsertOpts{UniqueOpts: o}
}

// LeadArgs: scan the page that hits named as their origin.
type LeadArgs struct {
	URL string `json:"url" river:"unique"`
}

// Kind names it.
func (LeadArgs) Kind() string { return "lead" }

// InsertOpts says how it is tried.
func (LeadArgs) InsertOpts() river.InsertOpts {
	o := onlyOne()
	o.ByState = append(o.ByState, rivertype.JobStateDiscarded) // given up is given up
	return river.InsertOpts{Queue: queueScans, MaxAttempts: 3, Priority: 2, UniqueOpts: o}
}

// AlertArgs: deliver what is due to a webhook. The outbox says what that is and
// when it is tried again.
type AlertArgs struct {
	Webhook string `json:"webhook" river:"unique"`
}

// Kind names it.
func (AlertArgs) Kind() string { return "alert" }

// InsertOpts says how it is tried.
func (AlertArgs) InsertOpts() river.InsertOpts {
	o := onlyOne()
	// A worker that dies leaves its job running until others see it: the next minute has another one.
	o.ByPeriod = time.Minute
	return river.InsertOpts{Queue: queueAlerts, MaxAttempts: 3, UniqueOpts: o}
}

// ProbeArgs: ask a site for a dark decoy. Each try uses one up.
type ProbeArgs struct {
	Site     string   `json:"site"`
	Template string   `json:"template"`
	Allow    []string `json:"allow"`
}

// Kind names it.
func (ProbeArgs) Kind() string { return "probe" }

// InsertOpts says how it is tried.
func (ProbeArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueProbes, MaxAttempts: 3}
}

// TraceArgs: trace a file that somebody uploaded.
type TraceArgs struct {
	Upload string `json:"upload" river:"unique"`
}

// Kind names it.
func (TraceArgs) Kind() string { return "trace" }

// InsertOpts says how it is tried.
func (TraceArgs) InsertOpts() river.InsertOpts {
	o := onlyOne()
	o.ByState = append(o.ByState, rivertype.JobStateDiscarded) // given up is given up
	return river.InsertOpts{Queue: queueTraces, MaxAttempts: 3, UniqueOpts: o}
}

// onlyOne: the same job is not made again until it has ended, however it did.
func onlyOne() river.UniqueOpts {
	return river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled,
	}}
}

// How long a try may take.
const (
	scanTimeout  = time.Hour
	alertTimeout = 10 * time.Minute // many messages to one webhook, each at most 20 s
	probeTimeout = 10 * time.Minute
	traceTimeout = 10 * time.Minute
)

// within runs every job: it ends with its worker's span, and that is no failed try.
func (q *Queue) within(ctx context.Context, _ *rivertype.JobRow, work func(context.Context) error) error {
	ctx, done := q.under(ctx)
	defer done()
	return q.stopped(ctx, work(ctx))
}

// stopped turns the end of a job by the end of its worker into "later": it is no
// failed try.
func (q *Queue) stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && (q.stopping.Load() || errors.Is(context.Cause(ctx), errGivenUp)) {
		return river.JobSnooze(0)
	}
	return err
}

type scanWorker struct {
	river.WorkerDefaults[ScanArgs]
	q *Queue
}

// Timeout is how long a try may take.
func (scanWorker) Timeout(*river.Job[ScanArgs]) time.Duration { return scanTimeout }

// Work scans the site.
func (w scanWorker) Work(ctx context.Context, job *river.Job[ScanArgs]) error {
	req := w.q.c.Scan
	req.URLs = job.Args.URLs
	found := 0
	results, err := w.q.c.Registry.Scan(ctx, req, func(registry.ScanSighting) { found++ })
	if err != nil {
		return err
	}
	for _, r := range results {
		w.q.c.Log.InfoContext(ctx, "site scanned", "site", r.Site, "verdict", r.Verdict, "sightings", found)
	}
	return nil
}

type leadWorker struct {
	river.WorkerDefaults[LeadArgs]
	q *Queue
}

// Timeout is how long a try may take.
func (leadWorker) Timeout(*river.Job[LeadArgs]) time.Duration { return scanTimeout }

// Work scans the page.
func (w leadWorker) Work(ctx context.Context, job *river.Job[LeadArgs]) error {
	req := w.q.c.Scan
	if req.MaxPages == 0 || req.MaxPages > mostLeadPages {
		req.MaxPages = mostLeadPages
	}
	_, err := w.q.c.Registry.FollowLead(ctx, job.Args.URL, req, job.Attempt < job.MaxAttempts)
	return err
}

// mostLeadPages bounds a lead's scan: whoever sends a request writes its Referer.
const mostLeadPages = 20

type alertWorker struct {
	river.WorkerDefaults[AlertArgs]
	q *Queue
}

// Timeout is how long a try may take.
func (alertWorker) Timeout(*river.Job[AlertArgs]) time.Duration { return alertTimeout }

// Work delivers.
func (w alertWorker) Work(ctx context.Context, job *river.Job[AlertArgs]) error {
	return w.q.c.Registry.DeliverTo(ctx, job.Args.Webhook)
}

type probeWorker struct {
	river.WorkerDefaults[ProbeArgs]
	q *Queue
}

// Timeout is how long a try may take.
func (probeWorker) Timeout(*river.Job[ProbeArgs]) time.Duration { return probeTimeout }

// Work asks.
func (w probeWorker) Work(ctx context.Context, job *river.Job[ProbeArgs]) error {
	a := job.Args
	err := w.q.c.Registry.Probe(ctx, registry.ProbeRequest{Site: a.Site, Template: a.Template, Count: 1, Allow: append(a.Allow, w.q.c.Scan.Allow...)}, func(r registry.ProbeResult) {
		w.q.c.Log.InfoContext(ctx, "site asked", "site", r.Site, "decoy", r.Decoy, "answered", r.Answered)
	})
	if errors.Is(err, registry.ErrInvalid) {
		return river.JobCancel(err)
	}
	return err
}

type traceWorker struct {
	river.WorkerDefaults[TraceArgs]
	q *Queue
}

// Timeout is how long a try may take.
func (traceWorker) Timeout(*river.Job[TraceArgs]) time.Duration { return traceTimeout }

// Work traces.
func (w traceWorker) Work(ctx context.Context, job *river.Job[TraceArgs]) error {
	return w.q.c.Registry.TraceUpload(ctx, job.Args.Upload, job.Attempt < job.MaxAttempts)
}

// AddScan makes a job that scans a site now; it reports false if one waits already.
func (q *Queue) AddScan(ctx context.Context, site string, urls []string) (int64, bool, error) {
	return q.add(ctx, ScanArgs{Site: site, URLs: urls})
}

// AddProbe makes a job that asks a site for a dark decoy.
func (q *Queue) AddProbe(ctx context.Context, a ProbeArgs) (int64, error) {
	id, _, err := q.add(ctx, a)
	return id, err
}

func (q *Queue) add(ctx context.Context, args river.JobArgs) (id int64, added bool, err error) {
	got, err := q.client.InsertMany(ctx, []river.InsertManyParams{{Args: args}})
	if err != nil {
		return 0, false, fmt.Errorf("make a job: %w", err)
	}
	return got[0].Job.ID, !got[0].UniqueSkippedAsDuplicate, nil
}
