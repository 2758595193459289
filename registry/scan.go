package registry

import (
	"context"
	"time"
)

// ScanRequest asks to walk sites.
type ScanRequest struct {
	URLs     []string // where to begin, one site each
	Allow    []string // CIDR:PORT that may be called although private
	MaxPages int      // per site; 0: 200
	Rate     float64  // requests per second and host; 0: 1
	Probable bool     // also name probable accounts
}

// ScanSighting is one canary of ours found on a page.
type ScanSighting struct {
	Site     string    `json:"site"`
	URL      string    `json:"url"`
	Page     string    `json:"page"`
	Decoy    string    `json:"decoy"`
	Photo    *string   `json:"photo"`
	Kind     string    `json:"kind"` // picture, handle or link
	Captured time.Time `json:"captured"`
	SHA256   string    `json:"sha256"` // of the bytes it was found in
}

// SiteResult is what is concluded about a site: one for each account named, or one with none.
type SiteResult struct {
	Site     string   `json:"site"`
	Account  *string  `json:"account"`
	Bits     *float64 `json:"bits"`
	Verdict  Verdict  `json:"verdict"`
	Decoys   []string `json:"decoys"`
	Pictures int      `json:"pictures"` // distinct ones of ours
}

// Scan walks sites, stores what it finds of ours and says whose copies they show.
func (r *Registry) Scan(ctx context.Context, req ScanRequest, onSighting func(ScanSighting)) ([]SiteResult, error) {
	panic("not yet")
}
