// Package offer has the words of POST /v1/exposures, by which a platform says that
// decoys are put before viewers: the same at the registry's API and at an edge.
package offer

import "time"

// MostAsks bounds one request.
const MostAsks = 10_000

// ExposureAsk says that a decoy is put before a viewer now.
type ExposureAsk struct {
	Account string    `json:"account,omitempty" maxLength:"200" doc:"the account looking; or send pass"`
	Pass    string    `json:"pass,omitempty" doc:"the sealed number from /v1/accounts; or send account"`
	Session string    `json:"session,omitempty" maxLength:"200"`
	Decoy   string    `json:"decoy,omitempty" doc:"absent: every decoy that is to be put before this account"`
	Surface string    `json:"surface,omitempty" maxLength:"100" doc:"where: profile, search, story, ..."`
	Time    time.Time `json:"time,omitzero" doc:"absent: now"`
}

// ExposureAnswer is one viewer's copy of one decoy.
type ExposureAnswer struct {
	Account *string       `json:"account" doc:"null at an edge that was told a pass only"`
	Decoy   string        `json:"decoy"`
	Handle  string        `json:"handle"`
	Link    *string       `json:"link"`
	Photos  []PhotoAnswer `json:"photos"`
}

// PhotoAnswer is one picture of a copy.
type PhotoAnswer struct {
	Photo  string `json:"photo"`
	URL    string `json:"url"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	SizeOf string `json:"size_of"` // the largest picture of the photo, of which this is itself or a smaller size
}
