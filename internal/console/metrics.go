package console

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"birdring/beacon"
)

// collector tells what the beacons counted. birdring_beacon_received_total is the
// sum of birdring_beacon_outcomes_total over its outcomes, but for what is being
// answered at that moment.
type collector struct{ c *Console }

var (
	receivedDesc    = prometheus.NewDesc("birdring_beacon_received_total", "Queries and requests received.", []string{"protocol"}, nil)
	outcomesDesc    = prometheus.NewDesc("birdring_beacon_outcomes_total", "What became of them; each has one outcome.", []string{"protocol", "outcome"}, nil)
	unsentDesc      = prometheus.NewDesc("birdring_beacon_unsent_total", "Answers that the network did not take.", []string{"protocol"}, nil)
	journaledDesc   = prometheus.NewDesc("birdring_beacon_journaled_total", "Hits written to the journal.", nil, nil)
	droppedDesc     = prometheus.NewDesc("birdring_beacon_kernel_drops_total", "DNS queries that the system threw away because nobody took them in time.", nil, nil)
	heldDesc        = prometheus.NewDesc("birdring_journal_held_bytes", "Bytes of the journal that are on disk.", nil, nil)
	quotaDesc       = prometheus.NewDesc("birdring_journal_quota_bytes", "Bytes the journal may hold; 0: no bound.", nil, nil)
	ingestedDesc    = prometheus.NewDesc("birdring_hits_ingested_total", "Hits that the registry has.", nil, nil)
	healthyDesc     = prometheus.NewDesc("birdring_healthy", "1 while /healthz says ok.", nil, nil)
	alarmsDesc      = prometheus.NewDesc("birdring_alarms", "Defects of ours nobody has looked at.", nil, nil)
	deadAlertsDesc  = prometheus.NewDesc("birdring_alerts_given_up", "Alerts that were given up.", nil, nil)
	allDescriptions = []*prometheus.Desc{
		receivedDesc, outcomesDesc, unsentDesc, journaledDesc, droppedDesc, heldDesc, quotaDesc, ingestedDesc, healthyDesc, alarmsDesc, deadAlertsDesc,
	}
)

// Describe implements prometheus.Collector.
func (m collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range allDescriptions {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m collector) Collect(out chan<- prometheus.Metric) {
	total := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	if s := m.c.beacon; s != nil {
		for protocol, counters := range map[string]*beacon.Counters{"dns": &s.DNS, "http": &s.HTTP} {
			for name, n := range counters.Snapshot() {
				switch name {
				case "received":
					total(receivedDesc, n, protocol)
				case "unsent":
					total(unsentDesc, n, protocol)
				default:
					total(outcomesDesc, n, protocol, name)
				}
			}
		}
		total(journaledDesc, s.Journaled())
		total(droppedDesc, s.KernelDrops())
	}
	if m.c.journal != nil {
		held, quota := m.c.journal.Held()
		gauge(heldDesc, float64(held))
		gauge(quotaDesc, float64(quota))
	}
	h, err := m.c.health(m.c.ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(healthyDesc, err)
		return
	}
	total(ingestedDesc, uint64(h.Hits))
	gauge(alarmsDesc, float64(h.Alarms))
	gauge(deadAlertsDesc, float64(h.DeadAlerts))
	healthy := 0.0
	if h.OK {
		healthy = 1
	}
	gauge(healthyDesc, healthy)
}

// metrics answers in the format of Prometheus, to the own machine and to holders
// of a key: how much is seen is nobody else's business.
func (c *Console) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{c})
	tell := promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := c.identify(r); !known && !local(r) {
			http.Error(w, "a key is wanted: Authorization: Bearer ...", http.StatusUnauthorized)
			return
		}
		tell.ServeHTTP(w, r)
	})
}
