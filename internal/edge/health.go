package edge

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"birdring/beacon/journal"
	"birdring/internal/meters"
)

// health is what /healthz says.
type health struct {
	OK       bool              `json:"ok"`
	Problems []string          `json:"problems"` // why not, one sentence each
	Source   string            `json:"source"`   // what the journal is called
	Written  journal.Position  `json:"written"`  // how far the journal is written
	Sent     journal.Position  `json:"sent"`     // how far it is sent
	Records  uint64            `json:"records"`  // sent by this process
	Held     int64             `json:"held"`     // bytes of the journal
	Quota    int64             `json:"quota"`    // bytes it may have; 0: no bound
	Pictures int               `json:"pictures"`
	Neutral  bool              `json:"neutral"` // every picture is the neutral copy
	DNS      map[string]uint64 `json:"dns"`     // counters of the beacons
	HTTP     map[string]uint64 `json:"http"`
}

func (s *server) health() health {
	h := health{Problems: []string{}, Source: s.sender.source, Pictures: len(s.served.now().pictures), Neutral: s.neutral(), DNS: s.stats.DNS.Snapshot(), HTTP: s.stats.HTTP.Snapshot()}
	h.Held, h.Quota = s.journal.Held()
	sent, count, since, err := s.sender.state()
	h.Written, h.Sent, h.Records = s.journal.End(), sent, count
	if err != nil {
		h.Problems = append(h.Problems, fmt.Sprintf("hits wait in the journal since %s, it holds %d KiB: %v", since.Format(time.RFC3339), h.Held>>10, err))
	}
	for _, err := range []error{s.stats.Err(), s.journal.Err()} {
		if err != nil {
			h.Problems = append(h.Problems, err.Error())
		}
	}
	if h.Quota > 0 && h.Held > h.Quota/2 {
		h.Problems = append(h.Problems, fmt.Sprintf("the journal holds %d MiB of hits that are not sent; at %d MiB valid tokens get no answer", h.Held>>20, h.Quota>>20))
	}
	if why := s.served.trouble.Load(); why != nil {
		h.Problems = append(h.Problems, "a new export is not served: "+*why)
	}
	if why := s.told.problem(); why != "" {
		h.Problems = append(h.Problems, why)
	}
	h.OK = len(h.Problems) == 0
	return h
}

// healthz is for people and their alarms: 503 while anything needs somebody. Why,
// only the own machine and the platform are told.
func (s *server) healthz(w http.ResponseWriter, r *http.Request) {
	h := s.health()
	status := http.StatusOK
	if !h.OK {
		status = http.StatusServiceUnavailable
	}
	var out any = map[string]bool{"ok": h.OK}
	if local(r) || s.known(r) {
		out = h
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // the requester left
}

// readyz is for load balancers: 200 while hits can be recorded, with or without a
// broker.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	if held, quota := s.journal.Held(); s.journal.Err() != nil || quota > 0 && held > quota*9/10 {
		http.Error(w, "hits cannot be recorded", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// local says that a request comes from this machine and through no proxy.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}

var (
	sentDesc    = prometheus.NewDesc("birdring_edge_sent_total", "Records of the journal that the stream took.", nil, nil)
	waitingDesc = prometheus.NewDesc("birdring_edge_waiting_seconds", "How long the stream has not taken records; 0 while it does.", nil, nil)
	healthyDesc = prometheus.NewDesc("birdring_healthy", "1 while /healthz says ok.", nil, nil)
)

// collector tells how far the journal is sent.
type collector struct{ s *server }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	out <- sentDesc
	out <- waitingDesc
	out <- healthyDesc
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	_, count, since, err := c.s.sender.state()
	waiting, healthy := 0.0, 0.0
	if err != nil {
		waiting = time.Since(since).Seconds()
	}
	if c.s.health().OK {
		healthy = 1
	}
	out <- prometheus.MustNewConstMetric(sentDesc, prometheus.CounterValue, float64(count))
	out <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, waiting)
	out <- prometheus.MustNewConstMetric(healthyDesc, prometheus.GaugeValue, healthy)
}

// metrics answers in the format of Prometheus, to the own machine and the platform.
func (s *server) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{s}, meters.Beacons{Stats: &s.stats, Journal: s.journal})
	tell := promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r) && !s.known(r) {
			refuse(w, http.StatusUnauthorized, "a key of role platform is wanted: Authorization: Bearer ...")
			return
		}
		tell.ServeHTTP(w, r)
	})
}
