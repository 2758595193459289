// Package meters tells what beacons counted, in the format of Prometheus: the
// same names for the server and for edges.
package meters

import (
	"github.com/prometheus/client_golang/prometheus"

	"birdring/beacon"
	"birdring/beacon/journal"
)

var (
	received  = prometheus.NewDesc("birdring_beacon_received_total", "Queries and requests received.", []string{"protocol"}, nil)
	outcomes  = prometheus.NewDesc("birdring_beacon_outcomes_total", "What became of them; each has one outcome.", []string{"protocol", "outcome"}, nil)
	unsent    = prometheus.NewDesc("birdring_beacon_unsent_total", "Answers that the network did not take.", []string{"protocol"}, nil)
	journaled = prometheus.NewDesc("birdring_beacon_journaled_total", "Hits written to the journal.", nil, nil)
	dropped   = prometheus.NewDesc("birdring_beacon_kernel_drops_total", "DNS queries that the system threw away because nobody took them in time.", nil, nil)
	held      = prometheus.NewDesc("birdring_journal_held_bytes", "Bytes of the journal that are on disk.", nil, nil)
	quota     = prometheus.NewDesc("birdring_journal_quota_bytes", "Bytes the journal may hold; 0: no bound.", nil, nil)
)

// Beacons collects what the beacons of a process counted and how its journal is;
// nil where there is none. birdring_beacon_received_total is the sum of
// birdring_beacon_outcomes_total over its outcomes, but for what is being
// answered at that moment.
type Beacons struct {
	Stats   *beacon.Stats
	Journal *journal.Journal
}

// Describe implements prometheus.Collector.
func (b Beacons) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{received, outcomes, unsent, journaled, dropped, held, quota} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (b Beacons) Collect(out chan<- prometheus.Metric) {
	total := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	if s := b.Stats; s != nil {
		for protocol, counters := range map[string]*beacon.Counters{"dns": &s.DNS, "http": &s.HTTP} {
			for name, n := range counters.Snapshot() {
				switch name {
				case "received":
					total(received, n, protocol)
				case "unsent":
					total(unsent, n, protocol)
				default:
					total(outcomes, n, protocol, name)
				}
			}
		}
		total(journaled, s.Journaled())
		total(dropped, s.KernelDrops())
	}
	if b.Journal != nil {
		bytes, most := b.Journal.Held()
		gauge(held, float64(bytes))
		gauge(quota, float64(most))
	}
}
