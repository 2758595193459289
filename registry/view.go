package registry

import (
	"time"

	"birdring/canary"
	"birdring/canary/mark"
)

// What follows is read-only: the registry as a person looks at it. Nothing here
// names an account below the line of 64 bits.

// SiteView is one site with what was found there.
type SiteView struct {
	Site      string
	Watched   bool
	Verdict   string // "" while nothing of ours was found
	Accounts  []AccountView
	Sightings int
	Pictures  int // distinct pictures found
	Decoys    int // distinct decoys found
	New       int // sightings captured since the time asked for
	First     time.Time
	Last      time.Time
}

// AccountView is one attribution: an account whose copy turned up on a site.
type AccountView struct {
	Account      string
	Millibits    int64
	At           time.Time // when it was first named
	Pictures     int
	Decoys       []string
	SingleSource bool // one picture alone stands behind it
}

// FindView is one sighting.
type FindView struct {
	ID, Site, URL, Page, Kind string
	Decoy, Handle, Photo      string
	SHA256                    string
	At                        time.Time
	Expires                   time.Time // of the story the picture was, else zero
	Transform                 mark.Affine
}

// PointView is the evidence against an account after one sighting.
type PointView struct {
	At        time.Time
	Millibits int64
}

// Evidence is what stands behind one picture found: the found bytes and the
// soft values read out of them.
type Evidence struct {
	FindView
	Data    []byte
	Y       []int16 // per segment
	Grid    mark.Grid
	Viewers []canary.Viewer // of the account asked for
}
