package beacon

import (
	"time"

	"birdring/canary"
)

// Template is the address at which a question-and-answer site answers for a handle.
type Template struct{ before, after string }

func ParseTemplate(s string) (Template, error) { panic("not yet") }
func (t Template) URL(handle string) string    { panic("not yet") }

// Window is when a probe may ask.
type Window struct{ From, To time.Time }

func (w Window) At(u float64) time.Time { panic("not yet") }

// Look is one viewer coming for a decoy.
type Look struct {
	Viewer canary.Viewer
	At     time.Time
}
