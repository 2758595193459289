package visit

import (
	"time"

	"birdring/beacon"
)

// What the time since a canary was handed out says about a hit.
const (
	Prompt = "prompt" // at once: a client that loads ahead, a previewer or a scanner, rather than somebody who reads
	Echo   = "echo"   // long after, by DNS: resolvers and scanners repeat names that they saw once
)

// Bounds of both.
const (
	PromptWithin = 2 * time.Second
	EchoAfter    = 24 * time.Hour
)

// Timing says what a hit's time since its canary was first handed out to the viewer
// looks like; "": nothing special. It needs no more trust than the two clocks do.
func Timing(kind string, since time.Duration) string {
	switch {
	case since < 0:
		return "" // by clocks that disagree
	case kind == beacon.KindDNS && since >= EchoAfter:
		return Echo
	case kind == beacon.KindLink && since <= PromptWithin:
		return Prompt
	}
	return ""
}
