// Package canary is what Birdring plants: decoys (fake profiles), their handles,
// and pictures of which every viewer gets its own copy.
//
// The story of a photo: Prepare turns it once into a Picture (fixed segments,
// each in two variants); a Renderer joins the variants that a viewer's ring
// chooses into that viewer's rendition; when a copy turns up on an external
// site, Picture.Reference gives package mark what it needs to read soft values
// out of the found pixels, and package ring turns those into evidence.
//
// The package knows no clock, no network and no database. Times are data.
package canary

import "time"

// Viewer is the dense number of a viewer (an account, or one session of it).
// Numbers are never reused. 0 is the neutral copy, 1..MaxControl are controls
// and never given out.
type Viewer uint64

// Reserved viewer numbers.
const (
	Neutral     Viewer = 0     // the copy the platform serves when Birdring is away
	MaxControl  Viewer = 65535 // controls are 1..MaxControl
	FirstViewer Viewer = 65536 // the first number given to a real viewer
)

// Kind says who is shown a decoy.
type Kind string

// The kinds of decoys.
const (
	Shared   Kind = "shared"   // shown to many accounts
	Personal Kind = "personal" // made for one account, bound for ever to the first it is shown to
	Dark     Kind = "dark"     // listed nowhere, asked about once by a probe
)

// Decoy is a fake profile.
type Decoy struct {
	ID         string  `json:"id"`     // opaque, [a-z0-9-]{1,40}, carries no time
	Num        uint32  `json:"-"`      // dense object number, sealed into links (24 bits)
	Kind       Kind    `json:"kind"`   // shared, personal or dark
	Handle     string  `json:"handle"` // unique, reserved for ever
	HandleBits float64 `json:"handle_bits"`
	// The handle is the draw HandleCounter of the decoy from the model of that id
	// (empty: planted before ids were kept).
	HandleCounter uint32 `json:"-"`
	HandleModel   string `json:"-"`
	// What became of it: zero times if nothing did. Burnt: it is known to be a decoy;
	// what is found of it is matched but says less. Recalled: taken down, shown to nobody
	// any more. Successor is the decoy planted in its place.
	Burnt       time.Time `json:"burnt,omitzero"`
	Recalled    time.Time `json:"recalled,omitzero"`
	Successor   string    `json:"successor,omitempty"`
	LifeNote    string    `json:"life_note,omitempty"`
	Share       float64   `json:"share"` // probability of the coin that puts a shared decoy before an account
	Account     string    `json:"account,omitempty"`
	Locale      string    `json:"locale"`
	DisplayName string    `json:"display_name"`
	Bio         string    `json:"bio"`
	Followers   int       `json:"followers"`
	Following   int       `json:"following"`
	Joined      time.Time `json:"joined"`
	Posts       []Post    `json:"posts"`  // newest first; one per picture, the first picture is the avatar and has none
	Avatar      string    `json:"avatar"` // photo id, "" if the decoy has no picture
	Planted     time.Time `json:"planted"`
}

// Post is one post or story of a decoy.
type Post struct {
	ID      string    `json:"id"` // decimal digits, as Mastodon clients expect; never reused
	Photo   string    `json:"photo"`
	Caption string    `json:"caption"`
	Tags    []string  `json:"tags,omitempty"`
	Story   bool      `json:"story"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires,omitzero"` // stories: At + 24 h
}
