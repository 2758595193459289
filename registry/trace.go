package registry

import (
	"context"
	"time"
)

// Verdict is what a trace or scan says about a picture or a site.
type Verdict = string

// The verdicts.
const (
	VerdictAttributed = "attributed" // an account at 64 bits or more
	VerdictProbable   = "probable"   // log2(20 x candidates) bits or more, for an analyst's eyes
	VerdictMarked     = "marked"     // a ring is there, judged without any ring, but of no candidate
	VerdictUnmarked   = "unmarked"   // our picture, no ring
	VerdictNeutral    = "neutral"    // the copy served while Birdring was away
	VerdictUnknown    = "unknown"    // nothing of ours
	VerdictError      = "error"      // the input cannot be judged
)

// TraceRequest asks where a picture comes from.
type TraceRequest struct {
	Name        string    // of the input, repeated in the results
	Data        []byte    // the file
	Site        string    // where it was found; "" stores nothing
	AllAccounts bool      // score every account, not only those with an exposure on record
	Probable    bool      // also name probable accounts
	CapturedAt  time.Time // zero: now
	PageDecoys  []string  // decoys the page names: their pictures are tried whatever the index says
	URL, Page   string    // where the file and the page around it were
}

// TraceResult is what was found in one input, for one picture of ours.
type TraceResult struct {
	Input      string          `json:"input"`
	Decoy      *string         `json:"decoy"`
	Photo      *string         `json:"photo"`
	Verdict    Verdict         `json:"verdict"`
	Candidates int             `json:"candidates"` // viewers scored
	Transform  *TraceTransform `json:"transform"`
	Accounts   []TraceAccount  `json:"accounts"` // best first
	Seconds    float64         `json:"seconds"`
	Error      string          `json:"error,omitempty"`
}

// TraceTransform says how the found picture lies to the planted one.
type TraceTransform struct {
	ScaleX    float64    `json:"scale_x"` // found pixels per planted pixel
	ScaleY    float64    `json:"scale_y"`
	RotateDeg float64    `json:"rotate_deg"` // clockwise
	Mirror    bool       `json:"mirror"`     // left to right, before turning
	Crop      [4]float64 `json:"crop"`       // x, y, width, height of what is shown, in planted pixels
}

// TraceAccount is an account over its line.
type TraceAccount struct {
	Account string  `json:"account"`
	Bits    float64 `json:"bits"`    // rounded down to 0.001
	Exposed bool    `json:"exposed"` // false: no exposure on record before the capture
}

// Trace says which pictures of ours a file shows, and whose copies they are.
func (r *Registry) Trace(ctx context.Context, req TraceRequest) ([]TraceResult, error) {
	panic("not yet")
}
