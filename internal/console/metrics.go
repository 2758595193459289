package console

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"birdring/internal/meters"
)

// collector tells how the registry is.
type collector struct{ c *Console }

var (
	ingestedDesc    = prometheus.NewDesc("birdring_hits_ingested_total", "Hits that the registry has.", nil, nil)
	healthyDesc     = prometheus.NewDesc("birdring_healthy", "1 while /healthz says ok.", nil, nil)
	alarmsDesc      = prometheus.NewDesc("birdring_alarms", "Defects of ours nobody has looked at.", nil, nil)
	deadAlertsDesc  = prometheus.NewDesc("birdring_alerts_given_up", "Alerts that were given up.", nil, nil)
	allDescriptions = []*prometheus.Desc{ingestedDesc, healthyDesc, alarmsDesc, deadAlertsDesc}
)

// Describe implements prometheus.Collector.
func (m collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range allDescriptions {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	h, err := m.c.health(m.c.ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(healthyDesc, err)
		return
	}
	out <- prometheus.MustNewConstMetric(ingestedDesc, prometheus.CounterValue, float64(h.Hits))
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
	reg.MustRegister(collector{c}, meters.Beacons{Stats: c.beacon, Journal: c.journal})
	tell := promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := c.identify(r); !known && !local(r) {
			http.Error(w, "a key is wanted: Authorization: Bearer ...", http.StatusUnauthorized)
			return
		}
		tell.ServeHTTP(w, r)
	})
}
