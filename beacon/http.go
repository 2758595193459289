package beacon

import (
	"errors"
	"net/http"

	"birdring/canary"
)

// ErrNoPicture is what HTTPConfig.Rendition wraps when no picture has that number.
var ErrNoPicture = errors.New("no such picture")

// HTTPConfig of NewHTTP.
type HTTPConfig struct {
	Keyring   Opener
	Record    Recorder
	Rendition func(dst []byte, object uint32, v canary.Viewer) ([]byte, error) // appends the viewer's copy to dst
	Landing   []byte                                                           // HTML that links answer with; nil: a plain page
	Self      func(*http.Request) bool                                         // whether a request is one of our own fetches; nil: none is
	Stats     *Stats
}

func NewHTTP(c HTTPConfig) http.Handler     { panic("not yet") }
func NewServer(h http.Handler) *http.Server { panic("not yet") }
