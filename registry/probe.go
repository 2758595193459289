package registry

import (
	"context"
	"time"
)

// ProbeRequest asks a question-and-answer site for dark decoys.
type ProbeRequest struct {
	Site     string
	Template string        // URL with {handle}
	Count    int           // probes; 0: 1
	Allow    []string      // CIDR:PORT that may be called although private
	Spread   time.Duration // each probe waits a keyed random share of it; 0: 3 s
	Patience time.Duration // how long after the answer a look-up is waited for; 0: 5 s
}

// ProbeResult is one probe.
type ProbeResult struct {
	Site      string    `json:"site"`
	Decoy     string    `json:"decoy"`
	Handle    string    `json:"handle"`
	Asked     time.Time `json:"asked"`
	Requester *string   `json:"requester"` // the account that first came for the decoy
	Answered  bool      `json:"answered"`
	Bits      *float64  `json:"bits"` // the requester's evidence in the answer's pictures, if 64 or more
}

// Probe asks a site for dark decoys nobody was ever asked about, at keyed random
// moments, and says which account came for them.
func (r *Registry) Probe(ctx context.Context, req ProbeRequest, onResult func(ProbeResult)) error {
	panic("not yet")
}
