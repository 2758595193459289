package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
	"birdring/internal/demo/paint"
	"birdring/registry"
)

// The paths, each with how it is read back.
var paths = []path{
	{"expose", writeExposures, countExposures, 150 * time.Millisecond},
	{"plant", writePlants, countPlants, 250 * time.Millisecond},
	{"sight", writeSightings, countSightings, 1000 * time.Millisecond},
	{"alert", writeAlerts, countAlerts, 1000 * time.Millisecond},
	{"hits", writeHits, countHits, 200 * time.Millisecond},
}

// crowd is who was shown the decoy before anything is found.
const crowd = 8

func account(i int) string { return fmt.Sprintf("crowd-%d", i) }

// setStage plants one decoy and shows it to a crowd. The webhook is ours.
func setStage(ctx context.Context, dir, url string) (*stage, error) {
	if _, err := registry.InitIn(ctx, dir, url); err != nil {
		return nil, err
	}
	reg, err := registry.Open(ctx, dir, registry.Options{Database: url, Lease: time.Second})
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, url: url, reg: reg, hook: newReceiver()}
	planted, err := reg.Plant(ctx, registry.PlantRequest{Decoys: 1, PerDecoy: 1, Photos: []registry.Photo{photo(1)}})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	for i := range crowd {
		if _, err := reg.Expose(ctx, []registry.Exposure{{Account: account(i), Decoy: planted[0].Decoy.ID, At: time.Now().Add(-time.Hour)}}); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	_, _, err = reg.AddWebhook(ctx, s.hook.URL)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) close() error {
	s.hook.Close()
	return s.reg.Close()
}

// photo paints a photo of its own.
func photo(seed uint64) registry.Photo {
	return registry.Photo{Name: fmt.Sprintf("scene-%d.jpg", seed), Open: func() (io.ReadCloser, error) {
		var buf bytes.Buffer
		err := jpeg.Encode(&buf, paint.Scene(seed, 480, 360), &jpeg.Options{Quality: 92})
		return io.NopCloser(&buf), err
	}}
}

func writeExposures(ctx context.Context, w *worker, told func(string)) error {
	decoys, err := w.reg.Decoys(ctx)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var failed error
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				var some []registry.Exposure
				for j := range 1 + i%3 {
					some = append(some, registry.Exposure{Account: fmt.Sprintf("%s-%d-%d-%d", w.id, g, i, j), Decoy: decoys[0].ID})
				}
				if _, err := w.reg.Expose(ctx, some); err != nil {
					failed = err
					return
				}
				for _, e := range some {
					told(e.Account)
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// rows collects a listing.
func rows[T any](ctx context.Context, s *stage, what string, each func(T)) error {
	return s.reg.Rows(ctx, what, time.Time{}, 0, func(row any) error {
		v, ok := row.(T)
		if !ok {
			return fmt.Errorf("row is a %T", row)
		}
		each(v)
		return nil
	})
}

// countExposures also looks at the numbers: each is given once, without a gap.
func countExposures(ctx context.Context, s *stage) (map[string]int, error) {
	out := map[string]int{}
	err := rows(ctx, s, "exposures", func(e registry.ExposureRow) { out[e.Account]++ })
	last := int64(canary.FirstViewer) - 1
	err = errors.Join(err, rows(ctx, s, "accounts", func(a registry.AccountRow) {
		for _, v := range a.Viewers {
			last = max(last, v.Viewer)
			out[fmt.Sprint("number ", v.Viewer)]++
		}
	}))
	for n := int64(canary.FirstViewer); n <= last; n++ {
		if out[fmt.Sprint("number ", n)] == 0 {
			return out, fmt.Errorf("number %d was never given, %d was", n, last)
		}
	}
	return out, err
}

func writePlants(ctx context.Context, w *worker, told func(string)) error {
	for {
		planted, err := w.reg.Plant(ctx, registry.PlantRequest{
			Decoys: 1, PerDecoy: 1, Photos: []registry.Photo{photo(w.rng.Uint64())},
			Progress: func(done, total int, _ string) { told(mark) },
		})
		if errors.Is(err, registry.ErrTooFew) {
			continue // two painted scenes may show the same
		}
		if err != nil {
			return err
		}
		told(planted[0].Decoy.ID)
	}
}

// countPlants also wants every decoy whole: with its pictures, each of which can
// be handed out.
func countPlants(ctx context.Context, s *stage) (map[string]int, error) {
	out := map[string]int{}
	var broken error
	err := rows(ctx, s, "decoys", func(d registry.DecoyRow) {
		out[d.Decoy]++
		if len(d.Photos) == 0 {
			broken = fmt.Errorf("decoy %s has no picture", d.Decoy)
		}
		for _, p := range d.Photos {
			if _, err := s.reg.Rendition(nil, p.Photo, canary.FirstViewer); err != nil {
				broken = errors.Join(broken, err)
			}
		}
	})
	return out, errors.Join(err, broken)
}

// find traces a copy of the first decoy to a site of its own.
func find(ctx context.Context, w *worker, site string) error {
	decoys, err := w.reg.Decoys(ctx)
	if err != nil {
		return err
	}
	v, err := w.reg.Number(ctx, account(w.rng.IntN(crowd)), "")
	if err != nil {
		return err
	}
	data, err := w.reg.Rendition(nil, decoys[0].Avatar, v)
	if err != nil {
		return err
	}
	res, err := w.reg.Trace(ctx, registry.TraceRequest{Name: "find", Data: data, Site: site, PageDecoys: []string{decoys[0].ID}})
	if err == nil && (len(res) != 1 || res[0].Verdict != registry.VerdictAttributed) {
		err = fmt.Errorf("the copy was not attributed: %+v", res)
	}
	return err
}

func writeSightings(ctx context.Context, w *worker, told func(string)) error {
	for i := 0; ; i++ {
		site := fmt.Sprintf("s%d-%s.example", i, w.id)
		if err := find(ctx, w, site); err != nil {
			return err
		}
		told(site)
	}
}

// countSightings wants a sighting, and an attribution with it or none of both.
func countSightings(ctx context.Context, s *stage) (map[string]int, error) {
	out, attributed := map[string]int{}, map[string]int{}
	err := errors.Join(
		rows(ctx, s, "sightings", func(g registry.SightingRow) { out[g.Site]++ }),
		rows(ctx, s, "attributions", func(a registry.AttributionRow) { attributed[a.Site]++ }))
	for site, n := range out {
		if attributed[site] != n {
			err = errors.Join(err, fmt.Errorf("site %s has %d sightings and %d attributions", site, n, attributed[site]))
		}
	}
	return out, err
}

// writeAlerts finds and delivers at the same time.
func writeAlerts(ctx context.Context, w *worker, told func(string)) error {
	go deliver(ctx, w.reg)
	return writeSightings(ctx, w, told)
}

// deliver works the outbox as workers do.
func deliver(ctx context.Context, reg *registry.Registry) {
	for ctx.Err() == nil {
		hooks, err := reg.DueWebhooks(ctx)
		for _, h := range hooks {
			err = errors.Join(err, reg.DeliverTo(ctx, h))
		}
		if err != nil || len(hooks) == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// countAlerts waits until everything is delivered and counts messages by site.
// One that was sent again after a kill has the webhook-id it had.
func countAlerts(ctx context.Context, s *stage) (map[string]int, error) {
	go deliver(ctx, s.reg)
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		h, err := s.reg.Health(ctx)
		if err != nil {
			return nil, err
		}
		if h.PendingAlerts == 0 {
			break
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%d alerts are still to be delivered", h.PendingAlerts)
		}
	}
	return s.hook.messages(), nil
}

// receiver takes webhooks.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	site map[string]string // by webhook-id
}

func newReceiver() *receiver {
	r := &receiver{site: map[string]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var body struct {
			Data struct {
				Site string `json:"site"`
			} `json:"data"`
		}
		if err := json.NewDecoder(q.Body).Decode(&body); err != nil || body.Data.Site == "" {
			http.Error(w, "no alert", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.site[q.Header.Get("webhook-id")] = body.Data.Site
	}))
	return r
}

func (r *receiver) messages() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int{}
	for _, site := range r.site {
		out[site]++
	}
	return out
}

func journalOf(dir string) (*journal.Journal, error) {
	return journal.OpenWith(filepath.Join(dir, "journal"), journal.Options{SegmentBytes: 64 << 10})
}

// writeHits journals hits, each of a viewer's own, and takes them in meanwhile.
func writeHits(ctx context.Context, w *worker, told func(string)) error {
	j, err := journalOf(w.reg.Dir())
	if err != nil {
		return err
	}
	defer j.Close()
	ingesting := make(chan error, 1)
	go func() {
		for {
			if _, err := w.reg.IngestJournal(ctx, j); err != nil {
				ingesting <- err
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	for i := 0; ; i++ {
		select {
		case err := <-ingesting:
			return err
		default:
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		rec, err := beacon.Hit{
			ID: id.String(), At: time.Now().UTC(), Kind: beacon.KindLink, Token: canary.Token{Kind: canary.KindLink, Object: 1, Viewer: canary.FirstViewer},
			Addr: "192.0.2.7:4711", Method: "GET", Path: fmt.Sprintf("/l/%s-%d", w.id, i), Status: 200, UserAgent: "agent",
		}.MarshalBinary()
		if err != nil {
			return err
		}
		if err := j.Append(rec); err != nil {
			return err
		}
		told(id.String())
		if i%50 == 0 {
			time.Sleep(time.Duration(w.rng.IntN(3)) * time.Millisecond)
		}
	}
}

func countHits(ctx context.Context, s *stage) (map[string]int, error) {
	j, err := journalOf(s.dir)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	if _, err := s.reg.IngestJournal(ctx, j); err != nil {
		return nil, err
	}
	out := map[string]int{}
	return out, rows(ctx, s, "hits", func(h registry.HitRow) { out[h.ID] += 1 + int(h.Repeats) })
}
